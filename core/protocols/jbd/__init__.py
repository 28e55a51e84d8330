"""JBD (also sold as Xiaoxiang, LLT, Overkill Solar, and inside many brands of battery), Daren dialect included."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any, Dict, Optional, Sequence

from core.protocols.base import Advertisement, Assembler, Protocol, Request, Unlock, without_secrets
from core.protocols.jbd import registers as r
from core.protocols.jbd.app_key import PASSWORD_SIZE, JbdUnlock
from core.protocols.jbd.framing import (
    MODULE_HEADER,
    START,
    STATUS_MEANINGS,
    STATUS_OK,
    JbdAssembler,
    answer_frame,
    read_request,
    split_answer,
)
from core.readings import Refusal, Sample

_NAME_PATTERNS = (
    "JBD-*", "XIAOXIANG*", "DP??S*", "SP??S*", "AP??S*", "GJ-*", "LSG-*", "SX1*", "SX60*", "SBL-*", "12???BL*",
    "24???BL*", "N-?????BL*", "OGR-*", "TZ-H*", "SJ-???-*", "TITAN-*", "@KSM:*", "LT40AH*", "DDCK*", "DWCK*",
    "DXDB*", "ECO-LFP*", "GOKWH*", "AL12-*", "DWF*",
)  # fmt: skip
"""Local names met in the field. Owners rename modules, so a name is a hint only."""

_ADDRESS_PREFIXES = (
    "A4:C1:37", "A4:C1:38", "A5:C2:37", "A5:C2:39", "A5:C2:3A", "AA:C2:37", "A2:C2:37", "10:A5:62", "70:3E:97",
)  # fmt: skip

_MAC = re.compile("[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_TEXT = re.compile(rb"[ -~]{4,}")
_KEPT_WHEN_REDACTED = (r.BASIC_INFORMATION, r.CELL_VOLTAGES, r.PROTECTION_COUNTERS)


def _uuid(short: int) -> str:
    return "0000{:04x}-0000-1000-8000-00805f9b34fb".format(short)


class Jbd(Protocol):
    """One request, one answer. Nothing is ever written to the BMS but reads, and to its radio module a password."""

    name = "jbd"
    label = "JBD"
    service_uuids = (_uuid(0xFF00), _uuid(0xFFF0))
    notify_uuids = (_uuid(0xFF01), _uuid(0xFFF1))
    write_uuids = (_uuid(0xFF02), _uuid(0xFFF2))
    poll_requests = (read_request(r.BASIC_INFORMATION), read_request(r.CELL_VOLTAGES))
    once_requests = (read_request(r.HARDWARE_NAME),)

    def assembler(self) -> Assembler:
        """See :class:`Protocol`."""
        return JbdAssembler()

    def answers(self, request: Request, frame: bytes) -> bool:
        """The register is outside the checksum, so this match is what catches a corrupted one."""
        return frame[1] == request.data[2]

    def password_problem(self, password: str) -> Optional[str]:
        """See :class:`Protocol`."""
        if not password or (len(password) == PASSWORD_SIZE and password.isascii()):
            return None
        return "is not the six ASCII characters that a JBD Bluetooth module wants"

    def unlock(self, address: str, password: str) -> Optional[Unlock]:
        """See :class:`Protocol`. Only a MAC can unlock: it is part of the cipher."""
        problem = self.password_problem(password)
        if problem is not None:
            raise ValueError("the password " + problem)
        return JbdUnlock(address, password) if _MAC.fullmatch(address) else None

    def decode(self, frame: bytes) -> Sample:
        """See :class:`Protocol`. An unknown register gives an empty sample."""
        register, status, payload = split_answer(frame)
        if status != STATUS_OK:
            return Sample(refusal=Refusal(STATUS_MEANINGS.get(status, "status 0x{:02X}".format(status))))
        if register == r.BASIC_INFORMATION:
            return self._decode_basic_information(payload)
        if register == r.CELL_VOLTAGES:
            cells = r.parse_cell_voltages(payload)
            return Sample(cells=cells) if cells else Sample(remarks=("cell voltages of odd length ignored",))
        if register == r.HARDWARE_NAME:
            return Sample(identity=r.parse_hardware_name(payload))
        if register == r.PROTECTION_COUNTERS:
            return Sample(counters=r.parse_protection_counters(payload))
        return Sample()

    @staticmethod
    def _decode_basic_information(payload: bytes) -> Sample:
        basic = r.parse_basic_information(payload)
        if basic is None:
            return Sample(remarks=("basic information shorter than {} bytes ignored".format(r.FIXED_SIZE),))
        remarks = ("current and capacities are in 100 mA units",) if basic.unit_ma == 100 else ()
        return Sample(pack=r.pack_reading(basic), remarks=remarks)

    def describe(self, frame: bytes) -> Dict[str, Any]:
        """See :class:`Protocol`."""
        register, status, payload = split_answer(frame)
        described: Dict[str, Any] = {"register": "0x{:02X}".format(register), "status": status}
        if status != STATUS_OK:
            described.update(status_hex="0x{:02X}".format(status), meaning=STATUS_MEANINGS.get(status, "unknown"))
        else:
            described.update(self._describe_payload(register, payload))
        if len(described) == 2 or status != STATUS_OK:
            described.update(payload_hex=payload.hex(), payload_len=len(payload))
        return described

    @staticmethod
    def _describe_payload(register: int, payload: bytes) -> Dict[str, Any]:
        if register == r.BASIC_INFORMATION:
            basic = r.parse_basic_information(payload)
            return r.describe_basic_information(basic) if basic else {}
        if register == r.CELL_VOLTAGES:
            cells = r.parse_cell_voltages(payload)
            return r.describe_cell_voltages(cells) if cells else {}
        if register == r.HARDWARE_NAME:
            return {"hardware_name": r.parse_hardware_name(payload).hardware_name}
        if register == r.PROTECTION_COUNTERS:
            counters = r.parse_protection_counters(payload)
            return dict(counters.counts) if counters else {}
        return {}

    def redact(self, frame: bytes, secrets: Sequence[bytes]) -> Optional[bytes]:
        """See :class:`Protocol`. A register that may hold a name, a serial number or a password is blanked."""
        register, status, payload = split_answer(frame)
        kept = without_secrets(payload, secrets) if register in _KEPT_WHEN_REDACTED else b"X" * len(payload)
        return frame if kept == payload else answer_frame(register, kept, status)

    def redact_rejected(self, data: bytes, secrets: Sequence[bytes]) -> Optional[bytes]:
        """See :class:`Protocol`. Kept only as far as it looks like the beginning of plain measurements.

        A rejected span may be several damaged answers in a row, so the next start mark ends what is kept, and
        anything that reads like text goes.
        """
        if MODULE_HEADER in data:
            return None
        plain = len(data) >= 2 and data[0] == START and data[1] in _KEPT_WHEN_REDACTED
        end = data.find(START, 1) if plain else 0
        kept = data if end < 0 else data[:end]
        kept = _TEXT.sub(lambda text: bytes(len(text.group())), without_secrets(kept, secrets))
        return kept + bytes(len(data) - len(kept))

    def recognise(self, advertisement: Advertisement) -> Optional[str]:
        """See :class:`Protocol`. Service ``ff00`` is necessary on most boards but used by other makes as well."""
        name = (advertisement.name or "").upper()
        marks = []
        if any(uuid.lower() == self.service_uuids[0] for uuid in advertisement.services):
            marks.append("service ff00")
        if any(fnmatchcase(name, pattern) for pattern in _NAME_PATTERNS):
            marks.append("name")
        if advertisement.address.upper().startswith(_ADDRESS_PREFIXES):
            marks.append("address")
        return " + ".join(marks) if marks else None


PROTOCOL = Jbd()
