"""Thousands of reconnects of four batteries over real bleak: does anything grow? ``make reconnects COUNT=10000``.

Links drop; every tenth time BlueZ forgets the device, every fiftieth bluetoothd is killed and started again.
"""

import asyncio
import gc
import itertools
import logging
import os
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.adapters.radio_rig import Rig
from tests.doubles.bluez_process import running_double
from tests.doubles.bus_stats import bus_stats
from tests.programs import bus_daemon

BATTERIES = 4
RATE = 20
SAMPLES = 12
"""Taken over a run, evenly."""
QUICK = ("connect_delay", "discover_delay", "disconnect_delay")


class Sample(NamedTuple):
    """What the process and the bus hold after so many reconnects, when every link is up."""

    reconnects: int
    tasks: int
    descriptors: int
    connections: int
    match_rules: int
    objects: int
    resident_kb: int


async def sample(reconnects, stats):
    """Count now."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return Sample(
        reconnects,
        len(asyncio.all_tasks()),
        len(os.listdir("/proc/self/fd")),
        await stats.connections(),
        sum((await stats.match_rules()).values()),
        len(gc.get_objects()),
        int(status.partition("VmRSS:")[2].split()[0]),
    )


async def reconnects(double, count, told=lambda sample: None):
    """The samples of a run with *count* reconnects."""
    for number in range(BATTERIES):
        for delay in QUICK:
            await double.tell("{} {} 0.005".format(delay, number))
    samples = []
    async with bus_stats(double.address) as stats, Rig(BATTERIES, rate=RATE).running() as rig:
        done, dropped = 0, 0
        while done < count:
            await _all_up(rig)
            if done >= len(samples) * count / SAMPLES:
                samples.append(await sample(done, stats))
                told(samples[-1])
            dropped += 1
            for each in rig.batteries:
                each.facts.clear()
            await _disturb(double, dropped)
            done += BATTERIES
        await _all_up(rig)
        samples.append(await sample(done, stats))
        told(samples[-1])
    return samples


async def _all_up(rig):
    """Every link answers, and answered more than once."""
    await rig.until(lambda: all(each.health.up and len(each.frames) >= 2 for each in rig.batteries), 2000)


async def _disturb(double, times):
    if times % 50 == 0:
        await double.tell("crash")
        await double.tell("start")
        return
    verb = "remove_device" if times % 10 == 0 else "drop"
    for number in range(BATTERIES):
        await double.tell("{} {}".format(verb, number))


def growth(samples, field):
    """How much of *field* a reconnect adds: the median slope between any two samples, the first ones left out.

    The median, because a sample may fall into the moment in which a link is being taken down.
    """
    points = [(each.reconnects, getattr(each, field)) for each in samples[2:]]
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in itertools.combinations(points, 2)]
    return statistics.median(slopes)


def main():
    """Print a table, and the growth of each column."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, bus_daemon() as daemon, socket.socket() as probe:
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = daemon.address
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        begun = time.monotonic()
        print(" ".join("{:>12}".format(name) for name in Sample._fields))
        with running_double(daemon.address, port, Path(folder) / "ready", count=BATTERIES, adapters=1) as double:
            samples = asyncio.run(
                reconnects(double, count, lambda told: print(" ".join("{:>12}".format(n) for n in told), flush=True))
            )
    seconds = time.monotonic() - begun
    print("{} reconnects in {:.0f} s; growth for each:".format(samples[-1].reconnects, seconds))
    for field in Sample._fields[1:]:
        print("  {:<12} {:+.4f}".format(field, growth(samples, field)))


if __name__ == "__main__":
    main()
