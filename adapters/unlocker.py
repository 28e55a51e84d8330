"""Tells the radio module of a battery its password, only when it is needed, and stops at the first refusal."""

from __future__ import annotations

from typing import Optional

from adapters.clock import Clock
from adapters.radio import Link, LinkDropped
from core.link_causes import PASSWORD_REFUSED, PASSWORD_WANTED
from core.protocols import Protocol
from core.protocols.base import Request, Unlock, Verdict

ANSWER_S = 2.0
ATTEMPTS = 3
MOST_UNANSWERED = 3
"""So often, each time on another link, a password may stay without an answer before it counts as refused, and a battery
be asked for its lock before it counts as one that has none."""


class Unlocker:
    """One battery's, for as long as the program runs."""

    def __init__(self, protocol: Protocol, address: str, password: str, clock: Clock) -> None:
        self._protocol = protocol
        self._address = address
        self._password = password
        self._clock = clock
        self._unanswered = 0
        self._not_spoken = 0
        self._refused: Optional[LinkDropped] = None
        self.comes_first = False
        """Whether this battery is known to answer nothing before it has heard its password."""

    async def run(self, link: Link) -> bool:
        """Whether asking again may help now. Raises :class:`LinkDropped` when the password is refused or missing."""
        if self._refused is not None:
            raise self._refused
        pointless = self._not_spoken >= MOST_UNANSWERED
        unlock = None if pointless else self._protocol.unlock(self._address, self._password)
        if unlock is None:
            return False
        while unlock.verdict is None:
            request = unlock.request
            assert request is not None
            try:
                answered = await self._tell(link, unlock, request)
            except LinkDropped:
                unlock.silent()
                if unlock.verdict is Verdict.UNKNOWN:  # some modules may refuse by hanging up
                    self._judge(unlock.verdict)
                raise
            if not answered:
                unlock.silent()
        return self._judge(unlock.verdict)

    def opened(self) -> None:
        """The battery answers: whatever was told to it was right."""
        self._unanswered = self._not_spoken = 0

    def _judge(self, verdict: Optional[Verdict]) -> bool:
        if verdict is Verdict.REFUSED:
            raise self._given_up()
        if verdict is Verdict.WANTED:
            raise LinkDropped(PASSWORD_WANTED)
        if verdict is Verdict.UNKNOWN:
            self._unanswered += 1
            if self._unanswered >= MOST_UNANSWERED:
                raise self._given_up("{} times without an answer".format(self._unanswered))
        if verdict is Verdict.NOT_SPOKEN:
            self._not_spoken += 1
            return False
        self.comes_first = self.comes_first or verdict is Verdict.OPEN
        return True

    def _given_up(self, detail: str = "") -> LinkDropped:
        """For good: no password of ours is sent any more, whoever runs this again."""
        self._refused = LinkDropped(PASSWORD_REFUSED, detail)
        return self._refused

    async def _tell(self, link: Link, unlock: Unlock, request: Request) -> bool:
        """Whether the module answered."""
        for _ in range(ATTEMPTS if unlock.repeatable else 1):
            await link.write(request.data)
            end_us = self._clock.uptime_us() + int(ANSWER_S * 1e6)
            while self._clock.uptime_us() < end_us:
                left_s = (end_us - self._clock.uptime_us()) / 1e6
                notification = await link.inbox.get(self._clock, left_s)
                if notification is not None and unlock.hear(notification):
                    return True
        return False
