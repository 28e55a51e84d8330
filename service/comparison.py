"""One recorded session twice in lockstep: as it was recorded, and with other options.

Told are limits, alarms, switches, state of charge, and whether a service is on the bus: what decides about a house.
Both runs publish only what changes, and only what was published is compared. A tick counts with what it left behind.
"""

from __future__ import annotations

from itertools import chain
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Protocol, Tuple

from attrs import evolve, frozen

from core.configuration import Configuration, configuration_from
from core.events import Event, SessionStarted, SettingChanged
from core.live import LiveView
from core.paths import Value
from core.publication import BUS_NAME_PREFIX
from core.sequencer import STEP_US
from core.service_view import DEVICE_INSTANCE, JOINED, LEFT, TICK_US, Publication

ON_BUS = "on the bus"
"""Stands for a path: whether the service is there at all. While it is not, nothing else of it is compared."""
CHARGE_MODE = "/Info/ChargeMode"
REASONS = {
    "/Info/MaxChargeVoltage": CHARGE_MODE,
    "/Info/MaxChargeCurrent": "/Info/ChargeLimitation",
    "/Info/MaxDischargeCurrent": "/Info/DischargeLimitation",
}
"""Where a limit says why. A reason that differs is no difference by itself."""
_ALARMS = "/Alarms/"
_COMPARED = {
    *REASONS,
    CHARGE_MODE,
    "/Info/BatteryLowVoltage",
    "/Io/AllowToCharge",
    "/Io/AllowToDischarge",
    "/Soc",
}
_LIMITS = {reason: limit for limit, reason in REASONS.items()}
_KEPT = _COMPARED | set(REASONS.values())

Configure = Callable[[Configuration], Configuration]
Place = Tuple[str, str]
"""A service, by the last part of its bus name, and a path."""


@frozen
class Side:
    """What one of the two runs shows at one path, and why."""

    value: Value
    reason: Optional[str] = None


@frozen
class Difference:
    """A place where the two runs differ, and how."""

    place: Place
    recorded: Side
    new: Side


@frozen
class Instant:
    """A tick, and when the device believed it was."""

    boot: int
    uptime_s: int
    wall_us: int


class Listener(Protocol):
    """Is told of everything that differs, in order."""

    def topologies(self, recorded: Configuration, new: Configuration) -> None:
        """A session begins; *new* is what it would have been."""

    def began(self, instant: Instant, difference: Difference) -> None:
        """From *instant* on the two differ there, or differ in another way."""

    def ended(self, instant: Instant, place: Place) -> None:
        """From *instant* on they are the same there, or there is nothing more to compare."""

    def stood(self, begin: Instant, until_s: int, differences: Iterable[Difference]) -> None:
        """*differences* stood unchanged at every tick from *begin* to before *until_s*."""


class _Shown:
    """What one service of one run shows of the compared paths."""

    def __init__(self) -> None:
        self.on_bus = False
        self.items: Dict[str, Value] = {}

    def take(self, publication: Publication) -> Iterable[str]:
        """The paths that may have another value now."""
        if publication.change in (JOINED, LEFT):
            before, self.items = self.items, {}
            self.on_bus = publication.change == JOINED
            self._keep(publication.items)
            return [ON_BUS, *before, *self.items]
        return self._keep(publication.items)

    def _keep(self, items: Mapping[str, Value]) -> List[str]:
        kept = {path: value for path, value in items.items() if path in _KEPT or path.startswith(_ALARMS)}
        self.items.update(kept)
        return list(kept)

    def side(self, path: str) -> Side:
        """What it shows at *path*."""
        if path == ON_BUS:
            return Side(int(self.on_bus))
        value = self.items.get(path)
        if path == CHARGE_MODE:
            value = None if value is None else str(value).split(":")[0].split()[0]
        reason = self.items.get(REASONS.get(path, ""))
        return Side(value, None if reason is None else str(reason))


class Comparison:
    """Feed it every event of a session in order, then :meth:`finish`."""

    def __init__(self, configure: Configure, listener: Listener) -> None:
        self._configure = configure
        self._listener = listener
        self._views = (LiveView(), LiveView())
        self._shown: Tuple[Dict[str, _Shown], Dict[str, _Shown]] = ({}, {})
        self._services: Tuple[List[str], List[str]] = ([], [])
        self._open: Dict[Place, Difference] = {}
        self._since_s = 0
        self._boot = 0
        self._uptime_us = 0
        self._offset_us = 0

    def fold(self, event: Event) -> None:
        """Take in *event* on both sides."""
        if isinstance(event.fact, SessionStarted):
            self._start(event, event.fact)
            return
        self._compare(self._views[0].fold(event), self._publications(event))
        self._uptime_us = event.uptime_us
        offset_us = event.wall_us - event.uptime_us
        if abs(offset_us - self._offset_us) >= STEP_US:  # the ticks before are dated as was believed before
            self._count(event.uptime_us // TICK_US + 1)
        self._offset_us = offset_us

    def finish(self) -> None:
        """The session has no more events: count what stands up to the last tick."""
        self._count(self._uptime_us // TICK_US + 1)
        self._open.clear()

    def _start(self, event: Event, fact: SessionStarted) -> None:
        recorded = configuration_from(dict(fact.configuration))
        new = self._configure(recorded)
        tried = evolve(event, fact=evolve(fact, configuration=new.to_payload()))
        self._compare(self._views[0].fold(event), self._views[1].fold(tried))
        self._services = ([each.key for each in recorded.services], [each.key for each in new.services])
        self._shown = ({}, {})
        self._boot, self._uptime_us, self._offset_us = event.boot, event.uptime_us, event.wall_us - event.uptime_us
        self._since_s = event.uptime_us // TICK_US
        self._listener.topologies(recorded, new)

    def _publications(self, event: Event) -> List[Publication]:
        """What the new side publishes. A DeviceInstance that was assigned is that of its own services, too."""
        publications = self._views[1].fold(event)
        fact, (recorded, new) = event.fact, self._services
        if isinstance(fact, SettingChanged) and fact.setting == DEVICE_INSTANCE and fact.battery == recorded[0]:
            for key in new:
                if key not in recorded:
                    publications += self._views[1].fold(evolve(event, fact=evolve(fact, battery=key)))
        return publications

    def _compare(self, recorded: List[Publication], new: List[Publication]) -> None:
        by_tick: Dict[int, List[Tuple[int, Publication]]] = {}
        for side, publication in chain(((0, each) for each in recorded), ((1, each) for each in new)):
            by_tick.setdefault(publication.uptime_s, []).append((side, publication))
        for uptime_s in sorted(by_tick):
            self._count(uptime_s)
            touched: Dict[Place, None] = {}
            for side, publication in by_tick[uptime_s]:
                key = publication.service[len(BUS_NAME_PREFIX) :]
                shown = self._shown[side].setdefault(key, _Shown())
                touched.update(dict.fromkeys((key, path) for path in shown.take(publication)))
            self._judge(self._instant(uptime_s), touched)

    def _count(self, until_s: int) -> None:
        if self._open and until_s > self._since_s:
            self._listener.stood(self._instant(self._since_s), until_s, self._open.values())
        self._since_s = until_s

    def _instant(self, uptime_s: int) -> Instant:
        return Instant(self._boot, uptime_s, uptime_s * TICK_US + self._offset_us)

    def _judge(self, instant: Instant, touched: Iterable[Place]) -> None:
        places: Dict[Place, None] = {}
        for key, path in touched:
            if all(key in services for services in self._services):
                paths = self._every_path(key) if path == ON_BUS else [_LIMITS.get(path, path)]
                places.update(dict.fromkeys((key, each) for each in paths))
                if path == CHARGE_MODE:
                    places[key, path] = None
        for place in places:
            self._judge_one(instant, place, [side.get(place[0]) or _Shown() for side in self._shown])

    def _every_path(self, key: str) -> List[str]:
        """What either side shows of a service, and what it showed when they last differed."""
        shown = [path for side in self._shown if key in side for path in side[key].items]
        differing = [path for service, path in self._open if service == key]
        return [
            ON_BUS,
            *(path for path in dict.fromkeys(shown + differing) if path == CHARGE_MODE or path not in _LIMITS),
        ]

    def _judge_one(self, instant: Instant, place: Place, shown: List[_Shown]) -> None:
        path = place[1]
        both = path == ON_BUS or all(side.on_bus for side in shown)
        recorded, new = (side.side(path) for side in shown)
        known = self._open.get(place)
        if not both or recorded.value == new.value:
            if known is not None:
                del self._open[place]
                self._listener.ended(instant, place)
        elif known is None or (known.recorded, known.new) != (recorded, new):
            self._open[place] = Difference(place, recorded, new)
            self._listener.began(instant, self._open[place])
