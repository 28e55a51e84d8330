"""The ``at`` command: every battery, cell, limit and link as it was at a time in the past."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from core.paths import Value, text_of
from core.publication import BUS_NAME_PREFIX
from core.service_view import TICK_US
from service import PROGRAM
from service.at_history import buckets_at, history_json, history_lines
from service.outputs import ShownService
from service.past import NothingKnown, Past, PastLink, ReadingsGone, past_at
from service.plan import default_database
from service.session_commands import battery_named
from service.status_screen import service_lines
from service.times import duration_text, parse_time, time_text
from storage.database import StorageError
from storage.event_reader import EventReader

_INDENT = "  "


async def at_command(arguments: Namespace) -> int:
    """Print what was known then. Raises :class:`ConfigError` and :class:`StorageError`."""
    wall_us = parse_time(arguments.time)
    battery = battery_named(arguments.battery)
    database = Path(arguments.database) if arguments.database else default_database(in_process=False)
    async with await EventReader.open(database) as reader:
        try:
            past = await past_at(reader, wall_us, progress=True)
        except ReadingsGone as gone:
            return await _from_history(database, gone, arguments)
        except NothingKnown as nothing:
            print("{}: {}".format(PROGRAM, nothing), file=sys.stderr)
            return 1
    if battery is not None and battery not in past.links:
        raise StorageError("there was no battery {} at that time, only {}".format(battery, ", ".join(past.links)))
    if arguments.json:
        print(json.dumps(to_json(past, battery), indent=2))
    else:
        print("\n".join(lines(past, battery)))
    return 0


async def _from_history(database: Path, gone: ReadingsGone, arguments: Namespace) -> int:
    found = await buckets_at(database, gone, battery_named(arguments.battery))
    if not found:
        print("{}: {}".format(PROGRAM, gone), file=sys.stderr)
        return 1
    text = json.dumps(history_json(found, gone), indent=2) if arguments.json else "\n".join(history_lines(found, gone))
    print(text)
    return 0


def _services(past: Past, battery: Optional[str]) -> List[Tuple[ShownService, List[PastLink]]]:
    """The services that stand for *battery*, each with its batteries by number; ``None``: all of them."""
    every = past.configuration.batteries
    chosen = []
    for service in past.configuration.services:
        names = [every[place].battery for place in service.batteries]
        if battery is None or battery in names:
            chosen.append((past.services[BUS_NAME_PREFIX + service.key], [past.links[name] for name in names]))
    return chosen


def to_json(past: Past, battery: Optional[str] = None) -> Dict[str, Any]:
    """Plain JSON values; ``items`` is exactly what was published. Times are UTC."""
    services = {}
    for shown, links in _services(past, battery):
        services[shown.name] = {
            "phase": shown.phase,
            "on_bus": bool(shown.items),
            "awaited": past.awaited.get(shown.name),
            "batteries": [link.battery.battery for link in links],
            "items": shown.items,
        }
    return {
        "time": time_text(past.wall_us),
        "boot": past.boot,
        "uptime_s": past.uptime_us // TICK_US,
        "program": past.program,
        "readings_since": _time_or_none(past.readings_since_us),
        "services": services,
        "batteries": {
            name: _link_json(link, past.wall_us) for name, link in past.links.items() if battery in (None, name)
        },
    }


def _link_json(link: PastLink, wall_us: int) -> Dict[str, Any]:
    return {
        "address": link.battery.address,
        "label": link.battery.label,
        "phase": None if link.phase is None else link.phase.value,
        "link_up": link.up,
        "link_cause": link.cause,
        "link_since": _time_or_none(link.since_us),
        "last_reading_age_s": None if link.read_us is None else (wall_us - link.read_us) / 1e6,
    }


def _time_or_none(wall_us: Optional[int]) -> Optional[str]:
    return None if wall_us is None else time_text(wall_us)


def lines(past: Past, battery: Optional[str] = None) -> List[str]:
    """The same for people."""
    told = [
        "{}   boot {}, up {}, {} {}".format(
            time_text(past.wall_us), past.boot, duration_text(past.uptime_us / TICK_US), PROGRAM, past.program
        )
    ]
    if past.readings_since_us is not None:
        told.append("older readings were deleted: all follows from those since {}".format(
            time_text(past.readings_since_us)))  # fmt: skip
    for shown, links in _services(past, battery):
        told.append("")
        if shown.items:
            told += service_lines(shown)
            told += _more_lines(shown.items)
            for number, link in enumerate(links, 1):
                if battery in (None, link.battery.battery):
                    told += _battery_lines(shown.items, number)
        else:
            why = past.awaited.get(shown.name, "not on the bus")
            told.append("{}  {}  ({})".format(shown.name.rpartition(".")[2], shown.phase, why))
    told.append("")
    told += [_link_line(link, past.wall_us) for name, link in past.links.items() if battery in (None, name)]
    return told


def _text(items: Dict[str, Value], path: str) -> str:
    return text_of(path, items.get(path))


def _more_lines(items: Dict[str, Value]) -> List[str]:
    """What the status screen has no room for."""
    sensors = [path for path in items if path.startswith("/System/Temperature") and items[path] is not None]
    told = []
    if sensors:
        told.append("temperatures {}".format("  ".join(_text(items, path) for path in sensors)))
    if "/Info/BatteryLowVoltage" in items:
        told.append("empty below {}".format(_text(items, "/Info/BatteryLowVoltage")))
    told.append(
        "consumed {}  cycles {}  time to go {} s  modules online {}, offline {}".format(
            *(
                _text(items, path)
                for path in (
                    "/ConsumedAmphours",
                    "/History/ChargeCycles",
                    "/TimeToGo",
                    "/System/NrOfModulesOnline",
                    "/System/NrOfModulesOffline",
                )
            )
        )
    )
    return [_INDENT + line for line in told]


def _battery_lines(items: Dict[str, Value], number: int) -> List[str]:
    """One battery of a service; its cells are on the screen's lines."""
    below = "/Battery/{}/".format(number)
    head = "B{} {}  {}  {}  {}  {}".format(
        number, *(_text(items, below + name) for name in ("Serial", "Voltage", "Current", "Temperature", "Capacity"))
    )
    return [_INDENT + head]


def _link_line(link: PastLink, wall_us: int) -> str:
    if link.since_us is None:
        state = "link never up" + (": {}".format(link.cause) if link.cause else "")
    else:
        state = "link {} since {}".format(
            "up" if link.up else "lost ({})".format(link.cause or "unknown cause"), time_text(link.since_us)
        )
    read = (
        "no answer yet" if link.read_us is None else "last answer {:.1f} s ago".format((wall_us - link.read_us) / 1e6)
    )
    phase = "" if link.phase is None else link.phase.value
    return "{} {}  {}  {}, {}".format(link.battery.battery, link.battery.label, phase, state, read)
