"""What is deleted and when: raw readings by age, fine tiers by age, and whatever is oldest when the database is full.

Age is counted in stretches of time in which something was recorded, never by a wall clock, so that no wrong date
deletes anything. Only what the history tables have counted is deleted. Settings, sessions, links and alerts stay.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Optional, Tuple

import aiosqlite
from attrs import frozen

from core.events import ReadingsDeleted
from core.history import DAY, MINUTE, QUARTER, SETTLE_US, Place, Tier
from storage.bucket_rows import first_key, place_and_battery
from storage.commit import INSERT_MARK
from storage.database import PAGE_SIZE, StorageError, fetch_all, fetch_number
from storage.history_reader import COUNTED_TO, READINGS_FROM, TABLES, HistoryReader

MB = 1_000_000
DEFAULT_CAP_BYTES = 256 * MB
SHARE_OF_FREE = 0.25
LEAST_CAP_BYTES = 8 * MB
"""With less room than this no history is kept."""
MARGIN_BYTES = MB // 2
"""What one commit may add to file and WAL."""
_STEP_US = 3_600_000_000
"""How much recorded time makes room at once."""
_STEPS_AT_ONCE = 24
_HOURS_AT_ONCE = 4
_ROWS_AT_ONCE = 100
_PAGES_AT_ONCE = 100
"""How far the file shrinks at once: every page that moves is written twice."""
WAL_BYTES = 1000 * (PAGE_SIZE + 24) + 32
"""What the WAL becomes before SQLite empties it into the database."""
_EMPTY_BYTES = 25 * PAGE_SIZE
"""What a database takes that holds nothing yet."""
_LEAST_FORECAST_US = 3_600_000_000
"""What is said of the future rests on at least this much of the past."""

_RAW = "(SELECT id FROM kind WHERE name IN ('ReadingTaken', 'FrameRejected'))"

AGE = "age"
SIZE = "size"


@frozen
class Retention:
    """How long what is kept. A cap of ``None``: by the free space, at most 256 MB."""

    readings_days: int = 14
    minutes_hours: int = 48
    quarters_days: int = 90
    cap_bytes: Optional[int] = None

    def cap(self, path: Path) -> int:
        """The largest that file and WAL may become, in bytes, as the disk is now."""
        if self.cap_bytes is not None:
            return self.cap_bytes
        try:
            disk = os.statvfs(str(path.parent))
        except OSError:
            return DEFAULT_CAP_BYTES
        free = disk.f_bavail * disk.f_frsize + size_of(path)
        return min(DEFAULT_CAP_BYTES, int(free * SHARE_OF_FREE))


def size_of(path: Path) -> int:
    """Bytes of the database and its WAL."""
    return _size(path, "") + _size(path, "-wal")


def _size(path: Path, suffix: str) -> int:
    try:
        return os.stat(str(path) + suffix).st_size
    except OSError:  # not there
        return 0


class Sweeper:
    """Keeps one open database within its bounds. Every call does little, so that no commit waits long for it."""

    def __init__(self, db: aiosqlite.Connection, reader: HistoryReader, retention: Retention) -> None:
        self._db = db
        self._path = reader.path
        self._reader = reader
        self._retention = retention
        self._more = True
        self._looked_at: Optional[Place] = None

    async def make_room(self) -> List[ReadingsDeleted]:
        """Delete the oldest until one more commit fits. Raises :class:`StorageError` when that cannot be."""
        cap = self._retention.cap(self._path)
        if cap < LEAST_CAP_BYTES:
            raise StorageError(
                "there is room for {:.1f} MB of history only, and {} MB is the least".format(
                    cap / MB, LEAST_CAP_BYTES // MB
                )
            )
        deleted: List[ReadingsDeleted] = []
        limit = cap - MARGIN_BYTES - max(_size(self._path, "-wal"), WAL_BYTES)
        if await self._number("PRAGMA page_count") * PAGE_SIZE <= limit:
            return deleted
        while await self._used_bytes() > limit and len(deleted) < _STEPS_AT_ONCE:
            step = await self._delete_readings(await self._countable(), SIZE)
            if step is None and not await self._delete_oldest(MINUTE) and not await self._delete_oldest(QUARTER):
                raise StorageError(
                    "the database has its largest size of {:.0f} MB, and nothing in it may be deleted; raise "
                    "DATABASE_MAX_MB".format(cap / MB)
                )
            if step is not None:
                deleted.append(step)
        over = await self._number("PRAGMA page_count") - limit // PAGE_SIZE
        if over > 0:
            await fetch_all(self._db, self._path, "PRAGMA incremental_vacuum({})".format(min(over, _PAGES_AT_ONCE)))
        return deleted

    async def expire(self) -> List[ReadingsDeleted]:
        """Delete a part of what is older than it is kept, when another quarter of an hour has been recorded."""
        newest = await fetch_number(self._db, self._path, "SELECT max(key) FROM history_quarter")
        place = None if newest is None else place_and_battery(newest)[0]
        if place is None or (place == self._looked_at and not self._more):
            return []
        self._looked_at, self._more = place, False
        kept = self._retention
        for tier, count in ((MINUTE, kept.minutes_hours * 60), (QUARTER, kept.quarters_days * 96)):
            oldest = await self._oldest_kept(tier, count)
            if oldest is not None:
                await self._delete_rows(tier, first_key(oldest))
        oldest = await self._oldest_kept(QUARTER, kept.readings_days * 96)
        if oldest is None:
            return []
        uptime_us = oldest.bucket * QUARTER.seconds * 1_000_000
        below = min(await self._reader.number_at(oldest.boot, uptime_us), await self._countable())
        deleted: List[ReadingsDeleted] = []
        while len(deleted) < _HOURS_AT_ONCE:
            step = await self._delete_readings(below, AGE)
            if step is None:
                return deleted
            deleted.append(step)
        self._more = True
        return deleted

    async def forecast_days(self) -> Optional[float]:
        """For how many days of raw readings there is room, as they came lately; ``None`` before that can be said."""
        newest = await self._number("SELECT max(number) FROM event")
        last = await self._reader.event_from(newest)
        if last is None:
            return None
        since = await self._reader.number_at(last.boot, max(0, last.uptime_us - DAY.seconds * 1_000_000))
        first = await self._reader.event_from(since)
        oldest = (await self._reader.marks()).get(READINGS_FROM, 1)
        if first is None or last.uptime_us - first.uptime_us < _LEAST_FORECAST_US:
            return None
        per_day = (newest - first.number) / (last.uptime_us - first.uptime_us) * DAY.seconds * 1e6
        per_event = max(1, await self._used_bytes() - _EMPTY_BYTES) / (newest - oldest + 1)
        return (self._retention.cap(self._path) - MARGIN_BYTES - WAL_BYTES) / (per_day * per_event)

    async def _oldest_kept(self, tier: Tier, count: int) -> Optional[Place]:
        """Where the newest *count* stretches of *tier* begin; ``None`` when there are not more."""
        sql = "SELECT DISTINCT key - key % ? AS place FROM {} ORDER BY key DESC LIMIT 1 OFFSET ?".format(TABLES[tier])
        size = first_key(Place(0, 1))
        key = await fetch_number(self._db, self._path, sql, (size, count - 1))
        return None if key is None else place_and_battery(key)[0]

    async def _countable(self) -> int:
        """The number below which nobody needs raw readings any more: the fold can be resumed without them."""
        counted_to = (await self._reader.marks()).get(COUNTED_TO, 0)
        first = await self._reader.event_from(counted_to)
        if first is None:
            return counted_to
        return await self._reader.number_at(first.boot, max(0, first.uptime_us - SETTLE_US))

    async def _delete_readings(self, below: int, cause: str) -> Optional[ReadingsDeleted]:
        """Delete an hour's worth of raw readings, none at or above *below*; ``None`` when there are none."""
        marks = await self._reader.marks()
        sql = "SELECT min(number) FROM event WHERE number >= ? AND number < ? AND kind IN " + _RAW
        oldest = await fetch_number(self._db, self._path, sql, (marks.get(READINGS_FROM, 0), below))
        first = None if oldest is None else await self._reader.event_from(oldest)
        if first is None:
            return None
        stop = min(below, await self._reader.number_at(first.boot, first.uptime_us + _STEP_US))
        delete = "DELETE FROM event WHERE number >= ? AND number < ? AND kind IN " + _RAW
        count = await self._delete(delete, (first.number, stop), (READINGS_FROM, stop))
        return ReadingsDeleted(stop, count, cause)

    async def _delete_oldest(self, tier: Tier) -> bool:
        """Delete the oldest rows of a fine tier, but none that the bucket above them is still counted from."""
        sql = "SELECT key FROM {} ORDER BY key LIMIT 1 OFFSET {}".format(TABLES[tier], _ROWS_AT_ONCE)
        key = await fetch_number(self._db, self._path, sql)
        first = await self._reader.event_from((await self._reader.marks()).get(COUNTED_TO, 0))
        if key is not None and first is not None:
            coarser = QUARTER if tier is MINUTE else DAY
            begun = Place(first.boot, coarser.bucket(first.uptime_us) * (coarser.seconds // tier.seconds))
            key = min(key, first_key(begun))
        return key is not None and await self._delete_rows(tier, key) > 0

    async def _delete_rows(self, tier: Tier, below_key: int) -> int:
        table = TABLES[tier]
        return await self._delete("DELETE FROM {} WHERE key < ?".format(table), (below_key,), (table, below_key))

    async def _delete(self, sql: str, values: Tuple[int, ...], mark: Tuple[str, int]) -> int:
        """Delete and say so in ``history_mark``, both or neither; return how many rows."""
        await self._db.execute("BEGIN IMMEDIATE")
        try:
            cursor = await self._db.execute(sql, values)
            if cursor.rowcount:
                await self._db.execute(INSERT_MARK, mark)
            await self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                await self._db.execute("ROLLBACK")
            raise
        return cursor.rowcount

    async def _used_bytes(self) -> int:
        return (await self._number("PRAGMA page_count") - await self._number("PRAGMA freelist_count")) * PAGE_SIZE

    async def _number(self, sql: str) -> int:
        return await fetch_number(self._db, self._path, sql) or 0
