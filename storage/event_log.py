"""The append-only event log: one writer, commits in batches.

Promises: :meth:`EventLog.append` never waits for the disk; what was appended is on the disk after at most
one commit interval (``commit_seconds``) and after :meth:`EventLog.close`; a kill or a power cut at any
instant loses at most that interval and leaves a prefix. When the disk refuses, events wait in
memory up to a bound and ``problem`` says why. A damaged file is set aside and a new one begun.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from pathlib import Path
from typing import IO, Any, Callable, Dict, List, Optional, Tuple

import aiosqlite

from core.events import Event, SessionStarted
from storage.database import (
    DatabaseDamaged,
    StorageError,
    check_file,
    check_integrity,
    connect,
    fetch_number,
    fetch_one,
    inspect,
    migrate,
    set_aside,
)
from storage.event_reader import EventReader
from storage.rows import INSERT_EVENT, Dictionaries, row_of

log = logging.getLogger(__name__)

MAX_PENDING = 8_000
"""Events kept in memory while the disk refuses: some 4 MB."""
QUICK_CHECK_BYTES = 64 * 1024 * 1024
"""Up to this size every page is read at a start; above it a start would take longer than a battery may wait."""

Snapshot = Tuple[int, Dict[str, Any]]
"""The number of the event up to which the state counts, and the state."""


def _utc_now_us() -> int:
    return time.time_ns() // 1000


class EventLog:
    """Open with :meth:`open`; one program at a time."""

    def __init__(self, path: Path, wall_us: Callable[[], int]) -> None:
        self.path = path
        self.problem: Optional[str] = None
        """Why the last commit failed; ``None`` when history is being kept."""
        self.lost = 0
        """Events that found no room in memory while the disk refused."""
        self.stored = 0
        """Events committed by this object."""
        self.next_number = 1
        self._wall_us = wall_us
        self._turn = asyncio.Lock()
        self._db: Optional[aiosqlite.Connection] = None
        self._lock: Optional[IO[str]] = None
        self._names = Dictionaries()
        self._pending: List[Event] = []
        self._pending_snapshots: Dict[str, Tuple[int, int, str]] = {}
        self._boot: Optional[Tuple[int, str]] = None
        self._boot_is_stored = True
        self._session_start: Optional[Event] = None

    @classmethod
    async def open(cls, path: Path, *, wall_us: Callable[[], int] = _utc_now_us) -> EventLog:
        """Open or create the log at *path*. Raises :class:`StorageError` when the file is not ours to use."""
        opened = cls(path, wall_us)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError("cannot create the folder {}: {}".format(path.parent, error.strerror)) from None
        opened._take_lock()
        try:
            await opened._open_or_begin_anew()
        except BaseException:
            await opened._disconnect()
            opened._release_lock()
            raise
        return opened

    async def _open_or_begin_anew(self) -> None:
        try:
            await self._connect()
        except DatabaseDamaged as damage:
            await self._begin_anew(damage.reason)

    async def _connect(self) -> None:
        exists = check_file(self.path)
        if exists:
            await inspect(self.path)
        db = await connect(self.path)
        try:
            if exists and self.path.stat().st_size <= QUICK_CHECK_BYTES:
                await check_integrity(db, self.path)
            await migrate(db, self.path, self._wall_us())
            self._names = await Dictionaries.load(db, self.path)
            newest = await fetch_number(db, self.path, "SELECT max(number) FROM event")
        except sqlite3.OperationalError as error:
            await db.close()
            raise StorageError("cannot use the database {}: {}".format(self.path, error)) from None
        except sqlite3.DatabaseError as error:
            await db.close()
            raise DatabaseDamaged(self.path, str(error)) from None
        except BaseException:
            await db.close()
            raise
        self._db = db
        self.next_number = max(self.next_number, (newest or 0) + 1)

    async def _begin_anew(self, reason: str) -> None:
        """Set the damaged file aside and start an empty one that can be read and replayed by itself."""
        await self._disconnect()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall_us() / 1e6))
        kept = set_aside(self.path, stamp)
        log.error("THE DATABASE WAS DAMAGED (%s). It is kept as %s; a new one is begun.", reason, kept)
        self._boot_is_stored = self._boot is None
        start = self._session_start
        if start is not None and start not in self._pending:
            self._pending.insert(0, start)
        try:
            await self._connect()
        except StorageError as error:
            self._note_problem(str(error))

    async def begin_boot(self, boot_id: str, uptime_us: int) -> int:
        """The number of this boot: that of the last event if it is the same boot and time went on, else a new one."""
        self._boot, self._boot_is_stored = (1, boot_id), False
        try:
            if self._db is not None:  # else a file that could not be begun anew yet: it will hold this boot only
                self._boot, self._boot_is_stored = await self._find_boot(self._db, boot_id, uptime_us)
        except DatabaseDamaged as damage:
            await self._begin_anew(damage.reason)
        return self._boot[0]

    async def _find_boot(self, db: aiosqlite.Connection, boot_id: str, uptime_us: int) -> Tuple[Tuple[int, str], bool]:
        last = await fetch_one(db, self.path, "SELECT number, boot_id FROM boot ORDER BY number DESC LIMIT 1")
        if last is None:
            return (1, boot_id), False
        sql = "SELECT uptime_us FROM event WHERE boot = ? ORDER BY number DESC LIMIT 1"
        newest_us = await fetch_number(db, self.path, sql, (last[0],))
        if last[1] == boot_id and (newest_us is None or newest_us <= uptime_us):
            return (int(last[0]), boot_id), True
        return (int(last[0]) + 1, boot_id), False

    @property
    def waiting(self) -> int:
        """Events in memory that are not on the disk yet."""
        return len(self._pending)

    def append(self, event: Event) -> None:
        """Take *event* for the next commit. Never waits and never fails."""
        self.next_number = event.number + 1
        if isinstance(event.fact, SessionStarted):
            self._session_start = event
        if len(self._pending) >= MAX_PENDING:
            self.lost += 1
            return
        self._pending.append(event)

    def save_snapshot(self, name: str, version: int, state: Dict[str, Any]) -> None:
        """Store *state*, which counts up to the last event appended, with the next commit."""
        self._pending_snapshots[name] = (version, self.next_number - 1, json.dumps(state, separators=(",", ":")))

    async def load_snapshot(self, name: str, version: int) -> Optional[Snapshot]:
        """The saved state, or ``None`` when there is none of this version."""
        if self._db is None:
            return None
        sql = "SELECT number, state FROM snapshot WHERE name = ? AND version = ?"
        try:
            row = await fetch_one(self._db, self.path, sql, (name, version))
        except DatabaseDamaged as damage:
            await self._begin_anew(damage.reason)
            return None
        return None if row is None else (int(row[0]), json.loads(row[1]))

    async def facts_since(self, number: int, *, readings: bool = False) -> List[Event]:
        """What came after event *number*. What cannot be read is missing: a start must not wait for it."""
        events: List[Event] = []
        if self._db is None or self.next_number <= number + 1:
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

    async def reader(self) -> EventReader:
        """A read-only connection that sees everything committed so far."""
        return await EventReader.open(self.path)

    async def commit(self) -> None:
        """Write what waits in one transaction. A refusing disk is recorded in ``problem`` and tried again next time.

        A caller that is cancelled leaves the transaction running to its end: half known is worse than late.
        """
        await asyncio.shield(asyncio.ensure_future(self._commit_in_turn()))

    async def _commit_in_turn(self) -> None:
        async with self._turn:
            try:
                if not await self._commit_or_begin_anew():
                    await self._commit()
            except (StorageError, sqlite3.Error) as error:
                self._note_problem(str(error))

    async def _commit_or_begin_anew(self) -> bool:
        """False when the file turned out to be damaged: what waits has to go to the new one."""
        try:
            await self._commit()
            return True
        except DatabaseDamaged as damage:
            reason = damage.reason
        except (sqlite3.OperationalError, sqlite3.IntegrityError):
            raise
        except sqlite3.DatabaseError as error:
            reason = str(error)
        await self._begin_anew(reason)
        return False

    async def _commit(self) -> None:
        if not self._pending and not self._pending_snapshots:
            return
        if self._db is None:
            await self._connect()
        events, snapshots, names = list(self._pending), dict(self._pending_snapshots), self._names.copy()
        await self._write(events, snapshots, names)
        self._names, self._boot_is_stored = names, True
        del self._pending[: len(events)]
        for name, snapshot in snapshots.items():
            if self._pending_snapshots.get(name) == snapshot:
                del self._pending_snapshots[name]
        self.stored += len(events)
        if self.problem is not None:
            log.warning("history is being kept again (%d events were lost)", self.lost)
            self.problem = None

    async def _write(
        self, events: List[Event], snapshots: Dict[str, Tuple[int, int, str]], names: Dictionaries
    ) -> None:
        db = self._db
        assert db is not None
        rows = [row_of(event, names) for event in events]
        starts = [(event.number,) for event in events if isinstance(event.fact, SessionStarted)]
        try:
            await db.execute("BEGIN IMMEDIATE")
            if not self._boot_is_stored and self._boot is not None:
                await db.execute("INSERT INTO boot (number, boot_id) VALUES (?, ?)", self._boot)
            for sql, values in names.unsaved:
                await db.execute(sql, values)
            await db.executemany(INSERT_EVENT, rows)
            await db.executemany("INSERT INTO session_start (number) VALUES (?)", starts)
            await db.executemany(
                "INSERT OR REPLACE INTO snapshot (name, version, number, state) VALUES (?, ?, ?, ?)",
                [(name, *snapshot) for name, snapshot in snapshots.items()],
            )
            await db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                await db.execute("ROLLBACK")
            raise
        names.unsaved.clear()

    def _note_problem(self, problem: str) -> None:
        if problem != self.problem:
            log.error("history is not being kept: %s (%s)", problem, self.path)
        self.problem = problem

    async def close(self) -> None:
        """Commit and let go of the file."""
        await self.commit()
        await self._disconnect()
        self._release_lock()

    async def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            await db.close()

    def _take_lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # not in every Venus image; a second writer then fails on the first number it reuses
            return
        lock_path = str(self.path) + ".lock"
        try:
            self._lock = open(lock_path, "w", encoding="ascii")
        except OSError as error:
            raise StorageError("cannot write beside the database {}: {}".format(self.path, error.strerror)) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._release_lock()
            raise StorageError("another dbus-btbattery is writing to {}".format(self.path)) from None

    def _release_lock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()
