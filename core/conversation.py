"""One question at a time: which of the arriving frames is the answer to the outstanding request.

A frame that nobody waits for (a late answer, a duplicate after a retry, an answer to a former
client) is handed on as rejected, so that it can be recorded and never be mistaken for the answer.
"""

from __future__ import annotations

from typing import List, Optional, Union

from attrs import frozen

from core.protocols.base import Delivery, Frame, Protocol, Rejected, Request

NOT_ASKED_FOR = "not asked for"


@frozen
class Answer:
    """A frame that answers *request*, or that the BMS rightly sent by itself (*request* is ``None``)."""

    request: Optional[Request]
    frame: bytes


Outcome = Union[Answer, Rejected]


class Conversation:
    """The dialogue over one connection. Make a new one for every connection."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._assembler = protocol.assembler()
        self._outstanding: Optional[Request] = None

    def ask(self, request: Request) -> List[Outcome]:
        """Wait for the answer to *request* from now on; return what was left over from before."""
        self._outstanding = None
        leftovers = self._sort(self._assembler.flush())
        self._outstanding = request
        return leftovers

    @property
    def is_in_the_middle(self) -> bool:
        """Whether a frame has begun and its rest has not come: asking now would cut it."""
        return self._assembler.is_waiting

    def hear(self, notification: bytes) -> List[Outcome]:
        """Take one notification; return what it completed, in order."""
        return self._sort(self._assembler.feed(notification))

    def give_up(self) -> List[Outcome]:
        """Stop waiting. A good frame stuck behind a damaged one may still turn out to be the answer."""
        outcomes = self._sort(self._assembler.flush())
        self._outstanding = None
        return outcomes

    def _sort(self, deliveries: List[Delivery]) -> List[Outcome]:
        outcomes: List[Outcome] = []
        for delivery in deliveries:
            if isinstance(delivery, Rejected):
                outcomes.append(delivery)
            else:
                outcomes.append(self._match(delivery))
        return outcomes

    def _match(self, frame: Frame) -> Outcome:
        request = self._outstanding
        if request is None or not self._protocol.answers(request, frame.data):
            if self._protocol.accepts_unasked(frame.data):
                return Answer(None, frame.data)
            return Rejected(NOT_ASKED_FOR, frame.data)
        self._outstanding = None
        return Answer(request, frame.data)
