"""A radio for batteries that live in this process: bytes in, 20-byte notifications out, as over the air."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Optional, Set

from adapters.clock import Clock
from adapters.radio import Link, LinkDropped, Radio
from core.link_causes import OUT_OF_RANGE

NOTIFICATION_SIZE = 20
"""What ATT_MTU 23 leaves for data; the common JBD module never negotiates more."""
CONNECT_S = 0.3
FIRST_NOTIFICATION_S = 0.06
NEXT_NOTIFICATION_S = 0.002


class Peripheral(ABC):
    """A battery as its radio module shows it. Seconds count from when it was switched on."""

    name: str

    @abstractmethod
    def respond(self, request: bytes, seconds: float) -> bytes:
        """The bytes that the BMS sends after *request*; none if it stays silent."""

    @abstractmethod
    def next_outage_s(self, seconds: float) -> Optional[float]:
        """When it is out of reach next; not in the future if it is now, ``None`` if never again."""


class InProcessRadio(Radio):
    """Reaches one :class:`Peripheral`, which is switched on at the first connect."""

    def __init__(self, peripheral: Peripheral, clock: Clock) -> None:
        self._peripheral = peripheral
        self._clock = clock
        self._switched_on_us: Optional[int] = None

    def seconds(self) -> float:
        """How long the battery has been on."""
        if self._switched_on_us is None:
            self._switched_on_us = self._clock.uptime_us()
        return (self._clock.uptime_us() - self._switched_on_us) / 1e6

    async def connect(self) -> Link:
        """See :class:`Radio`."""
        seconds = self.seconds()
        await self._clock.sleep(CONNECT_S)
        outage_s = self._peripheral.next_outage_s(seconds)
        if outage_s is not None and outage_s <= self.seconds():
            raise LinkDropped(OUT_OF_RANGE)
        return _InProcessLink(self._peripheral, self, self._clock)


class _InProcessLink(Link):
    def __init__(self, peripheral: Peripheral, radio: InProcessRadio, clock: Clock) -> None:
        super().__init__(peripheral.name)
        self._peripheral = peripheral
        self._radio = radio
        self._clock = clock
        self._open = True
        self._tasks: Set[asyncio.Task[None]] = set()
        outage_s = peripheral.next_outage_s(radio.seconds())
        if outage_s is not None:
            self._start(self._drop_after(outage_s - radio.seconds()))

    def _start(self, coroutine: object) -> None:
        task = asyncio.ensure_future(coroutine)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drop_after(self, seconds: float) -> None:
        await self._clock.sleep(max(0.0, seconds))
        self._open = False
        self.inbox.fail(LinkDropped(OUT_OF_RANGE))

    async def write(self, data: bytes) -> None:
        """See :class:`Link`."""
        if not self._open:
            raise LinkDropped(OUT_OF_RANGE)
        answer = self._peripheral.respond(data, self._radio.seconds())
        if answer:
            self._start(self._notify(answer))

    async def _notify(self, answer: bytes) -> None:
        await self._clock.sleep(FIRST_NOTIFICATION_S)
        for start in range(0, len(answer), NOTIFICATION_SIZE):
            if not self._open:
                return
            self.inbox.put(answer[start : start + NOTIFICATION_SIZE])
            await self._clock.sleep(NEXT_NOTIFICATION_S)

    async def close(self) -> None:
        """See :class:`Link`."""
        self._open = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
