"""Trends: what a page may ask of the history, and the answer, thinned until it fits on the bus.

A request is one JSON object: ``id``, ``battery``, ``hours`` and ``series``. The answer has the lowest and the highest
value of every point, integers, ``null`` where nothing is known. Points lie on a grid of wall time: a bucket belongs to
the point that it begins in. Halving the number of points doubles their step and keeps every extreme.
"""

from __future__ import annotations

import json
import math
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Sequence, Tuple, Union

from attrs import frozen

from core.configuration import BatteryConfiguration
from core.history import DAY, MINUTE, QUARTER, Bucket, DatedBucket, Stat

REQUEST_PATH = "/CellMonitor/Trend/Request"
JSON_PATH = "/CellMonitor/Trend/Json"

MAX_BYTES = 8192
"""Of an answer in UTF-8: every client of the GX is sent each one, over the internet too."""
MAX_HOURS = 87_600
MAX_ID = 64
"""Characters of an id."""
SERIES = ("spread", "cells", "soc", "current", "temperature")
_TIERS = ((24, MINUTE), (31 * 24, QUARTER), (MAX_HOURS, DAY))
"""Up to so many hours are shown from which tier."""

_LONGEST_ID = len(json.dumps("\U0001f50b" * MAX_ID))
_BODY_BYTES = MAX_BYTES - len('{"id":,') - _LONGEST_ID  # whatever the id is: the same points for everybody
_BYTES_PER_POINT = 4  # at least, of every name: a digit and a comma, lowest and highest
_MAX_HALVINGS = 24
_MAX_ERROR = 400

Id = Union[str, int, float]
Extremes = Tuple[int, int]
"""Lowest and highest."""


class BadRequest(Exception):
    """A request that cannot be answered: its id as far as it was read, and why."""

    def __init__(self, id: Id, reason: str) -> None:
        self.id, self.reason = id, reason
        super().__init__(reason)


@frozen
class TrendRequest:
    """A request that can be answered."""

    chosen: Mapping[str, int]
    """The batteries in it, and their places in the service, from 1."""
    id: Id = ""
    battery: Union[str, int, float, None] = None
    """As it was asked for; ``None``: all."""
    hours: Union[int, float] = 24
    """Back from now."""
    series: str = "spread"

    @property
    def question(self) -> str:
        """What is asked, whoever asks: requests with the same question have the same answer."""
        return json.dumps([list(self.chosen), self.battery, self.hours, self.series])


def default_request(batteries: Sequence[BatteryConfiguration]) -> TrendRequest:
    """What is answered when nobody asked: clients that may only read see something, too."""
    return TrendRequest(_chosen("default", None, "spread", batteries), id="default")


def parse_request(text: str, batteries: Sequence[BatteryConfiguration]) -> TrendRequest:
    """The request in *text* to the service of *batteries*. Raises :class:`BadRequest`."""
    try:
        fields = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadRequest("", "the request is not JSON") from None
    if not isinstance(fields, dict):
        raise BadRequest("", 'the request is not a JSON object such as {"id":1,"hours":24,"series":"spread"}')
    id, battery = _id(fields.get("id", "")), fields.get("battery")
    hours, series = fields.get("hours", 24), fields.get("series", "spread")
    if isinstance(hours, bool) or not isinstance(hours, (int, float)) or not 0 < hours <= MAX_HOURS:
        raise BadRequest(id, "hours has to be a number above 0 and up to {}".format(MAX_HOURS))
    if not isinstance(series, str) or series not in SERIES:
        raise BadRequest(id, "series has to be one of {}".format(", ".join(SERIES)))
    return TrendRequest(_chosen(id, battery, series, batteries), id, battery, hours, series)


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)  # NaN and Infinity are not JSON


def _id(id: Any) -> Id:
    if isinstance(id, str) and len(id) <= MAX_ID:
        return id
    if isinstance(id, int) and not isinstance(id, bool) and abs(id) < 10**MAX_ID:
        return id
    if isinstance(id, float) and math.isfinite(id):
        return id
    raise BadRequest("", "id has to be a string or a number of up to {} characters".format(MAX_ID))


def _chosen(id: Id, battery: Any, series: str, batteries: Sequence[BatteryConfiguration]) -> Dict[str, int]:
    """By battery its place: the one that is meant, or all."""
    named = "; ".join("{} ({})".format(place, known.address) for place, known in enumerate(batteries, 1))
    if battery is None:
        if series == "cells" and len(batteries) > 1:
            raise BadRequest(id, "cells are shown of one battery; give battery as one of {}".format(named))
        return {known.battery: place for place, known in enumerate(batteries, 1)}
    if isinstance(battery, bool) or not isinstance(battery, (str, int, float)):
        raise BadRequest(id, "battery has to be a place, an address, or null")
    for place, known in enumerate(batteries, 1):
        names = (known.battery.lower(), known.address.lower())
        if battery.lower() in names if isinstance(battery, str) else battery == place:
            return {known.battery: place}
    raise BadRequest(id, "there is no battery {}; there are {}".format(json.dumps(battery)[:80], named))


def error_answer(id: Id, reason: str) -> str:
    """The JSON for a request that cannot be answered."""
    shown = reason if len(reason) <= _MAX_ERROR else reason[: _MAX_ERROR - 1] + "…"
    return json.dumps({"id": id, "error": shown}, separators=(",", ":"))


def answer_with(id: Id, body: str) -> str:
    """The JSON of an answer, for one who asked with *id*."""
    return '{{"id":{},{}'.format(json.dumps(id), body[1:])


def _of(stat: Stat) -> Optional[Extremes]:
    return (stat.lowest, stat.highest) if stat.count else None


def _current(bucket: Bucket) -> Optional[Extremes]:
    known = _of(bucket.current_ma)
    return None if known is None else (round(known[0] / 100), round(known[1] / 100))


def _temperature(bucket: Bucket) -> Optional[Extremes]:
    known = [(stat.lowest, stat.highest) for stat in bucket.temperatures_dc if stat.count]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


_WHOLE: Dict[str, Callable[[Bucket], Optional[Extremes]]] = {
    "spread": lambda bucket: _of(bucket.spread_mv),
    "soc": lambda bucket: _of(bucket.soc_permille),
    "current": _current,
    "temperature": _temperature,
}
"""The series that have one line a battery."""
_QUANTITIES = {
    "spread": "spread_mv",
    "cells": "cells_mv",
    "soc": "soc_permille",
    "current": "current_ma",
    "temperature": "temperatures_dc",
}
_UNITS = {"spread": ("mV", 1), "cells": ("mV", 1), "soc": ("%", 10), "current": ("A", 10), "temperature": ("C", 10)}


def _offsets(bucket: Bucket) -> List[Optional[int]]:
    """By cell: its mean less that of all cells, in mV."""
    mean = bucket.mean_cell_mv
    means = [cell.mean for cell in bucket.cells_mv]
    return [None if mean is None or each is None else round(each - mean) for each in means]


class Trend:
    """The answer to one request at one instant: tell it every bucket, in any order."""

    def __init__(self, request: TrendRequest, now_us: int) -> None:
        """*now_us*: the wall time."""
        self.request = request
        self.tier = next(tier for hours, tier in _TIERS if request.hours <= hours)
        self._tier_us = self.tier.seconds * 1_000_000
        self._now_us = now_us
        self._first = (now_us - round(request.hours * 3_600_000_000)) // self._tier_us
        self._last = now_us // self._tier_us
        self._halvings = 0
        self._names = [str(place) for place in sorted(request.chosen.values())]
        self._lines = {battery: self._names.index(str(place)) for battery, place in request.chosen.items()}
        self._points: Dict[int, Dict[int, Extremes]] = {}
        """By place on the grid, counted from 1970 in steps: by line its extremes."""
        if request.series == "cells":
            self._names = []  # of the one battery, as they come to be known
        self._halve_as_far_as_is_sure()

    @property
    def battery(self) -> Optional[str]:
        """The only battery that counts; ``None`` when there are several."""
        return next(iter(self.request.chosen)) if len(self.request.chosen) == 1 else None

    @property
    def quantity(self) -> str:
        """The only attribute of a bucket that counts."""
        return _QUANTITIES[self.request.series]

    def stretch(self, wall_offset_us: int) -> Tuple[int, int]:
        """Which buckets of a boot count, first <= bucket < stop; *wall_offset_us* added to uptime is wall time."""
        first = -((wall_offset_us - self._first * self._tier_us) // self._tier_us)
        stop = (self._now_us - wall_offset_us) // self._tier_us + 1
        return max(0, first), max(0, stop)

    def add(self, dated: DatedBucket, wall_offset_us: int) -> None:
        """Count a bucket; one outside the time asked for, or of a battery that was not, is passed over."""
        line = self._lines.get(dated.battery)
        begin_us = dated.place.bucket * self._tier_us + wall_offset_us
        if line is None or begin_us < self._first * self._tier_us or begin_us > self._now_us:
            return
        place = begin_us // self._tier_us >> self._halvings
        if self.request.series != "cells":
            known = _WHOLE[self.request.series](dated.bucket)
            if known is not None:
                self._count(place, line, known)
            return
        offsets = _offsets(dated.bucket)
        if len(offsets) > len(self._names):
            self._names = [str(cell) for cell in range(1, len(offsets) + 1)]
            self._halve_as_far_as_is_sure()
            place = begin_us // self._tier_us >> self._halvings
        for cell, offset_mv in enumerate(offsets):
            if offset_mv is not None:
                self._count(place, cell, (offset_mv, offset_mv))

    def _count(self, place: int, line: int, known: Extremes) -> None:
        lines = self._points.setdefault(place, {})
        before = lines.get(line)
        if before is not None:
            known = (min(before[0], known[0]), max(before[1], known[1]))
        lines[line] = known

    def _halve(self) -> None:
        points, self._points = self._points, {}
        self._halvings += 1
        for place, lines in points.items():
            for line, known in lines.items():
                self._count(place >> 1, line, known)

    @property
    def _size(self) -> int:
        return (self._last >> self._halvings) - (self._first >> self._halvings) + 1

    def _halve_as_far_as_is_sure(self) -> None:
        """So that no more is held than can be told."""
        while self._size > 1 and self._size * len(self._names) * _BYTES_PER_POINT > _BODY_BYTES:
            self._halve()

    def body(self) -> str:
        """The answer as JSON without an id; see :func:`answer_with`. Raises :class:`BadRequest` if nothing fits."""
        while True:
            body = self._body()
            if len(body) <= _BODY_BYTES:
                return body
            if self._size == 1 or self._halvings >= _MAX_HALVINGS:
                raise BadRequest(self.request.id, "the answer is too long; ask for one battery")
            self._halve()

    def _body(self) -> str:
        unit, divisor = _UNITS[self.request.series]
        first, size = self._first >> self._halvings, self._size
        lowest: List[List[Optional[int]]] = [[None] * size for _ in self._names]
        highest: List[List[Optional[int]]] = [[None] * size for _ in self._names]
        for place, lines in self._points.items():
            for line, known in lines.items():
                lowest[line][place - first], highest[line][place - first] = known
        step = self.tier.seconds << self._halvings
        answer = {
            "battery": self.request.battery,
            "series": self.request.series,
            "unit": unit,
            "divisor": divisor,
            "start": first * step,
            "step": step,
            "names": self._names,
            "min": lowest,
            "max": highest,
        }
        return json.dumps(answer, separators=(",", ":"))
