"""One query of the history for a trend: the rows on the disk, and what is in memory only. Keeps the event loop free."""

from __future__ import annotations

import asyncio

from adapters.clock import Clock
from core.history import DatedBucket, Place
from core.trend import Trend, TrendRequest
from storage.event_log import EventLog

ROWS_AT_ONCE = 32
"""Between two looks of the event loop at what else is due: 1 ms of unpacking, or 5 on a slow device."""


class QueryCancelled(Exception):
    """The program is about to stop."""


class TrendQuery:
    """Reads beside the commits of *event_log*, over a connection of its own for each query."""

    def __init__(self, event_log: EventLog, clock: Clock) -> None:
        self._log = event_log
        self._clock = clock
        self._cancelled = False
        self._added = 0

    def cancel(self) -> None:
        """Let a query that is under way end soon, with :class:`QueryCancelled`, and every later one at once."""
        self._cancelled = True

    async def answer(self, request: TrendRequest) -> str:
        """The body of the answer. Raises :class:`StorageError`, and :class:`BadRequest` when nothing fits."""
        trend = Trend(request, self._clock.wall_us())
        # Memory first: what is stored from now on is known already and is passed over among the rows.
        tail = [dated for dated in self._log.history.closed if dated.tier is trend.tier]
        tail += self._log.history.open_buckets(trend.tier)
        known = {(dated.place, dated.battery) for dated in tail}
        async with await self._log.reader() as reader:
            offsets_us = reader.wall_offsets_us()
            if self._log.boot is not None:
                offsets_us[self._log.boot] = self._clock.wall_us() - self._clock.uptime_us()
            for boot, offset_us in offsets_us.items():
                first, stop = trend.stretch(offset_us)
                if first < stop:
                    since, until = Place(boot, first), Place(boot, stop)
                    rows = reader.stored(trend.tier, since, until, trend.battery, quantity=trend.quantity)
                    async for dated in rows:
                        if (dated.place, dated.battery) not in known:
                            await self._add(trend, dated, offset_us)
                if self._cancelled:
                    raise QueryCancelled
        for dated in tail:
            if dated.place.boot in offsets_us:
                await self._add(trend, dated, offsets_us[dated.place.boot])
        return trend.body()

    async def _add(self, trend: Trend, dated: DatedBucket, wall_offset_us: int) -> None:
        trend.add(dated, wall_offset_us)
        self._added += 1
        if self._added % ROWS_AT_ONCE == 0:
            if self._cancelled:
                raise QueryCancelled
            await asyncio.sleep(0)
