"""The paths that a service has for each of its batteries: the pages of gui-v2, and the families of the seed.

The place of a battery and of a cell never changes, whoever is missing. Names: venus-dbus C.4 and C.9.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Tuple

from core.bank import Bank, Member
from core.bank_values import first_cell
from core.imbalance import Imbalances
from core.paths import rounded
from core.publication import Items, per_thousand, version_number

RELEASE_PATH = "/Battery/{}/ReleaseMinutes"
"""For how many minutes more a battery is free for a phone; writing it frees it."""


@lru_cache(maxsize=None)
def _cell_paths(number: int, place: str, cell: int, formats: int) -> Tuple[Tuple[str, ...], str]:
    """Where the voltage of a cell is shown, and where its balancing. *place* is its name in the whole."""
    shown = ["/Battery/{}/Cell/{}/Voltage".format(number, cell)]
    if formats & 1:
        shown.append("/Voltages/Cell" + place)
    if formats & 2:
        shown.append("/Cell/{}/Volts".format(place))
    return tuple(shown), "/Balances/Cell" + place


@lru_cache(maxsize=None)
def _seed_cell_paths(below: str, cell: int) -> Tuple[str, str]:
    return "{}Cell/{}/Volts".format(below, cell), "{}Cell/{}/Balancing".format(below, cell)


def member_items(bank: Bank, member: Member) -> Items:
    """``/Battery/<n>/…`` and the cells in the chosen formats."""
    battery = member.battery
    pack = battery.pack
    below = "/Battery/{}/".format(member.number)
    now = pack if member.live else None
    sensors = battery.temperatures_dc() if member.live else []
    head: Items = {
        below + "Serial": battery.configuration.address,
        below + "FwVersion": version_number(pack.firmware if pack else None),
        below + "Capacity": per_thousand(battery.remaining_mah),
        below + "Voltage": per_thousand(now.voltage_mv) if now else None,
        below + "Current": per_thousand(battery.current_ma) if now else None,
        below + "Temperature": sum(t for _, t in sensors) / len(sensors) / 10 if sensors else None,
    }
    items = {path: rounded(path, value) for path, value in head.items()}
    items[RELEASE_PATH.format(member.number)] = member.released_min
    balancing = set(pack.balancing_cells) if pack else set()
    first = first_cell(bank, member)
    formats = bank.configuration.cell_data_format
    cells_mv = battery.cell_voltages_mv()
    for cell, mv in enumerate(cells_mv[: bank.cells_of(member)] if bank.series else cells_mv, 1):
        place = "{}X{}".format(member.number, cell) if bank.parallel else str(first + cell - 1)
        shown, balance = _cell_paths(member.number, place, cell, formats)
        for path in shown:
            items[path] = mv / 1000 if member.live else None  # whole millivolts: exact as they are
        if formats & 1:
            items[balance] = int(cell in balancing) if member.live else None
    return items


def seed_member_items(member: Member) -> Items:
    """``/Parallel/Battery/<address>/…`` of a virtual battery."""
    battery = member.battery
    address = battery.configuration.address
    below = "/Parallel/Battery/{}/".format(re.sub(r"[^A-Za-z0-9]", "_", address).upper())
    cells_mv = battery.cell_voltages_mv() if member.live else ()
    balancing = set(battery.pack.balancing_cells) if battery.pack else set()
    items: Items = {
        below + "CellCount": len(battery.cell_voltages_mv()) or None,
        below + "Name": "Battery " + re.sub(r"[^A-Za-z0-9]", "", address)[-4:],
        below + "MinVoltage": min(cells_mv) / 1000 if cells_mv else None,
        below + "MaxVoltage": max(cells_mv) / 1000 if cells_mv else None,
        below + "AvgVoltage": sum(cells_mv) / len(cells_mv) / 1000 if cells_mv else None,
        below + "VoltageSpread": (max(cells_mv) - min(cells_mv)) / 1000 if cells_mv else None,
        below + "LastUpdate": per_thousand(battery.read_wall_us, 1e6) if member.live else None,
        below + "CellVoltages": json.dumps([mv / 1000 for mv in cells_mv]) if cells_mv else None,
        below + "Balancing": json.dumps([n in balancing for n in range(1, len(cells_mv) + 1)]) if cells_mv else None,
    }
    items = {path: rounded(path, value) for path, value in items.items()}
    for cell, mv in enumerate(battery.cell_voltages_mv(), 1):
        volts, balance = _seed_cell_paths(below, cell)
        items[volts] = mv / 1000 if member.live else None  # whole millivolts: exact as they are
        items[balance] = int(cell in balancing) if member.live else None
    return items


def seed_bank_items(bank: Bank, imbalances: Imbalances) -> Items:
    """``/Parallel/…`` of a virtual battery; unknown while nobody is there to judge by."""
    live = len(bank.live_members())
    items: Items = {"/Parallel/BatteryCount": live}
    if bank.parallel:
        items["/Parallel/TotalBatteries"] = len(bank.members)
        items["/Parallel/ActiveBatteries"] = live
        items["/Parallel/VoltageImbalance"] = int(imbalances.voltage) if live else None
        items["/Parallel/CurrentImbalance"] = int(imbalances.current) if live else None
        items["/Parallel/SocImbalance"] = int(imbalances.soc) if live else None
    return items
