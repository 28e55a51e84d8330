"""The append-only event log and the history counted from it: one writer, commits in batches.

Promises: :meth:`EventLog.append` never waits for the disk; what was appended is on the disk after at most
one commit interval (``commit_seconds``) and after :meth:`EventLog.close`; a kill or a power cut at any
instant loses at most that interval and leaves a prefix. When the disk refuses, also at the start, events wait in
memory up to a bound and ``problem`` says why. A damaged file is set aside and a new one begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sqlite3
import time
from pathlib import Path
from typing import Any, AsyncIterator, Callable, Dict, List, Optional, Tuple

import aiosqlite

from core.events import Event, Fact, SessionStarted
from core.history import MINUTE, History
from core.protocols import UnknownProtocol
from storage.commit import INSERT_MARK, Batch, write
from storage.database import (
    FORMAT,
    DatabaseDamaged,
    DiskRefuses,
    StorageError,
    check_file,
    check_integrity,
    connect,
    fetch_number,
    fetch_one,
    find_boot,
    inspect,
    make_folder,
    migrate,
    refused,
    set_aside,
)
from storage.history_reader import COUNTED_TO, HistoryReader
from storage.lock import WriterLock
from storage.retention import Retention, Sweeper
from storage.rows import Dictionaries
from storage.trouble import Trouble
from storage.waiting import Waiting

log = logging.getLogger(__name__)

MINUTES_AT_ONCE = 15
"""Rows of the history are written for so many minutes together: those of one minute would cost as much flash."""
UNCOUNTED_AT_MOST = 5000
"""After so many events without that many minutes, e.g. while no battery answers, it is noted how far they are counted:
a start folds what comes after, and retention deletes nothing of it."""
EVENTS_AT_ONCE = 1000
"""So many events are stored in one transaction."""
EVENTS_TRIED = 50
"""After a failure it is tried with so many: an attempt every few seconds must not cost much while the disk refuses."""
QUICK_CHECK_BYTES = 64 * 1024 * 1024
"""Up to this size every page is read at a start; above it a start would take longer than a battery may wait."""

Snapshot = Tuple[int, Dict[str, Any]]
"""The number of the event up to which the state counts, and the state."""


def _utc_now_us() -> int:
    return time.time_ns() // 1000


class EventLog:
    """Open with :meth:`open`; one program at a time."""

    def __init__(self, path: Path, wall_us: Callable[[], int], retention: Retention) -> None:
        self.path = path
        self.stored = 0
        """Events committed by this object."""
        self.next_number = 1
        self.history = History()
        """The history counted from what was appended."""
        self._wall_us = wall_us
        self._retention = retention
        self._turn = asyncio.Lock()
        self._db: Optional[aiosqlite.Connection] = None
        self._sweeper: Optional[Sweeper] = None
        self._lock = WriterLock(path)
        self._names = Dictionaries()
        self._waiting = Waiting()
        self._waiting_snapshots: Dict[str, Tuple[int, int, str]] = {}
        self._counted_to = 0
        self._boot: Optional[Tuple[int, str]] = None
        self._boot_is_stored = True
        self._session_start: Optional[Event] = None
        self._facts: List[Fact] = []
        self._trouble = Trouble(path, self._facts.append)

    @classmethod
    async def open(
        cls, path: Path, *, wall_us: Callable[[], int] = _utc_now_us, retention: Optional[Retention] = None
    ) -> EventLog:
        """Open or create the log at *path*. A disk that refuses is a ``problem`` and tried again at every commit.

        Raises :class:`StorageError` when the file is not ours to use.
        """
        opened = cls(path, wall_us, retention or Retention())
        try:
            await opened._open_or_begin_anew()
        except BaseException:
            await opened._disconnect()
            opened._lock.release()
            raise
        return opened

    async def _open_or_begin_anew(self) -> None:
        try:
            await self._connect()
        except DatabaseDamaged as damage:
            await self._begin_anew(damage.reason)
        except DiskRefuses as refusal:
            self._trouble.failed(str(refusal))
            newest: Optional[int] = None
            with contextlib.suppress(DiskRefuses, DatabaseDamaged):  # then it takes no reading either
                async with self._readable() as db:
                    newest = None if db is None else await fetch_number(db, self.path, "SELECT max(number) FROM event")
            self.next_number = (newest or 0) + 1

    async def _connect(self) -> None:
        make_folder(self.path)
        self._lock.take()
        exists = check_file(self.path)
        if exists:
            await inspect(self.path)
        db = await connect(self.path)
        try:
            if exists and self.path.stat().st_size <= QUICK_CHECK_BYTES:
                await check_integrity(db, self.path)
            await migrate(db, self.path, self._wall_us())
            await self._take_over(db)
        except sqlite3.OperationalError as error:
            await db.close()
            raise refused("cannot use the database {}: {}".format(self.path, error)) from None
        except sqlite3.DatabaseError as error:
            await db.close()
            raise DatabaseDamaged(self.path, str(error)) from None
        except BaseException:
            await db.close()
            raise
        self._db = db

    async def _take_over(self, db: aiosqlite.Connection) -> None:
        """Know what is in the database, and go on counting where it was left; then count what waits."""
        newest = await fetch_number(db, self.path, "SELECT max(number) FROM event") or 0
        if self._waiting.events and newest >= self._waiting.events[0].number:
            raise StorageError(
                "the database {} holds events that this run does not know of; start the program again".format(self.path)
            )
        names = await Dictionaries.load(db, self.path)
        await names.load_batteries(db, self.path)
        reader = HistoryReader(db, self.path, names, FORMAT)
        history = await self._resumed(reader)
        if history is None:
            if newest:
                log.warning("the history of the %d events so far is not counted; `rebuild` does that", newest)
            history = History()
            await db.execute(INSERT_MARK, (COUNTED_TO, newest + 1))
        self._counted_to = (await reader.marks())[COUNTED_TO]
        for event in self._waiting.events:
            history.fold(event)
        self.history, self._names = history, names
        self._sweeper = Sweeper(db, HistoryReader(db, self.path, names, FORMAT), self._retention)
        self.next_number = max(self.next_number, newest + 1)

    async def _resumed(self, reader: HistoryReader) -> Optional[History]:
        """The fold as it was left; ``None`` when there is none, or a later version wrote what it needs."""
        if COUNTED_TO not in await reader.marks():
            return None
        try:
            return await reader.resumed()
        except DatabaseDamaged:
            raise
        except (StorageError, UnknownProtocol, ValueError) as error:
            log.warning("the last minutes cannot be counted: %s", error)
            return None

    async def _begin_anew(self, reason: str) -> None:
        """Set the damaged file aside and start an empty one that can be read and replayed by itself."""
        await self._disconnect()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall_us() / 1e6))
        try:
            kept = set_aside(self.path, stamp)
        except StorageError as error:  # the disk is read-only as well: at the next commit again
            self._trouble.failed(str(error))
            return
        log.error("THE DATABASE WAS DAMAGED (%s). It is kept as %s; a new one is begun.", reason, kept)
        self._boot_is_stored = self._boot is None
        start = self._session_start
        if start is not None and start not in self._waiting.events:
            self._waiting.events.insert(0, start)
        try:
            await self._connect()
        except StorageError as error:
            self._trouble.failed(str(error))

    @contextlib.asynccontextmanager
    async def _readable(self) -> AsyncIterator[Optional[aiosqlite.Connection]]:
        """Our connection, or one to read with for as long as the disk takes no writing; ``None`` without a file."""
        if self._db is not None or not check_file(self.path):
            yield self._db
            return
        db = await connect(self.path, read_only=True, immutable=not os.path.exists("{}-wal".format(self.path)))
        try:
            yield db
        finally:
            await db.close()

    async def begin_boot(self, boot_id: str, uptime_us: int) -> int:
        """The number of this boot: that of the last event if it is the same boot and time went on, else a new one."""
        self._boot, self._boot_is_stored = (1, boot_id), False
        try:
            async with self._readable() as db:
                if db is not None:
                    self._boot, self._boot_is_stored = await find_boot(db, self.path, boot_id, uptime_us)
        except DatabaseDamaged as damage:
            await self._begin_anew(damage.reason)
        except DiskRefuses as refusal:
            await self._disconnect()
            self._trouble.failed(str(refusal))
            self.next_number = 1  # a file that turns out to hold events of other boots must not be added to
        return self._boot[0]

    @property
    def boot(self) -> Optional[int]:
        """The number of the boot that was begun."""
        return None if self._boot is None else self._boot[0]

    @property
    def problem(self) -> Optional[str]:
        """Why the last commit failed; ``None`` when history is being kept."""
        return self._trouble.problem

    @property
    def waiting(self) -> int:
        """Events in memory that are not on the disk yet."""
        return len(self._waiting.events)

    @property
    def lost(self) -> int:
        """Events that found no room in memory while the disk refused."""
        return self._waiting.lost

    def append(self, event: Event) -> None:
        """Take *event* for the next commit. Never waits and never fails."""
        self.next_number = event.number + 1
        if isinstance(event.fact, SessionStarted):
            self._session_start = event
        if self._waiting.add(event):
            self.history.fold(event)

    def take_facts(self) -> List[Fact]:
        """What the log has to tell about itself since it was asked last; to be appended like any other fact."""
        facts = list(self._facts)
        self._facts.clear()
        return facts

    def save_snapshot(self, name: str, version: int, state: Dict[str, Any]) -> None:
        """Store *state*, which counts up to the last event appended, with the next commit."""
        self._waiting_snapshots[name] = (version, self.next_number - 1, json.dumps(state, separators=(",", ":")))

    async def load_snapshot(self, name: str, version: int) -> Optional[Snapshot]:
        """The saved state, or ``None`` when there is none of this version."""
        sql = "SELECT number, state FROM snapshot WHERE name = ? AND version = ?"
        try:
            async with self._readable() as db:
                row = None if db is None else await fetch_one(db, self.path, sql, (name, version))
        except DatabaseDamaged as damage:
            await self._begin_anew(damage.reason)
            return None
        except DiskRefuses as refusal:
            log.warning("what former runs left cannot be read: %s", refusal)
            return None
        return None if row is None else (int(row[0]), json.loads(row[1]))

    async def facts_since(self, number: int, *, readings: bool = False) -> List[Event]:
        """What came after event *number*. What cannot be read is missing: a start must not wait for it."""
        events: List[Event] = []
        if self.next_number <= number + 1:
            return events
        try:
            async with await self.reader() as reader:
                async for event in reader.events(number + 1, readings=readings):
                    events.append(event)
        except DatabaseDamaged as damage:
            await self._begin_anew(damage.reason)
        except StorageError as error:
            log.warning("some of the history cannot be read: %s", error)
        return events

    async def reader(self) -> HistoryReader:
        """A read-only connection that sees everything committed so far."""
        return await HistoryReader.open(self.path, beside_writer=True)

    async def forecast_days(self) -> Optional[float]:
        """For how many days of raw readings there is room; ``None`` when that cannot be said yet."""
        async with self._turn:
            try:
                return None if self._sweeper is None else await self._sweeper.forecast_days()
            except (StorageError, sqlite3.Error):
                return None

    async def commit(self) -> None:
        """Write what waits in one transaction. A refusing disk is recorded in ``problem`` and tried again next time.

        A caller that is cancelled leaves the transaction running to its end: half known is worse than late.
        """
        await asyncio.shield(asyncio.ensure_future(self._commit_in_turn()))

    async def _commit_in_turn(self, *, last: bool = False) -> None:
        async with self._turn:
            try:
                if not await self._commit_or_begin_anew(last):
                    await self._commit(last)
            except (StorageError, sqlite3.Error, OSError) as error:  # OSError: a look at the file, e.g. of dead flash
                self._trouble.failed(str(error))

    async def _commit_or_begin_anew(self, last: bool) -> bool:
        """False when the file turned out to be damaged: what waits has to go to the new one."""
        try:
            if self._db is not None and not self.path.exists():
                raise DatabaseDamaged(self.path, "the file was deleted")
            await self._commit(last)
            return True
        except DatabaseDamaged as damage:
            reason = damage.reason
        except (sqlite3.OperationalError, sqlite3.IntegrityError):
            raise
        except sqlite3.DatabaseError as error:
            reason = str(error)
        await self._begin_anew(reason)
        return False

    async def _commit(self, last: bool) -> None:
        if not self._waiting.events and not self._waiting_snapshots:
            return
        if self._db is None:
            await self._connect()
        assert self._db is not None and self._sweeper is not None
        self._facts += await self._sweeper.make_room()
        complete = False
        count = EVENTS_TRIED if self.problem else EVENTS_AT_ONCE
        while not complete:
            complete = len(self._waiting.events) <= count
            await self._write(self._db, self._batch(count, complete, last))
            count = EVENTS_AT_ONCE
        self._trouble.ended(self._waiting.told)
        self._facts += await self._sweeper.expire()

    def _batch(self, count: int, complete: bool, last: bool) -> Batch:
        """What to store next. Snapshots and history count what waits, so they go with the last of it."""
        due = complete and (last or self._rows_are_due()) and self.history.open_since > self._counted_to
        return Batch(
            self._waiting.events[:count],
            dict(self._waiting_snapshots) if complete else {},
            list(self.history.closed) if due else [],
            self.history.open_since if due else None,
            None if self._boot_is_stored else self._boot,
        )

    async def _write(self, db: aiosqlite.Connection, batch: Batch) -> None:
        names = self._names.copy()
        await write(db, batch, names)
        self._names, self._boot_is_stored = names, True
        self._counted_to = self._counted_to if batch.counted_to is None else batch.counted_to
        del self._waiting.events[: len(batch.events)]
        del self.history.closed[: len(batch.buckets)]
        for name, snapshot in batch.snapshots.items():
            if self._waiting_snapshots.get(name) == snapshot:
                del self._waiting_snapshots[name]
        self.stored += len(batch.events)

    def _rows_are_due(self) -> bool:
        minutes = {each.place for each in self.history.closed if each.tier is MINUTE}
        uncounted = self.history.open_since - self._counted_to
        return len(minutes) >= MINUTES_AT_ONCE or uncounted >= UNCOUNTED_AT_MOST

    async def close(self) -> None:
        """Commit and let go of the file."""
        await asyncio.shield(asyncio.ensure_future(self._commit_in_turn(last=True)))
        await self._disconnect()
        self._lock.release()

    async def _disconnect(self) -> None:
        db, self._db, self._sweeper = self._db, None, None
        if db is not None:
            await db.close()
