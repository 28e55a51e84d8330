"""The batteries that one service stands for: a single one, or several in series or in parallel; and how fresh they are.

A series bank is as old as its oldest battery: one that is silent silences the whole. A parallel bank lives as long as
one of its batteries does. Rules: venus-dbus D.4.
"""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from core.battery import Battery
from core.configuration import PARALLEL, PLAIN_HOLD_S, SEPARATE, SERIES, Configuration
from core.limits.dwell import Dwell
from core.plausibility import CELL_COUNT, MAX_CELLS, VOLTAGE
from core.presence import Phase, phase_of
from core.readings import PackReading

CELL_LIMITS_MV = (1500, 4500)
"""What the pack voltage can be per cell; outside of it the number of cells is wrong."""
RECOUNT_S = 60
"""After so long of another number of cells the bank leaves, and begins anew with it."""
_BY_SILENCE = (Phase.LIVE, Phase.STALE, Phase.LOST, Phase.GONE, Phase.START)

SAFE_CELL_MV = (3200, 3400)
SAFE_TEMPERATURE_DC = (50, 400)
"""A hold above two minutes is honoured only while the last readings were inside (LFP, neither full nor empty)."""


class Member:
    """One battery of a bank at the present tick."""

    def __init__(self, battery: Battery, number: int) -> None:
        self.battery = battery
        self.number = number
        """Its place in the configuration, from 1. Never changes, whoever is missing."""
        self.phase = Phase.START
        self.live = False
        """Whether its readings are true now."""
        self.age_s: Optional[float] = None
        self.cells: Optional[int] = None
        """How many cells it has: what it first said without contradicting itself, and for good once the bank began."""
        self.released_min = 0
        """For how many minutes more it is free for a phone."""
        self.fits = True
        """Whether it may be in this bank at all."""

    def look(self, configuration: Configuration, now_us: int) -> None:
        """Judge its age at *now_us*."""
        self.age_s = self.battery.age_s(now_us)
        self.released_min = self.battery.link.released_min(now_us)
        self.enter(phase_of(self.age_s, configuration, self.hold_s(configuration)))

    def enter(self, phase: Phase) -> None:
        """Be in *phase* at this tick."""
        self.phase = phase
        self.live = phase is Phase.LIVE

    def count_cells(self) -> None:
        """Take what it says now for its number of cells, unless there is a doubt."""
        if self.seen and self.doubt is None:
            self.cells = len(self.battery.cell_voltages_mv())

    @property
    def counts_anew(self) -> bool:
        """Whether it says, without a doubt, that it has other cells than the bank began with."""
        return self.live and self.cells not in (None, len(self.battery.cell_voltages_mv())) and self.doubt is None

    @property
    def doubt(self) -> Optional[str]:
        """Why its number of cells cannot be trusted: a wrong one would make a lethal voltage limit."""
        pack, name = self.battery.pack, self.battery.configuration.battery
        reason = None if pack is None else _count_in_doubt(self.battery, pack)
        return None if reason is None else "{}: {}".format(name, reason)

    def hold_s(self, configuration: Configuration) -> float:
        """How long it may be silent before it counts as lost."""
        monitor = configuration.topology == SEPARATE  # nobody is charged by what it holds
        if monitor or configuration.hold_seconds <= PLAIN_HOLD_S or _was_safe(self.battery):
            return configuration.hold_seconds
        return PLAIN_HOLD_S

    @property
    def lost(self) -> bool:
        """Whether nobody can vouch for it: silent for too long, or never there."""
        return self.phase not in (Phase.LIVE, Phase.STALE)

    @property
    def seen(self) -> bool:
        """Whether it ever was complete in this run."""
        return self.phase is not Phase.START


def _count_in_doubt(battery: Battery, pack: PackReading) -> Optional[str]:
    cells, asserted = len(battery.cell_voltages_mv()), battery.configuration.cell_count
    if CELL_COUNT in battery.marks:
        return battery.marks[CELL_COUNT]
    if not pack.cell_count and (VOLTAGE in battery.marks or not battery.cells_are_known):
        return "it does not say how many cells it has, and they do not add up"
    if asserted not in (None, cells):
        return "CELL_COUNT = {}, but the BMS has {} cells".format(asserted, cells)
    if not 1 <= cells <= MAX_CELLS:
        return "{} cells".format(cells)
    if not CELL_LIMITS_MV[0] <= pack.voltage_mv / cells <= CELL_LIMITS_MV[1]:
        return "{} mV over {} cells".format(pack.voltage_mv, cells)
    return None


def most_silent(members: Sequence[Member]) -> Member:
    """The one of *members* of which least is known now; one that never answered before all others."""
    return max(members, key=lambda member: (_BY_SILENCE.index(member.phase), member.age_s or 0))


def _was_safe(battery: Battery) -> bool:
    cells = battery.plausible_cells_mv()
    sensors = battery.temperatures_dc()
    return (
        battery.cells_are_known
        and all(SAFE_CELL_MV[0] <= mv <= SAFE_CELL_MV[1] for _, mv in cells)
        and all(SAFE_TEMPERATURE_DC[0] <= t <= SAFE_TEMPERATURE_DC[1] for _, t in sensors)
    )


class Bank:
    """*began_us* is when the session started; a parallel bank waits from then on for its last battery."""

    def __init__(self, batteries: Sequence[Battery], configuration: Configuration, began_us: int) -> None:
        self.configuration = configuration
        self.members = tuple(Member(battery, number) for number, battery in enumerate(batteries, 1))
        self.phase = Phase.START
        self.problem: Optional[str] = None
        """Why the bank cannot be published at all."""
        self.beginnings = 0
        """How often it began: anew when a battery turns out to have another number of cells."""
        self._began_us = began_us
        self._begun = False
        self._recounted = Dwell(RECOUNT_S)
        self._cells_each = 0
        self._monitor = configuration.topology == SEPARATE

    @property
    def parallel(self) -> bool:
        """Whether the batteries share a voltage, rather than a current."""
        return self.configuration.topology == PARALLEL

    @property
    def series(self) -> bool:
        """Whether several batteries are one string."""
        return self.configuration.topology == SERIES

    def look(self, now_us: int) -> Phase:
        """Judge every member and the whole at *now_us*. Once per tick."""
        for member in self.members:
            member.look(self.configuration, now_us)
            if not self._begun or member.cells is None:
                member.count_cells()
        self.problem = self._disagreement()
        if self._begun and self._recounted.fulfilled(any(member.counts_anew for member in self.members), now_us):
            self._forget_cells()
            return self.phase
        if not self._begun:
            self._begun = self._may_begin(now_us)
            self.beginnings += self._begun
            self._cells_each = next((member.cells for member in self.members if member.cells), 0)
        if not self._begun:
            return self.phase
        if self.parallel:
            self._exclude_misfits()
        judge = min if self.parallel else max
        self.phase = judge((member.phase for member in self.members if member.seen), key=_BY_SILENCE.index)
        return self.phase

    def _forget_cells(self) -> None:
        """What the bank began with was wrong: a voltage limit for so many cells would be lethal."""
        self._begun, self.phase = False, Phase.START
        self._recounted.reset()
        for member in self.members:
            member.cells = None

    def _may_begin(self, now_us: int) -> bool:
        seen = [member for member in self.members if member.seen]
        if self._monitor:
            return bool(seen)  # it shows what it has, whatever that is
        if self.problem is not None or (any(member.cells is None for member in seen) and len(self.members) > 1):
            return False
        if len(self.live_members()) == len(self.members):
            return True
        waited = now_us - self._began_us >= self.configuration.start_wait_seconds * 1_000_000
        return self.parallel and waited and bool(self.live_members())

    def _disagreement(self) -> Optional[str]:
        doubts = [member.doubt for member in self.members if member.seen and member.cells is None]
        if doubts and doubts[0] is not None and len(self.members) > 1:
            return doubts[0]
        counts = {member.battery.configuration.battery: member.cells for member in self.members if member.cells}
        if not self.parallel or len(set(counts.values())) <= 1:
            return None
        listed = ", ".join("{} has {}".format(battery, count) for battery, count in counts.items())
        return "parallel batteries need equal cell counts: {}".format(listed)

    def _exclude_misfits(self) -> None:
        """One that came late with other cells counts as lost, one whose number of cells is in doubt as never seen."""
        for member in self.members:
            member.fits = member.cells in (None, self._cells_each)
            if member.cells is None:
                member.enter(Phase.START)
            elif not member.fits and member.phase in (Phase.LIVE, Phase.STALE):
                member.enter(Phase.LOST)

    def cells_of(self, member: Member) -> int:
        """How many cells *member* has; one that never answered is like the others."""
        return member.cells or self._cells_each

    @property
    def whole(self) -> bool:
        """Whether every battery is there now."""
        return all(member.live for member in self.members)

    @property
    def most_silent(self) -> Member:
        """The member of which least is known now."""
        return most_silent(self.members)

    def live_members(self) -> Tuple[Member, ...]:
        """Those whose readings are true now."""
        return tuple(member for member in self.members if member.live)
