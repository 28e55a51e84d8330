"""Events as rows of the database and back.

A reading is stored as its bare frame; battery and protocol are one number in ``source``. Wall time is
stored as the drift from the row of ``clock`` in force, which keeps a row at some 65 bytes.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import aiosqlite
from attrs import frozen

from core.events import Event, EventError, ReadingTaken, event_from, kind_of, payload_of, version_of
from core.sequencer import STEP_US
from storage.database import fetch_all

Row = Tuple[int, int, int, int, int, int, Optional[int], Any]
Source = Tuple[str, str]
Statement = Tuple[str, Tuple[Any, ...]]

SELECT_EVENTS = "SELECT number, boot, uptime_us, wall_drift_us, kind, version, source, payload FROM event"
INSERT_EVENT = (
    "INSERT INTO event (number, boot, uptime_us, wall_drift_us, kind, version, source, payload) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@frozen
class ClockSegment:
    """From one event on: what to add to uptime to get the wall time that was believed."""

    from_number: int
    boot: int
    uptime_from_us: int
    wall_offset_us: int


class Dictionaries:
    """The small tables that rows refer to.

    Encode with a :meth:`copy`, run its ``unsaved`` statements in the transaction that stores the rows, and
    keep the copy only if that transaction succeeded.
    """

    def __init__(self) -> None:
        self.kinds: Dict[str, int] = {}
        self.sources: Dict[Source, int] = {}
        self.batteries: Dict[str, int] = {}
        """As rows of the history name them."""
        self.clock: List[ClockSegment] = []
        self._starts: List[int] = []
        self.unsaved: List[Statement] = []

    def copy(self) -> Dictionaries:
        """The same names, nothing unsaved."""
        other = Dictionaries()
        other.kinds, other.sources, other.batteries = dict(self.kinds), dict(self.sources), dict(self.batteries)
        other.clock, other._starts = list(self.clock), list(self._starts)
        return other

    @classmethod
    async def load(cls, db: aiosqlite.Connection, path: Path) -> Dictionaries:
        """All small tables of *db*. Raises :class:`StorageError`."""
        loaded = cls()
        for name, number in await fetch_all(db, path, "SELECT name, id FROM kind"):
            loaded.kinds[name] = number
        for battery, protocol, number in await fetch_all(db, path, "SELECT battery, protocol, id FROM source"):
            loaded.sources[(battery, protocol)] = number
        sql = "SELECT from_number, boot, uptime_from_us, wall_offset_us FROM clock ORDER BY from_number"
        loaded.clock = [ClockSegment(*row) for row in await fetch_all(db, path, sql)]
        loaded._starts = [segment.from_number for segment in loaded.clock]
        return loaded

    async def load_batteries(self, db: aiosqlite.Connection, path: Path) -> None:
        """Those of the history, which databases of version 0.1 and 0.2 do not have. Raises :class:`StorageError`."""
        rows = await fetch_all(db, path, "SELECT name, id FROM battery")
        self.batteries = {row[0]: row[1] for row in rows}

    def kind_id(self, name: str) -> int:
        """The number of a kind, a new one if need be."""
        if name not in self.kinds:
            self.kinds[name] = max(self.kinds.values(), default=0) + 1
            self.unsaved.append(("INSERT INTO kind (id, name) VALUES (?, ?)", (self.kinds[name], name)))
        return self.kinds[name]

    def source_id(self, battery: str, protocol: str) -> int:
        """The number of a battery as read over a protocol, a new one if need be."""
        source = (battery, protocol)
        if source not in self.sources:
            self.sources[source] = max(self.sources.values(), default=0) + 1
            sql = "INSERT INTO source (id, battery, protocol) VALUES (?, ?, ?)"
            self.unsaved.append((sql, (self.sources[source], battery, protocol)))
        return self.sources[source]

    def battery_id(self, battery: str) -> int:
        """The number of a battery in the history, a new one if need be."""
        if battery not in self.batteries:
            self.batteries[battery] = max(self.batteries.values(), default=0) + 1
            self.unsaved.append(("INSERT INTO battery (id, name) VALUES (?, ?)", (self.batteries[battery], battery)))
        return self.batteries[battery]

    @property
    def offsets_us(self) -> Dict[int, int]:
        """By boot: what to add to uptime to get the wall time. The last setting of a boot's clock dates all of it."""
        return {segment.boot: segment.wall_offset_us for segment in self.clock}

    def wall_drift_us(self, event: Event) -> int:
        """The drift of *event* from its clock segment; a new segment when boot or clock changed."""
        offset_us = event.wall_us - event.uptime_us
        last = self.clock[-1] if self.clock else None
        if last is None or last.boot != event.boot or abs(offset_us - last.wall_offset_us) >= STEP_US:
            last = ClockSegment(event.number, event.boot, event.uptime_us, offset_us)
            self.clock.append(last)
            self._starts.append(event.number)
            sql = "INSERT INTO clock (from_number, boot, uptime_from_us, wall_offset_us) VALUES (?, ?, ?, ?)"
            self.unsaved.append((sql, (last.from_number, last.boot, last.uptime_from_us, last.wall_offset_us)))
        return offset_us - last.wall_offset_us

    def wall_us(self, number: int, uptime_us: int, drift_us: int) -> int:
        """The wall time believed at an event."""
        segment = self.clock[bisect_right(self._starts, number) - 1]
        return uptime_us + segment.wall_offset_us + drift_us


def row_of(event: Event, names: Dictionaries) -> Row:
    """*event* as a row; may add to ``names.unsaved``."""
    kind, fact = kind_of(event.fact), event.fact
    source: Optional[int] = None
    payload: Any
    if isinstance(fact, ReadingTaken) and not fact.altered and not event.unread:
        source, payload = names.source_id(fact.battery, fact.protocol), fact.frame
    else:
        payload = json.dumps(payload_of(event), separators=(",", ":"))
    drift_us = names.wall_drift_us(event)
    return event.number, event.boot, event.uptime_us, drift_us, names.kind_id(kind), version_of(fact), source, payload


class RowReader:
    """Turns rows into events."""

    def __init__(self, names: Dictionaries) -> None:
        self._names = names
        self._kinds = {number: name for name, number in names.kinds.items()}
        self._sources = {number: source for source, number in names.sources.items()}

    def event(self, row: Row) -> Event:
        """The event of *row*. Raises :class:`EventError`."""
        number, boot, uptime_us, drift_us, kind, version, source, payload = row
        wall_us = self._names.wall_us(number, uptime_us, drift_us)
        if source is not None:
            battery, protocol = self._sources[source]
            return Event(number, boot, uptime_us, wall_us, ReadingTaken(battery, protocol, bytes(payload)))
        try:
            fields = json.loads(payload)
        except ValueError:
            raise EventError("event {}: the payload is not JSON".format(number)) from None
        return event_from(
            number=number,
            boot=boot,
            uptime_us=uptime_us,
            wall_us=wall_us,
            kind=self._kinds[kind],
            version=version,
            payload=fields,
        )
