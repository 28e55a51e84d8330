"""The lock of newer JBD Bluetooth modules: app key, random byte, enciphered password. Decides; sends nothing itself.

Frames ``FF AA command length data sum`` travel beside those of the BMS, on the same characteristics, and the module
answers each with one byte. Commands and cipher were read off captures, among them one complete exchange.
"""

from __future__ import annotations

from typing import List, Optional

from core.protocols.base import Request, Unlock, Verdict
from core.protocols.jbd.framing import is_module_frame, module_frame

APP_KEY = 0x15
RANDOM_BYTE = 0x17
PASSWORD = 0x18

DEFAULT_APP_KEY = b"000000"
PASSWORD_SIZE = 6

ACCEPTED = 0x00
NO_PASSWORD_SET = 0x02

_ANSWER_SIZE = len(module_frame(APP_KEY, bytes(1)))


def encipher(password: bytes, mac: bytes, random_byte: int) -> bytes:
    """The data of command 0x18. *mac* is in the order in which it is displayed."""
    return bytes(((m ^ p) + random_byte) & 0xFF for m, p in zip(mac, password))


class JbdUnlock(Unlock):
    """App key first; then, if the module wants a password, a random byte and with it the password, once.

    An answer that nobody has documented counts as a refusal: what follows one refusal too many is not known.
    """

    def __init__(self, address: str, password: str) -> None:
        self._mac = bytes.fromhex(address.replace(":", ""))
        self._password = password.encode("ascii")
        self._heard = bytearray()
        self._verdict: Optional[Verdict] = None
        self._command = APP_KEY
        self._request: Optional[Request] = _request(APP_KEY, DEFAULT_APP_KEY)

    @property
    def request(self) -> Optional[Request]:
        """See :class:`Unlock`."""
        return self._request

    @property
    def repeatable(self) -> bool:
        """See :class:`Unlock`."""
        return self._request is not None and self._command == APP_KEY

    @property
    def verdict(self) -> Optional[Verdict]:
        """See :class:`Unlock`."""
        return self._verdict

    def hear(self, notification: bytes) -> bool:
        """See :class:`Unlock`. What trails an answer is dropped: it was there before the next request."""
        if self._request is None:
            return False
        self._heard += notification
        answers = _answers(self._heard, self._command)
        if not answers:
            del self._heard[: 1 - _ANSWER_SIZE]
            return False
        self._heard.clear()
        self._move_on(answers[-1])
        return True

    def silent(self) -> None:
        """See :class:`Unlock`."""
        if self._request is not None:
            self._end(Verdict.UNKNOWN if self._command == PASSWORD else Verdict.NOT_SPOKEN)

    def _move_on(self, answer: int) -> None:
        if self._command == RANDOM_BYTE:
            self._ask(PASSWORD, encipher(self._password, self._mac, answer))
        elif self._command == PASSWORD:
            self._end(Verdict.OPEN if answer == ACCEPTED else Verdict.REFUSED)
        elif answer == NO_PASSWORD_SET:
            self._end(Verdict.OPEN)
        elif answer != ACCEPTED:
            self._end(Verdict.REFUSED)
        elif not self._password:
            self._end(Verdict.WANTED)
        else:
            self._ask(RANDOM_BYTE)

    def _ask(self, command: int, data: bytes = b"") -> None:
        self._command, self._request = command, _request(command, data)

    def _end(self, verdict: Verdict) -> None:
        self._request, self._verdict = None, verdict


def _request(command: int, data: bytes) -> Request:
    return Request("FF AA {:02X}".format(command), module_frame(command, data))


def _answers(stream: bytearray, command: int) -> List[int]:
    """What the module answered to *command*, in order. An echo of the request is longer or shorter than an answer."""
    spans = [bytes(stream[at : at + _ANSWER_SIZE]) for at in range(len(stream) - _ANSWER_SIZE + 1)]
    return [span[4] for span in spans if span[2] == command and is_module_frame(span)]
