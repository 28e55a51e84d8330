"""Charge control of one service: the three limits that Venus OS obeys, for a single battery as for a bank.

A bank is a set of parallel strings; a string is one battery or several in series. A single battery is one string of
one, a series bank one string of all, a parallel bank as many strings of one: one path for all of them.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from attrs import evolve, frozen

from core.bank import Bank
from core.configuration import Configuration
from core.limits.departure import Departure
from core.limits.direction import COMPARABLE_S, Direction, Strand, key_of
from core.limits.limit import Limit, amperes, smallest
from core.limits.phases import ChargePhase, PhaseInputs, PhaseMachine
from core.limits.string_voltage import Part, StringOfCells, StringVoltage
from core.presence import Phase

RESTART_FRACTION = 0.015
"""After 0 a current limit stays 0 until more than this fraction of the maximum is allowed."""
STEP_MV = 10
STEP_MA = 100


@frozen
class Limits:
    """What Venus OS is told. Rounded: CVL down to 10 mV, currents to 0.1 A but never down to 0."""

    voltage: Limit
    charge: Limit
    discharge: Limit
    mode: str
    """The charge phase, as a word."""
    low_mv: int
    """Below it the battery is empty."""

    @property
    def cvl_mv(self) -> int:
        """The charge voltage limit."""
        return int(round(self.voltage.value, 3) // STEP_MV * STEP_MV)

    @property
    def ccl_ma(self) -> int:
        """The charge current limit."""
        return _to_step(self.charge.value)

    @property
    def dcl_ma(self) -> int:
        """The discharge current limit."""
        return _to_step(self.discharge.value)


def _to_step(current_ma: float) -> int:
    rounded_ma = round(current_ma / STEP_MA) * STEP_MA
    return rounded_ma if rounded_ma or current_ma <= 0 else STEP_MA


class ChargeControl:
    """Ask :meth:`tick` once per tick, after the bank has looked. *state* is what a former run left."""

    def __init__(
        self, bank: Bank, configuration: Configuration, state: Mapping[str, Any], capacities_mah: Mapping[str, int]
    ) -> None:
        self._bank = bank
        self._configuration = configuration
        self._state = dict(state)
        self._capacities_mah = capacities_mah
        self._phases = PhaseMachine(
            switching=configuration.float_switching,
            absorption_max_s=configuration.absorption_max_s,
            rebulk_permille=configuration.rebulk_soc_pct * 10,
            state=state,
        )
        self._strands: List[Strand] = []
        self._beginnings = 0
        self._departure = Departure()
        self._readings: List[Tuple[Phase, int, bool]] = []

    @property
    def problem(self) -> Optional[str]:
        """Why there are no limits although the batteries are there; ``None``: there are some, or nobody is there."""
        doubts = (member.doubt for member in self._bank.members if member.seen and member.cells is None)
        return next((doubt for doubt in doubts if doubt is not None), None)

    def state(self) -> Dict[str, Any]:
        """What must survive a restart, as plain JSON values."""
        if not self._strands:
            return self._state
        targets = {}
        if self._phases.phase is ChargePhase.FLOAT:
            targets = {strand.key: round(strand.voltage.target_mv) for strand in self._strands}
        return {**self._phases.state(), "float_target_mv": targets}

    def tick(self, now_us: int) -> Optional[Limits]:
        """The limits now; ``None`` while there are none to be had."""
        if self._bank.phase is Phase.START:
            return None
        if self._beginnings != self._bank.beginnings:
            self._strands, self._beginnings = [], self._bank.beginnings
        if not self._strands:
            if self.problem is not None or self._bank.phase is not Phase.LIVE:
                return None
            self._begin()
        for strand in self._strands:
            strand.look()
        self._readings = [
            (member.phase, member.battery.revision, (member.age_s or 0) >= COMPARABLE_S)
            for member in self._bank.members
        ]
        voltage = self._voltage(now_us)
        charge = self._shaped(self._charge, self._charge_target(now_us), now_us)
        discharge = self._shaped(self._discharge, self._discharge_target(now_us), now_us)
        low_mv = max(strand.voltage.string.low_mv for strand in self._strands)
        return Limits(voltage, charge, discharge, self._mode(), low_mv)

    def _begin(self) -> None:
        """The cell counts are known, and from now on fixed."""
        members = self._bank.members
        self._charge = Direction(self._bank, self._capacities_mah, charging=True)
        self._discharge = Direction(self._bank, self._capacities_mah, charging=False)
        groups = [(member,) for member in members] if self._bank.parallel else [members]
        targets = self._state.get("float_target_mv")
        for group in groups:
            parts = tuple(Part(m.battery, m.number, self._bank.cells_of(m)) for m in group)
            target = targets.get(key_of(group)) if isinstance(targets, dict) else None
            voltage = StringVoltage(
                StringOfCells(parts),
                linear=self._configuration.linear,
                float_from_mv=target if isinstance(target, (int, float)) and target > 0 else None,
            )
            self._strands.append(Strand(tuple(group), voltage))

    # Voltage

    def _voltage(self, now_us: int) -> Limit:
        if self._configuration.float_switching:
            self._advance_phase(now_us)
        limits = []
        for strand in self._strands:
            voltage, worst = strand.voltage, strand.worst
            if worst.live:
                limits.append(voltage.live(self._phases.phase, now_us))
            elif worst.phase is Phase.STALE and worst.age_s is not None:
                silent_us = now_us - round((worst.age_s - self._configuration.live_s) * 1e6)
                left_s = worst.hold_s(self._configuration) - worst.age_s
                limits.append(voltage.silent(worst.number, silent_us, now_us + round(left_s * 1e6), now_us))
            else:
                limits.append(voltage.lost(worst.number))
        return smallest(*limits)

    def _advance_phase(self, now_us: int) -> None:
        live = [strand.voltage for strand in self._strands if strand.worst.live]
        if not live:
            self._phases.pause()
            return
        known = [voltage.string.voltage_mv for voltage in live if voltage.string.voltage_mv is not None]
        limited = [voltage.limit.value for voltage in live if voltage.high_cell_limits and voltage.limit]
        batteries = [member.battery for member in self._bank.live_members()]
        inputs = PhaseInputs(
            cells=min(voltage.string.cells for voltage in live),
            voltage_mv=sum(known) / len(known) if known else None,
            bulk_mv=min(voltage.string.bulk_mv for voltage in live),
            float_mv=min(voltage.string.float_mv for voltage in live),
            limited_mv=min(limited, default=None),
            soc_permille=_lowest_soc(self._bank),
            live=[(b.configuration.battery, b.configuration.profile.absorption_s) for b in batteries],
        )
        self._phases.tick(inputs, now_us)

    def _mode(self) -> str:
        phase = self._phases.phase
        falling = any(strand.voltage.target_mv > strand.voltage.string.float_mv for strand in self._strands)
        return "Float Transition" if phase is ChargePhase.FLOAT and falling else phase.value

    # Currents

    def _charge_target(self, now_us: int) -> Limit:
        if self._bank.phase in (Phase.LOST, Phase.GONE):
            return Limit(0, "battery {} is lost: 0 A", (self._bank.most_silent.number,))
        total = self._charge.total(self._strands, self._readings, now_us)
        return self._never_more_while_silent(self._charge, self._cautious(total))

    def _cautious(self, total: Limit) -> Limit:
        """A battery that is lost is missed once in the sum and once more as a factor, for charging."""
        lost = [strand for strand in self._strands if strand.lost]
        if not lost:
            return total
        capacities = {strand.key: strand.capacity_mah(self._capacities_mah) for strand in self._strands}
        if not all(capacities.values()):
            factor = 1 - len(lost) / len(self._strands)
            return total.times(factor, "{0}; {1} of {2} batteries are lost", len(lost), len(self._strands))
        all_ah = sum(capacities.values()) / 1000
        lost_ah = sum(capacities[strand.key] for strand in lost) / 1000
        return total.times(1 - lost_ah / all_ah, "{0}; {1:.7g} of {2:.7g} Ah are lost", lost_ah, all_ah)

    def _discharge_target(self, now_us: int) -> Limit:
        published = self._discharge.last
        if self._bank.phase in (Phase.LOST, Phase.GONE):
            number = self._bank.most_silent.number
            if self._configuration.block_discharge_on_loss:
                return Limit(0, "battery {} is lost, BLOCK_DISCHARGE_ON_LOSS: 0 A", (number,), stops=True)
            if published is not None:
                return _held(published, number)
        total = self._discharge.total(self._strands, self._readings, now_us)
        if self._bank.parallel:
            published_ma = self._discharge.rise.value
            total = self._departure.soften(total, self._discharge.allowed_ma, published_ma, now_us)
        return self._never_more_while_silent(self._discharge, total)

    def _never_more_while_silent(self, direction: Direction, target: Limit) -> Limit:
        """While the bank is not LIVE, what was allowed at its last living moment, or less."""
        if self._bank.phase is Phase.LIVE:
            direction.held = None
            return target
        if direction.held is None:
            direction.held = direction.last
        if direction.held is None or target.value <= direction.held.value:
            direction.held = target
            return target
        held = direction.held
        number = self._bank.most_silent.number
        return held.because(held.value, "battery {1} is silent: held at {2} ({0})", number, amperes(held.value))

    def _shaped(self, direction: Direction, target: Limit, now_us: int) -> Limit:
        """Down at once, up with patience, and after a stop only for more than a trickle."""
        if direction.rise.value == 0 and target.value > 0:
            threshold_ma = RESTART_FRACTION * direction.max_ma(self._strands)
            if target.value <= threshold_ma:
                target = evolve(
                    target.because(0, "0 A until more than {1} are allowed ({0})", amperes(threshold_ma)), stops=True
                )
        direction.last = direction.rise.follow(target, now_us)
        return direction.last


def _held(published: Limit, number: int) -> Limit:
    return Limit(published.value, "battery {} is lost: held at {}", (number, amperes(published.value)), published.stops)


def _lowest_soc(bank: Bank) -> Optional[int]:
    known = [member.battery.soc_permille for member in bank.live_members()]
    return min((soc for soc in known if soc is not None), default=None)
