"""Time for everything that waits. The core never sees a clock: it is given instants."""

from __future__ import annotations

import asyncio
import time
import uuid
from abc import ABC, abstractmethod
from typing import Awaitable, TypeVar

T = TypeVar("T")


async def wait_for(waited: Awaitable[T], seconds: float) -> T:
    """As :func:`asyncio.wait_for`, but for one thing: no cancellation is lost.

    Before Python 3.12 that one returns a result which comes in the same moment as a cancellation, and whoever was
    cancelled goes on for ever.
    """
    task = asyncio.ensure_future(waited)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise asyncio.TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_SHORTEST_WAIT_S = 0.05
"""An accelerated deadline is never shorter than this in real time: the machine itself is not accelerated."""


class Clock(ABC):
    """Uptime for ages and timers, wall time for people."""

    @abstractmethod
    def uptime_us(self) -> int:
        """µs since boot, never set by anybody."""

    @abstractmethod
    def wall_us(self) -> int:
        """UTC in µs since 1970 as the device believes now."""

    @abstractmethod
    def boot_id(self) -> str:
        """The same for as long as uptime goes on."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait."""

    @abstractmethod
    async def wait_for(self, waited: Awaitable[T], seconds: float) -> T:
        """The result of *waited*. Raises :class:`asyncio.TimeoutError` and cancels it after *seconds*."""


class SystemClock(Clock):
    """The device's own. Uptime goes on while it sleeps (CLOCK_BOOTTIME), so an old reading stays old."""

    def uptime_us(self) -> int:
        """See :class:`Clock`."""
        return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1000

    def wall_us(self) -> int:
        """See :class:`Clock`."""
        return time.time_ns() // 1000

    def boot_id(self) -> str:
        """The kernel's; where there is none every start counts as a boot."""
        try:
            with open(_BOOT_ID, encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return uuid.uuid4().hex

    async def sleep(self, seconds: float) -> None:
        """See :class:`Clock`."""
        await asyncio.sleep(seconds)

    async def wait_for(self, waited: Awaitable[T], seconds: float) -> T:
        """See :class:`Clock`."""
        return await wait_for(waited, seconds)


class AcceleratedClock(Clock):
    """Runs *rate* times as fast from now on. Every start is a boot of its own: such an uptime is nobody else's."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._system = SystemClock()
        self._uptime_us = self._system.uptime_us()
        self._wall_us = self._system.wall_us()
        self._boot_id = uuid.uuid4().hex

    def _elapsed_us(self) -> int:
        return int((self._system.uptime_us() - self._uptime_us) * self._rate)

    def uptime_us(self) -> int:
        """See :class:`Clock`."""
        return self._uptime_us + self._elapsed_us()

    def wall_us(self) -> int:
        """See :class:`Clock`."""
        return self._wall_us + self._elapsed_us()

    def boot_id(self) -> str:
        """See :class:`Clock`."""
        return self._boot_id

    async def sleep(self, seconds: float) -> None:
        """See :class:`Clock`."""
        await asyncio.sleep(seconds / self._rate)

    async def wait_for(self, waited: Awaitable[T], seconds: float) -> T:
        """See :class:`Clock`."""
        return await wait_for(waited, max(seconds / self._rate, _SHORTEST_WAIT_S))
