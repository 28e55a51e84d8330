"""The life of a device as its event log sees it: polls, kills, new boots, clocks that are set, silence."""

import random

from core.configuration import BatteryConfiguration, Configuration
from core.events import ReadingTaken, SessionEnded, SessionStarted, SettingChanged
from core.protocols.jbd.framing import answer_frame
from core.sequencer import Sequencer
from storage.event_log import EventLog
from tests.storage.logs import WALL_US, query

BATTERIES = ("ble_000000000001", "ble_000000000002")
SECOND_US = 1_000_000
HOUR_S = 3600
DAY_S = 86_400


def frames(rng, balancing=0):
    """One poll of a 4S battery: basic information with two sensors, and the cells."""
    cells_mv = [3300 + rng.randrange(-20, 20) for _ in range(4)]
    if rng.random() < 0.01:
        cells_mv[2] = 0  # a broken sense wire
    fixed = [
        *(sum(cells_mv) // 10).to_bytes(2, "big"),
        *rng.randrange(-5000, 5000).to_bytes(2, "big", signed=True),
        *(5000).to_bytes(2, "big"), *(10_000).to_bytes(2, "big"), *(3).to_bytes(2, "big"), 0x2C, 0x7C,
        0, balancing, 0, 0, 0, 0, 0x25, 50 + rng.randrange(5), 3, 4, 2,
        *(2931 + rng.randrange(20)).to_bytes(2, "big"), *(2931).to_bytes(2, "big"),
    ]  # fmt: skip
    return answer_frame(3, bytes(fixed)), answer_frame(4, b"".join(mv.to_bytes(2, "big") for mv in cells_mv))


class Device:
    """Polls its batteries and appends what they say, as the daemon does, to the log at *path*."""

    def __init__(self, path, *, seed=0, batteries=1, poll_s=60, retention=None, commit_every=5):
        self.rng = random.Random(seed)
        self.path = path
        self.uptime_us = 20 * SECOND_US
        self.wall_offset_us = WALL_US
        self.log = None
        self._batteries = BATTERIES[:batteries]
        self._poll_s = poll_s
        self._retention = retention
        self._commit_every = commit_every
        self._boot_id = "boot-0"
        self._polls = 0

    async def start(self):
        """Open the log and begin a session."""
        self.log = await EventLog.open(self.path, wall_us=lambda: WALL_US, retention=self._retention)
        boot = await self.log.begin_boot(self._boot_id, self.uptime_us)
        self._sequencer = Sequencer(boot=boot, next_number=self.log.next_number)
        known = tuple(BatteryConfiguration(battery, battery) for battery in self._batteries)
        self.record(SessionStarted("0.3.0", Configuration(known, poll_seconds=self._poll_s).to_payload()))

    def record(self, fact):
        """Number and append one fact."""
        for event in self._sequencer.number(fact, self.uptime_us, self.uptime_us + self.wall_offset_us):
            self.log.append(event)

    async def run(self, seconds):
        """Poll for so long; every so many polls a commit."""
        end_us = self.uptime_us + int(seconds * SECOND_US)
        while self.uptime_us + self._poll_s * SECOND_US <= end_us:
            self.uptime_us += self._poll_s * SECOND_US
            await self.poll()
        self.uptime_us = end_us

    async def poll(self):
        """Ask every battery once."""
        begun_us = self.uptime_us
        for battery in self._batteries:
            for frame in frames(self.rng, balancing=self.rng.choice((0, 0, 5))):
                self.uptime_us += self.rng.randrange(50_000, 200_000)
                self.record(ReadingTaken(battery, "jbd", frame))
        self.uptime_us = begun_us
        self._polls += 1
        if self._polls % self._commit_every == 0:
            await self.commit()

    async def commit(self):
        """Store what waits; then what the log says about itself."""
        await self.log.commit()
        for fact in self.log.take_facts():
            self.record(fact)

    def set_clock(self, seconds):
        """Somebody sets the wall clock."""
        self.wall_offset_us += int(seconds * SECOND_US)

    async def stop(self):
        """An orderly end."""
        self.record(SessionEnded("stopped"))
        await self.log.close()
        self.log = None

    async def kill(self):
        """A power cut: what waited is gone."""
        self.log._waiting.events.clear()
        self.log._waiting_snapshots.clear()
        await self.log._disconnect()
        self.log._lock.release()
        self.log = None

    def reboot(self):
        """Uptime begins anew; nobody knows how long the device was off."""
        self._boot_id = "boot-{}".format(self.rng.random())
        self.uptime_us = self.rng.randrange(10, 60) * SECOND_US

    def change_setting(self, setting, value):
        """Somebody writes a setting over D-Bus."""
        self.record(SettingChanged("virtual_series", setting, value))


def tables(path):
    """Every row of the history, and how far it is counted."""
    names = ("history_minute", "history_quarter", "history_day", "battery")
    return {name: query(path, "SELECT * FROM {} ORDER BY 1".format(name)) for name in names}
