"""Runs in the guest: our daemon reads four batteries over a real bluetoothd; one goes away, and bluetoothd dies.

``python3 -m tests.bluez_vm.four_batteries SECONDS``; the exit code is 1 when an expectation of ``verdict.py`` fails.
"""

import asyncio
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

from adapters.clock import SystemClock
from core.events import SessionStarted
from storage.event_reader import EventReader
from tests.bluez_vm.jbd_bumble import batteries
from tests.bluez_vm.verdict import BATTERY_AWAY, BLUETOOTHD_KILLED, Disturbance, Judge
from tests.programs import command

POLL_S = 5
ALL_UP_S = 90
"""After this long the run begins, whoever is not connected by then."""
AWAY_S = 40
RESTART_S = 3
"""What an init takes to notice that bluetoothd is gone."""
STOP_S = 6
BLUETOOTHD = "/usr/libexec/bluetooth/bluetoothd"
DATABASE = Path("/tmp/h.db")
LOGS = Path("/ctl")

clock = SystemClock()


def say(text):
    print("{:7.1f}  {}".format(clock.uptime_us() / 1e6, text), flush=True)


async def start_daemon(addresses):
    options = ["--bus", "private", "--instance", "1", "--no-settings", "--database", str(DATABASE)]
    with (LOGS / "daemon.log").open("wb") as log:
        line = command("run", *addresses, "-p", *options, "--set", "POLL_SECONDS={}".format(POLL_S))
        say(" ".join(line))
        return await asyncio.create_subprocess_exec(*line, stdout=log, stderr=log)


async def until_all_up(made):
    deadline_us = clock.uptime_us() + ALL_UP_S * 1_000_000
    while not all(each.is_connected for each in made) and clock.uptime_us() < deadline_us:
        await asyncio.sleep(0.5)
    await asyncio.sleep(2)  # the last one's first reading


async def lose_battery(battery, seconds):
    """Out of reach for *seconds*."""
    begin_us = clock.uptime_us()
    say("{} goes out of reach".format(battery.address))
    await battery.kill()
    await asyncio.sleep(seconds)
    await battery.revive()
    say("{} is back".format(battery.address))
    return Disturbance(BATTERY_AWAY, frozenset({battery.address}), begin_us, clock.uptime_us())


async def restart_bluetoothd(made):
    """A crash, and what an init makes of it."""
    pidof = await asyncio.create_subprocess_exec("pidof", "bluetoothd", stdout=asyncio.subprocess.PIPE)
    pid = int((await pidof.communicate())[0])
    begin_us = clock.uptime_us()
    say("bluetoothd is killed")
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(RESTART_S)
    with (LOGS / "bluetoothd-2.log").open("wb") as log:
        await asyncio.create_subprocess_exec(BLUETOOTHD, "-n", stdout=log, stderr=log)
    say("bluetoothd is started")
    return Disturbance(BLUETOOTHD_KILLED, frozenset(each.address for each in made), begin_us, clock.uptime_us())


async def disturb(made, seconds):
    """The *seconds* of the run; what was done in them."""
    begin_us = clock.uptime_us()

    async def until(share):
        await asyncio.sleep(seconds * share - (clock.uptime_us() - begin_us) / 1e6)

    await until(0.2)
    lost = await lose_battery(made[1], min(AWAY_S, 0.2 * seconds))
    await until(0.6)
    killed = await restart_bluetoothd(made)
    await until(1.0)
    return [lost, killed]


async def stop(daemon):
    """How it ended, as failures."""
    if daemon.returncode is not None:
        return ["the daemon ended by itself, with exit code {}".format(daemon.returncode)]
    begin_us = clock.uptime_us()
    daemon.terminate()
    try:
        await asyncio.wait_for(daemon.wait(), STOP_S)
    except asyncio.TimeoutError:
        daemon.kill()
        return ["the daemon did not end within {} s of SIGTERM".format(STOP_S)]
    say("the daemon ended {:.1f} s after SIGTERM".format((clock.uptime_us() - begin_us) / 1e6))
    return ["the daemon's exit code is {}".format(daemon.returncode)] if daemon.returncode else []


async def judge(disturbances, zero_us):
    async with await EventReader.open(DATABASE) as reader:
        events = [event async for event in reader.events()]
    started = events[0].fact
    assert isinstance(started, SessionStarted)
    addresses = {each["battery"]: each["address"].upper() for each in started.configuration["batteries"]}
    return Judge(events, addresses, disturbances, zero_us, POLL_S).judge()


async def main():
    seconds = float(sys.argv[1])
    async with batteries(4) as made:
        daemon = await start_daemon([each.address for each in made])
        await until_all_up(made)
        say("the run of {:g} s begins".format(seconds))
        zero_us = clock.uptime_us()
        disturbances = await disturb(made, seconds)
        failures = await stop(daemon)
    for path in DATABASE.parent.glob(DATABASE.name + "*"):
        shutil.copy(str(path), str(LOGS))
    verdict = await judge(disturbances, zero_us)
    print("\ntimes are seconds of the run\n")
    print("\n".join(verdict.lines))
    failures += verdict.failures
    print("\n".join("FAILED: {}".format(each) for each in failures) or "PASSED", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    code = 1
    try:
        code = asyncio.run(main())
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)  # bumble leaves tasks that wait for ever
