"""A battery that is switched off for a day, or has a wrong password, fills neither the log nor the database."""

import asyncio
import logging

import pytest
from attrs import evolve

from adapters.in_process import Peripheral
from adapters.simulated_battery import SimulatedBattery, SimulatedPack
from config.loader import load
from core.events import LinkEstablished, LinkLost, RecoveryAttempted
from service.daemon import Daemon
from service.outputs import LogLines
from service.plan import plan_batteries, plan_configuration
from storage.event_log import EventLog
from tests.doubles.bluez.jbd_model import JbdBms
from tests.doubles.manual_clock import ManualClock
from tests.storage.logs import read_log

DAY_S = 86_400
ADDRESS = "A4:C1:37:04:2D:BE"


class Locked(Peripheral):
    """A battery whose radio module wants the password 123123."""

    name = "JBD-LOCKED"

    def __init__(self):
        self.bms = JbdBms()
        self.bms.address, self.bms.app_key, self.bms.password = ADDRESS, "000000", "123123"

    def respond(self, request, seconds):
        return b"".join(self.bms.handle(request))

    def next_outage_s(self, seconds):
        return None


async def lived(database, planned, seconds, caplog):
    """The daemon for so long in simulated time: (lines it logged, events it stored)."""
    caplog.set_level(logging.INFO)
    values, _ = load(None, [])
    clock = ManualClock(rounds=8)
    daemon = Daemon(
        planned,
        plan_configuration(planned, values, 5),
        clock=clock,
        event_log=await EventLog.open(database, wall_us=clock.wall_us),
        outputs=LogLines(),
        bus_address=None,
        commit_s=10,
        watchdog_s=values["BT_WATCHDOG_TIMEOUT"],
    )
    stop = asyncio.Event()
    running = asyncio.ensure_future(daemon.run(stop))
    while not daemon.event_log.waiting:
        await asyncio.sleep(0.001)
    for _ in range(int(seconds / 60)):
        await clock.run_for(60)
        while daemon.event_log._turn.locked():
            await asyncio.sleep(0.001)
    assert not running.done()
    stop.set()
    await running
    lines = [record.getMessage() for record in caplog.records]
    return lines, [event.fact for event in await read_log(database)]


@pytest.mark.parametrize("on_s", [0, 120])
async def test_switched_off_for_a_day(tmp_path, caplog, on_s):
    """From the start, or after two minutes: at most 200 lines, and the events of it fit on a page."""
    planned = plan_batteries(["sim:a?drop={}+{}".format(on_s, 2 * DAY_S)])
    lines, facts = await lived(tmp_path / "log.db", planned, DAY_S, caplog)
    assert 2 <= len(lines) <= 20, lines
    assert any("out of range" in line for line in lines)
    assert [fact.cause for fact in facts if isinstance(fact, LinkLost)] == ["out of range"]
    assert [fact.rung for fact in facts if isinstance(fact, RecoveryAttempted)] == ["tell the owner"]


async def test_a_link_that_flaps_is_told_every_ten_minutes(tmp_path, caplog):
    """It answers and drops after seconds, for an hour: it is read all the same, and no line tells of each drop."""
    outages = tuple((6.0 + 10 * n, 1.0) for n in range(400))
    pack = SimulatedBattery(SimulatedPack("a", outages=outages))
    planned = [evolve(battery, peripheral=pack) for battery in plan_batteries(["sim:a"])]
    lines, facts = await lived(tmp_path / "log.db", planned, 3600, caplog)
    assert 5 < len([line for line in lines if "link lost" in line]) <= 14, lines
    assert len([fact for fact in facts if isinstance(fact, LinkLost)]) > 100
    assert not [line for line in lines if "LOST" in line]


async def test_a_wrong_password_is_told_once(tmp_path, caplog):
    """One attempt, at most five lines in a day, and no word of the password itself."""
    locked = Locked()
    planned = [evolve(battery, peripheral=locked, password="654321") for battery in plan_batteries(["sim:a"])]
    planned = [evolve(b, configuration=evolve(b.configuration, address=ADDRESS)) for b in planned]
    lines, facts = await lived(tmp_path / "log.db", planned, DAY_S, caplog)
    assert 1 <= len(lines) <= 5, lines
    assert locked.bms.password_attempts == 1
    assert [fact.cause for fact in facts if isinstance(fact, LinkLost)] == ["password refused"]
    assert not any("654321" in line for line in lines)
    assert b"654321" not in (tmp_path / "log.db").read_bytes()


async def test_the_right_password_opens_it_after_every_drop(tmp_path, caplog):
    """The battery stays silent until it has heard it; then everything is as with any other."""
    locked = Locked()
    planned = [evolve(battery, peripheral=locked, password="123123") for battery in plan_batteries(["sim:a"])]
    planned = [evolve(b, configuration=evolve(b.configuration, address=ADDRESS)) for b in planned]
    _, facts = await lived(tmp_path / "log.db", planned, 120, caplog)
    assert sum(isinstance(fact, LinkEstablished) for fact in facts) == 1
    assert not [fact for fact in facts if isinstance(fact, LinkLost)]
