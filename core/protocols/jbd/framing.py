"""JBD frames on the wire: requests, checksums, reassembly. Knows nothing of what a payload means.

Request ``DD A5 register length data checksum 77``, answer ``DD register status length payload
checksum 77``; numbers are big-endian (Jiabaida general protocol V4; every rule on reassembly below
was met in a capture).
"""

from __future__ import annotations

from typing import List, Optional, Tuple, Union

from core.protocols.base import MODULE_FRAME, NOISE, Assembler, Delivery, Frame, Rejected, Request

START = 0xDD
MODULE_HEADER = b"\xff\xaa"
READ = 0xA5
END = 0x77
HEADER_SIZE = 4
OVERHEAD = 7
"""Bytes of a frame that are not payload."""

STATUS_OK = 0x00
STATUS_MEANINGS = {
    0x80: "no such command",
    0x81: "not allowed now",
    0x82: "request checksum wrong",
    0x83: "password refused",
}
MAX_PAYLOAD = 0x80
"""Longer than any answer to a register read here; a length above it is a corrupted byte."""

CHECKSUM = "checksum wrong"
END_MARK = "end mark wrong"
TRUNCATED = "truncated"

_MAX_REJECTED = 512


def checksum(covered: Union[bytes, bytearray]) -> bytes:
    """Two's complement of the 16-bit sum, high byte first. A sum of 0 gives ``00 00``, not ``1 00 00``."""
    return ((0x10000 - sum(covered)) & 0xFFFF).to_bytes(2, "big")


def read_request(register: int) -> Request:
    """The request that reads *register*."""
    body = bytes([register, 0])
    return Request("0x{:02X}".format(register), bytes([START, READ]) + body + checksum(body) + bytes([END]))


def answer_frame(register: int, payload: bytes, status: int = STATUS_OK) -> bytes:
    """The frame a BMS sends; used by the simulated battery and by redaction."""
    body = bytes([status, len(payload)]) + payload
    return bytes([START, register]) + body + checksum(body) + bytes([END])


def split_answer(frame: bytes) -> Tuple[int, int, bytes]:
    """Register, status and payload of a valid frame."""
    return frame[1], frame[2], frame[HEADER_SIZE : HEADER_SIZE + frame[3]]


def module_frame(command: int, data: bytes = b"") -> bytes:
    """The frame of the radio module itself; requests and answers have the same shape."""
    body = bytes([command, len(data)]) + data
    return MODULE_HEADER + body + bytes([sum(body) & 0xFF])


def is_module_frame(notification: bytes) -> bool:
    """Whether *notification* is exactly one frame ``FF AA command length data sum`` of the radio module itself."""
    return (
        len(notification) >= 5
        and notification[:2] == MODULE_HEADER
        and len(notification) == notification[3] + 5
        and sum(notification[2:-1]) & 0xFF == notification[-1]
    )


def _header_problem(header: Union[bytes, bytearray]) -> Optional[str]:
    known_status = header[2] == STATUS_OK or header[2] in STATUS_MEANINGS
    return None if known_status and header[3] <= MAX_PAYLOAD else NOISE


def _body_problem(frame: Union[bytes, bytearray]) -> Optional[str]:
    if frame[-1] != END:
        return END_MARK
    return None if frame[-3:-1] == checksum(frame[2:-3]) else CHECKSUM


class JbdAssembler(Assembler):
    """Finds whole valid frames in a stream cut anywhere.

    ``77`` occurs inside payloads and a continuation may begin with ``DD``, so only the length byte
    says where a frame ends. After a bad candidate one byte is dropped, not the whole span: a good frame
    may hide inside it. An incomplete candidate is waited for until :meth:`flush`; looking past it earlier
    would make the result depend on how the stream was cut.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._rejected = bytearray()
        self._reason = NOISE

    def feed(self, notification: bytes) -> List[Delivery]:
        """See :class:`Assembler`. A notification that is one ``FF AA`` frame never enters the stream."""
        if is_module_frame(notification):
            return [Rejected(MODULE_FRAME, bytes(notification))]
        self._buffer += notification
        return self._take_complete()

    @property
    def is_waiting(self) -> bool:
        """See :class:`Assembler`."""
        return bool(self._buffer)

    def flush(self) -> List[Delivery]:
        """See :class:`Assembler`. A good frame behind a truncated one is still delivered."""
        deliveries: List[Delivery] = []
        while self._buffer:
            self._reject_first_byte(TRUNCATED)
            deliveries += self._take_complete()
        return deliveries + self._take_rejected()

    def _take_complete(self) -> List[Delivery]:
        deliveries: List[Delivery] = []
        while self._skip_to_start() and len(self._buffer) >= HEADER_SIZE:
            size = self._buffer[3] + OVERHEAD
            problem = _header_problem(self._buffer)
            if problem is None:
                if len(self._buffer) < size:
                    break
                problem = _body_problem(self._buffer[:size])
            if problem is not None:
                self._reject_first_byte(problem)
                continue
            deliveries += self._take_rejected()
            deliveries.append(Frame(bytes(self._buffer[:size])))
            del self._buffer[:size]
        if len(self._rejected) > _MAX_REJECTED:
            deliveries += self._take_rejected()
        return deliveries

    def _skip_to_start(self) -> bool:
        start = self._buffer.find(START)
        if start < 0:
            start = len(self._buffer)
        self._rejected += self._buffer[:start]
        del self._buffer[:start]
        return bool(self._buffer)

    def _reject_first_byte(self, reason: str) -> None:
        if self._reason == NOISE:
            self._reason = reason
        self._rejected.append(self._buffer.pop(0))

    def _take_rejected(self) -> List[Delivery]:
        if not self._rejected:
            return []
        rejected = Rejected(self._reason, bytes(self._rejected))
        self._rejected.clear()
        self._reason = NOISE
        return [rejected]
