"""The D-Bus paths of a battery service: wire type, decimals and display text of each.

One table, so that a path keeps one wire type for its life and is rounded before it is compared. Types
and texts: the Victron conventions for ``com.victronenergy.battery``. ``#`` stands for any number.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Dict, Optional, Tuple, Union

from attrs import frozen

Value = Union[None, int, float, str, Tuple[float, ...]]
"""``None`` is D-Bus "invalid": not known now."""

INVALID_TEXT = "---"


@frozen
class PathType:
    """How a path looks on the wire and on a screen. *wire* is ``i``, ``d``, ``s`` or, by its value, ``v``."""

    wire: str
    decimals: int = 0
    unit: str = ""
    text_decimals: Optional[int] = None


_TEXT = PathType("s")
_COUNT = PathType("i")
_FLAG = PathType("i")
_YES_NO = PathType("i", unit="yes")
_LIMIT_AMPERE = PathType("d", 1, "A")
_ANY = PathType("v")
_UNIX_TIME = PathType("d", 0, "s")
_VOLT = PathType("d", 2, "V")
_CELL_VOLT = PathType("d", 3, "V")
_AMPERE = PathType("d", 2, "A")
_WATT = PathType("d", 1, "W", 0)
_CELSIUS = PathType("d", 1, "C")
_PERCENT = PathType("d", 1, "%")
_AMPERE_HOUR = PathType("d", 2, "Ah")
_HEX = PathType("i", unit="hex")

_TYPES: Dict[str, PathType] = {
    "/Mgmt/ProcessName": _TEXT,
    "/Mgmt/ProcessVersion": _TEXT,
    "/Mgmt/Connection": _TEXT,
    "/Mgmt/InsecureConnection": _FLAG,
    "/DeviceInstance": _COUNT,
    "/ProductId": _HEX,
    "/ProductName": _TEXT,
    "/CustomName": _TEXT,
    "/DeviceName": _TEXT,
    "/FirmwareVersion": _TEXT,
    "/HardwareVersion": _TEXT,
    "/Serial": _TEXT,
    "/Connected": _FLAG,
    "/State": _COUNT,
    "/ErrorCode": _COUNT,
    "/ConnectionInformation": _TEXT,
    "/Dc/#/Voltage": _VOLT,
    "/Dc/#/Current": _AMPERE,
    "/Dc/#/Power": _WATT,
    "/Dc/#/Temperature": _CELSIUS,
    "/Soc": _PERCENT,
    "/Soh": _PERCENT,
    "/Capacity": _AMPERE_HOUR,
    "/InstalledCapacity": _AMPERE_HOUR,
    "/ConsumedAmphours": _AMPERE_HOUR,
    "/TimeToGo": _COUNT,
    "/TimeToSoC/#": _ANY,
    "/Dc/#/MidVoltage": _VOLT,
    "/Dc/#/MidVoltageDeviation": _PERCENT,
    "/Info/MaxChargeVoltage": _VOLT,
    "/Info/MaxChargeCurrent": _LIMIT_AMPERE,
    "/Info/MaxDischargeCurrent": _LIMIT_AMPERE,
    "/Info/BatteryLowVoltage": _VOLT,
    "/Info/ChargeMode": _TEXT,
    "/Info/ChargeLimitation": _TEXT,
    "/Info/DischargeLimitation": _TEXT,
    "/Io/AllowToCharge": _FLAG,
    "/Io/AllowToDischarge": _FLAG,
    "/System/NrOfCellsPerBattery": _COUNT,
    "/System/NrOfBatteries": _COUNT,
    "/System/BatteriesParallel": _COUNT,
    "/System/BatteriesSeries": _COUNT,
    "/System/NrOfModulesOnline": _COUNT,
    "/System/NrOfModulesOffline": _COUNT,
    "/System/NrOfModulesBlockingCharge": _COUNT,
    "/System/NrOfModulesBlockingDischarge": _COUNT,
    "/System/MinCellVoltage": _CELL_VOLT,
    "/System/MaxCellVoltage": _CELL_VOLT,
    "/System/MinVoltageCellId": _TEXT,
    "/System/MaxVoltageCellId": _TEXT,
    "/System/MinCellTemperature": _CELSIUS,
    "/System/MaxCellTemperature": _CELSIUS,
    "/System/MinTemperatureCellId": _TEXT,
    "/System/MaxTemperatureCellId": _TEXT,
    "/System/Temperature#": _CELSIUS,
    "/Balancing": _FLAG,
    "/Balancer/Status": _COUNT,
    "/Voltages/Cell#": _CELL_VOLT,
    "/Voltages/Sum": _CELL_VOLT,
    "/Voltages/Diff": _CELL_VOLT,
    "/Balances/Cell#": _FLAG,
    "/Voltages/Cell#X#": _CELL_VOLT,
    "/Balances/Cell#X#": _FLAG,
    "/Cell/#/Volts": _CELL_VOLT,
    "/Cell/#X#/Volts": _CELL_VOLT,
    "/Cell/Sum": _CELL_VOLT,
    "/Cell/Diff": _CELL_VOLT,
    "/Parallel/VoltageImbalance": _YES_NO,
    "/Parallel/CurrentImbalance": _YES_NO,
    "/Parallel/SocImbalance": _YES_NO,
    "/Parallel/TotalBatteries": _COUNT,
    "/Parallel/ActiveBatteries": _COUNT,
    "/Parallel/BatteryCount": _COUNT,
    "/CellMonitor/Statistics/MinVoltage": _CELL_VOLT,
    "/CellMonitor/Statistics/MaxVoltage": _CELL_VOLT,
    "/CellMonitor/Statistics/AvgVoltage": _CELL_VOLT,
    "/CellMonitor/Statistics/MaxSpread": _CELL_VOLT,
    "/CellMonitor/Statistics/LastUpdate": _UNIX_TIME,
    "/CellMonitor/Alerts/Count": _COUNT,
    "/CellMonitor/Alerts/Latest": _TEXT,
    "/CellMonitor/BatteryCount": _COUNT,
    "/CellMonitor/Data": _TEXT,
    "/Settings/CellMonitor/SampleInterval": PathType("i", unit="s"),
    "/Settings/CellMonitor/AlertThreshold": _CELL_VOLT,
    "/History/ChargeCycles": _COUNT,
    "/History/LowVoltageAlarms": _COUNT,
    "/History/HighVoltageAlarms": _COUNT,
    "/Battery/Request/Id": _COUNT,
    "/Battery/#/Serial": _TEXT,
    "/Battery/#/Capacity": _AMPERE_HOUR,
    "/Battery/#/FwVersion": _COUNT,
    "/Battery/#/Status": _COUNT,
    "/Battery/#/ReleaseMinutes": PathType("i", unit="min"),
    "/Battery/#/Voltage": _VOLT,
    "/Battery/#/Current": _AMPERE,
    "/Battery/#/Temperature": _CELSIUS,
    "/Battery/#/Cell/#/Voltage": _CELL_VOLT,
    "/Battery/#/Cell/#/Temperature": _CELSIUS,
    "/CellMonitor/Trend/Request": _TEXT,
    "/CellMonitor/Trend/Json": _TEXT,
}
_ALARM = PathType("i")
_PER_BATTERY: Dict[str, PathType] = {
    "CellCount": _COUNT,
    "Name": _TEXT,
    "MinVoltage": _CELL_VOLT,
    "MaxVoltage": _CELL_VOLT,
    "AvgVoltage": _CELL_VOLT,
    "VoltageSpread": _CELL_VOLT,
    "Cell/#/Volts": _CELL_VOLT,
    "Cell/#/Balancing": _YES_NO,
    "LastUpdate": _UNIX_TIME,
    "CellVoltages": _TEXT,
    "Balancing": _TEXT,
}
"""Below ``/Parallel/Battery/<address with _>/``."""


@lru_cache(maxsize=4096)
def type_of(path: str) -> PathType:
    """The type of *path*. Raises :class:`KeyError` for a path that the table does not know."""
    if path.startswith("/Alarms/"):
        return _ALARM
    if path.startswith("/Info/Config/"):
        return _ANY
    if path.startswith("/Parallel/Battery/"):
        return _PER_BATTERY[re.sub(r"\d+", "#", "/".join(path.split("/")[4:]))]
    return _TYPES[re.sub(r"\d+", "#", path)]


def rounded(path: str, value: Value) -> Value:
    """*value* with the decimals and the Python type that *path* has on the wire."""
    if value is None:
        return None
    kind = type_of(path)
    if kind.wire == "d" and isinstance(value, (int, float)):
        return round(float(value), kind.decimals) + 0.0  # no screen shows -0.0
    return int(value) if kind.wire == "i" and isinstance(value, (int, float)) else value


def text_of(path: str, value: Value) -> str:
    """What a screen shows, e.g. ``13.27V``; ``---`` for an unknown value."""
    if value is None:
        return INVALID_TEXT
    kind = type_of(path)
    if kind.unit == "hex" and isinstance(value, int):
        return "0x{:X}".format(value)
    if kind.unit == "yes":
        return "Yes" if value else "No"
    if isinstance(value, tuple):
        return ", ".join("{:g}".format(number) for number in value)
    if kind.wire == "d" and isinstance(value, float):
        decimals = kind.decimals if kind.text_decimals is None else kind.text_decimals
        return "{:.{}f}{}".format(value, decimals, kind.unit)
    return str(value) + kind.unit
