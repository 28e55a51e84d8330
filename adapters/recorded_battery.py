"""A recorded battery played as if it stood here: asked for a register, it answers with the frame of that moment.

At the end of the recording it begins again.
"""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from adapters.in_process import Peripheral
from core.protocols import Protocol
from core.protocols.base import Request


class RecordedBattery(Peripheral):
    """*frames* are (seconds since the beginning, frame) in order; *outages* are (start, end) in the same time."""

    def __init__(
        self,
        name: str,
        protocol: Protocol,
        frames: Sequence[Tuple[float, bytes]],
        *,
        duration_s: float,
        outages: Sequence[Tuple[float, float]] = (),
    ) -> None:
        self.name = name
        self._protocol = protocol
        self._frames = list(frames)
        self._duration_s = max(duration_s, 1.0)
        self._outages = list(outages)

    def respond(self, request: bytes, seconds: float) -> bytes:
        """The newest recorded answer at this moment; before the first one, the first."""
        moment_s = seconds % self._duration_s
        asked = Request("", request)
        answers = [(at_s, frame) for at_s, frame in self._frames if self._protocol.answers(asked, frame)]
        if not answers:
            return b""
        past = [frame for at_s, frame in answers if at_s <= moment_s]
        return past[-1] if past else answers[0][1]

    def next_outage_s(self, seconds: float) -> Optional[float]:
        """See :class:`Peripheral`. Every round of the recording has its outages again."""
        round_start_s = seconds - seconds % self._duration_s
        for start_s in (round_start_s, round_start_s + self._duration_s):
            ahead = [start_s + begin for begin, end in self._outages if start_s + end > seconds]
            if ahead:
                return min(ahead)
        return None
