"""Numbers events before anyone sees them, and notices when the wall clock was set."""

from __future__ import annotations

from typing import List, Optional

from core.events import ClockStepped, Event, Fact

STEP_US = 1_000_000
"""A wall clock that moves this far against uptime was set; less is the slewing of NTP."""


class Sequencer:
    """The one source of event numbers of a running program. Uptime never runs backwards in what it hands out."""

    def __init__(self, *, boot: int, next_number: int) -> None:
        self._boot = boot
        self._next_number = next_number
        self._uptime_us = 0
        self._offset_us: Optional[int] = None

    def number(self, fact: Fact, uptime_us: int, wall_us: int) -> List[Event]:
        """*fact* as an event at this time, with a ClockStepped before it if the clock was set since the last one."""
        self._uptime_us = max(self._uptime_us, uptime_us)
        offset_us = wall_us - self._uptime_us
        events = []
        if self._offset_us is not None and abs(offset_us - self._offset_us) >= STEP_US:
            events.append(self._event(ClockStepped(offset_us - self._offset_us), wall_us))
        self._offset_us = offset_us
        events.append(self._event(fact, wall_us))
        return events

    def _event(self, fact: Fact, wall_us: int) -> Event:
        event = Event(self._next_number, self._boot, self._uptime_us, wall_us, fact)
        self._next_number += 1
        return event
