"""Counts the history anew from the readings that are kept, e.g. after a decoder was repaired.

Everything happens in one transaction: a rebuild that is interrupted has changed nothing. Sealed buckets stay as they
are: those with readings that were deleted. What retention deleted of a fine tier is not brought back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, Iterable, List

import aiosqlite

from core.history import SETTLE_US, TIERS, DatedBucket, History, Place, Tier
from storage.bucket_rows import first_key, key_of
from storage.commit import INSERT_MARK, insert_buckets
from storage.database import FORMAT, StorageError, check_file, connect, fetch_number, inspect, migrate
from storage.history_reader import COUNTED_TO, READINGS_FROM, TABLES, HistoryReader
from storage.lock import WriterLock
from storage.rows import Dictionaries

_ROWS_AT_ONCE = 1000

Progress = Callable[[int, int], None]
"""Told how many events were counted, of how many."""


async def rebuild(path: Path, *, wall_us: int, progress: Progress = lambda done, of: None) -> Dict[str, int]:
    """Count again; return the rows counted by tier.

    Raises :class:`StorageError`, also while a daemon holds the database; then nothing was changed.
    """
    if not check_file(path):
        raise StorageError("the database {} does not exist; give another path with --database".format(path))
    await inspect(path)
    lock = WriterLock(path)
    lock.take()
    try:
        db = await connect(path)
        try:
            await migrate(db, path, wall_us)
            return await _Rebuild(db, path).run(progress)
        finally:
            await db.close()
    finally:
        lock.release()


class _Rebuild:
    def __init__(self, db: aiosqlite.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._names = Dictionaries()
        self._first_keys: Dict[Tier, int] = {}
        """By tier: rows below this key are sealed, or were deleted."""
        self.counted = {tier.name: 0 for tier in TIERS}

    async def run(self, progress: Progress) -> Dict[str, int]:
        self._names = await Dictionaries.load(self._db, self._path)
        await self._names.load_batteries(self._db, self._path)
        reader = HistoryReader(self._db, self._path, self._names, FORMAT)
        await self._db.execute("BEGIN IMMEDIATE")
        try:
            await self._find_first_keys(reader)
            for tier, key in self._first_keys.items():
                await self._db.execute("DELETE FROM {} WHERE key >= ?".format(TABLES[tier]), (key,))
            counted_to = await self._count(reader, progress)
            await self._db.execute(INSERT_MARK, (COUNTED_TO, counted_to))
            await self._db.execute("COMMIT")
        except BaseException:
            await self._db.rollback()
            raise
        return self.counted

    async def _find_first_keys(self, reader: HistoryReader) -> None:
        marks = await reader.marks()
        first = await reader.event_from(marks[READINGS_FROM]) if READINGS_FROM in marks else None
        for tier in TIERS:
            whole = Place(0, 0)
            if first is not None:
                # A fold from here on knows everything after SETTLE_US; the bucket that this falls into is not whole.
                whole = Place(first.boot, tier.bucket(first.uptime_us + SETTLE_US) + 1)
            self._first_keys[tier] = max(first_key(whole), marks.get(TABLES[tier], 0))

    async def _count(self, reader: HistoryReader, progress: Progress) -> int:
        """Count every event whose readings are kept; return the number of the first that is in no row yet."""
        start = (await reader.marks()).get(READINGS_FROM, 0)
        newest = await fetch_number(self._db, self._path, "SELECT max(number) FROM event") or 0
        history = History()
        await reader.settle(history, start, start)
        async for event in reader.events(start):
            history.fold(event)
            if len(history.closed) >= _ROWS_AT_ONCE:
                await self._store(history.closed)
                progress(event.number - start, newest - start + 1)
        await self._store(history.closed)
        progress(newest - start + 1, newest - start + 1)
        return history.open_since or newest + 1

    async def _store(self, closed: List[DatedBucket]) -> None:
        kept = list(self._kept(closed))
        closed.clear()
        await insert_buckets(self._db, kept, self._names)
        for dated in kept:
            self.counted[dated.tier.name] += 1

    def _kept(self, closed: Iterable[DatedBucket]) -> Iterable[DatedBucket]:
        return (each for each in closed if key_of(each.place, 0) >= self._first_keys[each.tier])
