"""A dry run of other options over a recorded session tells exactly what would have been different."""

import asyncio
import io
import json
from argparse import Namespace
from datetime import datetime

import pytest
from attrs import evolve

from config.loader import load
from config.options import ConfigError
from core.configuration import configuration_from
from core.events import SessionEnded, SessionStarted, SettingChanged
from core.live import LiveView
from service.cli import main
from service.comparison import Comparison
from service.comparison_report import JsonReport
from service.dry_run import TriedOptions
from service.outputs import Picture
from service.plan import plan_batteries, plan_configuration
from storage.event_reader import EventReader
from storage.session_export import Selection, export_session
from storage.session_file import SessionReader
from tests.programs import ROOT
from tests.service.recorded_run import ManualClock, record

SESSIONS = ROOT / "service" / "sessions"
FORMATS = sorted((ROOT / "tests" / "sessions" / "formats").glob("*.jsonl"))
BUNDLED = sorted(SESSIONS.glob("*.jsonl"))
STRICTER = ["MAX_BATTERY_CHARGE_CURRENT=20", "SOC_LOW_WARNING=97", "MAX_CELL_VOLTAGE=3.4", "HOLD_SECONDS=60"]


def events_of(path):
    """All events of a session."""
    reader = SessionReader(path)
    try:
        return list(reader.events())
    finally:
        reader.close()


def tried(*settings, config=None):
    """Options to try."""
    return TriedOptions.load(Namespace(config=config, set=list(settings)))[0]


def differences(events, configure, stream):
    """The JSON lines of a comparison."""
    report = JsonReport(stream)
    comparison = Comparison(configure, report)
    for event in events:
        comparison.fold(event)
    comparison.finish()
    report.finish()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def _pictures(events, configure):
    """(boot, uptime) of each tick -> what was on the bus after it, of a fresh run of its own."""
    view, picture, pictures, boot, session = LiveView(), Picture(), {}, 0, 0

    def shown():
        return {name: dict(service.items) for name, service in picture.services.items() if service.items}

    next_s = 0
    for event in events:
        if isinstance(event.fact, SessionStarted):
            for publication in view.fold(_configured(event, configure)):
                picture.publish(publication)
                pictures[boot, session, publication.uptime_s] = shown()
            boot, session, next_s = event.boot, session + 1, event.uptime_us // 1_000_000 + 1
            continue
        by_tick = {}
        for publication in view.fold(event):
            by_tick.setdefault(publication.uptime_s, []).append(publication)
        for uptime_s in range(next_s, event.uptime_us // 1_000_000 + 1):
            for publication in by_tick.pop(uptime_s, ()):
                picture.publish(publication)
            pictures[boot, session, uptime_s] = shown()
        for uptime_s, publications in by_tick.items():  # it ends within the second of its last tick
            for publication in publications:
                picture.publish(publication)
            pictures[boot, session, uptime_s] = shown()
        next_s = event.uptime_us // 1_000_000 + 1
    return pictures


def _configured(event, configure):
    configuration = configure(configuration_from(dict(event.fact.configuration)))
    return evolve(event, fact=evolve(event.fact, configuration=configuration.to_payload()))


def _is_compared(path):
    return path.startswith(("/Info/Max", "/Io/AllowTo", "/Alarms/")) or path in ("/Info/BatteryLowVoltage", "/Soc")


def expected(events, configure):
    """(boot, uptime, service, path) -> values of both sides: by comparing full pictures of two separate runs."""
    recorded, new = _pictures(events, lambda same: same), _pictures(events, configure)
    assert recorded.keys() == new.keys()
    found = {}
    for tick in recorded:
        boot, _, uptime_s = tick
        for service in recorded[tick].keys() | new[tick].keys():
            sides = [shown[tick].get(service) for shown in (recorded, new)]
            key = service[len("com.victronenergy.battery.") :]
            if None in sides:
                found[boot, uptime_s, key, "on the bus"] = tuple(int(side is not None) for side in sides)
                continue
            for path in filter(_is_compared, sides[0].keys() | sides[1].keys()):
                values = tuple(side.get(path) for side in sides)
                if values[0] != values[1]:
                    found[boot, uptime_s, key, path] = values
            modes = tuple(side.get("/Info/ChargeMode") for side in sides)
            modes = tuple(None if mode is None else mode.split(":")[0].split(" ")[0] for mode in modes)
            if modes[0] != modes[1]:
                found[boot, uptime_s, key, "/Info/ChargeMode"] = modes
    return found


def told(lines):
    """The same from JSON lines."""
    return {
        (line["boot"], line["uptime_s"], line["service"], line["path"]): (line["recorded"], line["new"])
        for line in lines
    }


@pytest.fixture
def stream():
    """Takes lines."""
    return io.StringIO()


@pytest.mark.parametrize("path", [*BUNDLED, *FORMATS], ids=lambda path: path.stem)
@pytest.mark.parametrize(
    "settings", [STRICTER, ["CVCM_ENABLE=1", "LINEAR_LIMITATION_ENABLE=1"], ["MONITOR_ONLY=1"]], ids=str
)
def test_a_changed_option_equals_a_fresh_run(path, settings, stream):
    """At every tick and every path, in both directions: nothing is missed and nothing is invented."""
    events, configure = events_of(path), tried(*settings).configuration
    lines = differences(events, configure, stream)
    assert told(lines) == expected(events, configure)
    assert len(told(lines)) == len(lines)


@pytest.mark.parametrize("path", [*BUNDLED, *FORMATS], ids=lambda path: path.stem)
def test_the_same_configuration_differs_nowhere(path, stream):
    """Not at one tick, whatever the version that wrote the session."""
    assert differences(events_of(path), lambda same: same, stream) == []


def test_sessions_boots_and_a_kill_in_between(stream):
    """Each session begins anew; what stood when the program was killed ends with its last event."""
    once = [e for e in events_of(SESSIONS / "series-2x4s.jsonl") if not isinstance(e.fact, SessionEnded)]
    last = once[-1]
    hour_us = 3_600_000_000
    later = [evolve(e, number=e.number + last.number, uptime_us=e.uptime_us + last.uptime_us + hour_us) for e in once]
    rebooted = [evolve(e, number=e.number + 2 * last.number, boot=e.boot + 1) for e in once]
    events, configure = [*once, *later, *rebooted], tried(*STRICTER).configuration
    lines = differences(events, configure, stream)
    assert told(lines) == expected(events, configure)
    assert {line["boot"] for line in lines} == {once[0].boot, once[0].boot + 1}
    assert datetime.strptime(lines[0]["time"], "%Y-%m-%dT%H:%M:%SZ").year == 2026


@pytest.mark.parametrize("topology", ["series", "parallel", "separate"])
def test_the_options_of_the_recording(tmp_path, topology):
    """The file that a run was made with gives the configuration that the run recorded."""
    (tmp_path / "b.ini").write_text("MAX_BATTERY_CHARGE_CURRENT = 33\nCAPACITY = 90\nINVERT_CURRENT_MEASUREMENT = -1\n")
    config = tmp_path / "config.ini"
    config.write_text(
        "BATTERIES = 70:3e:97:08:00:62, A4-C1-37-00-00-01:b.ini\nTOPOLOGY = {}\nPOLL_SECONDS = 3\nCVCM_ENABLE = 1\n"
        "PRODUCT_ID = 0xBA77\nCELL_COUNT = 4\nSOC_LOW_ALARM = 7\nTIME_TO_SOC_POINTS = 20, 80\n".format(topology)
    )
    values, _ = load(config)
    recorded = plan_configuration(plan_batteries((), values), values, 7)
    recorded = configuration_from(json.loads(json.dumps(recorded.to_payload())))
    assert tried(config=str(config)).configuration(recorded).to_payload() == recorded.to_payload()
    assert recorded.batteries[1].profile.max_charge_ma == 33_000


def test_who_the_batteries_are_stays(tmp_path):
    """Identity, address, label, connection, instance, product and topology are the recorded ones; the rest is new."""
    values, _ = load(None, ["TOPOLOGY=parallel", "PRODUCT_ID=5"])
    recorded = plan_configuration(plan_batteries(["sim:a", "sim:b"], values), values, 9)
    batteries = [evolve(each, label="OLD", insecure_connection=0) for each in recorded.batteries]
    recorded = evolve(recorded, batteries=tuple(batteries))
    new = tried("HOLD_SECONDS=30").configuration(recorded)
    assert (new.topology, new.device_instance, new.product_id, new.hold_seconds) == ("parallel", 9, 5, 30)
    assert [(b.battery, b.address, b.label, b.connection, b.insecure_connection) for b in new.batteries] == [
        ("sim_a", "a", "OLD", "Simulated", 0), ("sim_b", "b", "OLD", "Simulated", 0),
    ]  # fmt: skip
    assert tried("TOPOLOGY=series").configuration(recorded).topology == "series"
    alone = evolve(recorded, batteries=recorded.batteries[:1], topology="single")
    assert tried("TOPOLOGY=series").configuration(alone).topology == "single"


def test_parallel_batteries_that_do_not_fit(tmp_path):
    """As a run would be refused."""
    (tmp_path / "b.ini").write_text("CELL_COUNT = 8\n")
    (tmp_path / "c.ini").write_text("BATTERIES = sim:a, sim:b:b.ini\nCELL_COUNT = 4\nTOPOLOGY = parallel\n")
    values, _ = load(None)
    recorded = plan_configuration(plan_batteries(["sim:a", "sim:b"], values), values, 9)
    with pytest.raises(ConfigError, match="same CELL_COUNT"):
        tried(config=str(tmp_path / "c.ini")).configuration(recorded)


def test_a_run_of_the_daemon_and_its_options(tmp_path, capsys):
    """Recorded with a DeviceInstance that came later: the same options differ nowhere, others from its first tick."""
    config = tmp_path / "config.ini"
    config.write_text("TOPOLOGY = series\nHOLD_SECONDS = 20\nPOLL_SECONDS = 2\n")
    told_instance = [lambda daemon: daemon.record(SettingChanged("virtual_series", "DeviceInstance", 3))]

    async def run():
        settings = ["TOPOLOGY=series", "HOLD_SECONDS=20", "POLL_SECONDS=2"]
        clock = ManualClock()
        addresses = ["sim:a?drop=20+30", "sim:b"]
        await record(tmp_path / "log.db", clock, addresses, settings, 9, *told_instance, 60, instance=None)
        async with await EventReader.open(tmp_path / "log.db") as reader:
            await export_session(reader, tmp_path / "s.jsonl", Selection(), writer="test")

    asyncio.run(run())
    file = str(tmp_path / "s.jsonl")
    assert main(["replay", file, "--compare", "--config", str(config)]) == 0
    assert capsys.readouterr().out == "no differences\n"
    assert main(["replay", file, "--compare", "--config", str(config), "--set", "TOPOLOGY=parallel"]) == 0
    out = capsys.readouterr().out.splitlines()
    only = "only recorded: virtual_series; only with the new options: virtual_parallel; compared: nothing"
    assert out == [only, "nothing could be compared"]
    options = ["--config", str(config), "--set", "PUBLISH_MEMBERS=1", "--set", "MAX_BATTERY_CHARGE_CURRENT=20"]
    assert main(["replay", file, "--compare", *options]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "only recorded: nothing; only with the new options: sim_a, sim_b; compared: virtual_series"
    assert out[1].startswith("2026-01-01T00:00:10Z  up 00:16:50  virtual_series  CCL: 70.0A -> 20.0A  (")
    assert out[-1].split()[-2:] == ["7.0A..70.0A", "2.0A..20.0A"]
    assert any("no difference any more, after" in line for line in out)


def test_what_an_owner_reads(capsys):
    """A line with both reasons when it begins, one when it ends with the extremes, and the table."""
    settings = ["--set", "SOC_LOW_WARNING=97", "--set", "MAX_BATTERY_CHARGE_CURRENT=20"]
    assert main(["replay", str(SESSIONS / "series-2x4s.jsonl"), "--compare", *settings]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "2026-01-01T00:00:02Z  up 00:01:42  virtual_series  alarm LowSoc: 0 -> 1"
    assert out[1].endswith(" -> maximum of battery 1: 20 A)")
    assert "2026-01-01T00:02:57Z  up 00:04:37  virtual_series  CCL: no difference any more, after 00:02:55: " in out[2]
    assert [line.split() for line in out[-3:]] == [
        ["service", "differs", "for", "recorded", "new"],
        ["virtual_series", "alarm", "LowSoc", "328", "s", "0", "1"],
        ["virtual_series", "CCL", "229", "s", "7.0A..57.9A", "2.0A..20.0A"],
    ]


def test_lines_for_programs(capsys):
    """Each with time, place, both values, and the reasons of a limit."""
    file = str(SESSIONS / "series-2x4s.jsonl")
    assert main(["replay", file, "--compare", "--print", "--set", "MAX_BATTERY_CHARGE_CURRENT=20"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == {
        "boot": 1, "uptime_s": 102, "time": "2026-01-01T00:00:02Z", "service": "virtual_series",
        "path": "/Info/MaxChargeCurrent", "recorded": lines[0]["recorded"], "new": 20.0,
        "recorded_reason": lines[0]["recorded_reason"], "new_reason": "maximum of battery 1: 20 A",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--compare"], "needs what to compare with"),
        (["--config", "x.ini"], "are for --compare"),
        (["--set", "HOLD_SECONDS=30"], "are for --compare"),
        (["--compare", "--set", "HOLD_SECONDS=30", "--bus", "private"], "goes without --bus"),
        (["--compare", "--set", "HOLD_SECONDS=30", "--speed", "1"], "goes without --speed"),
        (["--compare", "--set", "HOLD_SECONDS=30", "--instance", "1"], "goes without --instance"),
        (["--compare", "--set", "HOLD_SECONDS=1"], "is outside"),
    ],
)
def test_wrong_usage(arguments, says, capsys):
    """One line, exit code 2."""
    assert main(["replay", str(BUNDLED[0]), *arguments]) == 2
    err = capsys.readouterr().err
    assert says in err and len(err.splitlines()) == 1
