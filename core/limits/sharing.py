"""How parallel batteries share the current, and what the bank may carry so that none is driven beyond its own limit.

Batteries share by resistance, not by capacity: each is granted the larger of its share of the capacity and its
measured share. Rules: charge-control section 6.2, CCL and DCL.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, Iterable, List, Optional, Sequence, Tuple

from attrs import frozen

from core.limits.dwell import Dwell
from core.limits.limit import Limit, amperes, smallest

MEAN_US = 60_000_000
DECAY_US = 600_000_000
MEASURABLE_C_RATE = 0.1
"""The current of the bank above which shares can be measured, as a fraction of its capacity per hour."""
OVERLOAD_S = 20


@frozen
class Sharer:
    """One battery that can carry current now."""

    number: int
    capacity_mah: int
    limit: Limit
    current_ma: Optional[int]
    """In the direction in question, from a sample young enough to be compared; ``None``: none."""


class Sharing:
    """One direction of a parallel bank. Ask once per tick."""

    def __init__(self) -> None:
        self._samples: Deque[Tuple[int, Dict[int, float]]] = deque()
        self._sums: Dict[int, float] = {}
        self._measured: Dict[int, float] = {}
        self._measured_us = 0
        self._overloads: Dict[int, Dwell] = {}
        self._ceiling: Optional[Tuple[int, Limit]] = None

    def total(self, sharers: Sequence[Sharer], now_us: int) -> Limit:
        """The limit of the bank; *sharers* are the batteries that current can flow through, at least one."""
        if len(sharers) == 1:
            self._forget(())
            return sharers[0].limit
        shares = self._shares(sharers, now_us)
        tightest = min(sharers, key=lambda sharer: sharer.limit.value / shares[sharer.number])
        share = shares[tightest.number]
        total = tightest.limit.times(1 / share, "{0}; battery {1} takes {2:.7g} of the current", tightest.number, share)
        alone = sum(sharer.limit.value for sharer in sharers)
        if alone < total.value:
            texts = " + ".join(amperes(sharer.limit.value) for sharer in sharers)
            total = Limit(alone, "all batteries together: {}", (texts,))
        ceiling = self._overloaded(sharers, now_us)
        return total if ceiling is None else smallest(total, ceiling)

    def _shares(self, sharers: Sequence[Sharer], now_us: int) -> Dict[int, float]:
        capacity_mah = sum(sharer.capacity_mah for sharer in sharers)
        by_capacity = {sharer.number: sharer.capacity_mah / capacity_mah for sharer in sharers}
        self._measure(sharers, capacity_mah, now_us)
        if self._measured.keys() != by_capacity.keys():
            return by_capacity
        trust = max(0.0, 1 - (now_us - self._measured_us) / DECAY_US)
        return {
            number: max(share, share + (self._measured[number] - share) * trust)
            for number, share in by_capacity.items()
        }

    def _measure(self, sharers: Sequence[Sharer], capacity_mah: int, now_us: int) -> None:
        """Take the present shares into the mean over a minute, if the current is worth it."""
        numbers = {sharer.number for sharer in sharers}
        if self._sums.keys() != numbers:
            self._forget(numbers)
        currents = {sharer.number: sharer.current_ma for sharer in sharers}
        known = [current_ma for current_ma in currents.values() if current_ma is not None]
        total_ma = sum(known)
        if len(known) == len(currents) and total_ma > MEASURABLE_C_RATE * capacity_mah:
            self._add(now_us, {number: (current_ma or 0) / total_ma for number, current_ma in currents.items()})

    def _forget(self, numbers: Iterable[int]) -> None:
        """Other batteries share now: what was measured of the former ones says nothing."""
        self._samples.clear()
        self._sums = dict.fromkeys(numbers, 0.0)
        self._measured, self._ceiling = {}, None
        self._overloads.clear()

    def _add(self, now_us: int, shares: Dict[int, float]) -> None:
        self._samples.append((now_us, shares))
        for number, share in shares.items():
            self._sums[number] += share
        while now_us - self._samples[0][0] > MEAN_US:
            _, old = self._samples.popleft()
            for number, share in old.items():
                self._sums[number] -= share
        self._measured = {number: total / len(self._samples) for number, total in self._sums.items()}
        self._measured_us = now_us

    def _overloaded(self, sharers: Sequence[Sharer], now_us: int) -> Optional[Limit]:
        """What would bring a battery back that has carried more than its own limit for a while.

        In proportion to what all of them carried, not to what was allowed: a load that obeys no limit would drive it to
        0. Kept until shares decay.
        """
        currents_ma = [sharer.current_ma for sharer in sharers]
        total_ma = sum(current_ma or 0 for current_ma in currents_ma)
        lowered: List[Limit] = []
        for sharer in sharers:
            over = sharer.current_ma is not None and sharer.current_ma > sharer.limit.value > 0
            dwell = self._overloads.setdefault(sharer.number, Dwell(OVERLOAD_S))
            if not dwell.fulfilled(over, now_us) or None in currents_ma or total_ma <= 0:
                continue
            dwell.reset()
            carried_ma = sharer.current_ma or 1
            lowered.append(
                Limit(
                    total_ma * sharer.limit.value / carried_ma,
                    "battery {} carried {} instead of {} while all carried {}",
                    (sharer.number, *map(amperes, (carried_ma, sharer.limit.value, total_ma))),
                )
            )
        if lowered:
            self._ceiling = (now_us, smallest(*lowered))
        elif self._ceiling is not None and now_us - self._ceiling[0] >= DECAY_US:
            self._ceiling = None
        return self._ceiling[1] if self._ceiling else None
