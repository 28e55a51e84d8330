"""Runs the real daemon on a clock that moves when it is told to, and keeps what was on the bus at every moment."""

import asyncio
import bisect
from copy import deepcopy

from config.loader import load
from service.daemon import Daemon
from service.outputs import Picture
from service.plan import plan_batteries, plan_configuration
from storage.event_log import EventLog
from tests.doubles.manual_clock import ManualClock

__all__ = ["Captured", "ManualClock", "record"]


class Captured:
    """An output: everything that was shown, by the uptime in µs from which on it was."""

    def __init__(self, clock):
        self._clock = clock
        self._picture = Picture()
        self._times_us, self._shown = [], []
        self.began_us = clock.uptime_us()
        self.ended_us = None

    def publish(self, publication):
        self._picture.publish(publication)
        self._times_us.append(self._clock.uptime_us())
        self._shown.append({name: (s.phase, dict(s.items)) for name, s in self._picture.services.items()})

    def at(self, uptime_us):
        """Phase and items by service."""
        place = bisect.bisect_right(self._times_us, uptime_us)
        return deepcopy(self._shown[place - 1]) if place else {}


async def record(database, clock, texts, settings, *steps, instance=5):
    """One session; *steps* are seconds that pass, or called with the daemon. Gives what was shown."""
    values, _ = load(None, settings)
    planned = plan_batteries(texts, values)
    captured = Captured(clock)
    daemon = Daemon(
        planned,
        plan_configuration(planned, values, instance),
        clock=clock,
        event_log=await EventLog.open(database, wall_us=clock.wall_us),
        outputs=captured,
        bus_address=None,
        commit_s=10,
    )
    stop = asyncio.Event()
    running = asyncio.ensure_future(daemon.run(stop))
    while not daemon.event_log.waiting:
        assert not running.done(), running.result()
        await asyncio.sleep(0.001)
    for step in steps:
        if callable(step):
            step(daemon)
        else:
            await clock.run_for(step)
    stop.set()
    await running
    captured.ended_us = clock.uptime_us()
    return captured
