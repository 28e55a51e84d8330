"""How long a battery that has gone quiet stays a battery: START, LIVE, STALE, LOST, GONE.

The table is in the README of this folder's parent ("When a battery goes quiet"). All times are uptime.
"""

from __future__ import annotations

import enum
from typing import Optional

from core.configuration import Configuration


class Phase(enum.Enum):
    """What may be said of a battery now."""

    START = "START"
    LIVE = "LIVE"
    STALE = "STALE"
    LOST = "LOST"
    GONE = "GONE"


def phase_of(age_s: Optional[float], configuration: Configuration, hold_s: Optional[float] = None) -> Phase:
    """The phase of a battery whose older half of a reading is *age_s* old; ``None`` if it never was complete.

    *hold_s* is how long this battery may be silent, when that is not what is configured.
    """
    if age_s is None:
        return Phase.START
    if age_s <= configuration.live_s:
        return Phase.LIVE
    hold_s = max(configuration.hold_seconds if hold_s is None else hold_s, configuration.live_s)
    if age_s <= hold_s:
        return Phase.STALE
    return Phase.LOST if age_s <= hold_s + configuration.remove_seconds else Phase.GONE
