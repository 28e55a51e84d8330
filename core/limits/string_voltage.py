"""The voltage limit of one string of cells: batteries that carry the same current, one after the other.

The strictest of: the target of the charge phase, what the highest cell allows, and what a silent link allows.
Rules: charge-control section 5, CVL; venus-dbus D.4.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

from attrs import frozen

from core.battery import Battery
from core.limits.curves import Curve
from core.limits.limit import Limit, seconds, volts
from core.limits.phases import ChargePhase
from core.limits.rise import Rise

FLOAT_RATE_MV_PER_S = 1.0
"""For up to 16 cells; longer strings fall faster in proportion. A step would export the battery into the grid."""
CLIP_MARGIN_MV = 10
RUNNING_ABOVE_MV = 30
RUNNING_STEP_MV = 10
FLOOR_BELOW_FLOAT_MV = 100
RECOVERY_HOLD_S = 60
RECOVERY_RATE_MV_PER_S = 1.0
PENALTY_RATE_MV_PER_S = 50.0
URGENT_CELL_MV = 3600
SILENT_HOLD_S = 15
BACK_HOLD_S = 10
BACK_RAMP_S = 60


@frozen
class Part:
    """One battery of a string: how many cells it has, and its place in the configuration, from 1."""

    battery: Battery
    number: int
    cells: int


class StringOfCells:
    """What never changes about a string once its cell counts are known, and what its cells say. In mV, of the whole."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        profiles = [(part.cells, part.battery.configuration.profile) for part in parts]
        self.cells = sum(cells for cells, _ in profiles)
        self.bulk_mv = sum(cells * profile.max_cell_mv for cells, profile in profiles)
        self.float_mv = sum(cells * profile.float_cell_mv for cells, profile in profiles)
        self.low_mv = sum(cells * profile.min_cell_mv for cells, profile in profiles)
        self.floor_mv = max(self.low_mv, self.float_mv - FLOOR_BELOW_FLOAT_MV * self.cells)
        """The high-cell rule goes no lower."""
        self.float_rate = FLOAT_RATE_MV_PER_S * max(1.0, self.cells / 16)
        """mV per second of the fall to float."""
        self._revisions: List[int] = []
        self._doubted: Optional[Part] = None
        self._voltage_mv: Optional[int] = None

    def _read(self) -> None:
        """Look at the newest readings, if they are others than the last time."""
        revisions = [part.battery.revision for part in self.parts]
        if revisions == self._revisions:
            return
        self._revisions = revisions
        self._doubted = next((part for part in self.parts if not _is_known(part)), None)
        if self._doubted is None:
            self._voltage_mv = sum(sum(part.battery.cell_voltages_mv()) for part in self.parts)
            return
        packs = [part.battery.pack for part in self.parts]
        known = [pack.voltage_mv for pack in packs if pack is not None]
        self._voltage_mv = sum(known) if len(known) == len(packs) else None

    @property
    def doubted(self) -> Optional[Part]:
        """A battery not all of whose cells have a voltage that can be true, or that has another number of them."""
        self._read()
        return self._doubted

    @property
    def voltage_mv(self) -> Optional[int]:
        """The sum of the cells; the measured voltage where cells are in doubt."""
        self._read()
        return self._voltage_mv

    def targets_text(self, what: str) -> str:
        """``16 x 3.45 V``, battery by battery where they differ."""
        cells_by_mv: Dict[int, int] = {}
        for part in self.parts:
            cell_mv = getattr(part.battery.configuration.profile, what)
            cells_by_mv[cell_mv] = cells_by_mv.get(cell_mv, 0) + part.cells
        return " + ".join("{} x {}".format(cells, volts(cell_mv)) for cell_mv, cells in cells_by_mv.items())


def _is_known(part: Part) -> bool:
    return part.battery.cells_are_known and len(part.battery.cell_voltages_mv()) == part.cells


class HighCell:
    """A cell above its maximum holds the whole string down: the only rule that goes below float."""

    def __init__(self, string: StringOfCells, *, linear: bool) -> None:
        self._string = string
        self._linear = linear
        self._rise = Rise(hold_s=RECOVERY_HOLD_S, rate=RECOVERY_RATE_MV_PER_S, show=volts)
        self._running_mv = 0
        self._highest_mv = 0
        self._revisions: Optional[Tuple[int, ...]] = None
        self._demand: Optional[Limit] = None
        self._last_us: Optional[int] = None
        self.limits = False
        """Whether this rule is what holds the voltage down."""

    def begin_anew(self) -> None:
        """Forget a recovery under way: what comes back after a silence has a ramp of its own."""
        self.limits = False

    def limit(self, target: Limit, now_us: int) -> Limit:
        """*target* or less."""
        revisions = tuple(part.battery.revision for part in self._string.parts)
        if revisions != self._revisions:
            self._revisions = revisions
            self._demand = self._look()
        elapsed_s = 0.0 if self._last_us is None else (now_us - self._last_us) / 1e6
        self._last_us = now_us
        demand = self._demand
        if demand is None or demand.value >= target.value:
            demand = target
        elif self._linear and self._highest_mv <= URGENT_CELL_MV:
            demand = self._gently(demand, target, elapsed_s)
        if not self.limits or (self._rise.value or 0) >= target.value:
            self._rise.begin_at(target.value)  # the target itself falls by its own rules and rises at once
        limit = self._rise.follow(demand, now_us)
        self.limits = limit.value < target.value
        return limit if self.limits else target

    def _gently(self, demand: Limit, target: Limit, elapsed_s: float) -> Limit:
        """A penalty moves the limit at most so fast."""
        present_mv = target.value if self._rise.value is None else min(self._rise.value, target.value)
        lowest_mv = present_mv - PENALTY_RATE_MV_PER_S * elapsed_s
        if demand.value >= lowest_mv:
            return demand
        return demand.because(lowest_mv, "falling from {1} by {2} in {3:g} s ({0})", volts(present_mv),
                              volts(present_mv - lowest_mv), elapsed_s)  # fmt: skip

    def _look(self) -> Optional[Limit]:
        """What the cells demand by the newest readings; ``None``: nothing."""
        cells: List[Tuple[int, int, int, Battery]] = []
        for part in self._string.parts:
            cells += [(part.number, cell, mv, part.battery) for cell, mv in part.battery.plausible_cells_mv()]
        over = [each for each in cells if each[2] > each[3].configuration.profile.max_cell_mv]
        if not over:
            self._running_mv = self._highest_mv = 0
            return None
        number, cell, highest_mv, battery = max(
            over, key=lambda each: each[2] - each[3].configuration.profile.max_cell_mv
        )
        max_mv = battery.configuration.profile.max_cell_mv
        if highest_mv > self._highest_mv > 0 and highest_mv > max_mv + RUNNING_ABOVE_MV:
            self._running_mv += RUNNING_STEP_MV
        self._highest_mv = highest_mv
        what = "cell {} of battery {} at {} above {}".format(cell, number, volts(highest_mv), volts(max_mv))
        known_mv = sum(each[2] for each in cells)
        missing = self._string.cells - len(cells)
        sum_mv = known_mv + missing * min(max_mv, known_mv // len(cells))  # a cell in doubt is like the others
        if self._linear:
            penalty_mv = sum(_penalty(each[3].configuration.profile.penalty_mv, each[2]) for each in cells)
            value, how = sum_mv - penalty_mv, "cells {} - penalty {}".format(volts(sum_mv), volts(penalty_mv))
        else:
            over_mv = sum(mv - battery.configuration.profile.max_cell_mv for _, _, mv, battery in over)
            value = sum_mv - over_mv + CLIP_MARGIN_MV - self._running_mv
            how = "cells {} - {} above + {} - {} rising".format(
                volts(sum_mv), volts(over_mv), volts(CLIP_MARGIN_MV), volts(self._running_mv)
            )
        floor_mv = self._string.floor_mv
        return Limit(max(value, floor_mv), "{}: {}, at least {}", (what, how, volts(floor_mv)))


def _penalty(curve: Curve, cell_mv: int) -> float:
    return curve.line(cell_mv).fraction if cell_mv >= curve.points[0][0] else 0.0


class StringVoltage:
    """The voltage limit of a string over time. Call one of :meth:`live`, :meth:`silent` and :meth:`lost` per tick."""

    def __init__(self, string: StringOfCells, *, linear: bool, float_from_mv: Optional[float] = None) -> None:
        self.string = string
        self._high_cell = HighCell(string, linear=linear)
        self._bulk = Limit(string.bulk_mv, "{}", (string.targets_text("max_cell_mv"),))
        self._float = Limit(string.float_mv, "{}", (string.targets_text("float_cell_mv"),))
        self._phase = ChargePhase.FLOAT if float_from_mv is not None else None
        self._float_ramp: Optional[Tuple[float, int]] = None
        self._float_from_mv = float_from_mv
        self._was_doubted = False
        self._held_mv: Optional[float] = None
        self._back: Optional[Rise] = None
        self.target_mv: float = string.bulk_mv
        """What the charge phase aims at now."""
        self.limit: Optional[Limit] = None
        """The newest result."""

    @property
    def high_cell_limits(self) -> bool:
        """Whether a high cell holds the limit down."""
        return self._high_cell.limits

    def live(self, phase: ChargePhase, now_us: int) -> Limit:
        """By the readings that are there."""
        target = self._target(phase, now_us)
        doubted = self.string.doubted
        if doubted is not None and target.value > self.string.float_mv:
            target = Limit(
                self.string.float_mv,
                "cell voltages of battery {} missing: float, {}",
                (doubted.number, self.string.targets_text("float_cell_mv")),
            )
        self.target_mv = target.value
        was_silent, self._held_mv = self._held_mv is not None, None
        if was_silent:
            self._high_cell.begin_anew()
        limit = self._high_cell.limit(target, now_us)
        if was_silent or (self._was_doubted and doubted is None):
            self._back = self._coming_back(limit)
        self._was_doubted = doubted is not None
        if self._back is not None:
            demand, limit = limit, self._back.follow(limit, now_us)
            if limit.value >= demand.value:
                self._back = None
        self.limit = limit
        return limit

    def _coming_back(self, limit: Limit) -> Optional[Rise]:
        """After a silence or a doubt the limit comes back within a minute, after a moment of patience."""
        present_mv = self.string.float_mv if self.limit is None else self.limit.value
        if limit.value <= present_mv:
            return None
        rise = Rise(hold_s=BACK_HOLD_S, rate=(limit.value - present_mv) / BACK_RAMP_S, show=volts)
        rise.begin_at(present_mv)
        return rise

    def _target(self, phase: ChargePhase, now_us: int) -> Limit:
        string = self.string
        entered, self._phase = phase is not self._phase, phase
        if phase is not ChargePhase.FLOAT:
            self._float_ramp = self._float_from_mv = None
            return self._bulk
        if entered or self._float_from_mv is not None:
            present_mv = self._float_from_mv or (string.bulk_mv if self.limit is None else self.limit.value)
            self._float_ramp, self._float_from_mv = (min(present_mv, string.bulk_mv), now_us), None
        if self._float_ramp is None:
            return self._float
        from_mv, since_us = self._float_ramp
        value = from_mv - string.float_rate * (now_us - since_us) / 1e6
        if value <= string.float_mv:
            self._float_ramp = None
            return self._float
        return self._float.because(
            value,
            "falling from {1} at {2} of uptime, {3} a second, to {0}",
            volts(from_mv), seconds(since_us), volts(string.float_rate),
        )  # fmt: skip

    def silent(self, number: int, silent_since_us: int, hold_end_us: int, now_us: int) -> Limit:
        """While battery *number* is STALE: held for a moment, then down to float by the end of the hold."""
        present_mv = self.string.float_mv if self.limit is None else self.limit.value
        if self._held_mv is None:
            self._held_mv = present_mv
            self._back = None
        held_mv = self._held_mv
        start_us = silent_since_us + SILENT_HOLD_S * 1_000_000
        rate = max(0.0, held_mv - self.string.float_mv) / max(1.0, (hold_end_us - start_us) / 1e6)
        value = max(self.string.float_mv, held_mv - rate * (now_us - start_us) / 1e6)
        if now_us <= start_us or value >= present_mv:  # another battery may be silent now, and for a shorter time
            self.limit = Limit(present_mv, "battery {} is silent: held at {}", (number, volts(present_mv)))
        else:
            self.limit = Limit(
                value,
                "battery {} is silent: falling from {} at {} of uptime, {} a second, to {}",
                (number, volts(held_mv), seconds(start_us), volts(rate), volts(self.string.float_mv)),
            )
        return self.limit

    def lost(self, number: int) -> Limit:
        """While battery *number* is LOST: float, or what a high cell had brought it down to."""
        if self._held_mv is None:
            self._held_mv = self.string.float_mv if self.limit is None else self.limit.value
        self._back = None
        value = min(self._held_mv, float(self.string.float_mv))
        template = "battery {} is lost: float, {}, or less as held: {}"
        self.limit = Limit(value, template, (number, self.string.targets_text("float_cell_mv"), volts(value)))
        return self.limit
