"""A condition that counts only after it has lasted."""

from __future__ import annotations

from typing import Optional


class Dwell:
    """Feed it the condition at every tick; it is fulfilled once that was true for *seconds* without a break."""

    def __init__(self, seconds: float) -> None:
        self._needed_us = round(seconds * 1e6)
        self._since_us: Optional[int] = None

    def fulfilled(self, condition: bool, now_us: int) -> bool:
        """Whether *condition* holds, and has for long enough."""
        if not condition:
            self._since_us = None
            return False
        if self._since_us is None:
            self._since_us = now_us
        return now_us - self._since_us >= self._needed_us

    def reset(self) -> None:
        """Begin anew."""
        self._since_us = None


class Flag:
    """A warning that is raised, and taken back, only after its condition has lasted."""

    def __init__(self, seconds: float) -> None:
        self.raised = False
        self._other = Dwell(seconds)

    def update(self, condition: bool, now_us: int) -> bool:
        """Take in *condition*; return whether the flag is up."""
        if self._other.fulfilled(condition is not self.raised, now_us):
            self.raised = condition
            self._other.reset()
        return self.raised
