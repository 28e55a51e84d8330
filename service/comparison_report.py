"""How a comparison is told: in lines for an owner who decides about an option, or in JSON lines for programs."""

from __future__ import annotations

import json
from typing import Dict, Iterable, List, Optional, TextIO, Tuple

from attrs import define, field

from core.configuration import Configuration
from core.paths import Value, text_of
from core.service_view import TICK_US
from service.comparison import CHARGE_MODE, ON_BUS, Difference, Instant, Place, Side
from service.times import duration_text, time_text

SETTLED_S = 60
"""A difference that comes back within so many seconds had not ended: one line for both."""

_LABELS = {
    "/Info/MaxChargeVoltage": "CVL",
    "/Info/MaxChargeCurrent": "CCL",
    "/Info/MaxDischargeCurrent": "DCL",
    "/Info/BatteryLowVoltage": "low voltage",
    CHARGE_MODE: "charge mode",
    "/Io/AllowToCharge": "charge allowed",
    "/Io/AllowToDischarge": "discharge allowed",
    "/Soc": "SoC",
}


def _label(path: str) -> str:
    return _LABELS.get(path) or "alarm " + path.rpartition("/")[2] if path != ON_BUS else ON_BUS


def _text(path: str, value: Value) -> str:
    if value is not None and (path == ON_BUS or path.startswith("/Io/")):
        return "yes" if value else "no"
    return str(value) if path == ON_BUS else text_of(path, value)


class _Range:
    """The values that one side showed while the two differed."""

    def __init__(self) -> None:
        self._values: Dict[Value, None] = {}

    def add(self, value: Value) -> None:
        """Only the extremes of numbers are kept."""
        self._values[value] = None
        numbers = [each for each in self._values if isinstance(each, (int, float))]
        others = [each for each in self._values if not isinstance(each, (int, float))]
        self._values = dict.fromkeys([*others, *sorted({min(numbers), max(numbers)})] if numbers else others)

    def text(self, path: str) -> str:
        """``30.0A..70.0A``"""
        return "..".join(_text(path, value) for value in self._values)


class _Sides:
    """For how long the two differed at one place, and what they showed then."""

    def __init__(self) -> None:
        self.seconds = 0
        self._recorded, self._new = _Range(), _Range()

    def stood(self, difference: Difference, seconds: int) -> None:
        """They differed like this for so long."""
        self.seconds += seconds
        self._recorded.add(difference.recorded.value)
        self._new.add(difference.new.value)

    def texts(self, path: str) -> Tuple[str, str]:
        """What was recorded, and what would have been."""
        return self._recorded.text(path), self._new.text(path)


@define
class _Told:
    """A difference of which the beginning was printed and the end not yet."""

    began: Instant
    last: Tuple[Value, Value]
    sides: _Sides = field(factory=_Sides)
    ended: Optional[Instant] = None


def _line(instant: Instant, place: Place, text: str) -> str:
    service, path = place
    times = "{}  up {}".format(time_text(instant.wall_us), duration_text(instant.uptime_s))
    return "{}  {}  {}: {}".format(times, service, _label(path), text)


def _sides_text(path: str, recorded: Side, new: Side) -> str:
    values = "{} -> {}".format(_text(path, recorded.value), _text(path, new.value))
    if recorded.reason is None and new.reason is None:
        return values
    if recorded.reason == new.reason:
        return "{}  ({})".format(values, recorded.reason)
    return "{}  ({} -> {})".format(values, recorded.reason or "no limit", new.reason or "no limit")


class Report:
    """A line when a difference begins, one when it ends, and where there are only a few values, one at each change."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open: Dict[Place, _Told] = {}
        self._totals: Dict[Place, _Sides] = {}
        self._services: List[str] = []
        self._compared = False

    def topologies(self, recorded: Configuration, new: Configuration) -> None:
        """See :class:`service.comparison.Listener`."""
        self._end_settled(None)
        services = [service.key for service in recorded.services], [service.key for service in new.services]
        both = [key for key in services[0] if key in services[1]]
        self._compared = self._compared or bool(both)
        only = [[key for key in side if key not in both] for side in services]
        if not any(only):
            return
        line = "only recorded: {}; only with the new options: {}; compared: {}".format(
            *(", ".join(keys) or "nothing" for keys in (*only, both))
        )
        if line not in self._services:
            self._services.append(line)
            self._print(line)

    def began(self, instant: Instant, difference: Difference) -> None:
        """See :class:`service.comparison.Listener`."""
        self._end_settled(instant)
        place, values = difference.place, (difference.recorded.value, difference.new.value)
        told = self._open.get(place)
        text = _sides_text(place[1], difference.recorded, difference.new)
        if told is None:
            self._open[place] = _Told(instant, values)
            self._print(_line(instant, place, text))
            return
        told.ended = None
        if told.last != values and not any(isinstance(value, float) for value in values):
            told.last = values
            self._print(_line(instant, place, text))

    def ended(self, instant: Instant, place: Place) -> None:
        """See :class:`service.comparison.Listener`."""
        if place in self._open:
            self._open[place].ended = instant

    def stood(self, begin: Instant, until_s: int, differences: Iterable[Difference]) -> None:
        """See :class:`service.comparison.Listener`."""
        self._end_settled(begin)
        for difference in differences:
            for sides in (self._open[difference.place].sides, self._totals.setdefault(difference.place, _Sides())):
                sides.stood(difference, until_s - begin.uptime_s)

    def finish(self) -> None:
        """What is still open, and the table."""
        self._end_settled(None)
        for place, told in self._open.items():
            self._print(_line(told.began, place, self._ending(place, told, "still so at the end, for")))
        self._open.clear()
        if not self._totals:
            self._print("no differences" if self._compared else "nothing could be compared")
            return
        rows = [("service", "", "differs for", "recorded", "new")]
        for place in sorted(self._totals):
            sides = self._totals[place]
            rows.append((place[0], _label(place[1]), "{} s".format(sides.seconds), *sides.texts(place[1])))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        self._print("")
        for row in rows:
            self._print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())

    def _end_settled(self, now: Optional[Instant]) -> None:
        """Tell what has ended long enough ago; without *now* all that has ended."""
        for place, told in list(self._open.items()):
            if told.ended is not None and (now is None or now.uptime_s - told.ended.uptime_s >= SETTLED_S):
                del self._open[place]
                self._print(_line(told.ended, place, self._ending(place, told, "no difference any more, after")))

    def _ending(self, place: Place, told: _Told, words: str) -> str:
        recorded, new = told.sides.texts(place[1])
        return "{} {}: {} -> {}".format(words, duration_text(told.sides.seconds), recorded, new)

    def _print(self, line: str) -> None:
        print(line, file=self._stream)


class JsonReport:
    """One line for each path that differs at a tick."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def topologies(self, recorded: Configuration, new: Configuration) -> None:
        """Says nothing: a program knows what it compares."""

    def began(self, instant: Instant, difference: Difference) -> None:
        """Says nothing: see :meth:`stood`."""

    def ended(self, instant: Instant, place: Place) -> None:
        """Says nothing: see :meth:`stood`."""

    def stood(self, begin: Instant, until_s: int, differences: Iterable[Difference]) -> None:
        """See :class:`service.comparison.Listener`."""
        standing = [(difference.place, difference) for difference in differences]
        for later_s in range(until_s - begin.uptime_s):
            for (service, path), difference in standing:
                line = {
                    "boot": begin.boot,
                    "uptime_s": begin.uptime_s + later_s,
                    "time": time_text(begin.wall_us + later_s * TICK_US),
                    "service": service,
                    "path": path,
                    "recorded": difference.recorded.value,
                    "new": difference.new.value,
                }
                if difference.recorded.reason is not None or difference.new.reason is not None:
                    line["recorded_reason"] = difference.recorded.reason
                    line["new_reason"] = difference.new.reason
                self._stream.write(json.dumps(line, separators=(",", ":")) + "\n")

    def finish(self) -> None:
        """Says nothing."""
        self._stream.flush()
