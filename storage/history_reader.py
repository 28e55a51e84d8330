"""Reads the history: finished buckets from their tables, the unfinished ones from the end of the event log."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import AsyncIterator, Callable, Dict, List, Optional, Set, Tuple, Type

from core.events import Event
from core.history import DAY, MINUTE, QUARTER, SETTLE_US, TIERS, Bucket, DatedBucket, History, Place, Tier
from storage.bucket_rows import HEAD, first_key, place_and_battery, unpack, unpack_until
from storage.database import DatabaseDamaged, StorageError, fetch_all
from storage.event_reader import EventReader, R

TABLES: Dict[Tier, str] = {MINUTE: "history_minute", QUARTER: "history_quarter", DAY: "history_day"}
COUNTED_TO = "counted_to"
READINGS_FROM = "readings_from"
_HISTORY_FORMAT = 2
_CHUNK = 500
_LAST_KEY = (1 << 63) - 1


class HistoryReader(EventReader):
    """Safe beside the running daemon: no query lasts long, and nothing is kept open between two of them."""

    @classmethod
    async def open(cls: Type[R], path: Path, *, beside_writer: bool = False) -> R:
        """Raises :class:`StorageError` when there is no database of ours at *path*, or one without a history."""
        reader = await super().open(path, beside_writer=beside_writer)
        try:
            if reader._format < _HISTORY_FORMAT:
                raise StorageError(
                    "the database {} was written by a version without history; `rebuild` makes one of its "
                    "readings".format(path)
                )
        except BaseException:
            await reader._db.close()
            raise
        return reader

    async def marks(self) -> Dict[str, int]:
        """How far the tables reach: the table ``history_mark``."""
        return {row[0]: row[1] for row in await fetch_all(self._db, self._path, "SELECT name, value FROM history_mark")}

    async def battery_names(self) -> Set[str]:
        """Every battery that was ever read."""
        await self._names.load_batteries(self._db, self._path)
        return set(self._names.batteries) | {battery for battery, _ in self._names.sources}

    def wall_offsets_us(self) -> Dict[int, int]:
        """By boot: what to add to uptime to get the wall time."""
        return self._names.offsets_us

    async def buckets(
        self, tier: Tier, since: Optional[Place] = None, until: Optional[Place] = None, battery: Optional[str] = None
    ) -> AsyncIterator[DatedBucket]:
        """Everything with since <= place < until, in order of time, up to what was committed last.

        Raises :class:`StorageError`.
        """
        first, history = await self._resumed()
        # What the daemon stores from now on is in the fold already: the tables count up to where it began.
        stored_until = until if first is None else min(until or _place(tier, first), _place(tier, first))
        async for dated in self.stored(tier, since, stored_until, battery):
            yield dated
        for dated in [each for each in history.closed if each.tier is tier] + history.open_buckets(tier):
            after = since is None or since <= dated.place
            if after and (until is None or dated.place < until) and battery in (None, dated.battery):
                yield dated

    async def stored(
        self,
        tier: Tier,
        since: Optional[Place] = None,
        until: Optional[Place] = None,
        battery: Optional[str] = None,
        *,
        quantity: Optional[str] = None,
    ) -> AsyncIterator[DatedBucket]:
        """The same from the tables alone.

        *quantity*: the only attribute of a bucket that is wanted. The others may be empty, and it is faster.
        """
        unpacked = unpack if quantity not in HEAD else partial(unpack_until, quantity=quantity)
        names: Dict[int, str] = {}
        sql = "SELECT key, data FROM {} WHERE key >= ? AND key < ? ORDER BY key LIMIT {}".format(TABLES[tier], _CHUNK)
        start = 0 if since is None else first_key(since)
        stop = _LAST_KEY if until is None else first_key(until)
        while True:
            rows = await fetch_all(self._db, self._path, sql, (start, stop))
            for key, data in rows:
                start = key + 1
                place, number = place_and_battery(key)
                if number not in names:
                    # After the rows: what they refer to was committed with them, perhaps since the last look.
                    names = await self._battery_names()
                    if number not in names:
                        raise DatabaseDamaged(self._path, "the history names no battery {}".format(number))
                if battery in (None, names[number]):
                    yield DatedBucket(tier, place, names[number], self._bucket(unpacked, data))
            if len(rows) < _CHUNK:
                return

    async def _battery_names(self) -> Dict[int, str]:
        await self._names.load_batteries(self._db, self._path)
        return {number: name for name, number in self._names.batteries.items()}

    def _bucket(self, unpacked: Callable[[bytes], Bucket], data: bytes) -> Bucket:
        try:
            return unpacked(data)
        except ValueError as error:
            raise DatabaseDamaged(self._path, str(error)) from None

    async def resumed(self) -> History:
        """The fold as it is after the last event of the log; its ``closed`` holds what is not in the tables yet."""
        return (await self._resumed())[1]

    async def _resumed(self) -> Tuple[Optional[Event], History]:
        counted_to = (await self.marks()).get(COUNTED_TO, 0)
        history = History()
        first = await self.event_from(counted_to)
        if first is None:
            return None, history
        settling = await self.number_at(first.boot, max(0, first.uptime_us - SETTLE_US))
        await self.settle(history, settling, counted_to)
        history.resume(first, await self._counted(first))
        async for event in self.events(counted_to):
            history.fold(event)
        return first, history

    async def settle(self, history: History, start: int, stop: int) -> None:
        """Show *history* the events start <= number < stop, and the session in force, without counting them."""
        in_force = await self.session_before(start)
        if in_force is not None and in_force < start:
            async for event in self.events(in_force, in_force + 1):
                history.settle(event)
        async for event in self.events(start, stop):
            history.settle(event)

    async def _counted(self, first: Event) -> List[DatedBucket]:
        """The minutes of the quarter that *first* lies in, and the quarters of its day."""
        counted = []
        for finer, coarser in zip(TIERS, TIERS[1:]):
            since = Place(first.boot, coarser.bucket(first.uptime_us) * (coarser.seconds // finer.seconds))
            async for dated in self.stored(finer, since, _place(finer, first)):
                counted.append(dated)
        return counted


def _place(tier: Tier, event: Event) -> Place:
    return Place(event.boot, tier.bucket(event.uptime_us))
