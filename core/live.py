"""The grid: what is published and when, from events alone.

Outputs are evaluated at whole seconds of uptime and nowhere else; an event belongs to the tick after it.
The running program and a replay drive the same object in the same way, so they publish the same bytes.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, List, Mapping, Optional, Sequence

from attrs import evolve

from core.battery import Battery
from core.cell_alerts import CellAlerts, remembered_alerts
from core.cell_monitor import AlertFact, CellMonitor
from core.configuration import Configuration, configuration_from
from core.events import (
    AlertClosed,
    AlertOpened,
    Event,
    HistoryPaused,
    HistoryResumed,
    SessionEnded,
    SessionStarted,
    SettingChanged,
)
from core.limits.phases import ChargePhase
from core.presence import Phase
from core.recovery import Recoveries
from core.service_view import LEFT, TICK_US, Publication, ServiceView, remembered_capacities

NOT_RESTORED = ("DeviceInstance", "SelectedBattery")
"""Settings that hold for one run: Venus OS assigns the one anew, a page chooses the other."""


class LiveView:
    """All batteries of a session. Feed it every event in order; between events tell it how late it is."""

    def __init__(self) -> None:
        self._services: List[ServiceView] = []
        self._by_battery: Dict[str, Battery] = {}
        self._capacities_mah: Dict[str, int] = {}
        self._alerts = CellAlerts()
        self._boot = 0
        self._uptime_s = 0
        self._next_tick_us: Optional[int] = None

    def fold(self, event: Event) -> List[Publication]:
        """Take in *event*; return what had to be published before it."""
        if isinstance(event.fact, SessionStarted):
            left = self._end()  # a former session that was killed: its names went with the process
            self._start(event, event.fact)
            return left
        self._uptime_s = event.uptime_us // TICK_US
        publications = self.advance(event.uptime_us)
        self._take(event)
        if isinstance(event.fact, SessionEnded):
            publications += self._end()
        return publications

    def _take(self, event: Event) -> None:
        fact = event.fact
        self._alerts.fold(event)
        battery = self._by_battery.get(getattr(fact, "battery", ""))
        if isinstance(fact, SettingChanged):
            for service in self._services:
                if service.key == fact.battery:
                    service.fold(fact)
        elif isinstance(fact, (AlertOpened, AlertClosed)):
            for monitor in self._monitors():
                monitor.settle(fact.battery)
        elif isinstance(fact, (HistoryPaused, HistoryResumed)):
            for service in self._services[:1]:  # one disk, one alarm
                service.history_problem = fact.problem if isinstance(fact, HistoryPaused) else None
        elif battery is not None:
            battery.fold(event)

    def advance(self, uptime_us: int) -> List[Publication]:
        """Evaluate every tick up to and including *uptime_us*."""
        publications: List[Publication] = []
        if self._next_tick_us is not None and all(not battery.is_complete for battery in self._by_battery.values()):
            # Nobody has answered yet: those ticks are empty, and in an export they may be days of them.
            self._next_tick_us = max(self._next_tick_us, (uptime_us // TICK_US + 1) * TICK_US)
        while self._next_tick_us is not None and self._next_tick_us <= uptime_us:
            for service in self._services:
                publication = service.evaluate(self._boot, self._next_tick_us)
                if publication is not None:
                    publications.append(publication)
            self._next_tick_us += TICK_US
        return publications

    def take_proposals(self) -> List[AlertFact]:
        """What should be recorded now, once: alerts that the last ticks opened or closed. A replay need not ask."""
        return [fact for monitor in self._monitors() for fact in monitor.take_proposals()]

    def _monitors(self) -> List[CellMonitor]:
        return [service.monitor for service in self._services if service.monitor is not None]

    def service(self, name: str) -> Optional[ServiceView]:
        """A service by its bus name."""
        return next((service for service in self._services if service.name == name), None)

    def awaited(self, name: str) -> str:
        """What a service that has not joined the bus is waiting for."""
        service = self.service(name)
        return "nothing" if service is None else service.awaited

    @property
    def problems(self) -> Dict[str, str]:
        """By service: why it is not published, or has no limits."""
        return {service.key: service.problem for service in self._services if service.problem is not None}

    @property
    def dark(self) -> Dict[str, str]:
        """By battery: why its link is down now."""
        links = {name: battery.link for name, battery in self._by_battery.items()}
        return {name: link.cause for name, link in links.items() if not link.up and link.cause is not None}

    def remembered(self) -> Dict[str, Any]:
        """What must survive a restart besides settings and alerts, as plain JSON values."""
        capacities = dict(self._capacities_mah)
        for name, battery in self._by_battery.items():
            if battery.pack is not None and battery.installed_mah:
                capacities[name] = battery.installed_mah
        state: Dict[str, Any] = {"capacities_mah": capacities} if capacities else {}
        charge = [service.control.state() for service in self._services if service.control is not None]
        if charge and charge[0]:
            state["charge"] = charge[0]
        return state

    def _start(self, event: Event, fact: SessionStarted) -> None:
        configuration = configuration_from(dict(fact.configuration))
        batteries = [Battery(known) for known in configuration.batteries]
        self._capacities_mah = remembered_capacities(fact.remembered)
        self._alerts = CellAlerts(remembered_alerts(fact.remembered))
        self._services = [
            ServiceView(
                plan,
                [batteries[place] for place in plan.batteries],
                configuration,
                began_us=event.uptime_us,
                index=index,
                program=fact.program,
                remembered=fact.remembered,
                alerts=self._alerts,
            )
            for index, plan in enumerate(configuration.services)
        ]
        for service in self._services:
            for setting, value in remembered_settings(fact.remembered, service.key).items():
                service.fold(SettingChanged(service.key, setting, value))
        self._by_battery = {battery.configuration.battery: battery for battery in batteries}
        self._boot = event.boot
        self._next_tick_us = (event.uptime_us // TICK_US + 1) * TICK_US

    def _end(self) -> List[Publication]:
        leaving = [service for service in self._services if service.on_bus]
        self._next_tick_us = None
        for service in leaving:
            service.leave()
        return [Publication(self._boot, self._uptime_s, service.name, Phase.GONE, LEFT) for service in leaving]


class Remembered:
    """What must survive a restart: a fold over settings and alerts, small enough to be saved with a commit."""

    def __init__(self, state: Optional[Mapping[str, Any]] = None) -> None:
        self._state: Dict[str, Any] = deepcopy(dict(state or {}))
        self._alerts = CellAlerts(remembered_alerts(self._state))
        self.recoveries = Recoveries(self._state)
        self._state.pop("alerts", None)
        self._state.pop("recoveries", None)

    @property
    def state(self) -> Dict[str, Any]:
        """As plain JSON values; a copy, for an event must not change when the next setting is written."""
        parts = {"alerts": self._alerts.to_payload(), "recoveries": self.recoveries.to_payload()}
        return {**deepcopy(self._state), **{name: part for name, part in parts.items() if part}}

    def fold(self, event: Event) -> bool:
        """Take in *event*; whether it changed anything."""
        fact = event.fact
        self.recoveries.fold(event)
        if not isinstance(fact, SettingChanged) or fact.setting in NOT_RESTORED:
            return self._alerts.fold(event)
        settings = self._state.setdefault("settings", {}).setdefault(fact.battery, {})
        changed = fact.setting not in settings or bool(settings[fact.setting] != fact.value)
        settings[fact.setting] = fact.value
        return changed


def is_absorbing(remembered: Mapping[str, Any]) -> bool:
    """Whether the program was saved while it counted minutes of absorption."""
    charge = remembered.get("charge")
    return isinstance(charge, dict) and charge.get("phase") == ChargePhase.ABSORPTION.value


def carried_on(remembered: Mapping[str, Any], since: Sequence[Event], configuration: Configuration) -> Dict[str, Any]:
    """What had become of *remembered* by the last event of *since*: what a kill would otherwise cost."""
    first, view = since[0], LiveView()
    view.fold(evolve(first, fact=SessionStarted("", configuration.to_payload(), remembered)))
    for event in since:
        view.fold(event)
    return {**remembered, **view.remembered()}


def remembered_settings(remembered: Mapping[str, Any], service: str) -> Dict[str, Any]:
    """The settings of *service* that were written in former runs."""
    every = remembered.get("settings")
    settings = every.get(service) if isinstance(every, dict) else None
    kept = settings if isinstance(settings, dict) else {}
    return {name: value for name, value in kept.items() if name not in NOT_RESTORED}
