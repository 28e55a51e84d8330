"""Cuts a session out of the event log into a file that replays by itself."""

from __future__ import annotations

from pathlib import Path
from typing import AsyncIterator, Optional

from attrs import frozen

from core.configuration import configuration_from
from core.events import Event, SessionStarted
from storage.database import StorageError
from storage.event_reader import EventReader
from storage.redaction import Redaction
from storage.session_file import SessionHeader, SessionWriter


@frozen
class Selection:
    """What to export. Times are UTC in µs, ``None`` is open; *battery* ``None`` is all of them."""

    since_us: Optional[int] = None
    until_us: Optional[int] = None
    battery: Optional[str] = None


async def export_session(
    reader: EventReader, path: Path, selection: Selection, *, writer: str, redact: bool = False
) -> int:
    """Write the selected events to *path*; return how many.

    Raises :class:`StorageError`, and leaves no file, when nothing is selected.
    """
    if path.resolve() == reader.path.resolve():
        raise StorageError("{} is the database itself; give the session another name".format(path))
    redaction = Redaction() if redact else None
    events = _selected(reader, selection)
    first = await _next(events)
    if first is None:
        raise StorageError("nothing was recorded of that battery")
    if not isinstance(first.fact, SessionStarted):
        raise StorageError("the log has no start of the session that event {} belongs to".format(first.number))
    known = [battery.battery for battery in configuration_from(dict(first.fact.configuration)).batteries]
    if selection.battery is not None and selection.battery not in known:
        raise StorageError("there is no battery {} in that time, only {}".format(selection.battery, ", ".join(known)))
    configuration = redaction.configuration(first.fact.configuration) if redaction else first.fact.configuration
    count = 0
    with SessionWriter(path, SessionHeader(writer, redact, configuration)) as session:
        event: Optional[Event] = first
        while event is not None:
            kept = redaction.event(event) if redaction else event
            if kept is not None:
                session.write(kept)
                count += 1
            event = await _next(events)
    return count


async def _next(events: AsyncIterator[Event]) -> Optional[Event]:
    try:
        return await events.__anext__()
    except StopAsyncIteration:
        return None


async def _selected(reader: EventReader, selection: Selection) -> AsyncIterator[Event]:
    """In front of each range the start in force, and all but the readings since it: a replay needs those."""
    ranges = await reader.ranges_at(selection.since_us, selection.until_us)
    if not ranges:
        raise StorageError("nothing was recorded in that time")
    done = 0
    for start, stop in ranges:
        in_force = await reader.session_before(start)
        begin = max(done, start if in_force is None else in_force)
        async for event in reader.events(begin, start, readings=False):
            if _concerns(event, selection.battery):
                yield event
        async for event in reader.events(max(begin, start), stop):
            if _concerns(event, selection.battery):
                yield event
        done = stop


def _concerns(event: Event, battery: Optional[str]) -> bool:
    about = getattr(event.fact, "battery", None)
    return battery is None or about is None or about == battery
