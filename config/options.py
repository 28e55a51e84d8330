"""The options of ``config.ini``: one definition each, with type, unit, default, range, scope and meaning."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from config.option_types import Choice, ConfigError, Family, Flag, Number, NumberList, Option, Text, Words
from core.configuration import PARALLEL, SEPARATE, SERIES, UNIT_AUTO, UNIT_X1, UNIT_X10

__all__ = ["DEFAULT_FAMILY", "IGNORED", "OPTIONS", "REBOOT", "SUCCESSORS", "ConfigError", "Option"]

REBOOT = "reboot"
DEFAULT_FAMILY = "jbd"

_CELL_VOLTAGES = NumberList(1.5, 4.5, "V", step=0.001)
_TEMPERATURES = NumberList(-40, 100, "C", step=0.1)
_FRACTIONS = NumberList(0, 1)
_CELL_VOLTAGE = Number(float, 1.5, 4.35, "V")
_PERCENT = Number(float, 0, 100, "%")
_FRACTION = Number(float, 0, 1)
_FLAG = Flag()
_ADAPTER = r"hci\d+|[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}"


def _each(name: str, type: Any, default: Any, meaning: str, *, secret: bool = False) -> Option:
    """An option that a battery may have of its own."""
    return Option(name, type, default, meaning, per_battery=True, secret=secret)


_BATTERIES = (
    Option("BATTERIES", Words(), (), "The batteries, where the command line names none."),
    Option("TOPOLOGY", Choice((SERIES, PARALLEL, SEPARATE)), SERIES, "What several batteries are together."),
    Option("MONITOR_ONLY", _FLAG, False, "Only show the batteries, never give limits to Venus OS."),
    Option("PUBLISH_MEMBERS", _FLAG, False, "Show each battery of a virtual battery as a monitor too."),
    _each("BMS_TYPE", Family(), "", "The make of BMS; empty: JBD."),
    _each("PASSWORD", Text(32), "", "Password of the Bluetooth module, tried once if a BMS is silent.", secret=True),
    _each(
        "ADAPTERS", Words(_ADAPTER, "adapters like hci0 or their addresses"), (),
        "Bluetooth adapters to use, in order of preference; empty: any.",
    ),
    _each("BATTERY_CAPACITY", Number(float, 0.1, 5000, "Ah"), 50.0, "Capacity where the BMS reports 0."),
    _each("CAPACITY", Number(float, 0.1, 5000, "Ah", or_zero=True), 0.0, "Capacity; 0: as the BMS says."),
    _each("CELL_COUNT", Number(int, 1, 32, or_zero=True), 0, "Cells in series; 0: as the BMS says."),
    _each("INVERT_CURRENT_MEASUREMENT", Choice(("1", "-1"), int), 1, "-1 for a BMS that counts discharging positive."),
    _each(
        "CURRENT_UNIT", Choice((UNIT_AUTO, UNIT_X1, UNIT_X10)), UNIT_AUTO,
        "Whether the BMS counts current and capacity in tenfold units.",
    ),
)  # fmt: skip

_VOLTAGES = (
    _each("MIN_CELL_VOLTAGE", _CELL_VOLTAGE, 2.9, "Lowest cell voltage in use; times cells: BatteryLowVoltage."),
    _each("MAX_CELL_VOLTAGE", _CELL_VOLTAGE, 3.45, "Cell voltage that is charged to."),
    _each("FLOAT_CELL_VOLTAGE", _CELL_VOLTAGE, 3.35, "Cell voltage that a full battery is kept at."),
    Option("CVCM_ENABLE", _FLAG, False, "Whether charging ends in a float phase."),
    _each("MAX_VOLTAGE_TIME_SEC", Number(int, 0, 86_400, "s"), 900, "How long the full voltage is held before float."),
    Option("ABSORPTION_MAX_SEC", Number(int, 0, 86_400, "s"), 14_400, "When float follows in any case."),
    Option(
        "SOC_LEVEL_TO_RESET_VOLTAGE_LIMIT", Number(float, 0, 99, "%"), 90.0,
        "State of charge below which a battery in float is charged fully again.",
    ),
    Option("LINEAR_LIMITATION_ENABLE", _FLAG, False, "Limits follow straight lines between the points, not steps."),
    _each("PENALTY_AT_CELL_VOLTAGE", _CELL_VOLTAGES, (3.45, 3.55, 3.6), "Voltages of a high cell, in linear mode."),
    _each(
        "PENALTY_BATTERY_VOLTAGE", NumberList(0, 10, "V"), (0.01, 1.0, 2.0),
        "By how much such a cell lowers the voltage limit.",
    ),
)  # fmt: skip

_CURRENTS = (
    _each("MAX_BATTERY_CHARGE_CURRENT", Number(float, 0, 1000, "A"), 70.0, "Most current for charging."),
    _each("MAX_BATTERY_DISCHARGE_CURRENT", Number(float, 0, 1000, "A"), 90.0, "Most current for discharging."),
    _each("CCCM_CV_ENABLE", _FLAG, True, "Whether cell voltages limit charging."),
    _each("DCCM_CV_ENABLE", _FLAG, True, "Whether cell voltages limit discharging."),
    _each("CELL_VOLTAGES_WHILE_CHARGING", _CELL_VOLTAGES, (3.55, 3.5, 3.45, 3.3), "Voltages of the highest cell."),
    _each("MAX_CHARGE_CURRENT_CV_FRACTION", _FRACTIONS, (0.0, 0.05, 0.5, 1.0), "Share of the charge current."),
    _each("CELL_VOLTAGES_WHILE_DISCHARGING", _CELL_VOLTAGES, (2.7, 2.8, 2.9, 3.1), "Voltages of the lowest cell."),
    _each("MAX_DISCHARGE_CURRENT_CV_FRACTION", _FRACTIONS, (0.0, 0.1, 0.5, 1.0), "Share of the discharge current."),
    _each("CCCM_T_ENABLE", _FLAG, True, "Whether temperatures limit charging."),
    _each("DCCM_T_ENABLE", _FLAG, True, "Whether temperatures limit discharging."),
    _each(
        "TEMPERATURE_LIMITS_WHILE_CHARGING", _TEMPERATURES, (0.0, 2.0, 5.0, 10.0, 15.0, 20.0, 35.0, 40.0, 55.0),
        "Temperatures, for charging.",
    ),
    _each(
        "MAX_CHARGE_CURRENT_T_FRACTION", _FRACTIONS, (0.0, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 0.4, 0.0),
        "Share of the charge current.",
    ),
    _each(
        "TEMPERATURE_LIMITS_WHILE_DISCHARGING", _TEMPERATURES, (-20.0, 0.0, 5.0, 10.0, 15.0, 45.0, 55.0),
        "Temperatures, for discharging.",
    ),
    _each(
        "MAX_DISCHARGE_CURRENT_T_FRACTION", _FRACTIONS, (0.0, 0.2, 0.3, 0.4, 1.0, 1.0, 0.0),
        "Share of the discharge current.",
    ),
    _each("CCCM_SOC_ENABLE", _FLAG, True, "Whether the state of charge limits charging."),
    _each("DCCM_SOC_ENABLE", _FLAG, True, "Whether the state of charge limits discharging."),
    _each("CC_SOC_LIMIT1", _PERCENT, 98.0, "Highest point of the charge taper."),
    _each("CC_SOC_LIMIT2", _PERCENT, 95.0, "Middle point of the charge taper."),
    _each("CC_SOC_LIMIT3", _PERCENT, 91.0, "Where the charge taper begins."),
    _each("CC_CURRENT_LIMIT1_FRACTION", _FRACTION, 0.1, "Share of the charge current from CC_SOC_LIMIT1 to 100 %."),
    _each("CC_CURRENT_LIMIT2_FRACTION", _FRACTION, 0.3, "Share of the charge current from CC_SOC_LIMIT2 to 1."),
    _each("CC_CURRENT_LIMIT3_FRACTION", _FRACTION, 0.5, "Share of the charge current from CC_SOC_LIMIT3 to 2."),
    _each("DC_SOC_LIMIT1", _PERCENT, 10.0, "Lowest point of the discharge taper."),
    _each("DC_SOC_LIMIT2", _PERCENT, 20.0, "Middle point of the discharge taper."),
    _each("DC_SOC_LIMIT3", _PERCENT, 30.0, "Where the discharge taper begins."),
    _each("DC_CURRENT_LIMIT1_FRACTION", _FRACTION, 0.1, "Share of the discharge current up to DC_SOC_LIMIT1."),
    _each("DC_CURRENT_LIMIT2_FRACTION", _FRACTION, 0.3, "Share of the discharge current from DC_SOC_LIMIT1 to 2."),
    _each("DC_CURRENT_LIMIT3_FRACTION", _FRACTION, 0.5, "Share of the discharge current from DC_SOC_LIMIT2 to 3."),
)  # fmt: skip

_LOSS = (
    Option("POLL_SECONDS", Number(float, 1, 60, "s"), 5.0, "How often each battery is asked."),
    Option("HOLD_SECONDS", Number(int, 15, 1800, "s"), 120, "How long a battery is silent before it counts as lost."),
    Option("REMOVE_SECONDS", Number(int, 0, 3600, "s"), 240, "How much longer before it leaves the bus."),
    Option(
        "START_WAIT_SECONDS", Number(int, 0, 3600, "s"), 120,
        "How long a parallel battery waits for its last member before it begins without.",
    ),
    Option("BLOCK_DISCHARGE_ON_LOSS", _FLAG, False, "Whether a lost battery also forbids discharging."),
    Option("ESTIMATE_LOST", _FLAG, False, "Whether the current of a lost member in parallel is estimated."),
    Option(
        "BT_WATCHDOG_TIMEOUT", Number(int, 10, 3600, "s", or_zero=True), 30,
        "Silence after which the watchdog makes the link anew; 0: never.",
    ),
    Option("BT_WATCHDOG_ACTION", Choice(("log", REBOOT)), "log", "What the former watchdog did; nothing is rebooted."),
)  # fmt: skip

_SHOWN = (
    Option("SOC_LOW_WARNING", _PERCENT, 20.0, "Below it: warning. Also what TimeToGo counts down to."),
    Option("SOC_LOW_ALARM", _PERCENT, 10.0, "Below it: alarm."),
    Option("SOC_IMBALANCE_DETECTION_ENABLE", _FLAG, True, "Whether charges that drift apart in parallel are told."),
    Option("SOC_IMBALANCE_THRESHOLD", Number(float, 1, 100, "%"), 10.0, "How far they may be apart."),
    Option("MIDPOINT_ENABLE", _FLAG, False, "Show the voltage in the middle of the cells."),
    Option("BATTERY_CELL_DATA_FORMAT", Number(int, 0, 3), 1, "Which paths show the cell voltages."),
    Option(
        "TIME_TO_SOC_POINTS", NumberList(0, 100, "%", int, fewest=0, most=20), (),
        "States of charge to show the time to.",
    ),
    Option("TIME_TO_SOC_VALUE_TYPE", Number(int, 1, 3), 3, "How those times are written."),
    Option("TIME_TO_SOC_LOOP_CYCLES", Number(int, 1, 3600, "polls"), 5, "How often those times are computed."),
    Option("TIME_TO_SOC_INC_FROM", _FLAG, False, "Also show the time since points already passed."),
    Option("PUBLISH_CONFIG_VALUES", _FLAG, True, "Show the options on D-Bus below /Info/Config."),
    Option("PRODUCT_ID", Number(int, 0, 0xFFFF), 0xBAB7, "Product number on Venus OS."),
)  # fmt: skip

_HISTORY = (
    Option("COMMIT_SECONDS", Number(float, 1, 300, "s"), 10.0, "How much history a power cut may cost."),
    Option("RETENTION_RAW_DAYS", Number(int, 1, 3650, "days"), 14, "How long single readings are kept."),
    Option("RETENTION_MINUTE_HOURS", Number(int, 1, 8760, "h"), 48, "How long the history by minutes is kept."),
    Option(
        "RETENTION_QUARTER_DAYS", Number(int, 2, 3650, "days"), 90,
        "How long the history by quarters of an hour is kept.",
    ),
    Option(
        "DATABASE_MAX_MB", Number(int, 8, 65_536, "MB", or_zero=True), 0,
        "Largest size of the database; 0: by the free space.",
    ),
)  # fmt: skip

_ALL: Tuple[Option, ...] = _BATTERIES + _VOLTAGES + _CURRENTS + _LOSS + _SHOWN + _HISTORY
OPTIONS: Dict[str, Option] = {option.name: option for option in _ALL}

IGNORED = {"GREENMETER_ADDRESS": "1", "LIPRO_START_ADDRESS": "2", "LIPRO_END_ADDRESS": "4", "LIPRO_CELL_COUNT": "15"}
"""Of serial devices that the first driver knew: accepted with any value, without a word and without effect."""

SUCCESSORS = {
    "BATTERY_FULL_VOLTAGE": "MAX_CELL_VOLTAGE",
    "BLOCK_ON_DISCONNECT": "BLOCK_DISCHARGE_ON_LOSS",
    "BLUETOOTH_BMS": "BATTERIES",
    "BLUETOOTH_PREFERRED_ADAPTER": "ADAPTERS",
    "BT_ADDRESSES": "BATTERIES",
    "BT_POLL_INTERVAL": "POLL_SECONDS",
    "BT_WATCHDOG_TIMER": "BT_WATCHDOG_TIMEOUT",
    "CHARGE_MODE": "LINEAR_LIMITATION_ENABLE",
    "CONNECTION_MODE": "TOPOLOGY",
    "MAX_BATTERY_CURRENT": "MAX_BATTERY_CHARGE_CURRENT",
    "POLL_INTERVAL": "POLL_SECONDS",
    "SWITCH_TO_BULK_SOC_THRESHOLD": "SOC_LEVEL_TO_RESET_VOLTAGE_LIMIT",
    "SWITCH_TO_FLOAT_WAIT_FOR_SEC": "MAX_VOLTAGE_TIME_SEC",
    "TIME_TO_SOC_RECALCULATE_EVERY": "TIME_TO_SOC_LOOP_CYCLES",
}
"""Names of related drivers that look unlike what comes nearest to them here."""
