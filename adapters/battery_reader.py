"""Reads one battery for ever: connects, polls one request at a time, repeats, reconnects. Reports facts, keeps none.

Timing facts (JBD, from Bluetooth captures): the first request after a pause only wakes the board and stays
unanswered; an answer begins 30-120 ms after its request; a silent link is not seen as a disconnect.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Callable, Iterable, Optional

from adapters.clock import Clock
from adapters.radio import Link, LinkDropped, Radio
from core.conversation import Answer, Conversation, Outcome
from core.events import Fact, FrameRejected, LinkEstablished, LinkLost, ReadingTaken, RequestUnanswered
from core.protocols import Protocol
from core.protocols.base import NOISE, Request

log = logging.getLogger(__name__)

SETTLE_S = 0.5
"""Between switching notifications on and the first request."""
PAUSE_S = 0.05
"""Between an answer and the next request; the vendor's app leaves 30 ms. What trails the answer arrives in it."""
ANSWER_S = 2.0
"""How long one request may stay unanswered before it is repeated."""
ATTEMPTS = 3
CONNECT_S = 30.0
"""Hard end of a connect, whatever the library below is waiting for."""
CLOSE_S = 4.0
SILENT_CYCLES = 3
"""Cycles without any answer after which the link counts as hung."""
BACKOFF_S = (2.0, 5.0, 10.0, 20.0, 30.0)
JITTER = 0.25

CAUSE_TIMEOUT = "connect timed out"
CAUSE_FAILED = "reader failed"
CAUSE_SILENT = "battery silent"


class BatteryReader:
    """One battery's reader. :meth:`run` until cancelled; a cancelled reader has hung up."""

    def __init__(
        self,
        battery: str,
        protocol: Protocol,
        radio: Radio,
        *,
        clock: Clock,
        record: Callable[[Fact], None],
        poll_s: float,
    ) -> None:
        self._battery = battery
        self._protocol = protocol
        self._radio = radio
        self._clock = clock
        self._record = record
        self._poll_s = poll_s
        self._failed_connects = 0
        self._recorded_cause: Optional[str] = None
        self._established = False
        self._readings = 0

    async def run(self) -> None:
        """Connect and read, for ever."""
        while True:
            try:
                await self._one_link()
            except LinkDropped as dropped:
                self._note_loss(dropped)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # not ours to handle, but the link is gone with it
                self._note_loss(LinkDropped(CAUSE_FAILED, type(error).__name__))
                raise
            await self._clock.sleep(self._pause_s())

    def _pause_s(self) -> float:
        seconds = BACKOFF_S[min(self._failed_connects, len(BACKOFF_S)) - 1] if self._failed_connects else BACKOFF_S[0]
        return seconds * (1 + random.uniform(-JITTER, JITTER))

    def _note_loss(self, dropped: LinkDropped) -> None:
        """Record each loss of a link that was up; of attempts that fail, only what is new about them."""
        if self._established or dropped.cause != self._recorded_cause:
            self._record(LinkLost(self._battery, dropped.cause, dropped.detail))
            log.warning("%s: link lost: %s", self._battery, dropped)
        self._recorded_cause = dropped.cause
        self._failed_connects = 0 if self._established else self._failed_connects + 1
        self._established = False

    async def _one_link(self) -> None:
        async with self._radio.turn:  # waiting for other batteries is not part of the deadline
            try:
                link = await self._clock.wait_for(self._radio.connect(), CONNECT_S)
            except asyncio.TimeoutError:
                raise LinkDropped(CAUSE_TIMEOUT) from None
        try:
            await self._poll(link)
        finally:
            try:
                await asyncio.wait_for(link.close(), CLOSE_S)
            except asyncio.TimeoutError:
                log.warning("%s: hanging up timed out", self._battery)

    async def _poll(self, link: Link) -> None:
        conversation = Conversation(self._protocol)
        await self._listen(link, conversation, self._clock.uptime_us() + int(SETTLE_S * 1e6))
        once = list(self._protocol.once_requests)
        silent = 0
        while True:
            next_cycle_us = self._clock.uptime_us() + int(self._poll_s * 1e6)
            answered, readings = 0, self._readings
            for request in self._protocol.poll_requests:
                answered += await self._ask(link, conversation, request)
            silent = silent + 1 if self._readings == readings else 0
            if silent >= SILENT_CYCLES:
                raise LinkDropped(CAUSE_SILENT, "{} cycles without an answer".format(silent))
            if answered == len(self._protocol.poll_requests) and once:
                await self._ask(link, conversation, once.pop(0))
            await self._listen(link, conversation, next_cycle_us)

    async def _ask(self, link: Link, conversation: Conversation, request: Request) -> bool:
        for _ in range(ATTEMPTS):
            self._take(link, conversation.ask(request))
            await link.write(request.data)
            if await self._listen(link, conversation, self._clock.uptime_us() + int(ANSWER_S * 1e6), request):
                await self._listen(link, conversation, self._clock.uptime_us() + int(PAUSE_S * 1e6))
                return True
            if self._take(link, conversation.give_up(), request):
                return True
        self._record(RequestUnanswered(self._battery, request.name, ATTEMPTS))
        return False

    async def _listen(
        self, link: Link, conversation: Conversation, until_us: int, request: Optional[Request] = None
    ) -> bool:
        """Take what arrives until *until_us*, or until *request* is answered."""
        while True:
            left_s = (until_us - self._clock.uptime_us()) / 1e6
            if left_s <= 0:
                return False
            notification = await link.inbox.get(self._clock, left_s)
            if notification is not None and self._take(link, conversation.hear(notification), request):
                return True

    def _take(self, link: Link, outcomes: Iterable[Outcome], request: Optional[Request] = None) -> bool:
        """Record *outcomes*; whether *request* is among the answered."""
        answered = False
        for outcome in outcomes:
            if isinstance(outcome, Answer):
                self._note_established(link)
                self._readings += 1
                self._record(ReadingTaken(self._battery, self._protocol.name, outcome.frame))
                answered = answered or (request is not None and outcome.request == request)
            elif outcome.reason != NOISE:
                self._record(FrameRejected(self._battery, self._protocol.name, outcome.reason, outcome.data))
        return answered

    def _note_established(self, link: Link) -> None:
        """A link is up when a valid answer has arrived, not when a connection was made."""
        if not self._established:
            self._established, self._recorded_cause = True, None
            self._record(LinkEstablished(self._battery, link.name))
            log.info("%s: link established", self._battery)
