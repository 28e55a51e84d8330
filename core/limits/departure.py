"""A battery that leaves a parallel bank takes its share of the discharge limit along: over a minute, not at once."""

from __future__ import annotations

from typing import Mapping, Optional

from attrs import frozen

from core.limits.limit import Limit, seconds

DEPARTURE_US = 60_000_000


@frozen
class _Left:
    at_us: int
    published_ma: float
    share_ma: float
    """What those that left had allowed."""
    others_ma: float
    """What those that stayed allowed before."""


class Departure:
    """Ask once per tick with what every battery that is there allows by itself, in mA by its number."""

    def __init__(self) -> None:
        self._before: Mapping[int, float] = {}
        self._left: Optional[_Left] = None

    def soften(self, total: Limit, present: Mapping[int, float], published_ma: Optional[float], now_us: int) -> Limit:
        """*total*, and for a while some of what left. A fall of those that stayed passes through in proportion."""
        before, self._before = self._before, dict(present)
        if present.keys() - before.keys():
            self._left = None
        elif before.keys() - present.keys() and published_ma is not None:
            share_ma = sum(allowed for number, allowed in before.items() if number not in present)
            others_ma = sum(before[number] for number in present)
            self._left = _Left(now_us, published_ma, share_ma, others_ma)
        left = self._left
        if left is None:
            return total
        rest = 1 - (now_us - left.at_us) / DEPARTURE_US
        more_ma = min(left.share_ma, max(0.0, left.published_ma - total.value))
        if left.others_ma:
            more_ma *= min(1.0, sum(present.values()) / left.others_ma)
        if rest <= 0 or not total.value or not more_ma:
            return total
        return total.because(
            total.value + more_ma * rest,
            "{0}; a battery left at {1} of uptime: {2:.7g} A more, falling to 0 over 60 s",
            seconds(left.at_us), more_ma / 1000,
        )  # fmt: skip
