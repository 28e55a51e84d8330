"""Projection of one physical battery: what its events say it is, with the age of everything.

Folding never drops a value for its age; :meth:`Battery.age_s` says how old the older half of the
reading is and whoever publishes decides. Live measurements are not restored at a start: a battery
knows nothing until it answers.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Set, Tuple

from attrs import evolve

from core import plausibility, protocols
from core.configuration import UNIT_X1, UNIT_X10, BatteryConfiguration
from core.events import Event, LinkEstablished, ReadingTaken
from core.link import LinkHealth
from core.plausibility import implausible_cells, implausible_pack
from core.readings import CellReading, PackReading, ProtectionCounters, Sample


class Battery:
    """The state of one battery after the events folded so far."""

    def __init__(self, configuration: BatteryConfiguration) -> None:
        self.configuration = configuration
        self.device_name: Optional[str] = None
        self.hardware_name: Optional[str] = None
        self.link = LinkHealth()
        self.pack: Optional[PackReading] = None
        self.cells: Optional[CellReading] = None
        self.counters: Optional[ProtectionCounters] = None
        self.marks: Dict[str, str] = {}
        """Implausible fields and why, see :mod:`core.plausibility`."""
        self.known_sensors: Set[int] = set()
        """Sensors that ever said something: one that is absent now is missing, not unsupported."""
        self.has_soc = False
        """Whether it ever told a state of charge."""
        self.revision = 0
        """Grows with every event folded."""
        self.read_wall_us: Optional[int] = None
        """When it was last read, in UTC since 1970 as the device believed then."""
        self._pack_uptime_us = 0
        self._cells_uptime_us = 0

    def fold(self, event: Event) -> None:
        """Take in one event about this battery; any other kind of event changes nothing."""
        fact = event.fact
        self.revision += 1
        if isinstance(fact, ReadingTaken):
            self._fold_sample(protocols.find(fact.protocol).decode(fact.frame), event.uptime_us)
            self.read_wall_us = event.wall_us
        elif self.link.fold(event) and isinstance(fact, LinkEstablished):
            self.device_name = fact.name or self.device_name

    def _fold_sample(self, sample: Sample, uptime_us: int) -> None:
        if sample.pack is not None:
            self.pack, self._pack_uptime_us = _as_configured(sample.pack, self.configuration), uptime_us
            self.has_soc |= self.pack.soc_permille is not None
        if sample.cells is not None:
            self.cells, self._cells_uptime_us = sample.cells, uptime_us
        if sample.identity is not None:
            self.hardware_name = sample.identity.hardware_name or None
        if sample.counters is not None:
            self.counters = sample.counters
        if sample.pack is not None:
            self.known_sensors.update(n for n, t in enumerate(sample.pack.temperatures_dc, 1) if t is not None)
        if sample.pack is not None or sample.cells is not None:
            self._mark()

    def _mark(self) -> None:
        self.marks = implausible_pack(self.pack) if self.pack else {}
        if self.pack is not None:
            now = {n for n, t in enumerate(self.pack.temperatures_dc, 1) if t is not None}
            for sensor in self.known_sensors - now:
                self.marks[plausibility.sensor_key(sensor)] = "the sensor had a temperature before, and has none now"
        if self.pack and self.cells:
            apart_us = self._pack_uptime_us - self._cells_uptime_us
            self.marks.update(implausible_cells(self.pack, self.cells, apart_us))

    @property
    def is_complete(self) -> bool:
        """Whether pack and cells have both been read."""
        return self.pack is not None and self.cells is not None

    def age_s(self, now_us: int) -> Optional[float]:
        """Seconds since the older of the latest pack and the latest cell reading; ``None`` before both came."""
        if self.pack is None or self.cells is None:
            return None
        return (now_us - min(self._pack_uptime_us, self._cells_uptime_us)) / 1e6

    def cell_voltages_mv(self) -> Tuple[int, ...]:
        """The cells that both the pack reading and the cell reading speak of."""
        if self.cells is None:
            return ()
        voltages_mv = self.cells.voltages_mv
        return voltages_mv[: self.pack.cell_count] if self.pack and self.pack.cell_count else voltages_mv

    def temperatures_dc(self) -> List[Tuple[int, int]]:
        """Sensors that are fitted: (1-based sensor number, 0.1 degC)."""
        if self.pack is None:
            return []
        sensors = enumerate(self.pack.temperatures_dc + self.pack.extra_temperatures_dc, 1)
        fitted = [(n, t) for n, t in sensors if t is not None]
        if not self.marks:
            return fitted
        return [(n, t) for n, t in fitted if plausibility.sensor_key(n) not in self.marks]

    def plausible_cells_mv(self) -> List[Tuple[int, int]]:
        """Cells whose voltage can be true: (1-based cell number, mV)."""
        cells_mv = enumerate(self.cell_voltages_mv(), 1)
        if not self.marks:
            return list(cells_mv)
        return [(n, mv) for n, mv in cells_mv if plausibility.cell_key(n) not in self.marks]

    @property
    def cells_are_known(self) -> bool:
        """Whether every cell's voltage is there and can be true."""
        return bool(self.cell_voltages_mv()) and not plausibility.any_cell(self.marks)

    @property
    def current_ma(self) -> Optional[int]:
        """The current, positive while charging, if it can be true."""
        return None if self.pack is None or plausibility.CURRENT in self.marks else self.pack.current_ma

    @property
    def soc_permille(self) -> Optional[int]:
        """The state of charge, if it can be true."""
        return None if self.pack is None or plausibility.SOC in self.marks else self.pack.soc_permille

    @property
    def installed_mah(self) -> Optional[int]:
        """The capacity when new: as the owner says, as the BMS says, or for want of both as the owner guesses."""
        known = self.configuration
        said_mah = self.pack.nominal_mah if self.pack else None  # a BMS that answers 0 does not know it
        return known.capacity_mah or said_mah or (known.fallback_capacity_mah if self.pack else None)

    @property
    def remaining_mah(self) -> Optional[int]:
        """What is left; from the state of charge where the BMS counts with another capacity than we do."""
        if self.pack is None:
            return None
        if self.installed_mah == self.pack.nominal_mah or self.soc_permille is None or self.installed_mah is None:
            return self.pack.remaining_mah
        return self.installed_mah * self.soc_permille // 1000

    @property
    def consumed_mah(self) -> Optional[int]:
        """What is missing to a full battery: negative or zero."""
        if self.remaining_mah is None or self.installed_mah is None:
            return None
        return min(0, self.remaining_mah - self.installed_mah)


def _as_configured(pack: PackReading, known: BatteryConfiguration) -> PackReading:
    """*pack* with the sign and the unit that the owner gave its current sensor."""
    times, divided = 1, 1
    if known.current_unit == UNIT_X1 and pack.counts_100ma:
        divided = 10
    elif known.current_unit == UNIT_X10 and not pack.counts_100ma:
        times = 10
    if times == divided and known.current_sign == 1:
        return pack

    def scaled(counted: Optional[int]) -> Optional[int]:
        return None if counted is None else counted * times // divided

    return evolve(
        pack,
        current_ma=pack.current_ma * known.current_sign * times // divided,
        remaining_mah=scaled(pack.remaining_mah),
        nominal_mah=scaled(pack.nominal_mah),
        full_charge_mah=scaled(pack.full_charge_mah),
    )
