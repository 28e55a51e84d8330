"""Projection of one physical battery: what its events say it is, with the age of everything.

Folding never drops a value for its age; :meth:`Battery.age_s` says how old the older half of the
reading is and whoever publishes decides. Live measurements are not restored at a start: a battery
knows nothing until it answers.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from core import protocols
from core.configuration import BatteryConfiguration
from core.events import Event, LinkEstablished, LinkLost, ReadingTaken, SettingChanged
from core.plausibility import implausible_cells, implausible_pack
from core.readings import CellReading, PackReading, ProtectionCounters, Sample

CUSTOM_NAME = "CustomName"


class Battery:
    """The state of one battery after the events folded so far."""

    def __init__(self, configuration: BatteryConfiguration, custom_name: str = "") -> None:
        self.configuration = configuration
        self.custom_name = custom_name
        self.device_name: Optional[str] = None
        self.hardware_name: Optional[str] = None
        self.link_up = False
        self.link_cause: Optional[str] = None
        self.pack: Optional[PackReading] = None
        self.cells: Optional[CellReading] = None
        self.counters: Optional[ProtectionCounters] = None
        self.marks: Dict[str, str] = {}
        """Implausible fields and why, see :mod:`core.plausibility`."""
        self.revision = 0
        """Grows with every event folded."""
        self._pack_uptime_us = 0
        self._cells_uptime_us = 0

    def fold(self, event: Event) -> None:
        """Take in one event about this battery; any other kind of event changes nothing."""
        fact = event.fact
        self.revision += 1
        if isinstance(fact, ReadingTaken):
            self._fold_sample(protocols.find(fact.protocol).decode(fact.frame), event.uptime_us)
        elif isinstance(fact, LinkEstablished):
            self.link_up, self.link_cause = True, None
            self.device_name = fact.name or self.device_name
        elif isinstance(fact, LinkLost):
            self.link_up, self.link_cause = False, fact.cause
        elif isinstance(fact, SettingChanged) and fact.setting == CUSTOM_NAME:
            self.custom_name = fact.value

    def _fold_sample(self, sample: Sample, uptime_us: int) -> None:
        if sample.pack is not None:
            self.pack, self._pack_uptime_us = sample.pack, uptime_us
        if sample.cells is not None:
            self.cells, self._cells_uptime_us = sample.cells, uptime_us
        if sample.identity is not None:
            self.hardware_name = sample.identity.hardware_name or None
        if sample.counters is not None:
            self.counters = sample.counters
        if sample.pack is not None or sample.cells is not None:
            self._mark()

    def _mark(self) -> None:
        self.marks = implausible_pack(self.pack) if self.pack else {}
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
        return [(n, t) for n, t in enumerate(self.pack.temperatures_dc, 1) if t is not None]
