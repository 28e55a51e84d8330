"""What every BMS family offers: requests, an assembler for its byte stream, and a pure decoder.

Nothing here knows a radio. A family that answers requests (JBD) lists them in ``poll_requests``; one
that pushes by itself (JK) lists the request that starts the stream and accepts frames unasked.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from attrs import frozen

from core.readings import Sample


@frozen
class Request:
    """Bytes to write, and the name of the answer (``0x03``) in logs and events."""

    name: str
    data: bytes


@frozen
class Frame:
    """One complete frame whose length, end mark and checksum are right."""

    data: bytes


NOISE = "not part of a frame"
"""The reason of bytes that nobody took for a frame: line noise, echoes, broadcasts. Not worth an event."""


@frozen
class Rejected:
    """Bytes that belong to no valid frame, and why."""

    reason: str
    data: bytes


Delivery = Union[Frame, Rejected]


@frozen
class Advertisement:
    """What a device says of itself before anyone connects."""

    address: str
    name: Optional[str] = None
    rssi_dbm: Optional[int] = None
    services: Tuple[str, ...] = ()


class Assembler(ABC):
    """Cuts frames out of notifications. How the stream was cut into notifications must not matter."""

    @abstractmethod
    def feed(self, notification: bytes) -> List[Delivery]:
        """Take one notification; return what it completed, in order."""

    @abstractmethod
    def flush(self) -> List[Delivery]:
        """Stop waiting for the rest of anything: return what the buffer still holds, and empty it."""


class Verdict(enum.Enum):
    """How an unlocking ended."""

    OPEN = 1
    REFUSED = 2
    WANTED = 3
    NOT_SPOKEN = 4
    UNKNOWN = 5


class Unlock(ABC):
    """A password exchange."""

    verdict: Optional[Verdict] = None
    repeatable: bool
    request: Optional[Request]

    @abstractmethod
    def hear(self, notification: bytes) -> bool:
        """Take one notification; whether it went on."""

    @abstractmethod
    def silent(self) -> None:
        """Nothing came."""


class Protocol(ABC):
    """One BMS family."""

    name: str
    label: str
    """The family as an owner knows it, e.g. ``JBD``."""
    service_uuids: Tuple[str, ...]
    notify_uuids: Tuple[str, ...]
    write_uuids: Tuple[str, ...]
    poll_requests: Tuple[Request, ...]
    """Sent every cycle, one at a time, each after the answer to the one before."""
    once_requests: Tuple[Request, ...] = ()
    """Sent once per connection, after the first full cycle; an answer is welcome but not needed."""

    def unlock(self, address: str, password: str) -> Optional[Unlock]:
        """How the battery at *address* is told *password*; ``None``: the family knows no passwords."""
        return None

    @abstractmethod
    def assembler(self) -> Assembler:
        """A new assembler with an empty buffer."""

    @abstractmethod
    def answers(self, request: Request, frame: bytes) -> bool:
        """Whether *frame* answers *request*, be it with data or with a refusal."""

    def accepts_unasked(self, frame: bytes) -> bool:
        """Whether *frame* is a reading that the BMS pushes by itself. False for a family that only answers."""
        return False

    @abstractmethod
    def decode(self, frame: bytes) -> Sample:
        """What *frame* means. Pure; never raises for a frame that the assembler delivered."""

    @abstractmethod
    def describe(self, frame: bytes) -> Dict[str, Any]:
        """*frame* as one flat JSON object for people, units in the key names."""

    @abstractmethod
    def redact(self, frame: bytes, secrets: Sequence[bytes]) -> Optional[bytes]:
        """*frame* without names, serial numbers and *secrets*, its checksum made right again.

        The same object when nothing had to go; ``None`` when the whole frame must go.
        """

    @abstractmethod
    def redact_rejected(self, data: bytes, secrets: Sequence[bytes]) -> Optional[bytes]:
        """The same for bytes that were no answer; ``None`` when they may hold a password."""

    @abstractmethod
    def recognise(self, advertisement: Advertisement) -> Optional[str]:
        """Why a device looks like this family, or ``None``. Only a valid answer proves it."""


def frames_of(deliveries: Iterable[Delivery]) -> List[bytes]:
    """Only the valid frames of *deliveries*."""
    return [delivery.data for delivery in deliveries if isinstance(delivery, Frame)]


def without_secrets(data: bytes, secrets: Sequence[bytes]) -> bytes:
    """*data* with every occurrence of a secret replaced by zero bytes of the same length."""
    for secret in secrets:
        while any(secret) and secret in data:  # again: the zeros may complete a secret that begins with a zero
            data = data.replace(secret, bytes(len(secret)))
    return data
