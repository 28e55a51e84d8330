"""Batteries that answer once per second, a bank of them and its charge control: the arrangement of most tests here.

Readings are given as what they mean, so that they may be anything; for frames see tests.core.made.
"""

from core.bank import Bank
from core.battery import Battery
from core.configuration import PARALLEL, SERIES, SINGLE, BatteryConfiguration, Configuration
from core.limits.control import ChargeControl
from core.limits.profile import ChargeProfile
from core.readings import CellReading, PackReading, Sample

REST_MV = 3300
"""A cell that neither table limits."""
NOTHING = ChargeProfile(
    charge_by_cell_mv=None,
    discharge_by_cell_mv=None,
    charge_by_temperature_dc=None,
    discharge_by_temperature_dc=None,
    charge_by_soc_permille=None,
    discharge_by_soc_permille=None,
)
"""A profile without tables."""


class MadeBattery(Battery):
    """A battery that is told what it read."""

    def answer(self, at_s, cells_mv=(REST_MV,) * 4, **fields):
        """One complete reading; *cells_mv* ``None``: only the pack."""
        values = {
            "voltage_mv": sum(cells_mv or (REST_MV,) * 4), "current_ma": 0, "cell_count": len(cells_mv or range(4)),
            "soc_permille": 500, "charge_fet_on": True, "discharge_fet_on": True, "temperatures_dc": (250, 250),
            "nominal_mah": 100_000, "remaining_mah": 50_000,
        }  # fmt: skip
        pack = PackReading(**{**values, **fields})
        self.revision += 1
        self._fold_sample(
            Sample(pack=pack, cells=None if cells_mv is None else CellReading(cells_mv)), round(at_s * 1e6)
        )


def known(number=1, profile=None, **options):
    """The configuration of one battery."""
    return BatteryConfiguration(
        "b{}".format(number), "b{}".format(number), profile=profile or ChargeProfile(), **options
    )


class House:
    """*cells* are the cells of every battery in mV; *fields* of a battery go into each of its readings."""

    def __init__(
        self, *cells, topology=None, profiles=(), state=None, capacities_mah=None, start_s=100, knowns=(), **options
    ):
        cells = cells or ([REST_MV] * 4,)
        options.setdefault("float_switching", True)
        profiles = tuple(profiles) or (ChargeProfile(),) * len(cells)
        knowns = tuple(knowns) or tuple(known(n, profile) for n, profile in enumerate(profiles, 1))
        self.configuration = Configuration(knowns, topology=topology or SINGLE, **options)
        self.batteries = [MadeBattery(each) for each in knowns]
        self.cells = [list(each) for each in cells]
        self.fields = [{} for _ in cells]
        self.answers = [True for _ in cells]
        self.now_s = start_s
        self.bank = Bank(self.batteries, self.configuration, start_s * 1_000_000)
        self.control = ChargeControl(self.bank, self.configuration, state or {}, capacities_mah or {})
        self.limits = None

    def step(self, seconds=1):
        """Let time pass; return the limits at its end."""
        for _ in range(seconds):
            self.now_s += 1
            for battery, cells_mv, fields, answers in zip(self.batteries, self.cells, self.fields, self.answers):
                if answers:
                    battery.answer(self.now_s, tuple(cells_mv), **fields)
            self.bank.look(self.now_s * 1_000_000)
            self.limits = self.control.tick(self.now_s * 1_000_000)
        return self.limits

    def each_second(self, seconds, of):
        """``of(limits)`` at each of the coming seconds."""
        return [of(self.step()) for _ in range(seconds)]

    def silence(self, seconds, *numbers):
        """The batteries with these numbers (or all) say nothing for some seconds from now, then answer again."""
        before = list(self.answers)
        for number in numbers or range(1, len(self.answers) + 1):
            self.answers[number - 1] = False
        limits = self.step(seconds)
        self.answers = before
        return limits

    @property
    def cvl_mv(self):
        """The voltage limit before rounding."""
        return self.limits.voltage.value

    @property
    def ccl_a(self):
        """As published."""
        return self.limits.ccl_ma / 1000

    @property
    def dcl_a(self):
        """As published."""
        return self.limits.dcl_ma / 1000


def parallel(*cells, **options):
    """A parallel bank of two equal batteries of 100 Ah, unless said."""
    return House(*(cells or ([REST_MV] * 4, [REST_MV] * 4)), topology=PARALLEL, **options)


def series(*cells, **options):
    """A series bank of two batteries, unless said."""
    return House(*(cells or ([REST_MV] * 4, [REST_MV] * 4)), topology=SERIES, **options)
