"""Supervised links over real bleak to the BlueZ double, in time that runs faster than the wall clock."""

import asyncio
import contextlib

from adapters.ble import AdapterBroker, BluezRadio
from adapters.clock import AcceleratedClock
from adapters.dbus import Bluez, choose_address
from adapters.link_supervisor import LinkSupervisor
from adapters.unlocker import Unlocker
from core import protocols
from core.events import Event, LinkEstablished, LinkLost, ReadingTaken, RecoveryAttempted
from core.link import LinkHealth

JBD = protocols.find("jbd")
RATE = 10
"""Seconds of a link in one of the machine's; what the double does in real time seems so many times as slow."""


def address_of(number):
    """Of the double's battery."""
    return "A4:C1:38:00:00:{:02X}".format(number)


class Watched:
    """What one supervisor recorded."""

    def __init__(self, number, clock):
        self.number = number
        self.facts = []
        self.health = LinkHealth()
        self._clock = clock

    def record(self, fact):
        """Keep *fact* with its time, and fold it as the daemon would."""
        now_us = self._clock.uptime_us()
        self.facts.append((now_us / 1e6, fact))
        self.health.fold(Event(len(self.facts), 1, now_us, 0, fact))

    def of(self, kind):
        """The facts of one kind."""
        return [fact for _, fact in self.facts if isinstance(fact, kind)]

    @property
    def causes(self):
        """Why links were lost, or not made."""
        return [fact.cause for fact in self.of(LinkLost)]

    @property
    def ups(self):
        """How often the link came up."""
        return len(self.of(LinkEstablished))

    @property
    def rungs(self):
        """What was done beyond connecting again."""
        return [fact.rung for fact in self.of(RecoveryAttempted)]

    @property
    def frames(self):
        """Every answer, as it was recorded."""
        return [fact.frame for fact in self.of(ReadingTaken)]

    def longest_gap_s(self):
        """The longest time between two complete readings (03, then 04)."""
        cells = [at for at, fact in self.facts if isinstance(fact, ReadingTaken) and fact.frame[1] == 4]
        return max(later - earlier for earlier, later in zip(cells, cells[1:]))


class Rig:
    """Several batteries on one broker, as the daemon has them."""

    def __init__(self, count=1, *, rate=RATE, adapters=(), poll_s=5.0, watchdog_s=0.0, password="", allow=None):
        self.clock = AcceleratedClock(rate)
        self.batteries = [Watched(number, self.clock) for number in range(count)]
        self._rate = rate
        self._adapters = adapters
        self._poll_s, self._watchdog_s, self._password = poll_s, watchdog_s, password
        self._allow = allow or (lambda rung: True)

    @contextlib.asynccontextmanager
    async def running(self):
        """While every supervisor runs; afterwards each has hung up."""
        bluez, broker = Bluez(choose_address("system")), AdapterBroker()
        self.supervisors = [self._supervisor(each, bluez, broker) for each in self.batteries]
        tasks = [asyncio.ensure_future(supervisor.run()) for supervisor in self.supervisors]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await bluez.close()
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended

    def _supervisor(self, watched, bluez, broker):
        address = address_of(watched.number)
        radio = BluezRadio(address, JBD, bluez=bluez, broker=broker, clock=self.clock, adapters=self._adapters)
        return LinkSupervisor(
            "ble_{}".format(watched.number), JBD, radio, clock=self.clock, record=watched.record, allow=self._allow,
            unlocker=Unlocker(JBD, address, self._password, self.clock), poll_s=self._poll_s,
            watchdog_s=self._watchdog_s,
        )  # fmt: skip

    async def until(self, condition, seconds=300):
        """Go on until *condition* holds; fails after so many seconds of the rig's time."""
        end_us = self.clock.uptime_us() + seconds * 1_000_000
        while not condition():
            assert self.clock.uptime_us() < end_us, [each.facts[-5:] for each in self.batteries]
            await asyncio.sleep(0.01)

    async def readings(self, more=4, seconds=300):
        """Until every battery has answered so often again."""
        wanted = [len(each.frames) + more for each in self.batteries]
        await self.until(lambda: all(len(b.frames) >= n for b, n in zip(self.batteries, wanted)), seconds)
