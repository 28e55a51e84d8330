"""The ``scan`` command: what is in the air, batteries that may be ours first."""

from __future__ import annotations

from argparse import Namespace
from typing import Dict, List, Optional, Tuple

from core import protocols
from core.protocols.base import Advertisement


async def scan_command(arguments: Namespace) -> int:
    """List every device heard."""
    from adapters.ble import listen  # bleak takes a third of a second to import

    print("scanning for {:g} s ...".format(arguments.seconds), flush=True)
    found: Dict[str, Advertisement] = {}
    await listen(None, lambda heard: found.update({heard.address: heard}), arguments.seconds)
    for line in scan_lines(list(found.values())):
        print(line)
    return 0


def recognise(advertisement: Advertisement) -> Optional[str]:
    """``JBD: service ff00 + name`` when a device looks like a supported BMS."""
    for name in protocols.names():
        protocol = protocols.find(name)
        reason = protocol.recognise(advertisement)
        if reason is not None:
            return "{}: {}".format(protocol.label, reason)
    return None


def scan_lines(found: List[Advertisement]) -> List[str]:
    """A table, likely batteries first, then by signal strength."""
    if not found:
        return ["nothing heard. Is Bluetooth on, and is no phone connected to the battery?"]
    rows: List[Tuple[bool, int, str]] = []
    for device in found:
        reason = recognise(device)
        rssi = "{:>4}".format(device.rssi_dbm) if device.rssi_dbm is not None else " ---"
        line = "{}  {} dBm  {:<24} {}".format(device.address, rssi, device.name or "(no name)", reason or "")
        rows.append((reason is None, -(device.rssi_dbm or -999), line.rstrip()))
    lines = [line for _, _, line in sorted(rows)]
    if not all(unknown for unknown, _, _ in rows):
        lines.append("A name, a service or an address is only a hint; a BMS shows itself by its answer.")
    return lines
