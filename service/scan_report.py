"""What a scan comes to: the command line that is ready to be used, hints, and the same for programs as JSON."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional, Sequence

from adapters.proof import Proof
from adapters.radio import LinkDropped
from core.readings import PackReading
from core.writes import printable_name
from service.scan_list import ScannedDevice

LAUNCHER = "./dbus-btbattery.py"

_NOTHING_HEARD = "nothing heard. Is the battery switched on and near, and no phone connected to it?"
_NONE_SUPPORTED = "none of these looks like a supported BMS. Is the battery on and near, and no phone connected to it?"
_NONE_CONFIRMED = "no battery has answered."
_ONLY_A_HINT = (
    "A name, a service or an address is only a hint; a BMS shows itself by its answer: scan --confirm asks for it."
)


_MEANINGS = {
    "single": "To read it:",
    "series": "In series (plus to minus, the voltages add up):",
    "parallel": "In parallel (plus to plus, the capacities add up):",
}


def ready(devices: Sequence[ScannedDevice], *, confirmed_only: bool) -> List[str]:
    """The addresses to start the program with. Who is in use has been started with already."""
    return [
        device.address
        for device in devices
        if device.protocol is not None and not device.in_use and (device.confirmed or not confirmed_only)
    ]


def command_lines(addresses: Sequence[str]) -> Dict[str, str]:
    """What can be typed, by how the batteries are wired: ``single``, or ``series`` and ``parallel``."""
    if len(addresses) < 2:
        return {"single": " ".join([LAUNCHER, *addresses])} if addresses else {}
    return {
        "series": " ".join([LAUNCHER, "-s", *addresses]),
        "parallel": " ".join([LAUNCHER, "-p", *addresses]),
    }


def closing_lines(devices: Sequence[ScannedDevice], *, confirmed_only: bool) -> List[str]:
    """What stands below the table: paragraphs."""
    supported = [device for device in devices if device.protocol is not None]
    if not supported:
        return [_NONE_SUPPORTED if devices else _NOTHING_HEARD]
    paragraphs: List[List[str]] = []
    if not confirmed_only:
        paragraphs.append([_ONLY_A_HINT])
    commands = command_lines(ready(devices, confirmed_only=confirmed_only))
    if not commands and not all(device.in_use for device in supported):
        paragraphs.append([_NONE_CONFIRMED])
    for wiring, command in commands.items():
        paragraphs += [[_MEANINGS[wiring]], ["    " + command]]
    in_use = [device.address for device in supported if device.in_use]
    if in_use:
        paragraphs.append(["In use by a program on this device already, and left out: " + " ".join(in_use)])
    lines = [line for paragraph in paragraphs for line in ("", *paragraph)]
    return lines[1:]


def document(devices: Sequence[ScannedDevice], *, confirmed_only: bool) -> str:
    """Everything as one JSON object."""
    commands = command_lines(ready(devices, confirmed_only=confirmed_only))
    told = {
        "devices": [_device(device) for device in devices],
        "command": commands.get("single"),
        "commands": commands,
    }
    return json.dumps(told, indent=2)


def _device(device: ScannedDevice) -> Dict[str, Any]:
    return {
        "address": device.address,
        "address_type": device.address_type,
        "name": device.name,
        "rssi_dbm": device.best_rssi_dbm,
        "adapter": next(iter(device.adapters), device.adapter),
        "services": list(device.services),
        "supported": device.protocol.name if device.protocol else None,
        "reason": device.reason,
        "in_use": device.in_use,
        "confirmed": _confirmed(device),
    }


def _confirmed(device: ScannedDevice) -> Optional[Dict[str, Any]]:
    answer = device.answer
    if isinstance(answer, LinkDropped):
        return {"answers": False, "cause": answer.cause, "detail": answer.detail}
    if not isinstance(answer, Proof):
        return None
    assert answer.pack is not None
    name = printable_name(answer.identity.hardware_name) if answer.identity else None
    cells = [mv / 1000 for mv in answer.cells.voltages_mv] if answer.cells else None
    return {"answers": True, "hardware_name": name, **_pack(answer.pack), "cell_voltages_V": cells}


def _pack(pack: PackReading) -> Dict[str, Any]:
    return {
        "cells": pack.cell_count,
        "voltage_V": pack.voltage_mv / 1000,
        "current_A": pack.current_ma / 1000,
        "soc_pct": None if pack.soc_permille is None else pack.soc_permille / 10,
        "capacity_Ah": None if pack.nominal_mah is None else pack.nominal_mah / 1000,
    }
