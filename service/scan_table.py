"""A scan in words: the table of devices, and what stands in the way of hearing or asking them."""

from __future__ import annotations

from typing import List, Mapping, Sequence

from adapters.proof import Proof
from adapters.radio import LinkDropped
from core.link_causes import (
    ADAPTER_GONE,
    ADAPTER_OFF,
    BLUEZ_GONE,
    BLUEZ_HANGS,
    CONNECT_FAILED,
    DROPPED,
    HELD,
    NO_SERVICE,
    NOT_RESOLVED,
    PASSWORD_WANTED,
    SILENT,
    UNKNOWN,
    WRITE_FAILED,
    explain,
)
from core.writes import printable_name
from service.scan_list import ScannedDevice

_LONGEST_NAME = 32
_INDENT = " " * 19

_AGAIN = "Scan again."
_REMEDIES: Mapping[str, str] = {
    ADAPTER_GONE: "Plug it in, or choose another with --adapter.",
    ADAPTER_OFF: "Switch it on, e.g. with: bluetoothctl power on",
    BLUEZ_GONE: "Start it; on Venus OS with: /etc/init.d/bluetooth start",
    BLUEZ_HANGS: "Restart this device.",
    CONNECT_FAILED: _AGAIN,
    DROPPED: _AGAIN,
    HELD: "It answers when that program has ended.",
    NO_SERVICE: "It is something else.",
    NOT_RESOLVED: _AGAIN,
    PASSWORD_WANTED: "Set PASSWORD for it in config.ini.",
    SILENT: "It may be something else, or a BMS that sleeps: scan again while it charges.",
    UNKNOWN: _AGAIN,
    WRITE_FAILED: _AGAIN,
}
"""What helps whoever scans, where the daemon would help itself."""


def told(dropped: LinkDropped, unknown: str = "nothing is known of the reason") -> str:
    """What went wrong and what helps, in one line."""
    meaning = unknown if dropped.cause == UNKNOWN else explain(dropped.cause).meaning
    detail = " ({})".format(printable_name(dropped.detail)) if dropped.detail else ""
    return "{}{}. {}".format(meaning, detail, _REMEDIES.get(dropped.cause, explain(dropped.cause).remedy))


def table(devices: Sequence[ScannedDevice], states: Mapping[str, str]) -> List[str]:
    """Each device in one line, and below it what it answered, or what *states* has about its address."""
    types = any(device.random for device in devices)
    adapters = len({name for device in devices for name in device.rssi_dbm}) > 1
    longest = max((len(_name(device)) for device in devices), default=0)
    lines = []
    for device in devices:
        parts = [device.address]
        if types:
            parts.append("random" if device.random else "      ")
        parts.append("{} dBm".format("---" if device.best_rssi_dbm is None else device.best_rssi_dbm).rjust(8))
        if adapters:
            parts.append("{:<5}".format((device.adapters or [""])[0]))
        parts.append(_name(device).ljust(longest))
        if device.protocol is not None:
            parts.append("{}: {}".format(device.protocol.label, device.reason))
        lines.append("  ".join(parts).rstrip())
        state = _state(device) or states.get(device.address)
        if state:
            lines.append(_INDENT + state)
    return lines


def _name(device: ScannedDevice) -> str:
    name = device.name or "(no name)"
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _state(device: ScannedDevice) -> str:
    if isinstance(device.answer, Proof):
        return "answers: " + answer_text(device.answer)
    if isinstance(device.answer, LinkDropped):
        return "no answer: " + told(device.answer)
    return "connected: in use by this device" if device.in_use else ""


def answer_text(proof: Proof) -> str:
    """``JBD-SP04S034, 4 cells, 13.28 V, 80 %``."""
    pack = proof.pack
    assert pack is not None
    parts = [printable_name(proof.identity.hardware_name)] if proof.identity else []
    parts += ["{} cells".format(pack.cell_count), "{:.2f} V".format(pack.voltage_mv / 1000)]
    if pack.soc_permille is not None:
        parts.append("{:g} %".format(pack.soc_permille / 10))
    return ", ".join(parts)
