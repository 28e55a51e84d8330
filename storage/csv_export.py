"""The history and the log as CSV, row by row: memory stays the same however much there is."""

from __future__ import annotations

from typing import Any, AsyncIterator, Callable, Dict, List, Optional, Set, Tuple

from attrs import frozen

from core.configuration import configuration_from
from core.events import AlertClosed, Event, SessionEnded, SessionStarted
from core.history import DatedBucket, Place, Tier
from storage.csv_rows import (
    ALERTS,
    BATTERIES,
    CELLS,
    EVENTS,
    LINKS,
    READINGS,
    Alerts,
    Buckets,
    Dates,
    Events,
    Links,
    Readings,
    Row,
)
from storage.database import StorageError
from storage.history_reader import HistoryReader

BY_BUCKET = ("cells", "batteries")

_FROM_EVENTS: Dict[str, Tuple[List[str], Callable[[Dates], Any]]] = {
    "readings": (READINGS, Readings),
    "events": (EVENTS, Events),
    "alerts": (ALERTS, Alerts),
    "links": (LINKS, Links),
}
KINDS = (*BY_BUCKET, *_FROM_EVENTS)


@frozen
class CsvSelection:
    """What to export. Times are UTC in µs, ``None`` is open; *battery* ``None`` is all of them."""

    kind: str
    tier: Tier
    since_us: Optional[int] = None
    until_us: Optional[int] = None
    battery: Optional[str] = None

    def covers(self, wall_us: Optional[int]) -> bool:
        """Whether something of this time belongs to it; of an unknown time only when all times do."""
        if self.since_us is None and self.until_us is None:
            return True
        if wall_us is None or (self.since_us is not None and wall_us < self.since_us):
            return False
        return self.until_us is None or wall_us < self.until_us


async def csv_rows(reader: HistoryReader, selection: CsvSelection) -> AsyncIterator[Row]:
    """The header, then everything selected in order of boot and uptime. Raises :class:`StorageError`."""
    known = await _batteries(reader)
    if selection.battery is not None and selection.battery not in known:
        raise StorageError(
            "there is no battery {} in {}, only {}".format(
                selection.battery, reader.path, ", ".join(sorted(known)) or "an empty history"
            )
        )
    dates = Dates(reader.wall_offsets_us())
    if selection.kind in BY_BUCKET:
        cells = selection.kind == "cells"
        yield CELLS if cells else BATTERIES
        buckets = Buckets(selection.tier, dates, cells=cells)
        async for dated in _selected_buckets(reader, selection, dates):
            for row in buckets.rows(dated):
                yield row
        return
    header, make = _FROM_EVENTS[selection.kind]
    yield header
    table = make(dates)
    async for event in _selected_events(reader, selection, dates):
        for row in table.rows(event):
            yield row
    if isinstance(table, Alerts):
        for row in table.rest():
            yield row


async def _batteries(reader: HistoryReader) -> Set[str]:
    """Every battery that was ever read, and those of the last session: one that never answered has a link, too."""
    names = await reader.battery_names()
    async for session in reader.sessions():
        event = await reader.event_from(session.start)
        if event is not None and isinstance(event.fact, SessionStarted):
            names |= {each.battery for each in configuration_from(dict(event.fact.configuration)).batteries}
        break
    return names


async def _selected_buckets(reader: HistoryReader, selection: CsvSelection, dates: Dates) -> AsyncIterator[DatedBucket]:
    size_us = selection.tier.seconds * 1_000_000
    first: Optional[Place] = None
    if selection.since_us is not None:
        starts = ((boot, selection.since_us - offset_us) for boot, offset_us in dates.offsets_us.items())
        # The first bucket of the first boot that may reach into it; whatever is too early is passed over below.
        first = min((Place(boot, max(0, start_us // size_us)) for boot, start_us in starts), default=None)
    async for dated in reader.buckets(selection.tier, first, None, selection.battery):
        if selection.covers(dates.wall_us(dated.place.boot, dated.place.bucket * size_us)):
            yield dated


async def _selected_events(reader: HistoryReader, selection: CsvSelection, dates: Dates) -> AsyncIterator[Event]:
    """Those of the battery and the time; before each range the start in force, which tells what the batteries are.

    An alert belongs to the time at which it opened, whenever it closed.
    """
    readings = selection.kind == "readings"
    until_us = None if selection.kind == "alerts" else selection.until_us
    for start, stop in await reader.ranges_at(selection.since_us, until_us):
        in_force = await reader.session_before(start) if readings else None
        if in_force is not None and in_force < start:
            async for event in reader.events(in_force, in_force + 1):
                yield event
        async for event in reader.events(start, stop, readings=readings):
            about = getattr(event.fact, "battery", None)
            wanted = selection.battery in (None, about) or isinstance(event.fact, (SessionStarted, SessionEnded))
            closes = isinstance(event.fact, AlertClosed)
            if wanted and (closes or selection.covers(dates.wall_us(event.boot, event.uptime_us))):
                yield event
