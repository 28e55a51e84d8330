"""What waits in memory for the disk: bounded, and it knows what it had to refuse."""

from __future__ import annotations

from typing import List, Optional

from core.events import Event, FrameRejected, HistoryResumed, ReadingTaken

MAX_PENDING = 8_000
"""Events kept while the disk refuses: some 4 MB."""
RESERVED = 500
"""The room of those that raw readings leave to everything else: a setting or an alert matters more than one frame."""


class Waiting:
    """Events in order. What finds no room is counted: the newest is lost, so that what is kept has no holes."""

    def __init__(self) -> None:
        self.events: List[Event] = []
        self.lost = 0
        """Events that found no room, of this run."""
        self._untold = 0
        self._first_lost: Optional[Event] = None
        self._last_lost: Optional[Event] = None

    def add(self, event: Event) -> bool:
        """Take *event*, or count it as lost."""
        raw = isinstance(event.fact, (ReadingTaken, FrameRejected))
        if len(self.events) < (MAX_PENDING - RESERVED if raw else MAX_PENDING):
            self.events.append(event)
            return True
        self.lost += 1
        self._untold += 1
        self._first_lost = self._first_lost or event
        self._last_lost = event
        return False

    def told(self) -> HistoryResumed:
        """What was lost since it was told the last time."""
        first, last, lost = self._first_lost, self._last_lost, self._untold
        self._first_lost = self._last_lost = None
        self._untold = 0
        if first is None or last is None:
            return HistoryResumed(0)
        return HistoryResumed(lost, first.uptime_us, last.uptime_us)
