"""Batteries of LiFePO4 cells, chargers that obey the published limits, and the seconds in between: enough physics to
see whether limits protect. Cells are an open-circuit voltage by state of charge and a resistance.
"""

from attrs import define, field

from core.configuration import SINGLE, BatteryConfiguration, Configuration
from core.events import Event, LinkEstablished, SessionEnded, SessionStarted, SettingChanged
from core.limits.profile import ChargeProfile
from core.live import LiveView
from core.service_view import TICK_US
from tests.core.made import WALL_US, basic, cells, reading

OPEN_CIRCUIT_MV = (
    (0, 2500), (2, 2900), (5, 3150), (10, 3210), (30, 3270), (60, 3310), (90, 3340), (98, 3370), (99, 3400),
    (100, 3470), (100.5, 3560), (101, 3700), (102, 4000),
)  # fmt: skip
"""By state of charge in percent; the last points are a cell being overcharged."""
DVCC_S = 3
"""Venus OS passes limits on every so many seconds."""
POLL_S = 5


def open_circuit_mv(soc_pct):
    """Voltage of a resting cell."""
    for (low, low_mv), (high, high_mv) in zip(OPEN_CIRCUIT_MV, OPEN_CIRCUIT_MV[1:]):
        if soc_pct <= high:
            return low_mv + (high_mv - low_mv) * (soc_pct - low) / (high - low)
    return OPEN_CIRCUIT_MV[-1][1]


@define
class Pack:
    """One battery: a BMS and its cells."""

    name: str
    soc_pct: list
    capacity_ah: float = 100.0
    cell_mohm: float = 0.5
    wire_mohm: float = 2.0
    current_a: float = 0.0
    answers: bool = True
    fet: int = 3
    protection: int = 0
    temperatures_dc: tuple = (250, 250)
    broken: tuple = ()
    """Cells whose sense wire is broken, from 1: they read 0 mV."""
    bleed_a: float = 0.0
    """What the BMS bleeds off the highest cell above 3.4 V."""
    profile: ChargeProfile = field(factory=ChargeProfile)

    def rest_mv(self):
        """Without current."""
        return sum(open_circuit_mv(soc) for soc in self.soc_pct)

    def resistance_mohm(self):
        """Of all cells and the wire."""
        return len(self.soc_pct) * self.cell_mohm + self.wire_mohm

    def cells_mv(self):
        """As measured under the present current."""
        return [round(open_circuit_mv(soc) + self.current_a * self.cell_mohm) for soc in self.soc_pct]

    def step(self, seconds):
        """Let the current flow."""
        charged_pct = self.current_a * seconds / 3600 / self.capacity_ah * 100
        self.soc_pct = [min(102.0, max(-1.0, soc + charged_pct)) for soc in self.soc_pct]
        if self.bleed_a:
            highest = max(range(len(self.soc_pct)), key=self.soc_pct.__getitem__)
            if self.cells_mv()[highest] > 3400:
                self.soc_pct[highest] -= self.bleed_a * seconds / 3600 / self.capacity_ah * 100

    def frames(self):
        """What the BMS answers now."""
        cells_mv = self.cells_mv()
        soc = min(100.0, max(0.0, sum(self.soc_pct) / len(self.soc_pct)))
        pack = basic(
            voltage_mv=sum(cells_mv),
            current_ma=round(self.current_a * 1000),
            nominal_mah=round(self.capacity_ah * 1000),
            remaining_mah=round(self.capacity_ah * 10 * soc),
            soc_pct=round(soc),
            cell_count=len(cells_mv),
            fet=self.fet,
            protection=self.protection,
            temperatures_dc=self.temperatures_dc,
        )
        return pack, cells(*(0 if cell in self.broken else mv for cell, mv in enumerate(cells_mv, 1)))

    def known(self):
        """Its place in the configuration."""
        return BatteryConfiguration("sim_" + self.name, self.name, profile=self.profile)


class Site:
    """Packs, what the daemon makes of them, and a charger or a load. One step is one second of uptime."""

    def __init__(self, packs, *, topology=SINGLE, start_s=100, remembered=None, boot=1, configuration=None, **options):
        self.packs = packs
        options.setdefault("float_switching", True)
        batteries = tuple(pack.known() for pack in packs)
        self.configuration = configuration or Configuration(batteries, topology=topology, **options)
        self.now_s = start_s
        self.view = LiveView()
        self.boot = boot
        self.number = 0
        self.publications = []
        self.items = {}
        self.on_bus = False
        self.obeyed = {}
        self.wall_step_us = 0
        started = SessionStarted("0.2.0", self.configuration.to_payload(), remembered or {})
        self.fold(started)
        for pack in packs:
            self.fold(LinkEstablished(pack.known().battery, pack.name))

    @property
    def main(self):
        """Bus name of the service that carries the limits."""
        return "com.victronenergy.battery." + self.configuration.services[0].key

    def fold(self, fact):
        """Something happens just before the second is full."""
        self.number += 1
        now_us = self.now_s * TICK_US - 400_000
        self.take(self.view.fold(Event(self.number, self.boot, now_us, WALL_US + now_us + self.wall_step_us, fact)))

    def take(self, publications):
        """Remember what was published."""
        for publication in publications:
            self.publications.append(publication)
            if publication.service != self.main:
                continue
            self.on_bus = publication.change != "left"
            if publication.change == "joined":
                self.items = {}
            self.items.update(publication.items)

    def step(self, seconds=1, *, charge_a=0.0, load_a=0.0):
        """Chargers that could give *charge_a* and loads that draw *load_a*, for some seconds."""
        for _ in range(seconds):
            self.now_s += 1
            if self.now_s % DVCC_S == 0:
                self.obeyed = dict(self.items) if self.on_bus else {}
            self.share_current(charge_a, load_a)
            for number, pack in enumerate(self.packs):
                pack.step(1)
                if pack.answers and (self.now_s + number) % POLL_S == 0:
                    for frame in pack.frames():
                        self.fold(reading(frame, pack.known().battery))
            self.take(self.view.advance(self.now_s * TICK_US))

    def share_current(self, charge_a, load_a):
        """What flows with the limits that were passed on: constant current up to CCL, constant voltage at CVL."""
        cvl_mv = (self.obeyed.get("/Info/MaxChargeVoltage") or 0) * 1000
        ccl_a = self.obeyed.get("/Info/MaxChargeCurrent") or 0
        parallel = self.configuration.topology == "parallel"
        flowing = [pack for pack in self.packs if self.lets_flow(pack, charge_a > load_a)] if parallel else self.packs
        if not parallel and not all(self.lets_flow(pack, charge_a > load_a) for pack in self.packs):
            flowing = []
        for pack in self.packs:
            pack.current_a = 0.0
        if not flowing:
            return
        if parallel:
            conductance = sum(1 / pack.resistance_mohm() for pack in flowing)
            rest_mv = sum(pack.rest_mv() / pack.resistance_mohm() for pack in flowing) / conductance
        else:
            conductance = 1 / sum(pack.resistance_mohm() for pack in flowing)
            rest_mv = sum(pack.rest_mv() for pack in flowing)
        current_a = min(charge_a, ccl_a, max(0.0, (cvl_mv - rest_mv) * conductance)) - load_a
        bus_mv = rest_mv + current_a / conductance
        for pack in flowing:
            pack.current_a = (bus_mv - pack.rest_mv()) / pack.resistance_mohm() if parallel else current_a

    @staticmethod
    def lets_flow(pack, charging):
        """Whether its switch lets the current through."""
        return bool(pack.fet & (1 if charging else 2))

    def end(self):
        """A proper stop."""
        self.fold(SessionEnded("stopped"))

    def setting(self, setting, value):
        """Somebody writes a setting of the main service."""
        self.fold(SettingChanged(self.configuration.services[0].key, setting, value))

    @property
    def cvl_v(self):
        """As published."""
        return self.items["/Info/MaxChargeVoltage"]

    @property
    def ccl_a(self):
        """As published."""
        return self.items["/Info/MaxChargeCurrent"]

    @property
    def dcl_a(self):
        """As published."""
        return self.items["/Info/MaxDischargeCurrent"]

    @property
    def mode(self):
        """The charge phase as a word."""
        return self.items["/Info/ChargeMode"].partition(":")[0]
