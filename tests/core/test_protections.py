"""Which alarm each protection raises, and how high."""

import pytest

from core import protections as p
from core.protections import ALARM_NAMES, alarm_levels

TRIPPED = [
    (p.CELL_OVERVOLTAGE, {"HighCellVoltage": 2}),
    (p.CELL_UNDERVOLTAGE, {"LowCellVoltage": 2}),
    (p.PACK_OVERVOLTAGE, {"HighVoltage": 2}),
    (p.PACK_UNDERVOLTAGE, {"LowVoltage": 2}),
    (p.CHARGE_OVERTEMPERATURE, {"HighChargeTemperature": 2}),
    (p.CHARGE_UNDERTEMPERATURE, {"LowChargeTemperature": 1}),
    (p.DISCHARGE_OVERTEMPERATURE, {"HighTemperature": 2}),
    (p.DISCHARGE_UNDERTEMPERATURE, {"LowTemperature": 1}),
    (p.CHARGE_OVERCURRENT, {"HighChargeCurrent": 2}),
    (p.DISCHARGE_OVERCURRENT, {"HighDischargeCurrent": 2}),
    (p.SHORT_CIRCUIT, {"InternalFailure": 2, "HighDischargeCurrent": 2}),
    (p.FRONTEND_IC_ERROR, {"InternalFailure": 2}),
    (p.SOFTWARE_MOS_LOCK, {}),
    (p.CHARGE_MOS_BREAKDOWN, {"InternalFailure": 2}),
    (p.DISCHARGE_MOS_BREAKDOWN, {"InternalFailure": 2}),
    ("reserved15", {"InternalFailure": 1}),
]


def raised(levels):
    """The alarms that are up."""
    return {name: level for name, level in levels.items() if level}


@pytest.mark.parametrize(("protection", "expected"), TRIPPED)
def test_tripped(protection, expected):
    """A tripped protection is an alarm, a cold pack a warning, a FET switched off by its owner neither."""
    levels = alarm_levels([protection], [])
    assert expected == raised(levels)
    assert set(ALARM_NAMES) == set(levels)


@pytest.mark.parametrize(
    ("warning", "expected"),
    [(protection, {next(iter(alarms)): 1}) for protection, alarms in TRIPPED[:10]]
    + [(p.CELL_SPREAD, {"CellImbalance": 1}), (p.CAPACITY_LOW, {"LowSoc": 1}), ("reserved13", {"InternalFailure": 1})],
)
def test_warned(warning, expected):
    """A pre-warning is a warning on the alarm of its protection."""
    assert expected == raised(alarm_levels([], [warning]))


def test_the_higher_level_wins():
    """Several causes on one alarm give the worst of them."""
    tripped, warned = [p.SHORT_CIRCUIT, "reserved15", p.DISCHARGE_OVERCURRENT], [p.DISCHARGE_OVERCURRENT, p.CELL_SPREAD]
    expected = {"InternalFailure": 2, "HighDischargeCurrent": 2, "CellImbalance": 1}
    assert expected == raised(alarm_levels(tripped, warned))
