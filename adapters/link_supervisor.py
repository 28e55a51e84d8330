"""Keeps one battery's link up: connects, watches, and climbs the ladder of recovery while it does not come up."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Awaitable, Callable, Optional, Set

from adapters.battery_reader import BatteryReader
from adapters.clock import Clock
from adapters.deadline import within
from adapters.radio import Link, LinkDropped, Radio
from adapters.unlocker import Unlocker
from core.events import Fact, LinkEstablished, LinkLost, RecoveryAttempted
from core.link_causes import NO_DATA, PASSWORD_REFUSED, READER_FAILED, RELEASED, SILENT, explain
from core.protocols import Protocol
from core.recovery import FORGET, LATE_BACKOFF_S, NEXT_ADAPTER, RECONNECT, TELL_OWNER, Ladder

log = logging.getLogger(__name__)

JITTER = 0.25
CLOSE_S = 6.0
RECORD_EVERY_US = 600_000_000
"""A cause that comes back while the battery is dark is recorded again after this long; a new one at once."""
HANG_S = 30.0
"""How long the reader takes to find a link silent, counted from the first request that stays unanswered."""


class LinkSupervisor:
    """One battery's. :meth:`run` until cancelled; a cancelled supervisor has hung up."""

    def __init__(
        self,
        battery: str,
        protocol: Protocol,
        radio: Radio,
        *,
        clock: Clock,
        record: Callable[[Fact], None],
        allow: Callable[[str], bool],
        unlocker: Unlocker,
        poll_s: float,
        watchdog_s: float = 0,
    ) -> None:
        """*allow* says whether a rung of the ladder may be climbed today."""
        self._battery = battery
        self._protocol = protocol
        self._radio = radio
        self._clock = clock
        self._record = record
        self._allow = allow
        self._unlocker = unlocker
        self._poll_s = poll_s
        self._watchdog_s = max(watchdog_s, poll_s + HANG_S) if watchdog_s else 0
        self._ladder = Ladder(clock.uptime_us())
        self._established = False
        self._was_up = False
        """Whether the present attempt made a link that answered."""
        self._established_us = 0
        self._heard_us = 0
        self._released_us = 0
        self._disturbed = asyncio.Event()
        """Set when the owner wants something: whatever is under way ends."""
        self._recorded_us = 0
        self._recorded: Set[str] = set()
        self._last_recorded: Optional[str] = None
        self._told: Optional[str] = None
        self._told_us = 0
        self._untold = 0

    def release(self, minutes: int) -> None:
        """Hang up and stay away for so long; 0 ends that, and does nothing to a battery that was not released."""
        now_us = self._clock.uptime_us()
        if not minutes and self._released_us <= now_us:
            return
        self._released_us = now_us + minutes * 60_000_000
        self._disturbed.set()

    async def run(self) -> None:
        """Keep the link up, for ever."""
        while True:
            pause_s = await self._stay_away() or await self._attempt()
            await self._until_disturbed(self._clock.sleep(pause_s * (1 + random.uniform(-JITTER, JITTER))))

    async def _stay_away(self) -> float:
        """Wait while the battery is released; 0 when it is not."""
        left_s = (self._released_us - self._clock.uptime_us()) / 1e6
        if left_s <= 0:
            return 0
        self._note_loss(LinkDropped(RELEASED, "for {:.0f} min".format(left_s / 60)))
        self._disturbed.clear()
        await self._until_disturbed(self._clock.sleep(left_s))
        if self._released_us <= self._clock.uptime_us():
            self._ladder = Ladder(self._clock.uptime_us())
            self._forget_recorded()
        return 0.001

    async def _attempt(self) -> float:
        """One link, from connecting to its end; returns how long to wait before the next."""
        self._disturbed.clear()
        self._established = self._was_up = False
        try:
            await self._until_disturbed(self._one_link())
        except LinkDropped as dropped:
            return await self._after(dropped)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # not ours to handle, but the link is gone with it
            self._note_loss(LinkDropped(READER_FAILED, type(error).__name__))
            raise
        return 0.001  # disturbed

    async def _until_disturbed(self, waited: Awaitable[None]) -> None:
        """Wait for *waited*, or end it when the owner wants something else."""
        task = asyncio.ensure_future(waited)
        disturbed = asyncio.ensure_future(self._disturbed.wait())
        try:
            await asyncio.wait({task, disturbed}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            task.cancel()
            disturbed.cancel()
            await asyncio.gather(task, disturbed, return_exceptions=True)

    async def _one_link(self) -> None:
        try:
            link = await self._radio.connect()
        except LinkDropped as dropped:
            raise await self._lost(dropped) from None
        try:
            await self._watched(link)
        except LinkDropped as dropped:
            raise await self._lost(dropped) from None  # on record before the seconds that hanging up may take
        finally:
            try:
                await within(self._clock, link.close(), CLOSE_S)
            except asyncio.TimeoutError:
                log.debug("%s: hanging up timed out", self._battery)

    async def _lost(self, dropped: LinkDropped) -> LinkDropped:
        """*dropped* with its best cause, which is on record now."""
        found = await self._radio.diagnose(dropped)
        self._note_loss(found)
        return found

    async def _watched(self, link: Link) -> None:
        """Read over *link*, until it ends or the watchdog ends it."""
        self._heard_us = self._clock.uptime_us()
        reader = BatteryReader(
            self._battery,
            self._protocol,
            link,
            clock=self._clock,
            record=self._record,
            recover=self._recover,
            answered=lambda: self._note_answer(link),
            unlocker=self._unlocker,
            poll_s=self._poll_s,
        )
        tasks = {asyncio.ensure_future(reader.run()), asyncio.ensure_future(self._watchdog())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watchdog(self) -> None:
        """Whatever the reader believes: without a valid answer for too long the link is of no use."""
        if not self._watchdog_s:
            await asyncio.get_event_loop().create_future()
        while True:
            left_s = self._watchdog_s - (self._clock.uptime_us() - self._heard_us) / 1e6
            if left_s <= 0:
                raise LinkDropped(NO_DATA, "for {:g} s".format(self._watchdog_s))
            await self._clock.sleep(left_s)

    def _note_answer(self, link: Link) -> None:
        """A link is up when a valid answer has arrived, not when a connection was made."""
        self._heard_us = self._clock.uptime_us()
        if not self._established:
            self._established = self._was_up = True
            self._established_us = self._heard_us
            self._forget_recorded()
            self._ladder.succeeded()
            self._record(LinkEstablished(self._battery, link.name, link.adapter))
            if not self._untold:
                log.info("%s: link established%s", self._battery, " over " + link.adapter if link.adapter else "")

    async def _after(self, dropped: LinkDropped) -> float:
        """What follows a loss or a failed attempt: the rungs, and the pause in s."""
        was_up = self._was_up
        if dropped.cause == PASSWORD_REFUSED:
            log.error("%s: %s. %s", self._battery, *explain(dropped.cause))
            await asyncio.get_event_loop().create_future()  # for good
        now_us = self._clock.uptime_us()
        if was_up:
            if dropped.cause in (SILENT, NO_DATA) and not self._recover(RECONNECT, dropped.cause):
                return LATE_BACKOFF_S  # it hangs again and again
            return self._ladder.lost(now_us - self._established_us, now_us)
        rungs, pause_s = self._ladder.failed(dropped.cause, adapters=self._radio.choices, now_us=now_us)
        for rung in rungs:
            if self._recover(rung, dropped.cause):
                await self._climb(rung, dropped.cause)
        return pause_s

    def _recover(self, rung: str, cause: str) -> bool:
        """Whether *rung* may be climbed now; if so, that is on record."""
        if not self._allow(rung):
            return False
        self._record(RecoveryAttempted(self._battery, rung, cause))
        return True

    async def _climb(self, rung: str, cause: str) -> None:
        if rung == FORGET:
            await self._radio.forget()
        elif rung == NEXT_ADAPTER:
            self._radio.next_adapter()
        elif rung == TELL_OWNER:
            log.warning("%s: still no link: %s: %s. %s", self._battery, cause, *explain(cause))

    def _forget_recorded(self) -> None:
        """Whatever the cause of the next loss is, it is news."""
        self._recorded.clear()
        self._last_recorded = None

    def _note_loss(self, dropped: LinkDropped) -> None:
        """Record each loss of a link that was up; of attempts that fail, only what is new about them."""
        now_us = self._clock.uptime_us()
        known = dropped.cause in self._recorded and now_us - self._recorded_us < RECORD_EVERY_US
        if not self._established and (dropped.cause == self._last_recorded or known):
            return
        self._recorded.add(dropped.cause)
        self._last_recorded, self._recorded_us = dropped.cause, now_us
        self._established = False
        self._record(LinkLost(self._battery, dropped.cause, dropped.detail))
        self._tell_loss(dropped, now_us)

    def _tell_loss(self, dropped: LinkDropped, now_us: int) -> None:
        """A log line; of a link that breaks again and again for the same cause, one in ten minutes."""
        if dropped.cause == self._told and now_us - self._told_us < RECORD_EVERY_US:
            self._untold += 1
            return
        more = " ({} times more before)".format(self._untold) if self._untold else ""
        log.warning("%s: link lost: %s%s", self._battery, dropped, more)
        self._told, self._told_us, self._untold = dropped.cause, now_us, 0
