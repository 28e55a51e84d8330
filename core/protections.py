"""The names of what a BMS protects against, shared by all families, and the alarm each one raises on Venus OS.

Levels: 1 warning, 2 alarm. A protection that has tripped is an alarm; a cold pack is an everyday
state and stays a warning.
"""

from __future__ import annotations

from typing import Dict, Iterable, Tuple

CELL_OVERVOLTAGE = "cell_overvoltage"
CELL_UNDERVOLTAGE = "cell_undervoltage"
PACK_OVERVOLTAGE = "pack_overvoltage"
PACK_UNDERVOLTAGE = "pack_undervoltage"
CHARGE_OVERTEMPERATURE = "charge_overtemperature"
CHARGE_UNDERTEMPERATURE = "charge_undertemperature"
DISCHARGE_OVERTEMPERATURE = "discharge_overtemperature"
DISCHARGE_UNDERTEMPERATURE = "discharge_undertemperature"
CHARGE_OVERCURRENT = "charge_overcurrent"
DISCHARGE_OVERCURRENT = "discharge_overcurrent"
SHORT_CIRCUIT = "short_circuit"
FRONTEND_IC_ERROR = "frontend_ic_error"
SOFTWARE_MOS_LOCK = "software_mos_lock"
CHARGE_MOS_BREAKDOWN = "charge_mos_breakdown"
DISCHARGE_MOS_BREAKDOWN = "discharge_mos_breakdown"
CELL_SPREAD = "cell_spread"
CAPACITY_LOW = "capacity_low"

WARNING = 1
ALARM = 2

ALARM_NAMES = (
    "LowVoltage",
    "HighVoltage",
    "LowCellVoltage",
    "HighCellVoltage",
    "LowSoc",
    "HighChargeCurrent",
    "HighDischargeCurrent",
    "CellImbalance",
    "InternalFailure",
    "HighChargeTemperature",
    "LowChargeTemperature",
    "HighTemperature",
    "LowTemperature",
    "BatteryTemperatureSensor",
)
"""Every alarm that a BMS can raise here; ``BmsCable`` belongs to the link and is not among them."""

_TRIPPED: Dict[str, Tuple[Tuple[str, int], ...]] = {
    CELL_OVERVOLTAGE: (("HighCellVoltage", ALARM),),
    CELL_UNDERVOLTAGE: (("LowCellVoltage", ALARM),),
    PACK_OVERVOLTAGE: (("HighVoltage", ALARM),),
    PACK_UNDERVOLTAGE: (("LowVoltage", ALARM),),
    CHARGE_OVERTEMPERATURE: (("HighChargeTemperature", ALARM),),
    CHARGE_UNDERTEMPERATURE: (("LowChargeTemperature", WARNING),),
    DISCHARGE_OVERTEMPERATURE: (("HighTemperature", ALARM),),
    DISCHARGE_UNDERTEMPERATURE: (("LowTemperature", WARNING),),
    CHARGE_OVERCURRENT: (("HighChargeCurrent", ALARM),),
    DISCHARGE_OVERCURRENT: (("HighDischargeCurrent", ALARM),),
    SHORT_CIRCUIT: (("InternalFailure", ALARM), ("HighDischargeCurrent", ALARM)),
    FRONTEND_IC_ERROR: (("InternalFailure", ALARM),),
    SOFTWARE_MOS_LOCK: (),  # someone switched a FET off in the app: AllowToCharge/Discharge tell it
    CHARGE_MOS_BREAKDOWN: (("InternalFailure", ALARM),),
    DISCHARGE_MOS_BREAKDOWN: (("InternalFailure", ALARM),),
}

_WARNED = {name: alarms[0][0] for name, alarms in _TRIPPED.items() if alarms}
_WARNED.update({CELL_SPREAD: "CellImbalance", CAPACITY_LOW: "LowSoc"})


def alarm_levels(tripped: Iterable[str], warned: Iterable[str]) -> Dict[str, int]:
    """The level of every alarm in :data:`ALARM_NAMES`; an unknown protection is an InternalFailure warning."""
    levels = dict.fromkeys(ALARM_NAMES, 0)
    for protection in tripped:
        for name, level in _TRIPPED.get(protection, (("InternalFailure", WARNING),)):
            levels[name] = max(levels[name], level)
    for warning in warned:
        name = _WARNED.get(warning, "InternalFailure")
        levels[name] = max(levels[name], WARNING)
    return levels
