"""What options must be to each other, and what an owner should hear of although it is allowed."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from config.option_types import ConfigError
from config.options import DEFAULT_FAMILY, OPTIONS, REBOOT
from config.values import Values
from core import protocols

LFP_FULL_CELL_V = 3.65

TABLES = (
    ("CELL_VOLTAGES_WHILE_CHARGING", "MAX_CHARGE_CURRENT_CV_FRACTION"),
    ("CELL_VOLTAGES_WHILE_DISCHARGING", "MAX_DISCHARGE_CURRENT_CV_FRACTION"),
    ("TEMPERATURE_LIMITS_WHILE_CHARGING", "MAX_CHARGE_CURRENT_T_FRACTION"),
    ("TEMPERATURE_LIMITS_WHILE_DISCHARGING", "MAX_DISCHARGE_CURRENT_T_FRACTION"),
    ("PENALTY_AT_CELL_VOLTAGE", "PENALTY_BATTERY_VOLTAGE"),
)
"""The points of each table and what holds at them."""

_NOT_ABOVE = (
    ("MIN_CELL_VOLTAGE", "FLOAT_CELL_VOLTAGE"),
    ("FLOAT_CELL_VOLTAGE", "MAX_CELL_VOLTAGE"),
    ("SOC_LOW_ALARM", "SOC_LOW_WARNING"),
    ("RETENTION_RAW_DAYS", "RETENTION_QUARTER_DAYS"),
)
_BELOW = (
    ("CC_SOC_LIMIT2", "CC_SOC_LIMIT1"),
    ("CC_SOC_LIMIT3", "CC_SOC_LIMIT2"),
    ("DC_SOC_LIMIT1", "DC_SOC_LIMIT2"),
    ("DC_SOC_LIMIT2", "DC_SOC_LIMIT3"),
)


def check(values: Values) -> List[str]:
    """Warnings about *values*. Raises :class:`ConfigError` when they contradict each other."""
    for points, results in TABLES:
        if len(values[points]) != len(values[results]):
            counts = "{} has {} numbers and {} has {}".format(
                points, len(values[points]), results, len(values[results])
            )
            raise _contradiction(values, (points, results), counts + ": each needs its partner")
    for low, high in _NOT_ABOVE:
        if values[low] > values[high]:
            raise _contradiction(values, (low, high), _pair(values, low, "is above", high))
    for low, high in _BELOW:
        if round(values[low] * 10) >= round(values[high] * 10):  # the core knows tenths
            raise _contradiction(values, (low, high), _pair(values, low, "is not below", high))
    _check_penalty(values)
    _check_password(values)
    return _warnings(values)


def _check_penalty(values: Values) -> None:
    points, results = TABLES[-1]
    penalties = [penalty for _, penalty in sorted(zip(values[points], values[results]))]
    if penalties != sorted(penalties):
        raise _contradiction(values, (points, results), "{} falls while {} rises".format(results, points))


def _check_password(values: Values) -> None:
    family = protocols.find(values["BMS_TYPE"] or DEFAULT_FAMILY)
    problem = family.password_problem(values["PASSWORD"])
    if problem is not None:
        shown = OPTIONS["PASSWORD"].show(values["PASSWORD"])
        raise ConfigError("{}: {} {}".format(values.places["PASSWORD"], shown, problem))


def _pair(values: Values, low: str, relation: str, high: str) -> str:
    return "{} {} {}".format(_shown(values, low), relation, _shown(values, high))


def _shown(values: Values, name: str) -> str:
    return "{} = {}".format(name, OPTIONS[name].type.show(values[name]))


def _contradiction(values: Values, names: Sequence[str], what: str) -> ConfigError:
    return ConfigError("{}: {}".format(values.latest(names), what))


def _warnings(values: Values) -> List[str]:
    warnings: List[Tuple[str, str]] = []
    if values["MAX_CELL_VOLTAGE"] > LFP_FULL_CELL_V:
        text = "{} is more than a LiFePO4 cell stands ({:g} V)"
        warnings.append(("MAX_CELL_VOLTAGE", text.format(_shown(values, "MAX_CELL_VOLTAGE"), LFP_FULL_CELL_V)))
    if values["BT_WATCHDOG_ACTION"] == REBOOT:
        text = "BT_WATCHDOG_ACTION = reboot makes the link anew instead; this program never reboots the device"
        warnings.append(("BT_WATCHDOG_ACTION", text))
    return ["{}: {}".format(values.places[name], text) for name, text in warnings]
