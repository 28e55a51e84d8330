"""Batteries of a bank that do not pull together. Warnings only: no flag here ever moves a limit.

What a parallel battery may be loaded with follows from its measured share (:mod:`core.limits.sharing`), and the
high-cell rule does what a flag on voltages could. Every flag needs its condition for a minute, over samples that
are young enough to be compared. Thresholds: charge-control sections 6.2 and 6.3.
"""

from __future__ import annotations

from typing import Any, List, Sequence

from attrs import frozen

from core.bank import Bank, Member
from core.limits.dwell import Flag

PERSISTENCE_S = 60
COMPARABLE_S = 10
VOLTAGE_MV = 300
VOLTAGE_FRACTION = 0.01
MEAN_C_RATE = 0.05
CURRENT_FRACTION = 0.2
CIRCULATING_C_RATE = 0.02
SENSOR_MA = 2_000
SENSOR_FRACTION = 0.1
SERIES_SOC_PERMILLE = 100


@frozen
class Imbalances:
    """What is flagged now."""

    voltage: bool = False
    current: bool = False
    soc: bool = False
    sensors: bool = False
    """Batteries in series measure different currents."""

    @property
    def any_cells(self) -> bool:
        """Whether the owner is to be warned of imbalance."""
        return self.voltage or self.current or self.soc


class ImbalanceWatch:
    """Ask once per tick, after the bank has looked."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._flags = [Flag(PERSISTENCE_S) for _ in range(4)]
        self._found = Imbalances()
        self._judged: Any = None
        self._conditions = [False] * 4

    def look(self, now_us: int) -> Imbalances:
        """The flags at *now_us*."""
        if len(self._bank.members) == 1:
            return self._found
        members = [m for m in self._bank.live_members() if m.age_s is not None and m.age_s < COMPARABLE_S]
        judged = [(member.number, member.battery.revision) for member in members]
        if judged != self._judged:
            self._judged, self._conditions = judged, self._judge(members)
        raised = [flag.update(condition, now_us) for flag, condition in zip(self._flags, self._conditions)]
        if raised != [self._found.voltage, self._found.current, self._found.soc, self._found.sensors]:
            self._found = Imbalances(*raised)
        return self._found

    def _judge(self, members: Sequence[Member]) -> List[bool]:
        """What the newest samples say, flag by flag."""
        if len(members) < 2:
            return [False] * 4
        socs = [member.battery.soc_permille for member in members]
        known = [soc for soc in socs if soc is not None]
        spread = max(known) - min(known) if len(known) == len(socs) else 0
        return self._parallel(members, spread) if self._bank.parallel else self._series(members, spread)

    def _parallel(self, members: Sequence[Member], soc_spread: int) -> List[bool]:
        voltages = [m.battery.pack.voltage_mv for m in members if m.battery.pack is not None]
        allowed_mv = max(VOLTAGE_MV, VOLTAGE_FRACTION * max(voltages))
        limit_pct = self._bank.configuration.soc_imbalance_pct
        soc = limit_pct is not None and soc_spread > limit_pct * 10
        return [max(voltages) - min(voltages) > allowed_mv, _uneven(members), soc, False]

    def _series(self, members: Sequence[Member], soc_spread: int) -> List[bool]:
        currents = [m.battery.current_ma for m in members]
        known = [current_ma for current_ma in currents if current_ma is not None]
        allowed_ma = max([SENSOR_MA] + [SENSOR_FRACTION * abs(current_ma) for current_ma in known])
        apart = len(known) > 1 and max(known) - min(known) > allowed_ma
        return [False, False, soc_spread > SERIES_SOC_PERMILLE, apart]


def _uneven(members: Sequence[Member]) -> bool:
    """Whether currents, each divided by its battery's capacity, differ too much or run against each other."""
    rates = [
        member.battery.current_ma / member.battery.installed_mah
        for member in members
        if member.battery.current_ma is not None and member.battery.installed_mah
    ]
    if len(rates) < 2:
        return False
    mean = sum(abs(rate) for rate in rates) / len(rates)
    apart = max(rates) - min(rates) > CURRENT_FRACTION * max(abs(rate) for rate in rates)
    circulating = max(rates) > CIRCULATING_C_RATE and min(rates) < -CIRCULATING_C_RATE
    return (mean > MEAN_C_RATE and apart) or circulating
