"""The history and the log as rows of text for a table: one function of rows for each kind of export.

Rows are in order of boot and uptime. A boot is dated by the last setting of its clock; a date before 2020 is nobody's
and left empty. Unknown is empty, never 0.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from attrs import frozen

from core.battery import Battery
from core.configuration import configuration_from
from core.events import (
    AlertClosed,
    AlertOpened,
    Event,
    LinkEstablished,
    LinkLost,
    LinkReleased,
    ReadingTaken,
    RecoveryAttempted,
    SessionEnded,
    SessionStarted,
    kind_of,
    payload_of,
)
from core.history import Bucket, DatedBucket, Place, Stat, Tier
from core.link import LinkHealth
from core.link_causes import NOT_RUNNING, UNKNOWN

Row = List[str]

TIME = ["time_utc", "boot", "uptime_s"]
CELLS = [
    *TIME, "battery", "cell", "readings", "min_V", "mean_V", "max_V", "deviation_V", "balancing_s",
]  # fmt: skip
BATTERIES = [
    *TIME, "battery", "readings",
    "voltage_min_V", "voltage_mean_V", "voltage_max_V", "current_min_A", "current_mean_A", "current_max_A",
    "soc_min_pct", "soc_mean_pct", "soc_max_pct", "spread_min_V", "spread_mean_V", "spread_max_V",
    "coldest_C", "hottest_C", "temperature1_C", "temperature2_C", "temperature3_C", "temperature4_C",
]  # fmt: skip
READINGS = [
    *TIME, "number", "battery", "protocol", "voltage_V", "current_A", "soc_pct", "remaining_Ah", "cycles",
    "charge_fet", "discharge_fet", "protections", "balancing_cells", "temperatures_C", "cells_V", "doubts", "frame",
]  # fmt: skip
EVENTS = [*TIME, "number", "kind", "battery", "payload"]
ALERTS = [
    *TIME, "closed_utc", "lasted_s", "battery", "alert", "spread_V", "threshold_V",
    "lowest_cell", "lowest_V", "highest_cell", "highest_V",
]  # fmt: skip
LINKS = [*TIME, "battery", "state", "cause", "detail", "lasted_s"]

_BEGIN = datetime(1970, 1, 1, tzinfo=timezone.utc)
_PLAUSIBLE_US = 1_577_836_800_000_000
"""2020-01-01: no device that runs this program has the right time before."""
_SENSORS = 4


@frozen
class Dates:
    """Wall times of events and buckets, from what to add to the uptime of each boot."""

    offsets_us: Mapping[int, int]

    def wall_us(self, boot: int, uptime_us: int) -> Optional[int]:
        """UTC in µs; ``None`` where the clock was never right."""
        offset_us = self.offsets_us.get(boot)
        wall_us = None if offset_us is None else offset_us + uptime_us
        return wall_us if wall_us is not None and wall_us >= _PLAUSIBLE_US else None

    def columns(self, boot: int, uptime_us: int, *, digits: int = 3) -> Row:
        """The columns of :data:`TIME`."""
        uptime_ms = uptime_us // 1000  # the digits that are shown, as ISO times have them
        return [self.text(self.wall_us(boot, uptime_us), digits), str(boot), _number(uptime_ms, 1e3, digits)]

    @staticmethod
    def text(wall_us: Optional[int], digits: int = 3) -> str:
        """ISO 8601 with a ``Z``; empty for an unknown time."""
        if wall_us is None:
            return ""
        moment = (_BEGIN + timedelta(microseconds=wall_us)).replace(tzinfo=None)
        return moment.isoformat(timespec="milliseconds" if digits else "seconds") + "Z"


def _number(value: Optional[float], divisor: float, digits: int) -> str:
    return "" if value is None else "{:.{}f}".format(value / divisor, digits)


def _stat(stat: Stat, divisor: float, digits: int) -> Row:
    if not stat.count:
        return ["", "", ""]
    mean = _number(stat.mean, divisor, digits + 1)
    return [_number(stat.lowest, divisor, digits), mean, _number(stat.highest, divisor, digits)]


class Buckets:
    """Rows of the kinds ``cells`` and ``batteries``, with rows of no readings where the history has a gap."""

    def __init__(self, tier: Tier, dates: Dates, *, cells: bool) -> None:
        self._tier = tier
        self._dates = dates
        self._cells = cells
        self._before: Dict[str, DatedBucket] = {}

    def rows(self, dated: DatedBucket) -> Iterator[Row]:
        """The rows of the next bucket."""
        before = self._before.get(dated.battery)
        self._before[dated.battery] = dated
        if before is not None:
            missing = Place(before.place.boot, before.place.bucket + 1)
            if missing != dated.place:
                yield from self._gap(missing, before)
        make = self._cell_rows if self._cells else self._battery_rows
        yield from make(self._head(dated.place, dated.battery), dated.bucket)

    def _head(self, place: Place, battery: str) -> Row:
        uptime_us = place.bucket * self._tier.seconds * 1_000_000
        return [*self._dates.columns(place.boot, uptime_us, digits=0), battery]

    def _gap(self, missing: Place, before: DatedBucket) -> Iterator[Row]:
        head = self._head(missing, before.battery)
        if not self._cells:
            yield _filled([*head, "0"], BATTERIES)
            return
        for cell in range(1, len(before.bucket.cells_mv) + 1):
            yield _filled([*head, str(cell), "0"], CELLS)

    @staticmethod
    def _cell_rows(head: Row, bucket: Bucket) -> Iterator[Row]:
        mean_mv = bucket.mean_cell_mv
        for cell, stat in enumerate(bucket.cells_mv, 1):
            deviation_mv = None if stat.mean is None or mean_mv is None else stat.mean - mean_mv
            balancing_ms = bucket.balancing_ms.get(cell, 0) if bucket.voltage_mv.count else None
            row = [*head, str(cell), str(stat.count), *_stat(stat, 1e3, 3)]
            yield [*row, _number(deviation_mv, 1e3, 4), _number(balancing_ms, 1e3, 1)]

    @staticmethod
    def _battery_rows(head: Row, bucket: Bucket) -> Iterator[Row]:
        readings = max(bucket.voltage_mv.count, *(cell.count for cell in bucket.cells_mv), bucket.current_ma.count)
        sensors = [sensor for sensor in bucket.temperatures_dc if sensor.count]
        means = [sensor.mean for sensor in bucket.temperatures_dc[:_SENSORS]]
        row = [*head, str(readings), *_stat(bucket.voltage_mv, 1e3, 2), *_stat(bucket.current_ma, 1e3, 2)]
        row += [*_stat(bucket.soc_permille, 10, 1), *_stat(bucket.spread_mv, 1e3, 3)]
        row.append(_number(min((sensor.lowest for sensor in sensors), default=None), 10, 1))
        row.append(_number(max((sensor.highest for sensor in sensors), default=None), 10, 1))
        yield _filled([*row, *(_number(mean, 10, 2) for mean in means)], BATTERIES)


def _filled(row: Row, header: Sequence[str]) -> Row:
    return row + [""] * (len(header) - len(row))


class Readings:
    """Rows of the kind ``readings``: what today's decoder makes of each frame, what it doubts, and the frame."""

    def __init__(self, dates: Dates) -> None:
        self._dates = dates
        self._batteries: Dict[str, Battery] = {}

    def rows(self, event: Event) -> Iterator[Row]:
        """The row of *event*, if it is a reading; a session start tells what batteries there are."""
        fact = event.fact
        if isinstance(fact, SessionStarted):
            known = configuration_from(dict(fact.configuration)).batteries
            self._batteries = {each.battery: Battery(each) for each in known}
        if isinstance(fact, ReadingTaken):
            time = self._dates.columns(event.boot, event.uptime_us)
            yield [*time, str(event.number), fact.battery, fact.protocol, *self._decoded(event, fact), fact.frame.hex()]

    def _decoded(self, event: Event, fact: ReadingTaken) -> Row:
        battery = self._batteries.get(fact.battery)
        if battery is None:
            return [""] * (len(READINGS) - len(TIME) - 4)
        pack, cells = battery.pack, battery.cells
        battery.fold(event)
        new_pack = battery.pack if battery.pack is not pack else None
        new_cells = battery.cells if battery.cells is not cells else None
        voltages = () if new_cells is None else new_cells.voltages_mv
        shown = [""] * 10
        if new_pack is not None:
            temperatures = new_pack.temperatures_dc + new_pack.extra_temperatures_dc
            shown = [
                _number(new_pack.voltage_mv, 1e3, 2),
                _number(new_pack.current_ma, 1e3, 2),
                _number(new_pack.soc_permille, 10, 1),
                _number(new_pack.remaining_mah, 1e3, 2),
                _plain(new_pack.cycles),
                _plain(new_pack.charge_fet_on),
                _plain(new_pack.discharge_fet_on),
                " ".join(new_pack.protections),
                " ".join(map(str, new_pack.balancing_cells)),
                " ".join(_number(each, 10, 1) or "-" for each in temperatures),
            ]
        doubts = "; ".join(battery.marks) if new_pack is not None or new_cells is not None else ""
        return [*shown, " ".join(_number(mv, 1e3, 3) for mv in voltages), doubts]


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


class Events:
    """Rows of the kind ``events``: everything but the readings."""

    def __init__(self, dates: Dates) -> None:
        self._dates = dates

    def rows(self, event: Event) -> Iterator[Row]:
        """The row of *event*."""
        if isinstance(event.fact, ReadingTaken):
            return
        payload = payload_of(event)
        battery = payload.get("battery", "")
        text = json.dumps(payload, separators=(",", ":"))
        time = self._dates.columns(event.boot, event.uptime_us)
        yield [*time, str(event.number), kind_of(event.fact), str(battery), text]


class Alerts:
    """Rows of the kind ``alerts``: one for each incident, in order of opening."""

    def __init__(self, dates: Dates) -> None:
        self._dates = dates
        self._incidents: List[List[Event]] = []

    def rows(self, event: Event) -> Iterator[Row]:
        """The rows that are complete with *event*."""
        fact = event.fact
        if isinstance(fact, AlertOpened):
            self._incidents.append([event])
        elif isinstance(fact, AlertClosed):
            about = (fact.battery, fact.alert)
            for incident in self._incidents:
                opened = incident[0].fact
                if len(incident) == 1 and isinstance(opened, AlertOpened) and (opened.battery, opened.alert) == about:
                    incident.append(event)
                    break
        while self._incidents and len(self._incidents[0]) == 2:
            yield self._row(self._incidents.pop(0))

    def rest(self) -> Iterator[Row]:
        """Those that follow one that is still open."""
        yield from map(self._row, self._incidents)

    def _row(self, incident: Sequence[Event]) -> Row:
        event, fact = incident[0], incident[0].fact
        assert isinstance(fact, AlertOpened)
        row = [*self._dates.columns(event.boot, event.uptime_us), "", ""]
        if len(incident) == 2:
            closed = incident[1]
            row[-2] = self._dates.text(self._dates.wall_us(closed.boot, closed.uptime_us))
            row[-1] = _lasted(event, closed)
        row += [fact.battery, fact.alert, _number(fact.spread_mv, 1e3, 3), _number(fact.threshold_mv, 1e3, 3)]
        row += [str(fact.lowest_cell), _number(fact.lowest_mv, 1e3, 3)]
        return [*row, str(fact.highest_cell), _number(fact.highest_mv, 1e3, 3)]


def _lasted(first: Event, last: Event) -> str:
    """Seconds between two events; unknown when a boot lies between them."""
    return _number(last.uptime_us - first.uptime_us, 1e6, 3) if first.boot == last.boot else ""


class Links:
    """Rows of the kind ``links``: one for each change, with how long what was before had lasted.

    A battery is down, too, while the program does not run; when a killed one ended, nobody knows.
    """

    def __init__(self, dates: Dates) -> None:
        self._dates = dates
        self._health: Dict[str, LinkHealth] = {}
        self._changed: Dict[str, Event] = {}

    def rows(self, event: Event) -> Iterator[Row]:
        """The rows of *event*."""
        fact = event.fact
        if isinstance(fact, (SessionStarted, SessionEnded)):
            killed = "killed, nobody knows when" if isinstance(fact, SessionStarted) else ""
            for battery in [battery for battery, health in self._health.items() if health.up]:
                row = self._row(event, battery, "down", NOT_RUNNING, killed)
                yield [*row[:-1], ""] if killed else row
            self._health.clear()
        elif isinstance(fact, (LinkEstablished, LinkLost)):
            health = self._health.setdefault(fact.battery, LinkHealth())
            health.fold(event)
            if isinstance(fact, LinkEstablished):
                yield self._row(event, fact.battery, "up", "", fact.adapter or "")
            else:
                yield self._row(event, fact.battery, "down", health.cause or UNKNOWN, fact.detail)
        elif isinstance(fact, RecoveryAttempted):
            yield [*self._time(event), fact.battery, "recovery", fact.cause, fact.rung, ""]
        elif isinstance(fact, LinkReleased):
            yield [*self._time(event), fact.battery, "released", "", "{} min".format(fact.minutes), ""]

    def _time(self, event: Event) -> Row:
        return self._dates.columns(event.boot, event.uptime_us)

    def _row(self, event: Event, battery: str, state: str, cause: str, detail: str) -> Row:
        before = self._changed.get(battery)
        self._changed[battery] = event
        return [*self._time(event), battery, state, cause, detail, "" if before is None else _lasted(before, event)]
