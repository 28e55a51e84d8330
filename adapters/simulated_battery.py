"""A battery that is not there: a LiFePO4 pack charging and discharging, spoken of in JBD bytes.

What it answers depends only on its parameters and on how long it has been on, so a seed gives the same battery
every time. ``sim:house?cells=8&capacity=100&seed=1&soc=60&drop=120+60`` is an address of one.
"""

from __future__ import annotations

import math
import random
import struct
from typing import List, Optional, Tuple

from attrs import field, frozen, validators

from adapters.in_process import Peripheral
from core.protocols.jbd import registers as r
from core.protocols.jbd.framing import READ, START, answer_frame, read_request

CYCLE_S = 4 * 3600
"""One swing from charging through discharging and back."""
BEGIN_ANGLE = 1.0
"""Where in the swing every battery begins, so that several of them carry the current of one bank."""
PEAK_C_RATE = 0.25
"""Highest current as a fraction of the capacity per hour."""
CELL_RESISTANCE_OHM_AH = 0.15
"""Inner resistance of a cell times its capacity."""
BALANCE_ABOVE_MV = 3400
BALANCE_SPREAD_MV = 8
_OPEN_CIRCUIT_MV = ((0, 2900), (5, 3150), (10, 3210), (30, 3270), (60, 3310), (90, 3340), (98, 3380), (100, 3480))
"""Voltage of a resting LiFePO4 cell by state of charge in percent; rounded from data sheets."""
_REFUSED = 0x80


@frozen
class SimulatedPack:
    """The parameters of a simulated battery."""

    name: str
    cells: int = field(default=4, validator=[validators.ge(1), validators.le(32)])
    capacity_ah: int = field(default=100, validator=[validators.ge(1), validators.le(655)])
    seed: int = 1
    soc_pct: float = field(default=60.0, validator=[validators.ge(0), validators.le(100)])
    outages: Tuple[Tuple[float, float], ...] = ()
    """(start, length) in seconds since it was switched on."""


def _open_circuit_mv(soc_pct: float) -> float:
    for (low, low_mv), (high, high_mv) in zip(_OPEN_CIRCUIT_MV, _OPEN_CIRCUIT_MV[1:]):
        if soc_pct <= high:
            return low_mv + (high_mv - low_mv) * (soc_pct - low) / (high - low)
    return _OPEN_CIRCUIT_MV[-1][1]


class SimulatedBattery(Peripheral):
    """Answers as the BMS of a :class:`SimulatedPack` would."""

    def __init__(self, pack: SimulatedPack) -> None:
        self.name = "JBD-SIM-{}".format(pack.name)
        self._pack = pack
        build = random.Random(pack.seed)
        self._offsets_mv = [build.gauss(0, 4) for _ in range(pack.cells)]
        self._cycles = build.randrange(5, 300)

    def next_outage_s(self, seconds: float) -> Optional[float]:
        """See :class:`Peripheral`."""
        ahead = [start for start, length in self._pack.outages if start + length > seconds]
        return min(ahead, default=None)

    def respond(self, request: bytes, seconds: float) -> bytes:
        """See :class:`Peripheral`. Reads are answered; a write would be refused."""
        if len(request) < 3 or request[0] != START:
            return b""
        register = request[2]
        if request[1] != READ or request != read_request(register).data:
            return answer_frame(register, b"", _REFUSED)
        if register == r.BASIC_INFORMATION:
            return answer_frame(register, self._basic_information(seconds))
        if register == r.CELL_VOLTAGES:
            return answer_frame(register, struct.pack(">{}H".format(self._pack.cells), *self._cells_mv(seconds)))
        if register == r.HARDWARE_NAME:
            return answer_frame(register, self.name.encode("ascii", "replace")[:31])
        return answer_frame(register, b"", _REFUSED)

    def _state(self, seconds: float) -> Tuple[float, float]:
        """State of charge in percent and current in A: a sine of current and its integral."""
        swing = 2 * math.pi / CYCLE_S
        peak_a = PEAK_C_RATE * self._pack.capacity_ah
        angle = swing * seconds + BEGIN_ANGLE
        charged_ah = peak_a / swing / 3600 * (math.cos(BEGIN_ANGLE) - math.cos(angle))
        soc_pct = self._pack.soc_pct + charged_ah / self._pack.capacity_ah * 100
        if not 0 < soc_pct < 100:
            return min(100.0, max(0.0, soc_pct)), 0.0
        return soc_pct, peak_a * math.sin(angle)

    def _noise(self, seconds: float, salt: int) -> random.Random:
        return random.Random(self._pack.seed * 1_000_003 + int(seconds) * 31 + salt)

    def _cells_mv(self, seconds: float) -> List[int]:
        soc_pct, current_a = self._state(seconds)
        noise = self._noise(seconds, 1)
        sag_mv = current_a * CELL_RESISTANCE_OHM_AH / self._pack.capacity_ah * 1000
        middle_mv = _open_circuit_mv(soc_pct) + sag_mv
        return [round(middle_mv + offset_mv + noise.gauss(0, 0.6)) for offset_mv in self._offsets_mv]

    def _balancing(self, cells_mv: List[int]) -> int:
        lowest = min(cells_mv)
        high = [mv > BALANCE_ABOVE_MV and mv - lowest > BALANCE_SPREAD_MV for mv in cells_mv]
        return sum(1 << n for n, balancing in enumerate(high) if balancing)

    def _basic_information(self, seconds: float) -> bytes:
        soc_pct, current_a = self._state(seconds)
        cells_mv = self._cells_mv(seconds)
        balancing = self._balancing(cells_mv)
        capacity = self._pack.capacity_ah * 100
        day = 1 + self._pack.seed % 28
        fixed = struct.pack(
            ">HhHHHHHHHBBBBB",
            round(sum(cells_mv) / 10),
            round(current_a * 100),
            round(capacity * soc_pct / 100),
            capacity,
            self._cycles,
            (2024 - 2000) << 9 | 5 << 5 | day,
            balancing & 0xFFFF,
            balancing >> 16,
            0,
            0x25,
            round(soc_pct),
            3,
            self._pack.cells,
            2,
        )
        noise = self._noise(seconds, 2)
        warm_dc = 210 + round(abs(current_a) / self._pack.capacity_ah * 120)
        return fixed + struct.pack(">2H", *(2731 + warm_dc + noise.randrange(-2, 3) for _ in range(2)))
