"""The ``session`` command: carry events out of the database."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Optional

from config.addresses import RecordedAddress, parse_address
from config.options import ConfigError
from service import PROGRAM, VERSION
from service.plan import default_database
from service.times import parse_time
from storage.event_reader import EventReader
from storage.session_export import Selection, export_session


def time_or_none(text: Optional[str]) -> Optional[int]:
    """UTC in µs since 1970. Raises :class:`ConfigError`."""
    return None if text is None else parse_time(text)


def battery_named(text: Optional[str]) -> Optional[str]:
    """A battery as events name it, from that name or from an address."""
    if text is None or text.startswith(("ble_", "sim_")):
        return text
    address = parse_address(text)
    if isinstance(address, RecordedAddress):
        raise ConfigError("--battery takes one battery, like 70:3e:97:08:00:62 or sim:house")
    return address.battery


async def export_command(arguments: Namespace) -> int:
    """Write one session file."""
    selection = Selection(
        time_or_none(arguments.since), time_or_none(arguments.until), battery_named(arguments.battery)
    )
    database = Path(arguments.database) if arguments.database else default_database(in_process=False)
    writer = "{} {}".format(PROGRAM, VERSION)
    async with await EventReader.open(database) as reader:
        count = await export_session(reader, Path(arguments.file), selection, writer=writer, redact=arguments.redact)
    print("{} events in {}{}".format(count, arguments.file, ", redacted" if arguments.redact else ""))
    return 0
