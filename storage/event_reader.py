"""Reads the event log in order, by number or by time, without loading it. Safe beside the running daemon."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import AsyncIterator, List, Optional, Tuple, Type, TypeVar

import aiosqlite
from attrs import frozen

from core.events import Event, EventError
from storage.database import StorageError, check_file, check_ours, connect, fetch_all, fetch_number, fetch_one, inspect
from storage.rows import SELECT_EVENTS, Dictionaries, Row, RowReader

_CHUNK = 1000
READING_KIND = 1
"""The id of ReadingTaken in every database, see migration 0001."""

R = TypeVar("R", bound="EventReader")


_SPAN = """
SELECT first.boot, first.uptime_us, last.uptime_us, last.kind = {kind}
FROM event AS first, event AS last
WHERE first.number = ? AND last.number = (SELECT max(number) FROM event WHERE number < ? AND number >= ?)
"""


@frozen
class RecordedSession:
    """One run of the program as the log has it: numbers [start, stop), uptimes of its first and last event."""

    start: int
    stop: int
    boot: int
    first_us: int
    last_us: int
    ended: bool
    """Whether the last event is its end; else it was killed, or still runs."""
    wall_offset_us: int
    """To be added to an uptime. A boot that began with a wrong clock is dated by the last time that it was set."""

    def uptime_at(self, wall_us: int) -> Optional[int]:
        """The uptime in µs at which it was *wall_us*, if that is known to lie in this session.

        Known is a session up to the whole second of its last event, and not from the moment on at which it ended.
        """
        uptime_us = wall_us - self.wall_offset_us
        if uptime_us < self.first_us:
            return None
        known = uptime_us < self.last_us if self.ended else uptime_us // 1_000_000 <= self.last_us // 1_000_000
        return uptime_us if known else None


class EventReader:
    """A read-only connection of its own; use as ``async with await EventReader.open(path) as reader``."""

    def __init__(self, db: aiosqlite.Connection, path: Path, names: Dictionaries, format: int) -> None:
        self._db = db
        self._format = format
        self._path = path
        self._names = names

    @classmethod
    async def open(cls: Type[R], path: Path, *, beside_writer: bool = False) -> R:
        """Raises :class:`StorageError` when there is no database of ours at *path*.

        *beside_writer*: this process has it open, too. Then nothing but SQLite touches the file: to close it in any
        other way ends all locks that the process has on it (POSIX), and whoever comes next believes that nobody has
        the database open, and deletes the ``-wal`` under the writer.
        """
        if not (path.exists() if beside_writer else check_file(path) and await inspect(path)):
            found = "is empty" if path.exists() else "does not exist; give another path with --database"
            raise StorageError("the database {} {}".format(path, found))
        db = await connect(path, read_only=True)
        try:
            format = await check_ours(db, path)
            return cls(db, path, await Dictionaries.load(db, path), format)
        except BaseException:
            await db.close()
            raise

    async def __aenter__(self: R) -> R:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self._db.close()

    async def events(
        self, start: int = 0, stop: Optional[int] = None, *, readings: bool = True
    ) -> AsyncIterator[Event]:
        """Events with start <= number < stop, in order; *readings* False leaves the raw readings out.

        Raises :class:`StorageError` for a damaged page or an event of a newer program.
        """
        sql = SELECT_EVENTS + " WHERE number >= ?{}{} ORDER BY number LIMIT {}".format(
            "" if stop is None else " AND number < {}".format(int(stop)),
            "" if readings else " AND kind <> {}".format(READING_KIND),
            _CHUNK,
        )
        while True:
            rows = await fetch_all(self._db, self._path, sql, (start,))
            # After the rows: what they refer to was committed with them, perhaps since the last look.
            self._names = await Dictionaries.load(self._db, self._path)
            reader = RowReader(self._names)
            for row in rows:
                start = row[0] + 1
                yield self._event(reader, tuple(row))
            if not rows:
                return

    async def event_from(self, number: int) -> Optional[Event]:
        """The first event at or after *number*. Raises as :meth:`events`."""
        rows = await fetch_all(
            self._db, self._path, SELECT_EVENTS + " WHERE number >= ? ORDER BY number LIMIT 1", (number,)
        )
        self._names = await Dictionaries.load(self._db, self._path)
        return self._event(RowReader(self._names), tuple(rows[0])) if rows else None

    def _event(self, reader: RowReader, row: Row) -> Event:
        try:
            return reader.event(row)
        except EventError as error:
            raise StorageError("the database {}: {}".format(self._path, error)) from None

    async def number_at(self, boot: int, uptime_us: int) -> int:
        """The number of the first event at or after this instant, by binary search; one past the end if none is."""
        low, high = await self._bounds()
        while low < high:
            middle = (low + high) // 2
            number, key = await self._probe(middle)
            if key < (boot, uptime_us):
                low = number + 1
            else:
                high = middle
        return low

    async def ranges_at(self, since_us: Optional[int], until_us: Optional[int]) -> List[Tuple[int, int]]:
        """Number ranges [start, stop) of the wall-clock span [since, until).

        A boot that began with a wrong clock is dated by the last time that its clock was set.
        """
        ranges = []
        for boot, offset_us in sorted(self._names.offsets_us.items()):
            start = await self.number_at(boot, max(0, since_us - offset_us) if since_us is not None else 0)
            end_of_boot = await self.number_at(boot + 1, 0)
            stop = end_of_boot if until_us is None else await self.number_at(boot, max(0, until_us - offset_us))
            if start < min(stop, end_of_boot):
                ranges.append((start, min(stop, end_of_boot)))
        return ranges

    @property
    def path(self) -> Path:
        """The file of the database."""
        return self._path

    async def session_before(self, number: int) -> Optional[int]:
        """The number of the SessionStarted in force at event *number*."""
        sql = "SELECT max(number) FROM session_start WHERE number <= ?"
        return await fetch_number(self._db, self._path, sql, (number,))

    async def sessions(self) -> AsyncIterator[RecordedSession]:
        """Every session that has a beginning, the newest first."""
        offsets = {segment.boot: segment.wall_offset_us for segment in self._names.clock}
        sql = "SELECT number FROM session_start ORDER BY number DESC"
        starts = [int(row[0]) for row in await fetch_all(self._db, self._path, sql)]
        _, stop = await self._bounds()
        for start in starts:
            sql = _SPAN.format(kind=self._names.kinds.get("SessionEnded", 0))
            row = await fetch_one(self._db, self._path, sql, (start, stop, start))
            assert row is not None  # only readings can be deleted
            boot, first_us, last_us, ended = (int(value) for value in row)
            yield RecordedSession(start, stop, boot, first_us, last_us, bool(ended), offsets[boot])
            stop = start

    async def readings_deleted_below(self) -> int:
        """Retention has deleted the raw readings with a smaller number; 0: none."""
        kind = self._names.kinds.get("ReadingsDeleted")
        if kind is None:
            return 0
        sql = "SELECT payload FROM event WHERE kind = ? ORDER BY number DESC LIMIT 1"
        row = await fetch_one(self._db, self._path, sql, (kind,))
        assert row is not None  # a kind is stored with its first event
        return int(json.loads(row[0])["below_number"])

    async def _bounds(self) -> Tuple[int, int]:
        lowest = await fetch_number(self._db, self._path, "SELECT min(number) FROM event")
        highest = await fetch_number(self._db, self._path, "SELECT max(number) FROM event")
        return (0, 0) if lowest is None or highest is None else (lowest, highest + 1)

    async def _probe(self, number: int) -> Tuple[int, Tuple[int, int]]:
        sql = "SELECT number, boot, uptime_us FROM event WHERE number >= ? ORDER BY number LIMIT 1"
        row = await fetch_one(self._db, self._path, sql, (number,))
        assert row is not None
        return int(row[0]), (int(row[1]), int(row[2]))
