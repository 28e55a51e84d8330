"""Asks one battery over one link, one request at a time, until the link ends. Reports facts, keeps none.

Timing facts (JBD, from Bluetooth captures): the first request after a pause only wakes the board and stays
unanswered; an answer begins 30-120 ms after its request; a silent link is not seen as a disconnect.
"""

from __future__ import annotations

from typing import Callable, Iterable, NoReturn, Optional

from adapters.clock import Clock
from adapters.radio import Link, LinkDropped
from adapters.unlocker import Unlocker
from core.conversation import Answer, Conversation, Outcome
from core.events import Fact, FrameRejected, ReadingTaken, RequestUnanswered
from core.link_causes import SILENT
from core.protocols import Protocol
from core.protocols.base import MODULE_FRAME, NOISE, Request
from core.recovery import RESYNC

SETTLE_S = 0.5
"""Between switching notifications on and the first request."""
PAUSE_S = 0.05
"""Between an answer and the next request; the vendor's app leaves 30 ms. What trails the answer arrives in it."""
TAIL_S = 0.2
"""How long the rest of a frame may take when its beginning came last."""
ANSWER_S = 2.0
"""How long one request may stay unanswered before it is repeated."""
ATTEMPTS = 3
RESYNC_S = 2.0
"""How long the line is left alone after a cycle without any answer."""
SILENT_CYCLES = 3
"""Cycles without any answer after which the link counts as hung."""


class BatteryReader:
    """One link's reader. *recover* says whether a rung of the ladder may be climbed, and records that it was."""

    def __init__(
        self,
        battery: str,
        protocol: Protocol,
        link: Link,
        *,
        clock: Clock,
        record: Callable[[Fact], None],
        recover: Callable[[str, str], bool],
        answered: Callable[[], None],
        unlocker: Unlocker,
        poll_s: float,
    ) -> None:
        self._battery = battery
        self._protocol = protocol
        self._link = link
        self._clock = clock
        self._record = record
        self._recover = recover
        self._answered = answered
        self._unlocker = unlocker
        self._poll_s = poll_s
        self._conversation = Conversation(protocol)
        self._readings = 0

    async def run(self) -> NoReturn:
        """Ask until the link ends. Raises :class:`LinkDropped`."""
        await self._listen(self._in(SETTLE_S))
        if self._unlocker.comes_first:
            await self._unlocker.run(self._link)
        once = list(self._protocol.once_requests)
        silent = 0
        while True:
            next_cycle_us = self._in(self._poll_s)
            readings = self._readings
            complete = await self._cycle(patient=readings > 0 and silent == 0)
            if self._readings > readings:
                silent = 0
                if complete and once:
                    await self._ask(once.pop(0))
            else:
                silent += 1
                await self._after_silence(silent)
            await self._listen(next_cycle_us)

    async def _cycle(self, *, patient: bool) -> bool:
        """Ask everything once; whether all was answered. Who is not *patient* stops at the first silence."""
        complete = True
        for request in self._protocol.poll_requests:
            if not await self._ask(request):
                complete = False
                if not patient:
                    break
        return complete

    async def _after_silence(self, silent: int) -> None:
        if silent >= SILENT_CYCLES:
            raise LinkDropped(SILENT, "{} cycles without an answer".format(silent))
        if silent > 1:
            return
        if not self._readings and await self._unlocker.run(self._link):
            return
        if self._recover(RESYNC, SILENT):
            self._take(self._conversation.give_up())
            self._conversation = Conversation(self._protocol)
            await self._listen(self._in(RESYNC_S))

    async def _ask(self, request: Request) -> bool:
        for _ in range(ATTEMPTS):
            self._take(self._conversation.ask(request))
            await self._link.write(request.data)
            if await self._listen(self._in(ANSWER_S), request) or await self._hear_out(request):
                await self._listen(self._in(PAUSE_S))
                await self._hear_out()
                return True
            if self._take(self._conversation.give_up(), request):
                return True
        self._record(RequestUnanswered(self._battery, request.name, ATTEMPTS))
        return False

    async def _hear_out(self, request: Optional[Request] = None) -> bool:
        """Let a frame that has begun come to its end, however late it is; whether it answers *request*."""
        return self._conversation.is_in_the_middle and await self._listen(self._in(TAIL_S), request)

    def _in(self, seconds: float) -> int:
        return self._clock.uptime_us() + int(seconds * 1e6)

    async def _listen(self, until_us: int, request: Optional[Request] = None) -> bool:
        """Take what arrives until *until_us*, or until *request* is answered."""
        while True:
            left_s = (until_us - self._clock.uptime_us()) / 1e6
            if left_s <= 0:
                return False
            notification = await self._link.inbox.get(self._clock, left_s)
            if notification is not None and self._take(self._conversation.hear(notification), request):
                return True

    def _take(self, outcomes: Iterable[Outcome], request: Optional[Request] = None) -> bool:
        """Record *outcomes*; whether *request* is among the answered."""
        answered = False
        for outcome in outcomes:
            if isinstance(outcome, Answer):
                self._readings += 1
                self._unlocker.opened()
                self._answered()
                self._record(ReadingTaken(self._battery, self._protocol.name, outcome.frame))
                answered = answered or (request is not None and outcome.request == request)
            elif outcome.reason not in (NOISE, MODULE_FRAME):
                self._record(FrameRejected(self._battery, self._protocol.name, outcome.reason, outcome.data))
        return answered
