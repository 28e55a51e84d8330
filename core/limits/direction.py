"""Charging or discharging of a bank: what every string allows, and what they allow together."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from core.bank import Bank, Member, most_silent
from core.limits.limit import Limit, amperes, smallest
from core.limits.one_battery import CurrentLimit
from core.limits.rise import Rise
from core.limits.sharing import Sharer, Sharing
from core.limits.string_voltage import StringVoltage

CHARGE_RISE_HOLD_S = 30
CHARGE_RISE_MA_PER_S = 5_000
DISCHARGE_RISE_MA_PER_S = 20_000
COMPARABLE_S = 10
"""Samples older than this are not compared with others."""
ASSUMED_MAH = 100_000
"""For comparing strings whose capacity nobody knows."""


class Strand:
    """A string with its batteries as they are at the present tick."""

    def __init__(self, members: Tuple[Member, ...], voltage: StringVoltage) -> None:
        self.members = members
        self.number = members[0].number
        self.voltage = voltage
        self.worst = members[0]
        self.lost = False

    def look(self) -> None:
        """Judge it by the battery of which least is known."""
        self.worst = most_silent(self.members)
        self.lost = self.worst.lost

    def capacity_mah(self, remembered: Mapping[str, int]) -> int:
        """As it says, or as former runs saw it; 0 if nobody knows. Only parallel strings, of one battery, are asked."""
        battery = self.members[0].battery
        return battery.installed_mah or remembered.get(battery.configuration.battery, 0)

    @property
    def key(self) -> str:
        """Its batteries, as they are remembered."""
        return key_of(self.members)


def key_of(members: Sequence[Member]) -> str:
    """Under which a string of *members* is remembered."""
    return " ".join(member.battery.configuration.battery for member in members)


class Direction:
    """One direction of a bank whose cell counts are known. Ask once per tick."""

    def __init__(self, bank: Bank, capacities_mah: Mapping[str, int], *, charging: bool) -> None:
        linear = bank.configuration.linear
        self._by_member = {
            member.number: CurrentLimit(
                member.battery, member.number, cells=bank.cells_of(member), charging=charging, linear=linear
            )
            for member in bank.members
        }
        self._capacities_mah = capacities_mah
        self._sharing = Sharing()
        if charging:
            self.rise = Rise(hold_s=CHARGE_RISE_HOLD_S, rate=CHARGE_RISE_MA_PER_S, show=amperes)
        else:
            self.rise = Rise(hold_s=0, rate=DISCHARGE_RISE_MA_PER_S, show=amperes)
        self.last: Optional[Limit] = None
        """What was published last."""
        self.held: Optional[Limit] = None
        """What holds as a ceiling while the bank is silent."""
        self.allowed_ma: Dict[int, float] = {}
        """What each string that is there allows by itself, by its number."""
        self._sign = 1 if charging else -1
        self._readings: Any = None
        self._sharers: List[Sharer] = []
        self._interrupted: List[Limit] = []

    def total(self, strands: Sequence[Strand], readings: object, now_us: int) -> Limit:
        """What those of *strands* that are there allow together. *readings* tells whether there is news."""
        if readings != self._readings or any(limit.waits for limit in self._by_member.values()):
            self._readings = readings
            self._ask(strands, now_us)
        return self._sharing.total(self._sharers, now_us) if self._sharers else smallest(*self._interrupted)

    def _ask(self, strands: Sequence[Strand], now_us: int) -> None:
        """A string that is lost is not there, one that is interrupted carries nothing."""
        present = [strand for strand in strands if not strand.lost]
        self._interrupted, self._sharers, self.allowed_ma = [], [], {}
        for strand, weight in zip(present, self._weights(present)):
            limit = self._string_limit(strand.members, now_us)
            self.allowed_ma[strand.number] = limit.value
            if all(self._by_member[member.number].connected for member in strand.members):
                self._sharers.append(Sharer(strand.number, weight, limit, self._current_ma(strand.members[0])))
            else:
                self._interrupted.append(limit)

    def _string_limit(self, members: Sequence[Member], now_us: int) -> Limit:
        """The strictest of its batteries."""
        limits = [(member.live, self._by_member[member.number]) for member in members]
        return smallest(*(limit.live(now_us) if live else limit.silent(now_us) for live, limit in limits))

    def _weights(self, strands: Sequence[Strand]) -> List[int]:
        """How much of the bank each string is, in mAh; as soon as one is unknown, they count as equal."""
        if len(strands) == 1:
            return [ASSUMED_MAH]
        capacities = [strand.capacity_mah(self._capacities_mah) for strand in strands]
        return capacities if all(capacities) else [ASSUMED_MAH] * len(capacities)

    def _current_ma(self, member: Member) -> Optional[int]:
        """The measured current in this direction, if it can be compared with that of other strings."""
        if not member.live or member.age_s is None or member.age_s >= COMPARABLE_S:
            return None
        current_ma = member.battery.current_ma
        return None if current_ma is None else self._sign * current_ma

    def max_ma(self, strands: Sequence[Strand]) -> int:
        """The configured maximum of the strings that are there."""
        return sum(
            min(self._by_member[member.number].max_ma for member in strand.members)
            for strand in strands
            if not strand.lost
        )
