"""The ladder that a battery's link climbs while it does not come up, and how often a day each rung may be used.

Pure: what failed and when comes in, what to do comes out. Every rung that is used becomes an event; the events
of the last day are the memory of the caps, so that a program that is restarted again and again keeps to them.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from core.events import Event, RecoveryAttempted
from core.link_causes import (
    ADAPTER_GONE,
    ADAPTER_OFF,
    BLUEZ_GONE,
    BLUEZ_HANGS,
    CONNECT_FAILED,
    CONNECT_TIMEOUT,
    NO_DATA,
    NO_SERVICE,
    NOT_FOUND,
    NOT_RESOLVED,
    SILENT,
)

RESYNC = "resync"
"""Let the line fall silent, forget half a frame, ask again."""
RECONNECT = "reconnect"
"""Hang up a link that is there and does not answer."""
FORGET = "forget device"
"""Have BlueZ forget the battery: it may hold a stale list of its services."""
NEXT_ADAPTER = "next adapter"
TELL_OWNER = "tell the owner"

DAILY = {RESYNC: 48, RECONNECT: 48, FORGET: 6, NEXT_ADAPTER: 200, TELL_OWNER: 4}
"""How often a battery may climb each rung in 24 hours. Plain attempts to connect are not counted. The next adapter is
used some 170 times in a day of darkness: to stop before would leave a battery to the wrong one."""
DAY_US = 86_400_000_000

BACKOFF_S = (2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
LATE_BACKOFF_S = 300.0
EARLY_US = 3_600_000_000
"""How long a battery is dark before it is tried every five minutes only."""
SHORT_LIFE_US = 30_000_000
"""A link that drops sooner is no good one, though it answered."""
MOST_SHORT = 3
"""How far the pause grows after such links: 10 s, so that there is a reading long before LOST."""
WAITING_S = 2.0
"""Pause while the adapter or bluetoothd is missing: looking costs little, and neither counts as a failed attempt."""

_WAITED_FOR = (ADAPTER_GONE, ADAPTER_OFF, BLUEZ_GONE, BLUEZ_HANGS)
_MAY_BE_STALE = (CONNECT_FAILED, CONNECT_TIMEOUT, NOT_RESOLVED, NO_SERVICE, SILENT, NO_DATA)
"""What a stale memory of BlueZ could be the reason of."""
_FORGET_EVERY = 3
_NEXT_EVERY = 4
_NEXT_EVERY_NOT_FOUND = 2
_TELL_AFTER_US = 300_000_000


class Ladder:
    """One battery's way up."""

    def __init__(self, began_us: int) -> None:
        self._dark_since_us: Optional[int] = began_us
        self._failures = 0
        self._stale = 0
        self._short = 0
        self._told = False

    def succeeded(self) -> None:
        """A valid answer came: the next failure begins at the bottom."""
        self._failures = self._stale = 0
        self._told = False
        self._dark_since_us = None

    def lost(self, lived_us: int, now_us: int) -> float:
        """A link that was up is gone after *lived_us*: how many seconds to wait.

        One that always dies young waits longer, but never so long that the battery would be missed.
        """
        self._dark_since_us = now_us
        self._short = self._short + 1 if lived_us < SHORT_LIFE_US else 0
        return BACKOFF_S[min(max(self._short, 1), MOST_SHORT) - 1]

    def failed(self, cause: str, *, adapters: int, now_us: int) -> Tuple[List[str], float]:
        """What to do about *cause*, rung by rung, and how many seconds to wait before the next attempt.

        *adapters* is how many there are to choose from.
        """
        if self._dark_since_us is None:
            self._dark_since_us = now_us
        dark_us = now_us - self._dark_since_us
        rungs = self._tell(dark_us)
        if cause in _WAITED_FOR:
            return rungs, WAITING_S if dark_us < EARLY_US else BACKOFF_S[-1]
        self._failures += 1
        if cause in _MAY_BE_STALE:
            self._stale += 1
            if self._stale % _FORGET_EVERY == 0:
                rungs.insert(0, FORGET)
        every = _NEXT_EVERY_NOT_FOUND if cause == NOT_FOUND else _NEXT_EVERY
        if adapters > 1 and self._failures % every == 0:
            rungs.insert(0, NEXT_ADAPTER)
        if dark_us >= EARLY_US:
            return rungs, LATE_BACKOFF_S
        return rungs, BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1]

    def _tell(self, dark_us: int) -> List[str]:
        if self._told or dark_us < _TELL_AFTER_US:
            return []
        self._told = True
        return [TELL_OWNER]


class Recoveries:
    """The rungs used in the last day, by battery. A former boot's are as old as this run: nobody knows better."""

    def __init__(self, remembered: Optional[Mapping[str, Any]] = None) -> None:
        self._used: Dict[str, Dict[str, List[Tuple[int, int]]]] = _readable((remembered or {}).get("recoveries"))
        self._boot: Optional[int] = None
        self._began_us = 0

    def fold(self, event: Event) -> None:
        """Take in any event."""
        if self._boot != event.boot:
            self._boot, self._began_us = event.boot, event.uptime_us
        fact = event.fact
        if isinstance(fact, RecoveryAttempted):
            used = self._used.setdefault(fact.battery, {}).setdefault(fact.rung, [])
            used[:] = [moment for moment in used if self._age_us(moment, event.uptime_us) < DAY_US]
            used.append((event.boot, event.uptime_us))

    def allow(self, battery: str, rung: str, now_us: int) -> bool:
        """Whether *battery* may climb *rung* now."""
        used = self._used.get(battery, {}).get(rung, [])
        return sum(self._age_us(moment, now_us) < DAY_US for moment in used) < DAILY[rung]

    def _age_us(self, moment: Tuple[int, int], now_us: int) -> int:
        boot, uptime_us = moment
        return now_us - (uptime_us if boot == self._boot else self._began_us)

    def to_payload(self) -> Dict[str, Dict[str, List[List[int]]]]:
        """Plain JSON values."""
        return {battery: {rung: [list(each) for each in used] for rung, used in rungs.items()}
                for battery, rungs in self._used.items()}  # fmt: skip


def _readable(payload: Any) -> Dict[str, Dict[str, List[Tuple[int, int]]]]:
    """What fits of a payload."""
    kept: Dict[str, Dict[str, List[Tuple[int, int]]]] = {}
    for battery, rungs in payload.items() if isinstance(payload, dict) else ():
        for rung, used in rungs.items() if isinstance(rungs, dict) else ():
            moments = [tuple(each) for each in used if _is_moment(each)] if isinstance(used, list) else []
            if rung in DAILY and moments:
                kept.setdefault(battery, {})[rung] = moments
    return kept


def _is_moment(payload: Any) -> bool:
    return (
        isinstance(payload, (list, tuple))
        and len(payload) == 2
        and all(isinstance(number, int) and not isinstance(number, bool) for number in payload)
    )
