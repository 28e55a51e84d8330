"""The running program: readers in front, the log behind, the grid in between, outputs at the end.

Everything happens on one event loop. :meth:`Daemon.run` owns every task and has awaited each of them when it returns.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Any, Awaitable, Callable, Dict, List, Optional, Sequence, Union

from adapters.clock import Clock
from adapters.dbus import BusService, SettingsClient, SettingsEntry
from core import protocols
from core.cell_alerts import closed_text, opened_text
from core.configuration import Configuration
from core.events import AlertOpened, Fact, LinkReleased, SessionEnded, SessionStarted, SettingChanged, TaskFailed
from core.link_causes import explain
from core.live import LiveView, Remembered, carried_on, is_absorbing
from core.publication import BUS_NAME_PREFIX
from core.sequencer import Sequencer
from core.service_view import CUSTOM_NAME, TICK_US, Publication
from core.trend import REQUEST_PATH
from core.writes import NOT_WRITABLE, REFUSED, judge_write
from service import VERSION
from service.links import Links
from service.outputs import Output
from service.plan import PlannedBattery
from service.trend_query import TrendQuery
from service.trends import Trends
from storage.event_log import EventLog

log = logging.getLogger(__name__)

SNAPSHOT = "remembered"
SNAPSHOT_VERSION = 1
SNAPSHOT_EVERY_US = 60_000_000
SNAPSHOT_AT_LEAST_US = 600_000_000
"""Also when nothing changed, so that a start after a kill has little to fold."""
RESTART_S = 5.0
FORECAST_EVERY_US = 600_000_000
REMIND_S = (60.0, 3600.0, 86_400.0)
"""When the log names a battery that has not answered yet: after a minute, after an hour, every day."""
RELEASE_S = 0.8
"""How long the bus may take to release the names at stop."""


def unique_name(service: str) -> str:
    """Under which Venus OS stores what belongs to *service*, for ever."""
    return "btbattery_" + (service[len("ble_") :] if service.startswith("ble_") else service)


class Daemon:
    """One run. *event_log* is open; :meth:`run` closes it."""

    def __init__(
        self,
        planned: Sequence[PlannedBattery],
        configuration: Configuration,
        *,
        clock: Clock,
        event_log: EventLog,
        outputs: Output,
        bus_address: Optional[str],
        commit_s: float,
        watchdog_s: float = 0,
    ) -> None:
        self._planned = planned
        self._configuration = configuration
        self._clock = clock
        self._log = event_log
        self._outputs = outputs
        self._commit_s = commit_s
        self._watchdog_s = watchdog_s
        self._links: Optional[Links] = None
        self._view = LiveView()
        self._remembered = Remembered()
        self._saved: Dict[str, Any] = {}
        self._snapshot_us = 0
        self._sequencer: Optional[Sequencer] = None
        self._ended = False
        self._forecast_us = clock.uptime_us()
        self.forecast_days: Optional[float] = None
        """For how many days of raw readings the database has room; ``None`` before that can be said."""
        names = [BUS_NAME_PREFIX + service.key for service in configuration.services]
        self._awaited = set(names)
        self._services: Dict[str, BusService] = {}
        if bus_address is not None:
            self._services = {name: BusService(name, bus_address, self._writer(name)) for name in names}
        puts = {name: service.put for name, service in self._services.items()}
        self._trends = Trends(configuration, puts, TrendQuery(event_log, clock), clock)
        self._settings: Optional[SettingsClient] = None
        if bus_address is not None and configuration.device_instance is None:
            entries = [SettingsEntry(service.key, unique_name(service.key)) for service in configuration.services]
            self._settings = SettingsClient(bus_address, entries, self._setting_told)

    @property
    def event_log(self) -> EventLog:
        """The log being written."""
        return self._log

    def notes(self) -> List[str]:
        """What keeps a service from the bus, or from having limits, line by line."""
        problems = self._view.problems
        waiting = [name for name in sorted(self._awaited) if name[len(BUS_NAME_PREFIX) :] not in problems]
        return [
            *("{}: {}".format(service, problem) for service, problem in problems.items()),
            *("{}: waiting for {}".format(n[len(BUS_NAME_PREFIX) :], self._view.awaited(n)) for n in waiting),
        ]

    def link_notes(self) -> List[str]:
        """Of each battery whose link is down: why, what that means, and what helps."""
        addresses = {known.battery: known.address or known.battery for known in self._configuration.batteries}
        told = {addresses[name]: (cause, explain(cause)) for name, cause in self._view.dark.items()}
        return [
            "{}: {}: {}. {}".format(address, cause, why.meaning, why.remedy).rstrip(" .:") + "."
            for address, (cause, why) in told.items()
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Run until *stop*. Raises BusUnavailable or NameTaken when a service could not be put on the bus at all."""
        try:
            await self._begin()
            tasks = self._start_tasks()
            stopping = asyncio.ensure_future(stop.wait())
            done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            await self._end(tasks, "stopped" if stop.is_set() else "failed")
            for task in done - {stopping}:
                task.result()
        finally:
            await self._log.close()

    async def _begin(self) -> None:
        boot = await self._log.begin_boot(self._clock.boot_id(), self._clock.uptime_us())
        await self._recall()
        self._sequencer = Sequencer(boot=boot, next_number=self._log.next_number)
        self._snapshot_us = self._clock.uptime_us()
        self.record(SessionStarted(VERSION, self._configuration.to_payload(), self._remembered.state))

    async def _recall(self) -> None:
        """What former sessions left: the snapshot, and what followed from the events since."""
        snapshot = await self._log.load_snapshot(SNAPSHOT, SNAPSHOT_VERSION)
        number, state = snapshot if snapshot is not None else (0, {})
        self._remembered = Remembered(state)
        absorbing = is_absorbing(state)  # the one state in which every minute counts; otherwise a start reads less
        since = await self._log.facts_since(number, readings=absorbing)
        if absorbing and since:
            try:
                self._remembered = Remembered(carried_on(state, since, self._configuration))
            except protocols.UnknownProtocol as error:  # a later version wrote it: the snapshot has to do
                log.warning("the last minute of absorption cannot be counted: %s", error)
        for event in since:
            self._remembered.fold(event)

    def record(self, fact: Fact) -> None:
        """Something happened: number it, append it, show it. The only way into the log."""
        if self._ended or self._sequencer is None:
            return
        for event in self._sequencer.number(fact, self._clock.uptime_us(), self._clock.wall_us()):
            self._log.append(event)
            self._remembered.fold(event)
            self._dispatch(self._view.fold(event))

    def _dispatch(self, publications: List[Publication]) -> None:
        for publication in publications:
            self._awaited.discard(publication.service)
            self._trends.follow(publication)
            service = self._services.get(publication.service)
            if service is not None:
                service.publish(publication)
            self._outputs.publish(publication)

    def _writer(self, service: str) -> Callable[[str, Any], int]:
        def write(path: str, value: Any) -> int:
            if path == REQUEST_PATH:
                return self._trends.write(service, value)
            view = self._view.service(service)
            if view is None:
                return NOT_WRITABLE
            code, fact = judge_write(view, path, value)
            if fact is not None:
                if self._ended:
                    return REFUSED
                self.record(fact)
                self._carry_out(view.key, fact)
            return code

        return write

    def _carry_out(self, service: str, fact: Union[LinkReleased, SettingChanged]) -> None:
        """What has to be done about a write besides recording it."""
        if isinstance(fact, LinkReleased):
            if self._links is not None:
                self._links.release(fact.battery, fact.minutes)
        elif self._settings is not None and fact.setting == CUSTOM_NAME:
            self._settings.set_custom_name(service, fact.value)

    def _setting_told(self, service: str, setting: str, value: Any) -> None:
        """What Venus OS has stored for a service. A name that it never heard of is told to it."""
        view = self._view.service(BUS_NAME_PREFIX + service)
        if view is None:
            return
        if setting == CUSTOM_NAME and not value and view.custom_name and view.instance is None:
            assert self._settings is not None
            self._settings.set_custom_name(service, view.custom_name)
        elif value != (view.custom_name if setting == CUSTOM_NAME else view.instance):
            self.record(SettingChanged(service, setting, value))

    def _start_tasks(self) -> List[asyncio.Task[None]]:
        self._links = Links(
            self._planned,
            clock=self._clock,
            record=self.record,
            recoveries=self._remembered.recoveries,
            poll_s=self._configuration.poll_seconds,
            watchdog_s=self._watchdog_s,
        )
        started: List[Awaitable[None]] = [self._supervise(name, run) for name, run in self._links.parts.items()]
        parts = {"clock of the grid": self._tick, "commits": self._commit, "reminders": self._remind}
        if self._services:
            parts["trends"] = self._trends.run
        started += [self._supervise(name, run) for name, run in parts.items()]
        started += [service.run() for service in self._services.values()]
        if self._settings is not None:
            started.append(self._supervise("settings", self._settings.run))
        return [asyncio.ensure_future(coroutine) for coroutine in started]

    async def _supervise(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a part for ever. The one place where any exception is caught: it becomes an event and a fresh start."""
        while True:
            try:
                await run()
            except Exception as error:
                log.exception("the %s failed and is started again", name)
                self.record(TaskFailed(name, "{}: {}".format(type(error).__name__, error)))
            await self._clock.sleep(RESTART_S)

    async def _tick(self) -> None:
        while True:
            now_us = self._clock.uptime_us()
            await self._clock.sleep((TICK_US - now_us % TICK_US) / 1e6)
            now_us = self._clock.uptime_us()
            self._dispatch(self._view.advance(now_us))
            for service in self._services.values():
                service.tick(now_us // TICK_US)
            self._record_alerts()

    def _record_alerts(self) -> None:
        """What the cell monitors found in the ticks that were just dispatched: shown from the next tick on."""
        for fact in self._view.take_proposals():
            if self._ended:
                return
            self.record(fact)
            known = next(each for each in self._configuration.batteries if each.battery == fact.battery)
            name = known.address or known.battery
            if isinstance(fact, AlertOpened):
                log.warning("%s", opened_text(fact, name))
            else:
                log.info("%s", closed_text(fact, name))

    async def _remind(self) -> None:
        for pause_s in itertools.chain(REMIND_S, itertools.repeat(REMIND_S[-1])):
            await self._clock.sleep(pause_s)
            for note in self.notes():
                log.warning("%s", note)

    async def _commit(self) -> None:
        while True:
            await self._clock.sleep(self._commit_s)
            since_us = self._clock.uptime_us() - self._snapshot_us
            due_us = SNAPSHOT_EVERY_US if self._state() != self._saved else SNAPSHOT_AT_LEAST_US
            if since_us >= due_us:
                self._save_snapshot()
            await self._log.commit()
            for fact in self._log.take_facts():
                self.record(fact)
            await self._forecast()

    async def _forecast(self) -> None:
        """Tell once, and again after every start, how far the disk reaches."""
        if self._clock.uptime_us() < self._forecast_us + FORECAST_EVERY_US:
            return
        told, self.forecast_days = self.forecast_days, await self._log.forecast_days()
        self._forecast_us = self._clock.uptime_us()
        if told is None and self.forecast_days is not None:
            log.info("the database has room for %d days of raw readings like these", self.forecast_days)

    def _state(self) -> Dict[str, Any]:
        """What must survive a restart."""
        return {**self._remembered.state, **self._view.remembered()}

    def _save_snapshot(self) -> None:
        self._saved = self._state()
        self._log.save_snapshot(SNAPSHOT, SNAPSHOT_VERSION, self._saved)
        self._snapshot_us = self._clock.uptime_us()

    async def _end(self, tasks: List[asyncio.Task[None]], reason: str) -> None:
        """Last event, names off the bus and the log on the disk first; then hang up, all links at once."""
        self.record(SessionEnded(reason))
        self._ended = True
        self._save_snapshot()
        released = [service.wait_released() for service in self._services.values()]
        await asyncio.wait(
            [asyncio.ensure_future(waited) for waited in (self._log.commit(), *released)], timeout=RELEASE_S
        )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._links is not None:
            await self._links.close()
