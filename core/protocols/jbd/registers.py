"""What the payloads of JBD registers 03, 04, 05 and AA mean.

Source of every offset and bit: Jiabaida general protocol V4 and the V11 text of 2023-03, checked against
the captures in ``tests/data``. Every index is bounded by the payload's own length: counts inside a
payload with a good checksum can still be larger than the payload.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, List, Optional, Sequence, Tuple

from attrs import frozen

from core import protections as p
from core.readings import CellReading, Identity, PackReading, ProtectionCounters

BASIC_INFORMATION = 0x03
CELL_VOLTAGES = 0x04
HARDWARE_NAME = 0x05
PROTECTION_COUNTERS = 0xAA

_PROTECTION_BITS = (
    p.CELL_OVERVOLTAGE,
    p.CELL_UNDERVOLTAGE,
    p.PACK_OVERVOLTAGE,
    p.PACK_UNDERVOLTAGE,
    p.CHARGE_OVERTEMPERATURE,
    p.CHARGE_UNDERTEMPERATURE,
    p.DISCHARGE_OVERTEMPERATURE,
    p.DISCHARGE_UNDERTEMPERATURE,
    p.CHARGE_OVERCURRENT,
    p.DISCHARGE_OVERCURRENT,
    p.SHORT_CIRCUIT,
    p.FRONTEND_IC_ERROR,
    p.SOFTWARE_MOS_LOCK,
    p.CHARGE_MOS_BREAKDOWN,
    p.DISCHARGE_MOS_BREAKDOWN,
    "reserved15",
)
_WARNING_BITS = _PROTECTION_BITS[:10] + (p.CELL_SPREAD, p.CAPACITY_LOW)
"""Pre-warning bits of the tail; the bits above 11 are reserved, and bit 15 is always set on some boards."""

_COUNTER_NAMES = (
    p.SHORT_CIRCUIT,
    p.CHARGE_OVERCURRENT,
    p.DISCHARGE_OVERCURRENT,
    p.CELL_OVERVOLTAGE,
    p.CELL_UNDERVOLTAGE,
    p.CHARGE_OVERTEMPERATURE,
    p.CHARGE_UNDERTEMPERATURE,
    p.DISCHARGE_OVERTEMPERATURE,
    p.DISCHARGE_UNDERTEMPERATURE,
    p.PACK_OVERVOLTAGE,
    p.PACK_UNDERVOLTAGE,
    "system_restarts",
)

_FIXED = struct.Struct(">HhHHHHHHHBBBBB")
_TAIL = struct.Struct(">BHHHH")
_DAREN_TAIL = struct.Struct(">HHB")
FIXED_SIZE = _FIXED.size
"""23 bytes: the shortest legal basic information, of a board with no temperature sensor."""

_CHARGE_FET = 0x01
_DISCHARGE_FET = 0x02
_UNIT_FLAG = 0x80
_KELVIN_OFFSET_DC = 2731
_OPEN_PROBE_DC = -300
_CLOSE_DC = 200
_SENSOR_RANGE_DC = (-400, 1200)


@frozen
class Tail:
    """Nine bytes that boards with protocol V11 and later append."""

    humidity_raw: int
    warnings_raw: int
    full_charge: int
    remaining: int
    balance_current_raw: int
    """mA by the document, junk (0x8110) in captures: shown by ``decode``, used nowhere."""


@frozen
class DarenTail:
    """What the Daren dialect (names ``DWF…``) has where the tail would be."""

    temperatures_dc: Tuple[int, int]
    soh_pct: int


@frozen
class BasicInformation:
    """Register 03 with its raw numbers."""

    voltage_10mv: int
    current: int
    remaining: int
    nominal: int
    cycles: int
    date_raw: int
    balance_low: int
    balance_high: int
    protection_raw: int
    version_raw: int
    soc_pct: int
    fet_raw: int
    cell_count: int
    ntc_count_raw: int
    temperatures_dc: Tuple[int, ...]
    tail_bytes: bytes
    tail: Optional[Tail]
    daren: Optional[DarenTail]

    @property
    def unit_ma(self) -> int:
        """Milliampere (and mAh) per count: 10, or 100 where a board too large for 16 bits says so.

        Vendor V9: FET bit 7. aiobmsble 0.31 finds the flag in bit 7 of the first tail byte, which as
        humidity could never be set. Either is honoured.
        """
        flagged = self.fet_raw & _UNIT_FLAG or (self.tail is not None and self.tail.humidity_raw & _UNIT_FLAG)
        return 100 if flagged else 10


def parse_basic_information(payload: bytes) -> Optional[BasicInformation]:
    """Register 03, or ``None`` when the payload is too short to be one."""
    if len(payload) < FIXED_SIZE:
        return None
    fixed = _FIXED.unpack_from(payload)
    ntc_count = min(fixed[-1], (len(payload) - FIXED_SIZE) // 2)
    end = FIXED_SIZE + 2 * ntc_count
    raw = struct.unpack_from(">{}H".format(ntc_count), payload, FIXED_SIZE)
    tail_bytes = payload[end:]
    daren = _parse_daren_tail(tail_bytes, [k - _KELVIN_OFFSET_DC for k in raw])
    tail = Tail(*_TAIL.unpack_from(tail_bytes)) if daren is None and len(tail_bytes) >= _TAIL.size else None
    temperatures_dc = tuple(k - _KELVIN_OFFSET_DC for k in raw)
    return BasicInformation(*fixed, temperatures_dc, tail_bytes, tail, daren)  # type: ignore[call-arg]


def _parse_daren_tail(tail_bytes: bytes, sensors_dc: Sequence[int]) -> Optional[DarenTail]:
    """Two temperatures close to those of a sensor, a percentage and zeros.

    A JBD tail begins with humidity 0, which would be -273 degC, and a damp one with flags is not close to anything.
    """
    if len(tail_bytes) < 8:
        return None
    first, second, soh_pct = _DAREN_TAIL.unpack_from(tail_bytes)
    temperatures_dc = (first - _KELVIN_OFFSET_DC, second - _KELVIN_OFFSET_DC)
    close = all(any(abs(t - sensor) <= _CLOSE_DC for sensor in sensors_dc) for t in temperatures_dc)
    if not close or soh_pct > 100 or any(tail_bytes[5:8]):
        return None
    return DarenTail(temperatures_dc, soh_pct)


def _bits(word: int, names: Tuple[str, ...]) -> Tuple[str, ...]:
    return tuple(name for bit, name in enumerate(names) if word >> bit & 1)


def _balancing_cells(basic: BasicInformation) -> Tuple[int, ...]:
    """1-based. Two unsigned words, cells 1-16 first; read as one 32-bit number the halves would be swapped."""
    word = basic.balance_high << 16 | basic.balance_low
    return tuple(bit + 1 for bit in range(32) if word >> bit & 1)


def _production_date(raw: int) -> Optional[str]:
    day, month, year = raw & 0x1F, raw >> 5 & 0x0F, 2000 + (raw >> 9)
    return "{:04d}-{:02d}-{:02d}".format(year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None


def fitted_temperatures_dc(temperatures_dc: Tuple[int, ...]) -> Tuple[Optional[int], ...]:
    """``None`` for a sensor that is not there: out of -40…120 degC, or exactly -30.0 while another one is above 0."""
    low, high = _SENSOR_RANGE_DC
    warm = any(0 < t <= high for t in temperatures_dc)
    return tuple(None if not low <= t <= high or (t == _OPEN_PROBE_DC and warm) else t for t in temperatures_dc)


def pack_reading(basic: BasicInformation) -> PackReading:
    """Register 03 in the shared vocabulary."""
    tail, daren, unit_ma = basic.tail, basic.daren, basic.unit_ma
    temperatures_dc = fitted_temperatures_dc(basic.temperatures_dc + (daren.temperatures_dc if daren else ()))
    sensors = len(basic.temperatures_dc)
    full_charge_mah = tail.full_charge * unit_ma if tail and tail.full_charge else None
    return PackReading(
        voltage_mv=basic.voltage_10mv * 10,
        current_ma=basic.current * unit_ma,
        cell_count=basic.cell_count,
        remaining_mah=basic.remaining * unit_ma,
        counts_100ma=unit_ma == 100,
        nominal_mah=basic.nominal * unit_ma,
        full_charge_mah=full_charge_mah,
        soc_permille=basic.soc_pct * 10,
        soh_permille=daren.soh_pct * 10 if daren else None,
        cycles=basic.cycles,
        charge_fet_on=bool(basic.fet_raw & _CHARGE_FET),
        discharge_fet_on=bool(basic.fet_raw & _DISCHARGE_FET),
        protections=_bits(basic.protection_raw, _PROTECTION_BITS),
        warnings=_bits(tail.warnings_raw, _WARNING_BITS) if tail else (),
        balancing_cells=_balancing_cells(basic),
        temperatures_dc=temperatures_dc[:sensors],
        extra_temperatures_dc=temperatures_dc[sensors:],
        firmware="{}.{}".format(basic.version_raw >> 4, basic.version_raw & 0x0F) if basic.version_raw else None,
        production_date=_production_date(basic.date_raw),
    )


def describe_basic_information(basic: BasicInformation) -> Dict[str, Any]:
    """Register 03 for people: everything on the wire, sentinels included."""
    unit_a = basic.unit_ma / 1000
    temperatures_c = [t / 10 for t in basic.temperatures_dc]
    described: Dict[str, Any] = {
        "voltage_V": basic.voltage_10mv / 100,
        "current_A": round(basic.current * unit_a, 2),
        "remaining_Ah": round(basic.remaining * unit_a, 2),
        "nominal_Ah": round(basic.nominal * unit_a, 2),
        "cycles": basic.cycles,
        "production_date": _production_date(basic.date_raw),
        "balancing_cells": list(_balancing_cells(basic)),
        "protection_raw": basic.protection_raw,
        "protection": list(_bits(basic.protection_raw, _PROTECTION_BITS)),
        "version_raw": basic.version_raw,
        "soc_pct": basic.soc_pct,
        "fet_raw": basic.fet_raw,
        "charge_fet_on": bool(basic.fet_raw & _CHARGE_FET),
        "discharge_fet_on": bool(basic.fet_raw & _DISCHARGE_FET),
        "cell_count": basic.cell_count,
        "ntc_count": len(temperatures_c),
        "temperatures_C": temperatures_c,
        "tail_hex": basic.tail_bytes.hex(),
    }
    if basic.ntc_count_raw != len(temperatures_c):
        described["ntc_count_raw"] = basic.ntc_count_raw
    if basic.tail:
        described["tail"] = {
            "humidity_pct": basic.tail.humidity_raw,
            "alarm_raw": basic.tail.warnings_raw,
            "full_charge_Ah": round(basic.tail.full_charge * unit_a, 2),
            "remaining2_Ah": round(basic.tail.remaining * unit_a, 2),
            "balance_current_raw": basic.tail.balance_current_raw,
        }
    if basic.daren:
        described["daren_tail"] = {
            "temperature5_C": basic.daren.temperatures_dc[0] / 10,
            "temperature6_C": basic.daren.temperatures_dc[1] / 10,
            "soh_pct": basic.daren.soh_pct,
        }
    return described


def parse_cell_voltages(payload: bytes) -> Optional[CellReading]:
    """Register 04, or ``None`` when the payload is empty or of odd length."""
    if not payload or len(payload) % 2:
        return None
    return CellReading(struct.unpack(">{}H".format(len(payload) // 2), payload))


def describe_cell_voltages(cells: CellReading) -> Dict[str, Any]:
    """Register 04 for people."""
    return {"cell_count": len(cells.voltages_mv), "cell_voltages_V": [mv / 1000 for mv in cells.voltages_mv]}


def parse_hardware_name(payload: bytes) -> Identity:
    """Register 05: printable ASCII; NULs, blanks and anything unprintable at the ends or inside go."""
    text = payload.decode("ascii", "replace")
    return Identity("".join(c if " " <= c <= "~" else " " for c in text).strip())


def parse_protection_counters(payload: bytes) -> Optional[ProtectionCounters]:
    """Register AA, or ``None`` when the payload does not hold its twelve counters."""
    if len(payload) < 2 * len(_COUNTER_NAMES):
        return None
    counts: List[int] = list(struct.unpack_from(">{}H".format(len(_COUNTER_NAMES)), payload))
    return ProtectionCounters(dict(zip(_COUNTER_NAMES, counts)))
