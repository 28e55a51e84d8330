"""Limits fall at once and rise with patience: chargers and inverters must not hunt."""

from __future__ import annotations

from typing import Callable, Optional, Tuple

from core.limits.limit import Limit, seconds

TICK_US = 1_000_000
"""A hold, and a ramp without one, begin at the tick before: when the value was published."""


class Rise:
    """Follows a limit downwards at once, upwards after a hold along a ramp. Rate per second, in the limit's unit."""

    def __init__(self, *, hold_s: float, rate: float, show: Callable[[float], str]) -> None:
        self._hold_us = round(hold_s * 1e6)
        self._rate = rate
        self._show = show
        self._ramp: Optional[Tuple[float, int]] = None
        self._last_us = 0
        self.value: Optional[float] = None
        """What was followed last; ``None`` before the first time, when the target holds as it is."""

    def begin_at(self, value: float) -> None:
        """Go on from *value*, whatever was before."""
        self.value, self._ramp = value, None

    def follow(self, target: Limit, now_us: int) -> Limit:
        """The limit at *now_us*. Call once per tick."""
        last_us, self._last_us = max(self._last_us, now_us - TICK_US), now_us
        if self.value is None or target.value <= self.value:
            self.value, self._ramp = target.value, None
            return target
        if self._ramp is None:
            self._ramp = (self.value, last_us + self._hold_us)
        start, start_us = self._ramp
        if now_us < start_us:
            return target.because(
                start,
                "held at {1}, may rise from {2} of uptime ({0})",
                self._show(start), seconds(start_us),
            )  # fmt: skip
        self.value = min(target.value, start + self._rate * (now_us - start_us) / 1e6)
        if self.value >= target.value:
            self._ramp = None
            return target
        return target.because(
            self.value,
            "rising from {1} at {2} of uptime, {3} a second ({0})",
            self._show(start), seconds(start_us), self._show(self._rate),
        )  # fmt: skip
