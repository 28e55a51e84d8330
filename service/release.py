"""The ``release`` command: the running program frees batteries for a phone, and takes them back by itself."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import List, Sequence

from adapters.dbus import Batteries, BusUnavailable, PublishedBattery, choose_address
from config.options import ConfigError
from core.member_publication import RELEASE_PATH
from core.writes import ACCEPTED
from service import PROGRAM


async def release_command(arguments: Namespace) -> int:
    """Release the batteries that are named, or all. Raises :class:`ConfigError` or :class:`BusUnavailable`."""
    batteries = await Batteries.open(choose_address(arguments.bus))
    try:
        chosen = _chosen(await batteries.found(), arguments.addresses)
        refused = 0
        for battery in chosen:
            path = RELEASE_PATH.format(battery.number)
            if await batteries.write(battery.service, path, arguments.minutes) == ACCEPTED:
                print(_told(battery.address, arguments.minutes))
            else:
                refused += 1
                print("{}: {} was not released".format(PROGRAM, battery.address), file=sys.stderr)
    finally:
        await batteries.close()
    return 1 if refused else 0


def _told(address: str, minutes: int) -> str:
    if not minutes:
        return "{}: taken back".format(address)
    return "{}: released for {} min, then taken back by itself".format(address, minutes)


def _chosen(found: Sequence[PublishedBattery], addresses: Sequence[str]) -> List[PublishedBattery]:
    """Each battery once, though a monitor may show it a second time."""
    ours = {each.address.upper(): each for each in found if RELEASE_PATH.format(each.number) in each.items}
    if not ours:
        raise BusUnavailable("no battery of {} is on this bus; is it running, and connected?".format(PROGRAM))
    unknown = [address for address in addresses if address.upper() not in ours]
    if unknown:
        there = ", ".join(sorted(each.address for each in ours.values()))
        raise ConfigError("no battery {} on this bus, only {}".format(unknown[0], there))
    return [ours[address.upper()] for address in addresses] if addresses else list(ours.values())
