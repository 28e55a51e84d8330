"""What a bank is as a whole, computed from its live batteries at one tick. Rules: charge-control section 6.

Nothing is a partial sum: a series voltage needs every battery, a parallel current too. State of charge and capacities
may outlive their reading; everything else comes from batteries that are LIVE now.
"""

from __future__ import annotations

from itertools import chain
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from attrs import frozen

from core import plausibility
from core.bank import Bank, Member

SOC_KEPT_S = 1800
"""How long a silent battery of a parallel bank is counted with its last state of charge."""

Extreme = Tuple[int, str]
"""A value and where it was measured."""


@frozen
class Midpoint:
    """The voltage in the middle of a string, and how far the halves differ, in percent of the whole."""

    voltage_mv: float
    deviation_pct: float


@frozen
class BankValues:
    """``None`` is not known now. Current is positive while charging."""

    voltage_mv: Optional[float]
    current_ma: Optional[float]
    estimated: bool
    """The current of batteries that are not there was estimated from the others."""
    soc_permille: Optional[float]
    installed_mah: Optional[int]
    remaining_mah: Optional[float]
    consumed_mah: Optional[float]
    temperature_dc: Optional[float]
    coldest: Optional[Extreme]
    hottest: Optional[Extreme]
    lowest_cell: Optional[Extreme]
    highest_cell: Optional[Extreme]
    cells_sum_mv: Optional[float]
    cells_diff_mv: Optional[int]
    balancing: Optional[bool]
    midpoint: Optional[Midpoint]


def values_of(bank: Bank, capacities_mah: Mapping[str, int]) -> BankValues:
    """*capacities_mah*: what former runs saw of batteries that never answered in this one."""
    live = bank.live_members()
    cells = _Cells(bank, live)
    voltage_mv = _voltage_mv(bank, live)
    current_ma, estimated = _current_ma(bank, live, capacities_mah)
    soc_permille = _soc_permille(bank)
    installed_mah = _installed_mah(bank, capacities_mah)
    remaining_mah = _remaining_mah(bank, soc_permille, installed_mah)
    consumed_mah = None
    if remaining_mah is not None and installed_mah is not None:
        consumed_mah = min(0, remaining_mah - installed_mah)
    together = live if bank.parallel or bank.whole else ()
    temperatures = [(t, member, sensor) for member in together for sensor, t in member.battery.temperatures_dc()]
    coldest = min(temperatures, key=lambda each: each[0], default=None)
    hottest = max(temperatures, key=lambda each: each[0], default=None)
    packs = [member.battery.pack for member in together]
    return BankValues(
        voltage_mv=voltage_mv,
        current_ma=current_ma,
        estimated=estimated,
        soc_permille=soc_permille,
        installed_mah=installed_mah,
        remaining_mah=remaining_mah,
        consumed_mah=consumed_mah,
        temperature_dc=sum(each[0] for each in temperatures) / len(temperatures) if temperatures else None,
        coldest=(coldest[0], _place(bank, coldest[1], "T", coldest[2])) if coldest else None,
        hottest=(hottest[0], _place(bank, hottest[1], "T", hottest[2])) if hottest else None,
        lowest_cell=cells.lowest,
        highest_cell=cells.highest,
        cells_sum_mv=cells.sum_mv,
        cells_diff_mv=cells.diff_mv,
        balancing=any(pack.balancing_cells for pack in packs if pack) if packs else None,
        midpoint=cells.midpoint() if bank.configuration.midpoint else None,
    )


def first_cell(bank: Bank, member: Member) -> int:
    """The number, in the whole, of the first cell of *member*: fixed, whoever is missing."""
    if not bank.series:
        return 1
    return 1 + sum(bank.cells_of(before) for before in bank.members[: member.number - 1])


def _place(bank: Bank, member: Member, kind: str, number: int) -> str:
    """``C3`` in one battery or string, ``B2C3`` in parallel ones; sensors are never numbered through."""
    if len(bank.members) == 1:
        return "{}{}".format(kind, number)
    if bank.series and kind == "C":
        return "C{}".format(first_cell(bank, member) + number - 1)
    return "B{}{}{}".format(member.number, kind, number)


def _voltage_mv(bank: Bank, live: Sequence[Member]) -> Optional[float]:
    known = [(member, member.battery.pack) for member in live if member.battery.pack is not None]
    if not known or not (bank.parallel or bank.whole):
        return None
    if not bank.parallel:
        return sum(pack.voltage_mv for _, pack in known)
    weights = [member.battery.installed_mah or 0 for member, _ in known]
    if not all(weights):
        weights = [1] * len(known)
    return sum(weight * pack.voltage_mv for weight, (_, pack) in zip(weights, known)) / sum(weights)


def _current_ma(bank: Bank, live: Sequence[Member], capacities_mah: Mapping[str, int]) -> Tuple[Optional[float], bool]:
    """The current, and whether it is estimated."""
    currents = [member.battery.current_ma for member in live]
    known = [current_ma for current_ma in currents if current_ma is not None]
    if not bank.parallel:
        return _median(known), False
    if not known or len(known) < len(currents):
        return None, False
    if bank.whole:
        return sum(known), False
    total_mah = _installed_mah(bank, capacities_mah)
    live_mah = sum(member.battery.installed_mah or 0 for member in live)
    if not bank.configuration.estimate_lost or not total_mah or live_mah * 2 < total_mah:
        return None, False
    return sum(known) * total_mah / live_mah, True


def _median(values: List[int]) -> Optional[float]:
    if not values:
        return None
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _soc_permille(bank: Bank) -> Optional[float]:
    states = [(member, member.battery.soc_permille) for member in bank.members if member.seen and member.fits]
    if not bank.parallel:
        known = [soc for _, soc in states if soc is not None]
        return min(known) if len(known) == len(bank.members) else None
    kept = [(m.battery.installed_mah, soc) for m, soc in states if soc is not None and (m.age_s or 0) <= SOC_KEPT_S]
    weighed = [(capacity_mah, soc) for capacity_mah, soc in kept if capacity_mah]
    if not weighed or len(weighed) < len(kept):
        return None
    return sum(capacity_mah * soc for capacity_mah, soc in weighed) / sum(capacity_mah for capacity_mah, _ in weighed)


def _installed_mah(bank: Bank, capacities_mah: Mapping[str, int]) -> Optional[int]:
    """Of all batteries, those included that are not there."""
    known = [
        member.battery.installed_mah or capacities_mah.get(member.battery.configuration.battery)
        for member in bank.members
    ]
    capacities = [capacity_mah for capacity_mah in known if capacity_mah]
    if len(capacities) < len(known):
        return None
    return sum(capacities) if bank.parallel else min(capacities)


def _remaining_mah(bank: Bank, soc_permille: Optional[float], installed_mah: Optional[int]) -> Optional[float]:
    if bank.parallel:
        return None if soc_permille is None or installed_mah is None else installed_mah * soc_permille / 1000
    known = [member.battery.remaining_mah for member in bank.members]
    remaining = [remaining_mah for remaining_mah in known if remaining_mah is not None]
    return min(remaining) if len(remaining) == len(known) else None


def _count_is_disputed(bank: Bank, member: Member) -> bool:
    """Whether the battery contradicts itself, or what the bank began with."""
    another = bank.cells_of(member) not in (0, len(member.battery.cell_voltages_mv()))
    return another or plausibility.CELL_COUNT in member.battery.marks


class _Cells:
    """The cells of the live batteries; nothing as soon as one count is in dispute, or a string is not whole."""

    def __init__(self, bank: Bank, live: Sequence[Member]) -> None:
        self._bank = bank
        self._by_member: Dict[int, Tuple[int, ...]] = {}
        whole = bank.parallel or bank.whole
        disputed = any(_count_is_disputed(bank, member) for member in live)
        self.lowest: Optional[Extreme] = None
        self.highest: Optional[Extreme] = None
        if not live or not whole or disputed:
            return
        self._by_member = {member.number: member.battery.cell_voltages_mv() for member in live}
        named = [(mv, member, n) for member in live for n, mv in enumerate(self._by_member[member.number], 1)]
        if named:
            low, high = min(named, key=lambda each: each[0]), max(named, key=lambda each: each[0])
            self.lowest = low[0], _place(bank, low[1], "C", low[2])
            self.highest = high[0], _place(bank, high[1], "C", high[2])

    @property
    def sum_mv(self) -> Optional[float]:
        """Of the string; in parallel the mean of the batteries."""
        sums = [sum(cells_mv) for cells_mv in self._by_member.values() if cells_mv]
        if not sums:
            return None
        return sum(sums) / len(sums) if self._bank.parallel else sum(sums)

    @property
    def diff_mv(self) -> Optional[int]:
        """Between the extreme cells; in parallel inside the worst battery."""
        if self.lowest is None or self.highest is None:
            return None
        if not self._bank.parallel:
            return self.highest[0] - self.lowest[0]
        return max(max(cells_mv) - min(cells_mv) for cells_mv in self._by_member.values() if cells_mv)

    def midpoint(self) -> Optional[Midpoint]:
        """Of the string; in parallel of the battery whose halves differ most. Four cells are needed."""
        strings: List[Tuple[int, ...]] = list(self._by_member.values())
        if not self._bank.parallel:
            strings = [tuple(chain.from_iterable(strings))]
        midpoints = [_midpoint(string_mv) for string_mv in strings if len(string_mv) >= 4 and any(string_mv)]
        return max(midpoints, key=lambda midpoint: abs(midpoint.deviation_pct), default=None)


def _midpoint(cells_mv: Sequence[int]) -> Midpoint:
    half, odd = divmod(len(cells_mv), 2)
    lower_mv = sum(cells_mv[:half]) + (cells_mv[half] / 2 if odd else 0)
    upper_mv = sum(cells_mv) - lower_mv
    return Midpoint(lower_mv, (upper_mv - lower_mv) / (upper_mv + lower_mv) * 100)
