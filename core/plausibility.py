"""Which decoded values cannot be true, and why.

A frame with a good checksum is never dropped for being odd: a broken sense wire is real, and so is a
gauge gone wrong. The odd field is marked; what is then published is decided by whoever publishes.
Thresholds: jbd-protocol section 11 and charge-control section 5 of the project's research notes.
"""

from __future__ import annotations

from typing import Dict, Mapping, Optional

from core.readings import CellReading, PackReading

MAX_CURRENT_MA = 1_000_000
MAX_SOC_PERMILLE = 1000
MAX_CELLS = 32
MAX_SENSORS = 8
MIN_TEMPERATURE_DC = -400
MAX_TEMPERATURE_DC = 1200
MAX_SUM_DEVIATION = 0.10
MAX_SIBLING_DEVIATION_MV = 500
SIMULTANEOUS_US = 5_000_000
"""Pack voltage and cells are compared only when they were taken this close together."""

VOLTAGE = "voltage"
CURRENT = "current"
SOC = "soc"
CELL_COUNT = "cell_count"
SENSORS = "temperature sensors"
_CELL = "cell "
_SENSOR = "sensor "


def cell_key(cell: int) -> str:
    """The key of a cell's mark, 1-based."""
    return _CELL + str(cell)


def sensor_key(sensor: int) -> str:
    """The key of a temperature sensor's mark, 1-based."""
    return _SENSOR + str(sensor)


def any_cell(marks: Mapping[str, str]) -> bool:
    """Whether *marks* doubt a cell voltage, or how many there are."""
    return any(key.startswith(_CELL) or key == CELL_COUNT for key in marks)


def any_sensor(marks: Mapping[str, str]) -> bool:
    """Whether *marks* doubt a temperature."""
    return any(key.startswith(_SENSOR) or key == SENSORS for key in marks)


def implausible_pack(pack: PackReading) -> Dict[str, str]:
    """Marks that need only the pack reading: field -> reason."""
    marks = {}
    if abs(pack.current_ma) >= MAX_CURRENT_MA:
        marks[CURRENT] = "{} A is beyond any battery of this kind".format(pack.current_ma // 1000)
    if pack.soc_permille is not None and pack.soc_permille > MAX_SOC_PERMILLE:
        marks[SOC] = "{} % is above 100 %".format(pack.soc_permille / 10)
    if pack.cell_count > MAX_CELLS:
        marks[CELL_COUNT] = "{} cells are more than {}".format(pack.cell_count, MAX_CELLS)
    if len(pack.temperatures_dc) > MAX_SENSORS:
        marks[SENSORS] = "{} sensors are more than {}".format(len(pack.temperatures_dc), MAX_SENSORS)
    for n, temperature_dc in enumerate(pack.temperatures_dc + pack.extra_temperatures_dc, 1):
        if temperature_dc is not None and not MIN_TEMPERATURE_DC <= temperature_dc <= MAX_TEMPERATURE_DC:
            marks[sensor_key(n)] = "{} degC is no temperature of a battery".format(temperature_dc / 10)
    return marks


def implausible_cells(pack: PackReading, cells: CellReading, apart_us: Optional[int]) -> Dict[str, str]:
    """Marks that need pack and cells; *apart_us* is the time between the two."""
    voltages_mv = cells.voltages_mv
    marks = {
        cell_key(n): "0 mV: broken sense wire or cell not fitted" for n, mv in enumerate(voltages_mv, 1) if mv == 0
    }
    if pack.cell_count and pack.cell_count != len(voltages_mv):
        marks[CELL_COUNT] = "the BMS says {} cells and sent {}".format(pack.cell_count, len(voltages_mv))
        return marks
    if apart_us is None or abs(apart_us) >= SIMULTANEOUS_US:
        return marks
    total_mv = sum(voltages_mv)
    if voltages_mv and abs(total_mv - pack.voltage_mv) > MAX_SUM_DEVIATION * max(pack.voltage_mv, total_mv):
        marks[VOLTAGE] = "{} mV, but the cells add up to {} mV".format(pack.voltage_mv, total_mv)
        middle_mv = sorted(voltages_mv)[len(voltages_mv) // 2]
        for n, mv in enumerate(voltages_mv, 1):
            if abs(mv - middle_mv) > MAX_SIBLING_DEVIATION_MV:
                marks.setdefault(cell_key(n), "{} mV is far from its siblings' {} mV".format(mv, middle_mv))
    return marks
