"""The ``replay`` command: a recorded session through the same projections, at any speed, with or without D-Bus."""

from __future__ import annotations

import asyncio
import logging
import sys
from argparse import Namespace
from pathlib import Path
from typing import Dict, List, Optional

from attrs import evolve

from adapters.dbus import BusService
from config.options import ConfigError
from core.configuration import Configuration, configuration_from
from core.events import Event, Fact, LinkEstablished, LinkLost, ReadingTaken, SessionStarted, SettingChanged
from core.live import LiveView
from core.publication import BUS_NAME_PREFIX
from core.service_view import DEVICE_INSTANCE, TICK_US, Publication
from core.writes import NOT_WRITABLE
from service.bus import Bus, open_bus
from service.outputs import JsonLines, LogLines, Output, Outputs, Picture, summary
from service.status_screen import StatusScreen
from storage.session_file import SessionReader

log = logging.getLogger(__name__)


_FIRST_SIGNS = (LinkEstablished, LinkLost, ReadingTaken)


class Replay:
    """Drives a :class:`LiveView` from a file. *speed* ``None`` is as fast as it goes."""

    def __init__(
        self, outputs: Output, bus: Bus, *, speed: Optional[float], device_instance: Optional[int] = None
    ) -> None:
        self._outputs = outputs
        self._bus = bus
        self._speed = speed
        self._device_instance = device_instance
        self._view = LiveView()
        self._services: Dict[str, BusService] = {}
        self._tasks: List[asyncio.Task[None]] = []
        self.events = 0

    async def run(self, reader: SessionReader) -> None:
        """Replay everything. Raises StorageError at a damaged line, after what stands before it."""
        origin_us, started_s = None, 0.0
        loop = asyncio.get_event_loop()
        try:
            for event in reader.events():
                self.events += 1
                if isinstance(event.fact, SessionStarted):
                    event = self._prepared(event, event.fact)
                    origin_us = None
                elif origin_us is None and isinstance(event.fact, _FIRST_SIGNS):
                    # An export may begin long after the start that it has in front.
                    origin_us, started_s = event.uptime_us, loop.time()
                elif origin_us is not None and self._speed is not None:
                    await self._wait_for(event.uptime_us, origin_us, started_s, self._speed)
                if not self._is_replaced(event.fact):
                    self._dispatch(self._view.fold(event))
                if self._tasks:
                    await asyncio.sleep(0)  # at full speed, too, the bus gets its turn
                    self._raise_failures()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _is_replaced(self, fact: Fact) -> bool:
        """Whether *fact* is the recorded assignment of a DeviceInstance, and another one was asked for."""
        assigned = isinstance(fact, SettingChanged) and fact.setting == DEVICE_INSTANCE
        return assigned and self._device_instance is not None

    def _prepared(self, event: Event, fact: SessionStarted) -> Event:
        configuration: Configuration = configuration_from(dict(fact.configuration))
        if self._device_instance is not None:
            configuration = evolve(configuration, device_instance=self._device_instance)
        if self._bus.address is not None:
            # On a bus it says what it is; without one a replay prints what the live program printed.
            batteries = tuple(evolve(battery, connection="Recorded session") for battery in configuration.batteries)
            configuration = evolve(configuration, batteries=batteries)
            for planned in configuration.services:
                name = BUS_NAME_PREFIX + planned.key
                if name not in self._services:
                    service = BusService(name, self._bus.address, lambda path, value: NOT_WRITABLE)
                    self._services[name] = service
                    self._tasks.append(asyncio.ensure_future(service.run()))
        return evolve(event, fact=evolve(fact, configuration=configuration.to_payload()))

    async def _wait_for(self, uptime_us: int, origin_us: int, started_s: float, speed: float) -> None:
        """Let the ticks before *uptime_us* come at their time."""
        loop = asyncio.get_event_loop()
        while True:
            now_us = origin_us + int((loop.time() - started_s) * speed * 1e6)
            if now_us >= uptime_us:
                return
            self._dispatch(self._view.advance(now_us))
            next_us = min(uptime_us, (now_us // TICK_US + 1) * TICK_US)
            await asyncio.sleep((next_us - now_us) / 1e6 / speed)

    def _dispatch(self, publications: List[Publication]) -> None:
        for publication in publications:
            service = self._services.get(publication.service)
            if service is not None:
                service.publish(publication)
            self._outputs.publish(publication)

    def _raise_failures(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()


async def replay_command(arguments: Namespace) -> int:
    """Replay one file."""
    if arguments.config or arguments.set:
        raise ConfigError("a replay goes by the recorded options: --config and --set are for --compare")
    reader = SessionReader(Path(arguments.file))
    publishing = arguments.bus is not None
    speed = _speed(arguments.speed, publishing)
    bus = await open_bus(arguments.bus, may_be_private=False) if publishing else Bus(None)
    picture = Picture()
    outputs: List[Output] = [picture]
    screen: Optional[asyncio.Task[None]] = None
    if arguments.print:
        outputs.append(JsonLines(sys.stdout))
    elif sys.stdout.isatty() and speed is not None:
        drawn = StatusScreen(sys.stdout, picture, lambda: [("replay", arguments.file), ("D-Bus", bus.describe())])
        screen = asyncio.ensure_future(drawn.keep_drawing())
    else:
        outputs.append(LogLines())
    try:
        if arguments.instance is None and bus.address is not None and bus.private is None:
            raise ConfigError("this bus is shared with other devices: give the DeviceInstance with --instance N")
        replay = Replay(Outputs(outputs), bus, speed=speed, device_instance=arguments.instance)
        await replay.run(reader)
    finally:
        reader.close()
        if screen is not None:
            screen.cancel()
            await asyncio.gather(screen, return_exceptions=True)
        await bus.stop()
    log.info("%d events replayed", replay.events)
    for shown in picture.services.values():
        log.info("%s ended %s", shown.name, summary(shown))
    return 0


def _speed(option: Optional[float], publishing: bool) -> Optional[float]:
    """``max`` is 0. Without being told: true to time on a bus, as fast as it goes otherwise."""
    if option is None:
        return 1.0 if publishing else None
    return option or None
