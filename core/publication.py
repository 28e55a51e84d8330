"""A bank as the values of a ``com.victronenergy.battery`` service.

What may be shown in which phase (venus-dbus D.4): LIVE everything; STALE and LOST only what may outlive its
reading (SoC, Capacity, ConsumedAmphours, limits, identity, InstalledCapacity, cell count, history), with its age in
``/ConnectionInformation``; everything else is invalid, or safe (no charging) once LOST.
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Optional, Sequence

from core.bank import Bank, Member
from core.bank_values import BankValues, Extreme
from core.battery import Battery
from core.configuration import SERIES, Configuration
from core.limits.control import Limits
from core.link import LinkHealth
from core.link_causes import RELEASED
from core.paths import Value, rounded
from core.plausibility import CELL_COUNT
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
_HELD_LIMITS = ", limits"
_SENSOR_PATHS = 4

Items = Dict[str, Value]


def _rounded(items: Items) -> Items:
    return {path: rounded(path, value) for path, value in items.items()}


def per_thousand(value: Optional[float], divisor: float = 1000.0) -> Optional[float]:
    """MV as V, permille as percent with a *divisor* of 10; unknown stays unknown."""
    return None if value is None else value / divisor


def version_number(firmware: Optional[str]) -> Optional[int]:
    """``2.5`` as gui-v2 counts versions, v2.05: two digits of minor version, so that 2.1 and 2.10 differ."""
    match = re.match(r"(\d{1,3})\.(\d{1,2})(?!\d)", firmware or "")
    return int(match.group(1)) << 16 | int(match.group(2), 16) << 8 if match else None


def identity_items(bank: Bank, *, custom_name: str, instance: int, program: str, selected: int) -> Items:
    """Who the service is. A bank of one is its battery."""
    configuration = bank.configuration
    first = bank.members[0].battery
    known = first.configuration
    count = len(bank.members)
    if count == 1:
        pack = first.pack
        own: Items = {
            "/Mgmt/Connection": "{} {}".format(known.connection, known.address),
            "/ProductName": "BT Battery ({})".format(known.label),
            "/DeviceName": first.device_name,
            "/FirmwareVersion": pack.firmware if pack else None,
            "/HardwareVersion": first.hardware_name,
            "/Serial": known.address,
        }
    else:
        own = {
            "/Mgmt/Connection": "{}, {} batteries".format(known.connection, count),
            "/ProductName": "BT Battery ({})".format(configuration.topology),
            "/DeviceName": None,
            "/FirmwareVersion": program,
            "/HardwareVersion": None,
            "/Serial": "virtual_" + configuration.topology,
        }
    return {
        "/Mgmt/ProcessName": PROCESS_NAME,
        "/Mgmt/ProcessVersion": program,
        "/Mgmt/InsecureConnection": max(member.battery.configuration.insecure_connection for member in bank.members),
        "/DeviceInstance": instance,
        "/ProductId": configuration.product_id,
        "/CustomName": custom_name,
        "/ErrorCode": 0,
        "/System/NrOfBatteries": count,
        "/System/BatteriesParallel": count if bank.parallel else 1,
        "/System/BatteriesSeries": count if configuration.topology == SERIES else 1,
        "/Battery/Request/Id": selected,
        **own,
    }


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return "{:02d}:{:02d}:{:02d}".format(minutes // 60, minutes % 60, rest)


def link_items(bank: Bank, limits: bool, notes: Sequence[str] = ()) -> Items:
    """Whether somebody answers; what is held, and how old it is; and what else the owner must know."""
    lost = bank.phase in (Phase.LOST, Phase.GONE)
    single = len(bank.members) == 1
    held = _HELD + (_HELD_LIMITS if limits else "")
    texts = [_link_text(member, held, named=not single) for member in bank.members]
    told = [
        text for text, member in zip(texts, bank.members) if single or not member.live or not member.battery.link.up
    ]
    text = "; ".join(told) or "Connected"
    return {
        "/Connected": 0 if lost else 1,
        "/State": STATE_ERROR if lost else STATE_RUNNING,
        "/ConnectionInformation": text + "".join(" ({})".format(note) for note in notes),
    }


def _link_text(member: Member, held: str, *, named: bool) -> str:
    battery = member.battery
    age = _clock_text(member.age_s or 0)
    if member.live:
        text = _up_text(battery.link)
    elif member.phase is Phase.STALE:
        text = "Stale {}, held: {}".format(age, held)
    elif not member.fits:
        text = "Has {} cells, unlike the others".format(member.cells)
    elif member.phase is Phase.START:
        text = member.doubt or "Not seen yet"
    else:
        text = "Lost {}, held: {}".format(age, held)
    if not member.live and battery.link.cause:
        text += " ({})".format(battery.link.cause)
    return "Battery {}: {}".format(member.number, text) if named else text


def _up_text(link: LinkHealth) -> str:
    """Of a battery whose last reading still counts."""
    if link.up:
        return "Connected"
    if link.cause == RELEASED:
        return "Released for a phone"
    return "Reconnecting: {}".format(link.cause or "not connected yet")


def value_items(bank: Bank, values: BankValues, limits: Optional[Limits]) -> Items:
    """The numbers of the whole."""
    power_w = None
    voltage_v, current_a = per_thousand(values.voltage_mv), per_thousand(values.current_ma)
    if voltage_v is not None and current_a is not None:
        power_w = voltage_v * current_a
    items: Items = {
        "/Dc/0/Voltage": voltage_v,
        "/Dc/0/Current": current_a,
        "/Dc/0/Power": power_w,
        "/Dc/0/Temperature": per_thousand(values.temperature_dc, 10),
        "/Soc": per_thousand(values.soc_permille, 10),
        "/Soh": per_thousand(_soh_permille(bank), 10),
        "/Capacity": per_thousand(values.remaining_mah),
        "/InstalledCapacity": per_thousand(values.installed_mah),
        "/ConsumedAmphours": per_thousand(values.consumed_mah),
        "/TimeToGo": _time_to_go_s(bank.configuration, values) if bank.phase is Phase.LIVE else None,
        "/Balancing": values.balancing,
        "/Balancer/Status": None
        if values.balancing is None
        else BALANCER_BALANCING
        if values.balancing
        else BALANCER_UNKNOWN,
        "/Voltages/Sum": per_thousand(values.cells_sum_mv),
        "/Voltages/Diff": per_thousand(values.cells_diff_mv),
    }
    if bank.configuration.cell_data_format & 2:
        items["/Cell/Sum"], items["/Cell/Diff"] = items["/Voltages/Sum"], items["/Voltages/Diff"]
    if bank.configuration.midpoint:
        items["/Dc/0/MidVoltage"] = per_thousand(values.midpoint.voltage_mv) if values.midpoint else None
        items["/Dc/0/MidVoltageDeviation"] = values.midpoint.deviation_pct if values.midpoint else None
    items.update(_extreme_items("CellVoltage", "VoltageCellId", values.lowest_cell, values.highest_cell, 1000))
    items.update(_extreme_items("CellTemperature", "TemperatureCellId", values.coldest, values.hottest, 10))
    items.update(_history_items(bank))
    items.update(_module_items(bank, limits))
    items.update(_sensor_items(bank))
    return _rounded(items)


def _extreme_items(name: str, identity: str, low: Optional[Extreme], high: Optional[Extreme], divisor: float) -> Items:
    return {
        "/System/Min" + name: low[0] / divisor if low else None,
        "/System/Min" + identity: low[1] if low else None,
        "/System/Max" + name: high[0] / divisor if high else None,
        "/System/Max" + identity: high[1] if high else None,
    }


def _history_items(bank: Bank) -> Items:
    """What may outlive its reading besides the capacities."""
    batteries = [member.battery for member in bank.members]
    cycles = [battery.pack.cycles for battery in batteries if battery.pack and battery.pack.cycles is not None]
    counts = [_cells_to_show(member.battery) for member in bank.members if member.fits]
    return {
        "/System/NrOfCellsPerBattery": None if None in counts and not bank.parallel else _most(counts),
        "/History/ChargeCycles": max(cycles, default=None),
        "/History/LowVoltageAlarms": _counted(batteries, "pack_undervoltage"),
        "/History/HighVoltageAlarms": _counted(batteries, "pack_overvoltage"),
    }


def _cells_to_show(battery: Battery) -> Optional[int]:
    return None if CELL_COUNT in battery.marks else len(battery.cell_voltages_mv()) or None


def _most(counts: List[Optional[int]]) -> Optional[int]:
    return max((count for count in counts if count is not None), default=None)


def _counted(batteries: List[Battery], counter: str) -> Optional[int]:
    """The sum over all batteries, if all of them count."""
    counted = [battery.counters.counts.get(counter) if battery.counters else None for battery in batteries]
    known = [count for count in counted if count is not None]
    return sum(known) if len(known) == len(counted) else None


def _soh_permille(bank: Bank) -> Optional[int]:
    """Of the worst live battery."""
    packs = [member.battery.pack for member in bank.live_members()]
    known = [_pack_soh_permille(pack) for pack in packs if pack is not None]
    if len(packs) < len(bank.members):
        return None
    return min((soh for soh in known if soh is not None), default=None)


def _pack_soh_permille(pack: PackReading) -> Optional[int]:
    """As the BMS says, else learned over design capacity; a new battery may learn more than 100 %."""
    if pack.soh_permille is not None:
        return pack.soh_permille
    if not pack.full_charge_mah or not pack.nominal_mah:
        return None
    return min(1000, pack.full_charge_mah * 1000 // pack.nominal_mah)


def _time_to_go_s(configuration: Configuration, values: BankValues) -> Optional[int]:
    """Seconds until the SoC warning level at the present current; unknown unless discharging."""
    if values.installed_mah is None or values.remaining_mah is None:
        return None
    if values.current_ma is None or values.current_ma >= 0:
        return None
    usable_mah = values.remaining_mah - values.installed_mah * configuration.soc_low_warning_pct / 100
    return min(MAX_TIME_TO_GO_S, max(0, int(usable_mah * 3600 / -values.current_ma)))


def _module_items(bank: Bank, limits: Optional[Limits]) -> Items:
    """Counts of batteries, and whether current is allowed: by the limits, without them by the switches."""
    live = bank.live_members()
    lost = bank.phase in (Phase.LOST, Phase.GONE)
    packs = [member.battery.pack for member in live]
    charge_off = [pack.charge_fet_on is False for pack in packs if pack and pack.charge_fet_on is not None]
    discharge_off = [pack.discharge_fet_on is False for pack in packs if pack and pack.discharge_fet_on is not None]
    silent = len(bank.members) - len(live)
    may_charge, may_discharge = _may_flow(bank, charge_off), _may_flow(bank, discharge_off)
    blocking_charge: Optional[int] = sum(charge_off) if charge_off else None
    blocking_discharge: Optional[int] = sum(discharge_off) if discharge_off else None
    if lost:
        may_charge, blocking_charge = False, silent  # nobody can vouch for it
    if limits is not None:
        may_charge, may_discharge = limits.ccl_ma > 0, limits.dcl_ma > 0
        if lost:  # discharging is left open: a radio hiccup must not black a house out
            blocking_discharge = 0 if may_discharge else silent
    return {
        "/Io/AllowToCharge": may_charge,
        "/Io/AllowToDischarge": may_discharge,
        "/System/NrOfModulesOnline": len(live),
        "/System/NrOfModulesOffline": silent,
        "/System/NrOfModulesBlockingCharge": blocking_charge,
        "/System/NrOfModulesBlockingDischarge": blocking_discharge,
    }


def _may_flow(bank: Bank, switches_off: Sequence[bool]) -> Optional[bool]:
    """One closed switch is enough in parallel; a string needs all of them, and to know all of them."""
    if bank.parallel:
        return not all(switches_off) if switches_off else None
    if any(switches_off):
        return False
    return True if len(switches_off) == len(bank.members) else None


def _sensor_items(bank: Bank) -> Items:
    """Every temperature of a single battery."""
    if len(bank.members) > 1:
        return {}
    by_number = dict(bank.members[0].battery.temperatures_dc()) if bank.members[0].live else {}
    numbers = range(1, _SENSOR_PATHS + 1)
    return {"/System/Temperature{}".format(n): per_thousand(by_number.get(n), 10) for n in numbers}


def alarm_items(levels: Mapping[str, Optional[int]]) -> Items:
    """The alarms by path."""
    return {_ALARM_PATHS[name]: level for name, level in levels.items()}


def limit_items(limits: Limits) -> Items:
    """The three limits that Venus OS obeys, each with its reason."""
    return {
        "/Info/MaxChargeVoltage": limits.cvl_mv / 1000,
        "/Info/MaxChargeCurrent": limits.ccl_ma / 1000,
        "/Info/MaxDischargeCurrent": limits.dcl_ma / 1000,
        "/Info/BatteryLowVoltage": limits.low_mv / 1000,
        "/Info/ChargeMode": "{}: {}".format(limits.mode, limits.voltage.text()),
        "/Info/ChargeLimitation": limits.charge.text(),
        "/Info/DischargeLimitation": limits.discharge.text(),
    }


def option_items(configuration: Configuration) -> Items:
    """``/Info/Config/…``, as the owner set it. An empty list is unknown: on the bus they are the same."""
    items: Items = {}
    for name, value in configuration.published_options.items():
        listed = tuple(float(each) for each in value) or None if isinstance(value, (list, tuple)) else value
        items["/Info/Config/" + name] = listed
    return items
