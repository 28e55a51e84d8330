"""The currents that one battery by itself may take and give now: the strictest of its factors.

Factors and their repairs: charge-control sections 3 and 5. A missing input never opens a limit: its last result holds
for a minute, then the smallest fraction of its table that is not 0. Zero comes only from a table's own zero point, an
open switch or a protection.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Optional, Tuple

from attrs import frozen

from core import protections
from core.battery import Battery
from core.limits.curves import Curve, Looked, Step
from core.limits.limit import Limit, amperes, smallest, volts

MISSING_AFTER_US = 60_000_000
SILENT_FRACTION = 0.1
"""What a battery may be charged with whose present state nobody knows."""

CHARGE_PROTECTIONS = (
    protections.CELL_OVERVOLTAGE,
    protections.PACK_OVERVOLTAGE,
    protections.CHARGE_OVERTEMPERATURE,
    protections.CHARGE_UNDERTEMPERATURE,
    protections.CHARGE_OVERCURRENT,
    protections.CHARGE_MOS_BREAKDOWN,
    protections.FRONTEND_IC_ERROR,
)
DISCHARGE_PROTECTIONS = (
    protections.CELL_UNDERVOLTAGE,
    protections.PACK_UNDERVOLTAGE,
    protections.DISCHARGE_OVERTEMPERATURE,
    protections.DISCHARGE_UNDERTEMPERATURE,
    protections.DISCHARGE_OVERCURRENT,
    protections.SHORT_CIRCUIT,
    protections.DISCHARGE_MOS_BREAKDOWN,
)


_CELL = "cell {} of battery {} at {:.7g} V"
_SENSOR = "sensor {} of battery {} at {:.7g} C"
_SOC = "state of charge of battery {} at {:.7g} %"


def _celsius(temperature_dc: float) -> str:
    return "{:g} C".format(temperature_dc / 10)


def _percent(permille: float) -> str:
    return "{:g} %".format(permille / 10)


class CurrentLimit:
    """One direction of one battery. Ask for :meth:`live` once per tick while the battery is LIVE."""

    def __init__(self, battery: Battery, number: int, *, cells: int, charging: bool, linear: bool) -> None:
        profile = battery.configuration.profile
        self._battery = battery
        self._number = number
        self._cells = cells
        self._charging = charging
        self._linear = linear
        self.max_ma = profile.max_charge_ma if charging else profile.max_discharge_ma
        self._by_cell = profile.charge_by_cell_mv if charging else profile.discharge_by_cell_mv
        self._by_temperature = profile.charge_by_temperature_dc if charging else profile.discharge_by_temperature_dc
        self._by_soc = profile.charge_by_soc_permille if charging else profile.discharge_by_soc_permille
        self._maximum = Limit(
            self.max_ma, "maximum of battery {}: {}", (number, amperes(self.max_ma)), stops=not self.max_ma
        )
        self._last_known: Dict[str, Tuple[Limit, int]] = {}
        self._revision = -1
        self._wait_until_us: Optional[int] = None
        self._stopped = self._switched_off = False
        self._stop_revision = -1
        self.last: Optional[Limit] = None
        """The newest result of :meth:`live`."""

    def live(self, now_us: int) -> Limit:
        """The limit by the readings that are there."""
        waiting = self._wait_until_us is not None and now_us >= self._wait_until_us
        if self.last is None or self._battery.revision != self._revision or waiting:
            self._revision, self._wait_until_us = self._battery.revision, None
            self.last = smallest(*self._factors(now_us))
        return self.last

    def silent(self, now_us: int) -> Limit:
        """While the battery is STALE: what it last gave, and little for charging."""
        last = self.last or self.live(now_us)
        if not self._charging:
            return last.because(
                last.value, "battery {1} is silent: held at {2} ({0})", self._number, amperes(last.value)
            )
        little_ma = self.max_ma * SILENT_FRACTION
        if last.value <= little_ma:
            return last
        template = "battery {} is silent: {} x {}"
        return Limit(little_ma, template, (self._number, amperes(self.max_ma), SILENT_FRACTION))

    @property
    def waits(self) -> bool:
        """Whether time alone can change the result: a missing input is still held."""
        return self._wait_until_us is not None

    @property
    def connected(self) -> bool:
        """Whether current can flow in this direction: switch on, as far as it was ever told, and no protection."""
        if self._battery.revision != self._stop_revision:
            self._stop_revision, self._stopped = self._battery.revision, self._stop() is not None
        return not self._stopped

    def _factors(self, now_us: int) -> List[Limit]:
        stop = self._stop()
        if stop is not None:
            return [stop]
        return [self._maximum, *self._cell_factor(now_us), *self._temperature_factor(now_us), *self._soc_factor(now_us)]

    def _stop(self) -> Optional[Limit]:
        pack = self._battery.pack
        if pack is None:
            return None
        direction = "charge" if self._charging else "discharge"
        tripped = CHARGE_PROTECTIONS if self._charging else DISCHARGE_PROTECTIONS
        for name in pack.protections:
            if name in tripped:
                return Limit(0, "{} in battery {}: 0 A", (name.replace("_", " "), self._number), stops=True)
        switch_on = pack.charge_fet_on if self._charging else pack.discharge_fet_on
        if switch_on is not None:
            self._switched_off = not switch_on
        if self._switched_off:
            return Limit(0, "{} switch of battery {} is off: 0 A", (direction, self._number), stops=True)
        return None

    def _cell_factor(self, now_us: int) -> Iterable[Limit]:
        curve = self._by_cell
        if curve is None:
            return
        cells = self._battery.plausible_cells_mv()
        result = None
        if cells:
            extreme = max if self._charging else min
            cell, cell_mv = extreme(cells, key=lambda each: each[1])
            looked = curve.line(cell_mv) if self._linear else curve.step(cell_mv, self._side)
            result = self._by_curve(_CELL, (cell, self._number, cell_mv / 1000), looked, volts)
        known = self._battery.cells_are_known and len(cells) == self._cells
        yield from self._known_or_missing("cell voltages", curve, result, known, now_us)

    @property
    def _side(self) -> Step:
        return Step.LEFT if self._charging else Step.RIGHT

    def _temperature_factor(self, now_us: int) -> Iterable[Limit]:
        curve = self._by_temperature
        if curve is None or not self._battery.known_sensors:
            return
        sensors = self._battery.temperatures_dc()
        results = []
        for sensor, temperature_dc in sensors:
            looked = curve.line(temperature_dc) if self._linear else curve.step(temperature_dc, Step.STRICTER)
            results.append(self._by_curve(_SENSOR, (sensor, self._number, temperature_dc / 10), looked, _celsius))
        result = smallest(*results) if results else None
        known = self._battery.known_sensors <= {sensor for sensor, _ in sensors}
        yield from self._known_or_missing("temperatures", curve, result, known, now_us)

    def _soc_factor(self, now_us: int) -> Iterable[Limit]:
        curve = self._by_soc
        if curve is None or not self._battery.has_soc:
            return
        soc_permille = self._battery.soc_permille
        result = None
        if soc_permille is not None:
            looked = curve.line(soc_permille) if self._linear else curve.step(soc_permille, Step.RIGHT)
            result = self._by_curve(_SOC, (self._number, soc_permille / 10), looked, _percent)
        yield from self._known_or_missing("state of charge", curve, result, result is not None, now_us)

    def _by_curve(self, what: str, place: Tuple[float, ...], looked: Looked, show: Callable[[float], str]) -> Limit:
        return Limit(
            self.max_ma * looked.fraction,
            what + ": {:.7g} A x {:.7g} ({})",
            (*place, self.max_ma / 1000, looked.fraction, _Between(looked, show)),
            stops=not looked.fraction,
        )

    def _known_or_missing(
        self, what: str, curve: Curve, result: Optional[Limit], known: bool, now_us: int
    ) -> Iterable[Limit]:
        """*result*, and unless the input is wholly *known* also what it last gave for a minute, then little."""
        if result is not None:
            yield result
        if result is not None and known:
            self._last_known[what] = (result, now_us)
            return
        last, known_us = self._last_known.get(what, (None, 0))
        if last is not None and now_us - known_us < MISSING_AFTER_US:
            until_us = known_us + MISSING_AFTER_US
            self._wait_until_us = until_us if self._wait_until_us is None else min(until_us, self._wait_until_us)
            yield last
            return
        yield Limit(
            self.max_ma * curve.smallest,
            "{} of battery {} missing: {} x {:.7g}",
            (what, self._number, amperes(self.max_ma), curve.smallest),
            stops=not curve.smallest,
        )


@frozen
class _Between:
    """The two points of a table that a fraction comes from, as text when somebody reads it."""

    looked: Looked
    show: Callable[[float], str]

    def __str__(self) -> str:
        points = ["{}: {:g}".format(self.show(point[0]), point[1]) for point in (self.looked.low, self.looked.high)]
        return "{} from {} to {}".format("line" if self.looked.on_line else "level", *points)
