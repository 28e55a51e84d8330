"""What `at` tells of a time in the past is what was on the bus then."""

import asyncio
import json
import random

import pytest

from core.configuration import BatteryConfiguration, Configuration
from core.events import (
    Event,
    FrameRejected,
    LinkEstablished,
    LinkLost,
    ReadingsDeleted,
    ReadingTaken,
    SessionEnded,
    SessionStarted,
    SettingChanged,
)
from service.at import to_json
from service.cli import main
from service.past import past_at
from storage.event_log import EventLog
from storage.event_reader import EventReader
from tests.core.made import basic, cells
from tests.service.recorded_run import ManualClock, record

INSTANTS = 1000
OPTIONS = [
    "HOLD_SECONDS=20", "REMOVE_SECONDS=8", "POLL_SECONDS=2", "START_WAIT_SECONDS=4",
    "TIME_TO_SOC_POINTS=10, 90", "CVCM_ENABLE=1", "LINEAR_LIMITATION_ENABLE=1",
]  # fmt: skip
SIM_SERIES = ["sim:a?drop=8+35&seed=3", "sim:b?seed=4"]
SIM_PARALLEL = ["sim:a?drop=5+32&seed=3&soc=99.5", "sim:b?seed=4&drop=14+9"]
SECOND_US = 1_000_000


def _renamed(service, name):
    return lambda daemon: daemon.record(SettingChanged(service, "CustomName", name))


async def _three_sessions(database):
    """(what was shown, what to add to its uptimes): series, parallel with the clock set, and one after a reboot."""
    clock = ManualClock(uptime_s=1000.25)
    options = [*OPTIONS, "TOPOLOGY=series", "PUBLISH_MEMBERS=1"]
    series = await record(database, clock, SIM_SERIES, options, 12.5, _renamed("virtual_series", "Pantry"), 37)
    await clock.run_for(30)
    options = [*OPTIONS, "TOPOLOGY=parallel", "BATTERY_CELL_DATA_FORMAT=3"]
    steps = [17, lambda _: clock.step_wall(-1800), 3.3, _renamed("virtual_parallel", "Garage"), 30]
    parallel = await record(database, clock, SIM_PARALLEL, options, *steps)
    first_us = clock.wall_us() - clock.uptime_us()
    rebooted = ManualClock(uptime_s=20.5, wall_us=clock.wall_us() + 600 * SECOND_US)
    single = await record(database, rebooted, ["sim:a"], OPTIONS, 20)
    second_us = rebooted.wall_us() - rebooted.uptime_us()
    return [(series, first_us), (parallel, first_us), (single, second_us)]


def test_a_thousand_instants(tmp_path):
    """At random instants of series, parallel and single, with drop-outs and a clock step: every service, every item."""
    chance, phases = random.Random(7), set()

    async def compare():
        sessions = await _three_sessions(tmp_path / "log.db")
        async with await EventReader.open(tmp_path / "log.db") as reader:
            for _ in range(INSTANTS):
                captured, offset_us = chance.choice(sessions)
                uptime_us = chance.randrange(captured.began_us, captured.ended_us)
                past = await past_at(reader, uptime_us + offset_us)
                live = captured.at(uptime_us)
                shown = {name: (service.phase, service.items) for name, service in past.services.items()}
                assert {name: shown[name] for name in live} == live, uptime_us
                assert all(shown[name] == ("START", {}) for name in shown.keys() - live.keys()), uptime_us
                assert past.awaited.keys() == shown.keys() - live.keys()
                assert past.uptime_us == uptime_us
                phases.update(phase for phase, _ in shown.values())
                json.dumps(to_json(past))

    asyncio.run(compare())
    assert phases == {"START", "LIVE", "STALE", "LOST", "GONE"}


@pytest.fixture
def log(tmp_path):
    """Writes (uptime in s, fact) to a database whose uptime 0 is the beginning of 2026; gives its path."""
    begin_us = 1_767_225_600 * SECOND_US

    def write(*facts, boot_id="boot"):
        async def append():
            event_log = await EventLog.open(tmp_path / "log.db")
            boot = await event_log.begin_boot(boot_id, round(facts[0][0] * SECOND_US))
            for number, (at_s, fact) in enumerate(facts, event_log.next_number):
                at_us = round(at_s * SECOND_US)
                event_log.append(Event(number, boot, at_us, begin_us + at_us, fact))
            await event_log.close()

        asyncio.run(append())
        return str(tmp_path / "log.db")

    return write


ONE = Configuration((BatteryConfiguration("ble_1", "00:00:00:00:00:01"),), topology="single").to_payload()
TWO = Configuration(
    tuple(BatteryConfiguration("ble_{}".format(n), "00:00:00:00:00:0{}".format(n)) for n in (1, 2)), topology="parallel"
).to_payload()


def read(at_s, battery="ble_1"):
    """Both halves of a reading."""
    return [(at_s, ReadingTaken(battery, "jbd", made)) for made in (basic(), cells())]


def at(capsys, *arguments):
    """Exit code, lines of stdout, stderr."""
    code = main(["at", *arguments])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def test_what_a_person_sees(log, capsys):
    """Voltage, cells, limits with reasons, alarms; links with cause, since when, and the age of the last answer."""
    up, down = (9.6, LinkEstablished("ble_1")), (130.7, LinkLost("ble_1", "battery silent"))
    readings = [*read(9.7), *read(10.4, "ble_2"), *read(125.2, "ble_2")]
    database = log((9.5, SessionStarted("0.3", TWO)), up, *readings, down, (131, LinkLost("ble_2", "x")))
    code, lines, err = at(capsys, "2026-01-01T00:02:10.9Z", "--database", database)
    text = "\n".join(lines)
    assert (code, err) == (0, "")
    assert lines[0] == "2026-01-01T00:02:10Z   boot 1, up 00:02:10, dbus-btbattery 0.3"
    assert lines[2].startswith("virtual_parallel  LIVE  BT Battery (parallel)  Battery 1: Lost 00:02:00, held: Soc")
    for part in ("\n  CVL  ", "\n  DCL  ", "are lost", "alarms: BmsCable", " C4 3.325", "empty below 11.60V"):
        assert part in text
    assert "  B1 00:00:00:00:00:01  " in text
    assert "ble_1 JBD  LOST  link lost (battery silent) since 2026-01-01T00:02:10Z, last answer 121.2 s ago" in lines
    assert "ble_2 JBD  LIVE  link never up, last answer 5.7 s ago" in lines


def test_before_the_first_answer(log, capsys):
    """Nothing is invented."""
    database = log((9.5, SessionStarted("0.3", ONE)), (10, LinkEstablished("ble_1")), *read(12.5))
    code, lines, _ = at(capsys, "2026-01-01T00:00:12.4", "--database", database)
    assert code == 0
    assert "ble_1  START  (waiting for the first complete answer of ble_1)" in lines


def test_json_and_one_battery(log, capsys):
    """One object with everything that was published; only the services that stand for the battery asked for."""
    begun = SessionStarted("0.3", {**TWO, "topology": "separate"})
    rejected = FrameRejected("ble_1", "jbd", "x", b"")
    database = log((9.5, begun), *read(10.2), *read(10.4, "ble_2"), (20, rejected))
    options = ("--json", "--database", database)
    code, lines, _ = at(capsys, "2026-01-01T00:00:15", *options)
    told = json.loads("\n".join(lines))
    assert code == 0
    assert list(told["services"]) == ["com.victronenergy.battery.ble_1", "com.victronenergy.battery.ble_2"]
    assert told["services"]["com.victronenergy.battery.ble_2"]["items"]["/Connected"] == 1
    assert told["batteries"]["ble_1"]["last_reading_age_s"] == 4.8
    code, lines, _ = at(capsys, "2026-01-01T00:00:15", *options, "--battery", "ble_2")
    told = json.loads("\n".join(lines))
    assert (list(told["services"]), list(told["batteries"])) == (["com.victronenergy.battery.ble_2"], ["ble_2"])
    code, lines, err = at(capsys, "2026-01-01T00:00:15", *options, "--battery", "00:00:00:00:00:03")
    assert (code, lines) == (1, []) and "there was no battery ble_000000000003 at that time" in err


@pytest.mark.parametrize(
    ("time", "before", "after"),
    [
        ("2025-12-31", "nothing", "2026-01-01T00:00:09Z"),
        ("2026-01-01T00:00:20.5", "2026-01-01T00:00:20Z", "2026-01-01T00:01:00Z"),
        ("2026-01-01T00:00:59", "2026-01-01T00:00:20Z", "2026-01-01T00:01:00Z"),
        ("2026-01-01T00:01:11", "2026-01-01T00:01:10Z", "nothing"),
    ],
)
def test_when_nothing_ran(log, capsys, time, before, after):
    """One line with the nearest times; after a stop at once, after a kill from the second after the last event."""
    log((9.5, SessionStarted("0.3", ONE)), *read(12.5), (20.5, SessionEnded("stopped")))
    database = log((60, SessionStarted("0.3", ONE)), *read(70.5))
    code, lines, err = at(capsys, time, "--database", database)
    assert (code, lines) == (1, [])
    assert err.endswith("known last before: {}, first after: {}\n".format(before, after))
    assert len(err.splitlines()) == 1


def test_readings_that_were_deleted(log, capsys):
    """Said when a part of the session is gone; when the readings of that time are gone, nothing is shown."""
    database = log(
        (9.5, SessionStarted("0.3", ONE)), *read(12.5), *read(20.5), *read(30.5), (40, ReadingsDeleted(4, 2, "age"))
    )  # fmt: skip
    code, lines, _ = at(capsys, "2026-01-01T00:00:25", "--database", database)
    assert code == 0
    assert lines[1] == "older readings were deleted: all follows from those since 2026-01-01T00:00:20Z"
    code, lines, err = at(capsys, "2026-01-01T00:00:15", "--database", database)
    assert (code, lines) == (1, [])
    assert "the single readings of 2026-01-01T00:00:15Z were deleted" in err


def test_wrong_usage(log, capsys, tmp_path):
    """A time that is none: 2; a database that is not there: 1."""
    assert at(capsys, "yesterday")[0] == 2
    code, _, err = at(capsys, "2026-01-01", "--database", str(tmp_path / "none.db"))
    assert code == 1 and "does not exist" in err


def test_the_newest_of_two_boots(log, capsys):
    """Two boots that believed in the same time: the later one is told."""
    log((9.5, SessionStarted("old", ONE)), *read(12.5))
    database = log((9.5, SessionStarted("new", ONE)), *read(12.5), boot_id="another")
    _, lines, _ = at(capsys, "2026-01-01T00:00:12", "--database", database)
    assert lines[0].endswith("boot 2, up 00:00:12, dbus-btbattery new")


def test_progress_on_a_terminal(log, capsys, monkeypatch):
    """A bar where somebody waits and looks, none in a pipe; the answer is the same."""
    database = log((9.5, SessionStarted("0.3", ONE)), *read(12.5), *read(20.5))
    arguments = ("2026-01-01T00:00:15", "--database", database)
    monkeypatch.setattr("service.progress.SHOWN_AFTER_S", 0)
    quiet = at(capsys, *arguments)
    assert quiet[2] == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    code, lines, err = at(capsys, *arguments)
    assert (code, lines) == quiet[:2]
    assert " events" in err


def test_a_link_that_cannot_be_made_is_lost_since_it_was_lost(log, capsys):
    """Attempts that fail in another way are a new cause, not a new loss."""
    facts = [(11, LinkEstablished("ble_1")), (20.2, LinkLost("ble_1", "battery silent")), (30, LinkLost("ble_1", "x"))]
    database = log((9.5, SessionStarted("0.3", ONE)), *facts, (40, LinkLost("ble_1", "y")))
    _, lines, _ = at(capsys, "2026-01-01T00:00:35", "--database", database)
    assert lines[-1] == "ble_1 JBD  START  link lost (x) since 2026-01-01T00:00:20Z, no answer yet"
