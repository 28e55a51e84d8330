"""What every BMS family offers: requests, an assembler for its byte stream, and a pure decoder.

Nothing here knows a radio. A family that answers requests (JBD) lists them in ``poll_requests``; one
that pushes by itself (JK) lists the request that starts the stream and accepts frames unasked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from attrs import field, frozen

from core.readings import Sample


@frozen
class Request:
    """Bytes to write, and the name of the answer (``0x03``) in logs and events."""

    name: str
    data: bytes = field(repr=False)
    """Not shown: a password could be reckoned back from its enciphered bytes."""


@frozen
class Frame:
    """One complete frame whose length, end mark and checksum are right."""

    data: bytes


NOISE = "not part of a frame"
"""The reason of bytes that nobody took for a frame: line noise, echoes, broadcasts. Not worth an event."""


MODULE_FRAME = "frame of the Bluetooth module"
"""The reason of frames of the radio module itself. One may tell the password, so none becomes an event."""


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

    @property
    @abstractmethod
    def is_waiting(self) -> bool:
        """Whether a frame has begun and its rest has not come."""

    @abstractmethod
    def flush(self) -> List[Delivery]:
        """Stop waiting for the rest of anything: return what the buffer still holds, and empty it."""


class Verdict(Enum):
    """How an :class:`Unlock` ended."""

    OPEN = "open"
    """No password is set, or it was accepted."""
    REFUSED = "refused"
    """The app key or the password was refused. How many refusals a module suffers is not known."""
    WANTED = "wanted"
    """A password is wanted and none is configured."""
    NOT_SPOKEN = "not spoken"
    """Nobody answered, and no password was sent: there is no such lock, or nobody to hear."""
    UNKNOWN = "unknown"
    """The password was sent and not answered. It may have counted as an attempt."""


class Unlock(ABC):
    """The exchange of a password over one connection. It says what to write; it sends nothing and waits for nothing."""

    @property
    @abstractmethod
    def request(self) -> Optional[Request]:
        """What is to be written now; ``None`` when it is over. Another one only after :meth:`hear` said true."""

    @property
    @abstractmethod
    def repeatable(self) -> bool:
        """Whether :attr:`request` may be written again after silence. Never true of a password."""

    @property
    @abstractmethod
    def verdict(self) -> Optional[Verdict]:
        """How it ended; ``None`` until then."""

    @abstractmethod
    def hear(self, notification: bytes) -> bool:
        """Take one notification, whatever is in it; whether it answered :attr:`request`."""

    @abstractmethod
    def silent(self) -> None:
        """Nothing more is to be expected: :attr:`request` stayed unanswered."""


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

    @abstractmethod
    def assembler(self) -> Assembler:
        """A new assembler with an empty buffer."""

    @abstractmethod
    def answers(self, request: Request, frame: bytes) -> bool:
        """Whether *frame* answers *request*, be it with data or with a refusal."""

    def accepts_unasked(self, frame: bytes) -> bool:
        """Whether *frame* is a reading that the BMS pushes by itself. False for a family that only answers."""
        return False

    def password_problem(self, password: str) -> Optional[str]:
        """What is wrong with *password*, as it follows its name; never with the password itself."""
        return None

    def unlock(self, address: str, password: str) -> Optional[Unlock]:
        """A new exchange with the battery at *address*; *password* is empty where none is configured.

        ``None``: the family knows no passwords, or none at such an address. Raises :class:`ValueError` for a password
        that :meth:`password_problem` objects to.
        """
        return None

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
