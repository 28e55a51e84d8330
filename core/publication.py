"""One physical battery as the values of a ``com.victronenergy.battery`` service.

This service is a monitor: it has no ``/Info/Max*`` paths, because a service that merely registers them counts
as a BMS that controls the chargers.

What may be shown in which phase (venus-dbus D.4): LIVE everything; STALE and LOST only what may outlive its
reading (SoC, Capacity, ConsumedAmphours, identity, InstalledCapacity, cell count, history), with its age in
``/ConnectionInformation``; everything else is invalid, or safe (no charging) once LOST.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Dict, List, Mapping, Optional, Tuple

from core import plausibility
from core.battery import Battery
from core.configuration import Configuration
from core.paths import Value, rounded
from core.presence import Phase
from core.protections import ALARM_NAMES
from core.readings import PackReading

PROCESS_NAME = "dbus-btbattery"
BUS_NAME_PREFIX = "com.victronenergy.battery."

STATE_RUNNING = 9
STATE_ERROR = 10
BALANCER_UNKNOWN = 0
BALANCER_BALANCING = 2
MAX_TIME_TO_GO_S = 864_000
"""Victron's own ceiling for a time to go: ten days."""

_ALARM_PATHS = {name: "/Alarms/" + name for name in ALARM_NAMES + ("BmsCable",)}
_HELD = "Soc, Capacity, ConsumedAmphours"
_SENSOR_PATHS = 4

Items = Dict[str, Value]


def service_items(
    battery: Battery,
    phase: Phase,
    alarms: Mapping[str, Optional[int]],
    *,
    configuration: Configuration,
    program: str,
    index: int,
    now_us: int,
) -> Items:
    """Every path of the service of *battery*, rounded. *index* is its 0-based place in the configuration."""
    items: Items = {}
    items.update(_identity(battery, configuration, program, index))
    items.update(_link(battery, phase, now_us))
    items.update(_held(battery))
    items.update(_measurements(battery, phase, configuration))
    items.update(_temperatures(battery, phase))
    items.update(_modules(battery, phase))
    items = {path: rounded(path, value) for path, value in items.items()}
    items.update(_cells(battery, phase))  # whole millivolts and flags: exact as they are
    items.update({_ALARM_PATHS[name]: level for name, level in alarms.items()})
    return items


def _identity(battery: Battery, configuration: Configuration, program: str, index: int) -> Items:
    known, pack = battery.configuration, battery.pack
    return {
        "/Mgmt/ProcessName": PROCESS_NAME,
        "/Mgmt/ProcessVersion": program,
        "/Mgmt/Connection": "{} {}".format(known.connection, known.address),
        "/Mgmt/InsecureConnection": known.insecure_connection,
        "/DeviceInstance": (configuration.device_instance or 0) + index,
        "/ProductId": configuration.product_id,
        "/ProductName": "BT Battery ({})".format(known.label),
        "/CustomName": battery.custom_name,
        "/DeviceName": battery.device_name,
        "/FirmwareVersion": pack.firmware if pack else None,
        "/HardwareVersion": battery.hardware_name,
        "/Serial": known.address,
        "/ErrorCode": 0,
        "/System/NrOfBatteries": 1,
        "/System/BatteriesParallel": 1,
        "/System/BatteriesSeries": 1,
        "/Battery/Request/Id": 1,
        "/Battery/1/Serial": known.address,
        "/Battery/1/FwVersion": _version_number(pack.firmware if pack else None),
    }


def _version_number(firmware: Optional[str]) -> Optional[int]:
    """``2.5`` as gui-v2 counts versions, v2.05: two digits of minor version, so that 2.1 and 2.10 differ."""
    match = re.match(r"(\d{1,3})\.(\d{1,2})(?!\d)", firmware or "")
    return int(match.group(1)) << 16 | int(match.group(2), 16) << 8 if match else None


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return "{:02d}:{:02d}:{:02d}".format(minutes // 60, minutes % 60, rest)


def _link(battery: Battery, phase: Phase, now_us: int) -> Items:
    age = _clock_text(battery.age_s(now_us) or 0)
    if phase is Phase.LIVE:
        text = "Connected" if battery.link_up else "Reconnecting: {}".format(battery.link_cause or "not connected yet")
    elif phase is Phase.STALE:
        text = "Stale {}, held: {}".format(age, _HELD)
    else:
        text = "Lost {}, held: {}".format(age, _HELD)
    if phase is not Phase.LIVE and battery.link_cause:
        text += " ({})".format(battery.link_cause)
    lost = phase in (Phase.LOST, Phase.GONE)
    return {
        "/Connected": 0 if lost else 1,
        "/State": STATE_ERROR if lost else STATE_RUNNING,
        "/ConnectionInformation": text,
    }


def _per_thousand(value: Optional[int], divisor: float = 1000.0) -> Optional[float]:
    return None if value is None else value / divisor


def _installed_mah(pack: Optional[PackReading]) -> Optional[int]:
    """The design capacity; a BMS that answers 0 does not know it."""
    return pack.nominal_mah or None if pack else None


def _held(battery: Battery) -> Items:
    """What may outlive its reading."""
    pack = battery.pack
    installed_mah = _installed_mah(pack)
    remaining_mah = pack.remaining_mah if pack else None
    consumed_mah = None if installed_mah is None or remaining_mah is None else min(0, remaining_mah - installed_mah)
    soc_permille = pack.soc_permille if pack and plausibility.SOC not in battery.marks else None
    counts = battery.counters.counts if battery.counters else {}
    disputed = plausibility.CELL_COUNT in battery.marks
    return {
        "/Soc": _per_thousand(soc_permille, 10.0),
        "/Capacity": _per_thousand(remaining_mah),
        "/InstalledCapacity": _per_thousand(installed_mah),
        "/ConsumedAmphours": _per_thousand(consumed_mah),
        "/System/NrOfCellsPerBattery": None if disputed else len(battery.cell_voltages_mv()) or None,
        "/History/ChargeCycles": pack.cycles if pack else None,
        "/History/LowVoltageAlarms": counts.get("pack_undervoltage"),
        "/History/HighVoltageAlarms": counts.get("pack_overvoltage"),
        "/Battery/1/Capacity": _per_thousand(remaining_mah),
    }


def _soh_permille(pack: PackReading) -> Optional[int]:
    """As the BMS says, else learned over design capacity; a new battery may learn more than 100 %."""
    if pack.soh_permille is not None:
        return pack.soh_permille
    if not pack.full_charge_mah or not pack.nominal_mah:
        return None
    return min(1000, pack.full_charge_mah * 1000 // pack.nominal_mah)


def _time_to_go_s(pack: PackReading, configuration: Configuration) -> Optional[int]:
    """Seconds until the SoC warning level at the present current; unknown unless discharging."""
    installed_mah = _installed_mah(pack)
    if installed_mah is None or pack.remaining_mah is None or pack.current_ma >= 0:
        return None
    usable_mah = pack.remaining_mah - installed_mah * configuration.soc_low_warning_pct / 100
    return min(MAX_TIME_TO_GO_S, max(0, int(usable_mah * 3600 / -pack.current_ma)))


def _measurements(battery: Battery, phase: Phase, configuration: Configuration) -> Items:
    pack = battery.pack if phase is Phase.LIVE else None
    voltage_v = current_a = power_w = soh_permille = time_to_go_s = None
    if pack is not None:
        voltage_v = pack.voltage_mv / 1000
        soh_permille = _soh_permille(pack)
        if plausibility.CURRENT not in battery.marks:
            current_a = pack.current_ma / 1000
            power_w = voltage_v * current_a
            time_to_go_s = _time_to_go_s(pack, configuration)
    balancing = bool(pack.balancing_cells) if pack else None
    return {
        "/Dc/0/Voltage": voltage_v,
        "/Dc/0/Current": current_a,
        "/Dc/0/Power": power_w,
        "/Soh": _per_thousand(soh_permille, 10.0),
        "/TimeToGo": time_to_go_s,
        "/Balancing": balancing,
        "/Balancer/Status": None if balancing is None else BALANCER_BALANCING if balancing else BALANCER_UNKNOWN,
        "/Battery/1/Voltage": voltage_v,
        "/Battery/1/Current": current_a,
    }


def _extremes(numbered: List[Tuple[int, int]]) -> Tuple[Optional[Tuple[int, int]], Optional[Tuple[int, int]]]:
    """The (number, value) with the lowest and with the highest value; the first one where several are equal."""
    if not numbered:
        return None, None
    return min(numbered, key=lambda pair: pair[1]), max(numbered, key=lambda pair: pair[1])


@lru_cache(maxsize=None)
def _cell_paths(cell: int) -> Tuple[str, str, str]:
    return "/Voltages/Cell{}".format(cell), "/Balances/Cell{}".format(cell), "/Battery/1/Cell/{}/Voltage".format(cell)


def _cells(battery: Battery, phase: Phase) -> Items:
    live = phase is Phase.LIVE
    voltages_mv = battery.cell_voltages_mv()
    balancing = set(battery.pack.balancing_cells) if battery.pack else set()
    items: Items = {}
    for n, mv in enumerate(voltages_mv, 1):
        voltage_path, balance_path, gui_path = _cell_paths(n)
        items[voltage_path] = items[gui_path] = mv / 1000 if live else None
        items[balance_path] = int(n in balancing) if live else None
    complete = live and plausibility.CELL_COUNT not in battery.marks
    lowest, highest = _extremes(list(enumerate(voltages_mv, 1)) if complete else [])
    items.update(
        {
            "/System/MinCellVoltage": lowest[1] / 1000 if lowest else None,
            "/System/MinVoltageCellId": "C{}".format(lowest[0]) if lowest else None,
            "/System/MaxCellVoltage": highest[1] / 1000 if highest else None,
            "/System/MaxVoltageCellId": "C{}".format(highest[0]) if highest else None,
            "/Voltages/Sum": sum(voltages_mv) / 1000 if complete and voltages_mv else None,
            "/Voltages/Diff": (highest[1] - lowest[1]) / 1000 if highest and lowest else None,
        }
    )
    return items


def _temperatures(battery: Battery, phase: Phase) -> Items:
    sensors = battery.temperatures_dc() if phase is Phase.LIVE else []
    lowest, highest = _extremes(sensors)
    mean_c = sum(t for _, t in sensors) / len(sensors) / 10 if sensors else None
    items: Items = {
        "/Dc/0/Temperature": mean_c,
        "/Battery/1/Temperature": mean_c,
        "/System/MinCellTemperature": lowest[1] / 10 if lowest else None,
        "/System/MinTemperatureCellId": "T{}".format(lowest[0]) if lowest else None,
        "/System/MaxCellTemperature": highest[1] / 10 if highest else None,
        "/System/MaxTemperatureCellId": "T{}".format(highest[0]) if highest else None,
    }
    by_number = dict(sensors)
    for n in range(1, _SENSOR_PATHS + 1):
        temperature_dc = by_number.get(n)
        items["/System/Temperature{}".format(n)] = None if temperature_dc is None else temperature_dc / 10
    return items


def _modules(battery: Battery, phase: Phase) -> Items:
    pack = battery.pack if phase is Phase.LIVE else None
    charge = pack.charge_fet_on if pack else None
    discharge = pack.discharge_fet_on if pack else None
    if phase in (Phase.LOST, Phase.GONE):
        charge = False  # nobody can vouch for it; discharging is left open: a radio hiccup must not black a house out
    live = phase is Phase.LIVE
    return {
        "/Io/AllowToCharge": charge,
        "/Io/AllowToDischarge": discharge,
        "/System/NrOfModulesOnline": int(live),
        "/System/NrOfModulesOffline": int(not live),
        "/System/NrOfModulesBlockingCharge": None if charge is None else not charge,
        "/System/NrOfModulesBlockingDischarge": None if discharge is None else not discharge,
    }
