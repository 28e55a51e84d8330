"""Banks in the making: frames of a member, a bank of given ages, and a story of several members over time."""

from core.bank import Bank
from core.bank_values import values_of
from core.battery import Battery
from core.configuration import PARALLEL, SERIES, SINGLE, BatteryConfiguration, Configuration
from core.live import LiveView
from tests.core.made import basic, cells, event, reading, started
from tests.core.presence_table import folded

FOUR = (3325, 3320, 3330, 3325)
TOPOLOGIES = (SINGLE, SERIES, PARALLEL)
BEGUN_S, NOW_S = 1000.0, 4000.0


def member(cells_mv=FOUR, **changes):
    """The two answers of a BMS whose cells add up."""
    changes.setdefault("voltage_mv", sum(cells_mv))
    changes.setdefault("cell_count", len(cells_mv))
    return basic(**changes), cells(*cells_mv)


def known(number, **changes):
    """The place of a member in the configuration."""
    return BatteryConfiguration("ble_{}".format(number), "A4:C1:37:00:00:{:02X}".format(number), **changes)


def bank(topology, *members, ages_s=(), configured=None, **options):
    """A bank at NOW_S whose *members* (frames; ``None``: never answered) are *ages_s* old, 0 if not said."""
    configured = configured or [known(number) for number in range(1, len(members) + 1)]
    options.setdefault("start_wait_seconds", 0)
    batteries = [Battery(each) for each in configured]
    made = Bank(batteries, Configuration(tuple(configured), topology=topology, **options), 0)
    ages_s = (*ages_s, *[0] * (len(members) - len(ages_s)))
    for at_s in (BEGUN_S, NOW_S):
        for frames, each, age_s in zip(members, batteries, ages_s):
            for frame in frames or ():
                each.fold(event(reading(frame), at_s - age_s * (at_s == NOW_S)))
        made.look(round(at_s * 1e6))
    return made


def values(topology, *members, remembered=None, **options):
    """What :func:`bank` is as a whole."""
    return values_of(bank(topology, *members, **options), remembered or {})


class Story:
    """Members that answer every ten seconds, half a second after the tick, through the whole core."""

    def __init__(self, *members, topology, configured=None, remembered=None, every_s=10, **options):
        self.members = list(members)
        self.every_s = every_s
        self.configured = configured or [known(number) for number in range(1, len(members) + 1)]
        self.configuration = Configuration(tuple(self.configured), topology=topology, **options)
        self.view = LiveView()
        self.now_s = 100
        self.publications = []
        self.view.fold(event(started(self.configuration, **(remembered or {})), self.now_s))

    def tell(self, fact):
        """*fact* happens now."""
        self.publications += self.view.fold(event(fact, self.now_s))

    def run(self, seconds, silent=()):
        """Let time pass; the numbers in *silent* do not answer, and who has no frames cannot."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            if self.now_s % self.every_s == 0:
                self.answer(
                    *(number for number, frames in enumerate(self.members, 1) if frames and number not in silent)
                )
            self.now_s += 1
            self.publications += self.view.advance(self.now_s * 1_000_000)
        return self

    def answer(self, *numbers):
        """The members of these *numbers* answer in the second that begins."""
        for number in numbers:
            for frame in self.members[number - 1]:
                fact = reading(frame, self.configured[number - 1].battery)
                self.publications += self.view.fold(event(fact, self.now_s + 0.5))

    @property
    def services(self):
        """The bus names that are planned."""
        return ["com.victronenergy.battery." + plan.key for plan in self.configuration.services]

    @property
    def items(self):
        """What the first service shows now; ``None``: it is not on the bus."""
        return self.shown(self.services[0])

    def shown(self, service):
        """What *service* shows now."""
        return folded(self.publications, service)

    def history(self, path, service=None):
        """(second, value) of every change of *path*."""
        name = service or self.services[0]
        return [(p.uptime_s, p.items[path]) for p in self.publications if p.service == name and path in p.items]

    def level_at(self, path, second):
        """The value of *path* at a time that has been."""
        return [value for at_s, value in self.history(path) if at_s <= second][-1]
