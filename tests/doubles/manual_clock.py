"""A clock that stands still until it is told to go on."""

import asyncio
import heapq
import itertools

from adapters.clock import Clock

_ROUNDS_UNTIL_IDLE = 50


class ManualClock(Clock):
    """Time passes only in :meth:`run_for`; everything that waits is woken in order, at its exact instant.

    *rounds* of the event loop are given to each instant; fewer are quicker, and a long chain of awaits may end late.
    """

    def __init__(self, uptime_s=1000.0, wall_us=1_767_225_600_000_000, rounds=_ROUNDS_UNTIL_IDLE):
        self._rounds = rounds
        self._now_us = int(uptime_s * 1e6)
        self._wall_offset_us = wall_us - self._now_us
        self._sleepers = []
        self._order = itertools.count()

    def uptime_us(self):
        return self._now_us

    def wall_us(self):
        return self._now_us + self._wall_offset_us

    def boot_id(self):
        return "manual"

    def step_wall(self, seconds):
        """Somebody sets the wall clock."""
        self._wall_offset_us += int(seconds * 1e6)

    async def sleep(self, seconds):
        future = asyncio.get_event_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_us + int(seconds * 1e6), next(self._order), future))
        await future

    async def wait_for(self, waited, seconds):
        task = asyncio.ensure_future(waited)
        timer = asyncio.ensure_future(self.sleep(seconds))
        try:
            await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise asyncio.TimeoutError
        finally:
            for pending in (task, timer):
                pending.cancel()
            await asyncio.gather(task, timer, return_exceptions=True)

    async def run_for(self, seconds):
        """Let time pass."""
        end_us = self._now_us + int(seconds * 1e6)
        while True:
            for _ in range(self._rounds):
                await asyncio.sleep(0)
            while self._sleepers and self._sleepers[0][2].done():
                heapq.heappop(self._sleepers)
            if not self._sleepers or self._sleepers[0][0] > end_us:
                break
            self._now_us, _, future = heapq.heappop(self._sleepers)
            future.set_result(None)
        self._now_us = end_us
