"""Bulk, absorption, float: one machine for all batteries of a service, driven by the tick.

Times count while the program runs and every condition holds; what is kept over a restart are elapsed times, never
instants. Rules: charge-control section 5, CVL 2.
"""

from __future__ import annotations

import enum
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from attrs import frozen

from core.limits.dwell import Dwell

FULL_BELOW_MV = 20
"""Per cell: this close to the target counts as reached."""
LEFT_BELOW_MV = 50
"""Per cell: this far below the target, absorption is over; and as far below float, float is."""
REACHED_S = 60
LEFT_S = 30
FORGET_S = 600
"""A return to bulk longer than this begins absorption anew."""
FLOAT_LEFT_S = 600


class ChargePhase(enum.Enum):
    """What the voltage limit is aimed at."""

    BULK = "Bulk"
    ABSORPTION = "Absorption"
    FLOAT = "Float"


@frozen
class PhaseInputs:
    """What the machine looks at, at one tick. Voltages of the whole in mV."""

    cells: int
    voltage_mv: Optional[float]
    """The sum of the cells, or the measured voltage where there are none."""
    bulk_mv: float
    float_mv: float
    limited_mv: Optional[float]
    """The voltage limit while a high cell holds it down."""
    soc_permille: Optional[int]
    live: Sequence[Tuple[str, float]]
    """Every battery that is LIVE, and how many seconds of absorption it wants."""


class PhaseMachine:
    """*state* is what :meth:`state` gave in a former run."""

    def __init__(
        self, *, switching: bool, absorption_max_s: float, rebulk_permille: float, state: Mapping[str, Any]
    ) -> None:
        self._switching = switching
        self._absorption_max_s = absorption_max_s
        self._rebulk_permille = rebulk_permille
        self.phase = ChargePhase.BULK
        self._absorbed_s: Dict[str, float] = {}
        self._absorbing_s = 0.0
        self._away_s = 0.0
        self._soc_was_high = False
        self._reached = Dwell(REACHED_S)
        self._left = Dwell(LEFT_S)
        self._float_left = Dwell(FLOAT_LEFT_S)
        self._last_us: Optional[int] = None
        if switching:
            self._restore(state)

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Anything that does not fit is as if it had not been kept."""
        phases = {phase.value: phase for phase in ChargePhase}
        absorbed = state.get("absorbed_s")
        numbers = [state.get("absorbing_s", 0), state.get("away_s", 0)]
        phase = state.get("phase")
        if not isinstance(absorbed, dict) or not isinstance(phase, str) or phase not in phases:
            return
        numbers += list(absorbed.values())
        if any(isinstance(n, bool) or not isinstance(n, (int, float)) or not 0 <= n < 1e9 for n in numbers):
            return
        self.phase = phases[phase]
        self._absorbed_s = {battery: float(elapsed_s) for battery, elapsed_s in absorbed.items()}
        self._absorbing_s, self._away_s = float(numbers[0]), float(numbers[1])
        self._soc_was_high = state.get("soc_was_high") is True

    def state(self) -> Dict[str, Any]:
        """Elapsed times as plain JSON values."""
        return {
            "phase": self.phase.value,
            "absorbed_s": {battery: round(elapsed_s) for battery, elapsed_s in self._absorbed_s.items()},
            "absorbing_s": round(self._absorbing_s),
            "away_s": round(self._away_s),
            "soc_was_high": self._soc_was_high,
        }

    def pause(self) -> None:
        """Nothing is known for now: no time passes."""
        self._last_us = None
        for dwell in (self._reached, self._left, self._float_left):
            dwell.reset()

    def tick(self, inputs: PhaseInputs, now_us: int) -> None:
        """Let the time since the last tick pass under *inputs*."""
        elapsed_s = 0.0 if self._last_us is None else (now_us - self._last_us) / 1e6
        self._last_us = now_us
        if not self._switching:
            return
        if self.phase is ChargePhase.BULK:
            self._bulk(inputs, elapsed_s, now_us)
        elif self.phase is ChargePhase.ABSORPTION:
            self._absorption(inputs, elapsed_s, now_us)
        else:
            self._float(inputs, now_us)

    def _at_target(self, inputs: PhaseInputs, below_mv: float) -> bool:
        if inputs.voltage_mv is None:
            return False
        targets = [inputs.bulk_mv] + ([] if inputs.limited_mv is None else [inputs.limited_mv])
        return inputs.voltage_mv >= min(targets) - below_mv * inputs.cells

    def _enter(self, phase: ChargePhase) -> None:
        self.phase = phase
        self._soc_was_high = False
        for dwell in (self._reached, self._left, self._float_left):
            dwell.reset()
        if phase is not ChargePhase.BULK:
            self._away_s = 0.0

    def _bulk(self, inputs: PhaseInputs, elapsed_s: float, now_us: int) -> None:
        if self._absorbing_s:
            self._away_s += elapsed_s
            if self._away_s >= FORGET_S:
                self._forget()
        if self._reached.fulfilled(self._at_target(inputs, FULL_BELOW_MV), now_us):
            self._enter(ChargePhase.ABSORPTION)

    def _forget(self) -> None:
        self._absorbed_s, self._absorbing_s, self._away_s = {}, 0.0, 0.0

    def _absorption(self, inputs: PhaseInputs, elapsed_s: float, now_us: int) -> None:
        self._absorbing_s += elapsed_s
        for battery, _ in inputs.live:
            self._absorbed_s[battery] = self._absorbed_s.get(battery, 0.0) + elapsed_s
        done = inputs.live and all(self._absorbed_s.get(battery, 0.0) >= needed_s for battery, needed_s in inputs.live)
        if done or self._absorbing_s >= self._absorption_max_s:
            self._forget()
            self._enter(ChargePhase.FLOAT)
        elif inputs.voltage_mv is not None and self._left.fulfilled(not self._at_target(inputs, LEFT_BELOW_MV), now_us):
            self._enter(ChargePhase.BULK)

    def _float(self, inputs: PhaseInputs, now_us: int) -> None:
        soc_permille = inputs.soc_permille
        if soc_permille is not None and soc_permille >= self._rebulk_permille:
            self._soc_was_high = True
        if soc_permille is not None and self._soc_was_high:
            self._float_left.reset()
            if soc_permille < self._rebulk_permille:
                self._enter(ChargePhase.BULK)
            return
        low_mv = inputs.float_mv - LEFT_BELOW_MV * inputs.cells
        low = inputs.voltage_mv is not None and inputs.voltage_mv < low_mv
        if self._float_left.fulfilled(low, now_us):
            self._enter(ChargePhase.BULK)
