"""The ``run`` command: choose bus, database and outputs, run the daemon, end in time whatever hangs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from argparse import Namespace
from pathlib import Path
from typing import Callable, List, Optional, Tuple

from adapters.clock import AcceleratedClock, Clock, SystemClock
from config.options import ConfigError
from core.publication import BUS_NAME_PREFIX
from service import PROGRAM, VERSION
from service.bus import Bus, choose_instance, open_bus
from service.daemon import Daemon
from service.outputs import JsonLines, LogLines, Output, Outputs, Picture
from service.plan import (
    DEMO_SESSION,
    default_database,
    load_options,
    plan_batteries,
    plan_configuration,
    plan_retention,
)
from service.status_screen import Facts, StatusScreen
from storage.event_log import EventLog

log = logging.getLogger(__name__)

STOP_S = 5.0
"""After this long a stop is over, whatever hangs."""


async def run_command(arguments: Namespace, clock: Optional[Clock] = None) -> int:
    """Run until SIGTERM or Ctrl-C. *clock* replaces the device's, for tests."""
    values, warnings = load_options(arguments)
    for warning in warnings:
        log.warning("%s", warning)
    texts = ["session:{}".format(DEMO_SESSION)] if arguments.demo else arguments.addresses
    planned = plan_batteries(texts, values)
    in_process = planned[0].peripheral is not None
    clock = _choose_clock(arguments.accelerate, in_process) if clock is None else clock
    database = Path(arguments.database) if arguments.database else default_database(in_process)
    bus = Bus(None)
    stop = _stop_on_signals(lambda: bus.kill())  # noqa: PLW0108 - by then it is another bus
    bus = await open_bus(arguments.bus, may_be_private=in_process)
    try:
        configuration = plan_configuration(
            planned, values, choose_instance(arguments.instance, bus, settings=not arguments.no_settings)
        )
        outputs, picture = _outputs(arguments.print)
        daemon = Daemon(
            planned,
            configuration,
            clock=clock,
            event_log=await EventLog.open(database, wall_us=clock.wall_us, retention=plan_retention(values)),
            outputs=Outputs(outputs),
            bus_address=bus.address,
            commit_s=values["COMMIT_SECONDS"],
            watchdog_s=values["BT_WATCHDOG_TIMEOUT"],
        )
        looks = look_line(bus, configuration.services[0].key)
        await _watched(daemon, stop, bus, picture, looks, database)
    finally:
        await bus.stop()
    return 0


def _choose_clock(rate: float, in_process: bool) -> Clock:
    if rate == 1:
        return SystemClock()
    if not in_process:
        raise ConfigError("--accelerate is for simulated and recorded batteries: a real one keeps its own time")
    return AcceleratedClock(rate)


def _stop_on_signals(last: Callable[[], None]) -> asyncio.Event:
    """Set by SIGTERM or Ctrl-C. When the time for stopping is over, *last* is called and the program ends."""
    stop = asyncio.Event()
    loop = asyncio.get_event_loop()

    def end_now() -> None:
        last()
        os._exit(0)

    def begin_stop() -> None:
        stop.set()
        loop.call_later(STOP_S, end_now)

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, begin_stop)
    return stop


def _outputs(print_lines: bool) -> Tuple[List[Output], Optional[Picture]]:
    """With ``--print`` the lines have stdout to themselves; a terminal gets the screen; anything else log lines."""
    if print_lines:
        return [JsonLines(sys.stdout)], None
    if sys.stdout.isatty():
        picture = Picture()
        return [picture], picture
    return [LogLines()], None


async def _watched(
    daemon: Daemon,
    stop: asyncio.Event,
    bus: Bus,
    picture: Optional[Picture],
    looks: str,
    database: Path,
) -> None:
    log.info("%s %s, database %s, D-Bus %s", PROGRAM, VERSION, database, bus.describe())
    if bus.private is not None:
        log.info("look: %s", looks)
    if picture is None:
        await daemon.run(stop)
        return

    def facts() -> Facts:
        event_log = daemon.event_log
        kept = "{} events stored in this run, {} waiting".format(event_log.stored, event_log.waiting)
        if event_log.problem is not None:
            kept = "NOT BEING KEPT: {}; {}".format(event_log.problem, kept)
        if daemon.forecast_days is not None:
            kept += "; room for {:.0f} days of raw readings".format(daemon.forecast_days)
        lines = [(PROGRAM, VERSION + "   Ctrl-C ends"), ("D-Bus", bus.describe())]
        if bus.address is not None:
            lines.append(("look", looks))
        lines += [("database", str(database)), ("history", kept)]
        return lines + [("note", note) for note in (*daemon.notes(), *daemon.link_notes())]

    screen = asyncio.ensure_future(StatusScreen(sys.stdout, picture, facts).keep_drawing())
    try:
        await daemon.run(stop)
    finally:
        screen.cancel()
        await asyncio.gather(screen, return_exceptions=True)
    print("{} events were stored in {}".format(daemon.event_log.stored, database))


def look_line(bus: Bus, service: str) -> str:
    """A command that shows a service."""
    return "dbus-send --bus={} --print-reply --dest={} / com.victronenergy.BusItem.GetItems".format(
        bus.address, BUS_NAME_PREFIX + service
    )
