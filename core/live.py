"""The grid: what is published and when, from events alone.

Outputs are evaluated at whole seconds of uptime and nowhere else; an event belongs to the tick after it.
The running program and a replay drive the same object in the same way, so they publish the same bytes.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, Dict, List, Mapping, Optional

from attrs import field, frozen

from core.alarms import Alarms
from core.battery import Battery
from core.configuration import Configuration, configuration_from
from core.events import Event, SessionEnded, SessionStarted, SettingChanged
from core.paths import Value
from core.presence import Phase, phase_of
from core.publication import BUS_NAME_PREFIX, service_items

TICK_US = 1_000_000

JOINED = "joined"
CHANGED = "changed"
LEFT = "left"


@frozen
class Publication:
    """What one service does on the bus at one tick: joins with all its items, changes some, or leaves."""

    boot: int
    uptime_s: int
    service: str
    phase: Phase
    change: str
    items: Mapping[str, Value] = field(factory=dict)

    def to_json(self) -> str:
        """One line; equal publications give equal bytes."""
        line = {
            "boot": self.boot,
            "uptime_s": self.uptime_s,
            "service": self.service,
            "phase": self.phase.value,
            "change": self.change,
            "items": self.items,
        }
        return json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


class _Service:
    """One battery with what was last published of it."""

    def __init__(self, battery: Battery, configuration: Configuration, index: int) -> None:
        self.battery = battery
        self.name = BUS_NAME_PREFIX + battery.configuration.battery
        self._configuration = configuration
        self._index = index
        self._alarms = Alarms(configuration)
        self._published: Optional[Dict[str, Value]] = None
        self._last_inputs: Any = None

    @property
    def on_bus(self) -> bool:
        return self._published is not None

    def leave(self) -> None:
        self._published = self._last_inputs = None

    def evaluate(self, boot: int, now_us: int, program: str) -> Optional[Publication]:
        phase = phase_of(self.battery.age_s(now_us), self._configuration)
        if phase is Phase.START:
            return None
        alarms = self._alarms.levels(self.battery, phase, now_us)
        uptime_s = now_us // TICK_US
        if phase is Phase.GONE:
            if not self.on_bus:
                return None
            self.leave()
            return Publication(boot, uptime_s, self.name, phase, LEFT)
        inputs = (phase, self.battery.revision, alarms)
        if phase is Phase.LIVE and inputs == self._last_inputs:
            return None  # most ticks: no news, and nothing shown while LIVE depends on the age
        self._last_inputs = inputs
        items = service_items(
            self.battery,
            phase,
            alarms,
            configuration=self._configuration,
            program=program,
            index=self._index,
            now_us=now_us,
        )
        before, self._published = self._published, items
        if before is None:
            return Publication(boot, uptime_s, self.name, phase, JOINED, items)
        for path in before.keys() - items.keys():
            items[path] = None  # a cell that the BMS no longer speaks of
        changed = {path: value for path, value in items.items() if path not in before or before[path] != value}
        return Publication(boot, uptime_s, self.name, phase, CHANGED, changed) if changed else None


class LiveView:
    """All batteries of a session. Feed it every event in order; between events tell it how late it is."""

    def __init__(self) -> None:
        self._services: List[_Service] = []
        self._by_battery: Dict[str, Battery] = {}
        self._boot = 0
        self._uptime_s = 0
        self._program = ""
        self._next_tick_us: Optional[int] = None

    def fold(self, event: Event) -> List[Publication]:
        """Take in *event*; return what had to be published before it."""
        if isinstance(event.fact, SessionStarted):
            left = self._end()  # a former session that was killed: its names went with the process
            self._start(event, event.fact)
            return left
        self._uptime_s = event.uptime_us // TICK_US
        publications = self.advance(event.uptime_us)
        battery = self._by_battery.get(getattr(event.fact, "battery", ""))
        if battery is not None:
            battery.fold(event)
        if isinstance(event.fact, SessionEnded):
            publications += self._end()
        return publications

    def advance(self, uptime_us: int) -> List[Publication]:
        """Evaluate every tick up to and including *uptime_us*."""
        publications: List[Publication] = []
        if self._next_tick_us is not None and all(not battery.is_complete for battery in self._by_battery.values()):
            # Nobody has answered yet: those ticks are empty, and in an export they may be days of them.
            self._next_tick_us = max(self._next_tick_us, (uptime_us // TICK_US + 1) * TICK_US)
        while self._next_tick_us is not None and self._next_tick_us <= uptime_us:
            for service in self._services:
                publication = service.evaluate(self._boot, self._next_tick_us, self._program)
                if publication is not None:
                    publications.append(publication)
            self._next_tick_us += TICK_US
        return publications

    def battery(self, service_name: str) -> Optional[Battery]:
        """The battery behind a service, by its bus name."""
        return self._by_battery.get(service_name[len(BUS_NAME_PREFIX) :])

    def _start(self, event: Event, fact: SessionStarted) -> None:
        configuration = configuration_from(dict(fact.configuration))
        names = remembered_names(fact.remembered)
        batteries = [Battery(known, names.get(known.battery, "")) for known in configuration.batteries]
        self._services = [_Service(battery, configuration, index) for index, battery in enumerate(batteries)]
        self._by_battery = {battery.configuration.battery: battery for battery in batteries}
        self._boot, self._program = event.boot, fact.program
        self._next_tick_us = (event.uptime_us // TICK_US + 1) * TICK_US

    def _end(self) -> List[Publication]:
        leaving = [service for service in self._services if service.on_bus]
        self._next_tick_us = None
        for service in leaving:
            service.leave()
        return [Publication(self._boot, self._uptime_s, service.name, Phase.GONE, LEFT) for service in leaving]


class Remembered:
    """What must survive a restart: a fold over settings, small enough to be saved with a commit."""

    def __init__(self, state: Optional[Mapping[str, Any]] = None) -> None:
        self._state: Dict[str, Any] = deepcopy(dict(state or {}))

    @property
    def state(self) -> Dict[str, Any]:
        """As plain JSON values; a copy, for an event must not change when the next setting is written."""
        return deepcopy(self._state)

    def fold(self, event: Event) -> bool:
        """Take in *event*; whether it changed anything."""
        fact = event.fact
        if not isinstance(fact, SettingChanged):
            return False
        settings = self._state.setdefault("settings", {}).setdefault(fact.battery, {})
        changed = fact.setting not in settings or bool(settings[fact.setting] != fact.value)
        settings[fact.setting] = fact.value
        return changed


def remembered_names(remembered: Mapping[str, Any]) -> Dict[str, str]:
    """The custom name of each battery that was given one."""
    settings = remembered.get("settings", {})
    return {battery: values["CustomName"] for battery, values in settings.items() if "CustomName" in values}
