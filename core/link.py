"""Projection of one battery's Bluetooth link: is it up, and if not, why."""

from __future__ import annotations

from typing import Optional

from core.events import Event, LinkEstablished, LinkLost, LinkReleased
from core.link_causes import BEAT, DROPPED

BEAT_S = (50, 70)
"""vesmart-server of Venus OS drops links every 60 s (venus issues 1545, 1587); making one anew takes some of it."""
BEATS = 3
"""So many drops in a row make a beat."""


class LinkHealth:
    """Feed it the events of one battery, in order."""

    def __init__(self) -> None:
        self.up = False
        self.cause: Optional[str] = None
        """Why it is down, see :mod:`core.link_causes`; ``None`` while it is up, or before anything was tried."""
        self.detail = ""
        self._released_until_us = 0
        self._established_us: Optional[int] = None
        self._dropped_us: Optional[int] = None
        self._beats = 0

    def fold(self, event: Event) -> bool:
        """Take in *event*; whether it was about the link."""
        fact = event.fact
        if isinstance(fact, LinkEstablished):
            self.up, self.cause, self.detail = True, None, ""
            self._established_us = event.uptime_us
        elif isinstance(fact, LinkLost):
            if self.up:
                self._count_beat(fact, event.uptime_us)
            self.up, self.detail = False, fact.detail
            self.cause = BEAT if fact.cause == DROPPED and self._beats >= BEATS else fact.cause
        elif isinstance(fact, LinkReleased):
            self._released_until_us = event.uptime_us + fact.minutes * 60_000_000
        else:
            return False
        return True

    def released_min(self, now_us: int) -> int:
        """For how many minutes more it is free for a phone, begun ones included."""
        return max(0, -((now_us - self._released_until_us) // 60_000_000))

    def _count_beat(self, fact: LinkLost, now_us: int) -> None:
        """Drops at the beat: a minute after the link came up, or after the drop before."""
        if fact.cause != DROPPED:
            self._beats = 0
            return
        apart_s = [(now_us - since_us) / 1e6 for since_us in (self._established_us, self._dropped_us) if since_us]
        self._beats = self._beats + 1 if any(BEAT_S[0] <= s <= BEAT_S[1] for s in apart_s) else 0
        self._dropped_us = now_us
