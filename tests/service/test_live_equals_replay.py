"""What the running program published is what a replay of its export publishes, byte for byte."""

import asyncio
import json
import subprocess
import sys

import pytest

from core.events import SettingChanged
from tests.programs import ROOT, environment, run
from tests.storage.logs import event, started, write_log

RATE = 60
RUN_S = 620
STEP_AT_S = 300
COUNT, DATA = "/CellMonitor/Alerts/Count", "/CellMonitor/Data"
BATTERIES = ["sim:a?drop=60+45&drop=150+170&seed=3", "sim:b?cells=16&capacity=280&drop=100+400"]


def _run(database, *, step_s, topology):
    options = ["--print", "--bus", "none", "--database", str(database), "--set", "TOPOLOGY=" + topology]
    arguments = ["run", *BATTERIES, *options]
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.service.stepping_run",
            str(RATE),
            str(RUN_S),
            str(STEP_AT_S),
            str(step_s),
            *arguments,
        ],
        cwd=str(ROOT),
        capture_output=True,
        text=True,
        timeout=90,
        env=environment(),
        check=True,
    ).stdout


def test_ten_minutes_with_dropouts_and_a_clock_step(tmp_path):
    """Two batteries that go stale, lost and gone and come back, while the clock is set back an hour."""
    published = _published_alike(tmp_path, "separate")
    assert {"LIVE", "STALE", "LOST", "GONE"} == {line["phase"] for line in published}
    assert [line["change"] for line in published if line["service"].endswith("sim_b")].count("joined") == 2


def test_ten_minutes_of_a_series_bank(tmp_path):
    """The same with one service for both of them, and with the limits that it publishes."""
    published = _published_alike(tmp_path, "series")
    assert {line["service"] for line in published} == {"com.victronenergy.battery.virtual_series"}
    assert {"LIVE", "STALE", "LOST"} <= {line["phase"] for line in published}
    assert {line["items"].get("/Info/MaxChargeCurrent") == 0 for line in published} == {True, False}


def test_ten_minutes_with_an_alert_of_the_cell_monitor(tmp_path):
    """Settings of a former session, an alert that opens, dropouts and a clock step that moves its date."""
    told = [SettingChanged("virtual_series", *each) for each in (("AlertThreshold", 0.01), ("SampleInterval", 10))]
    former = [event(number, fact) for number, fact in enumerate([started(), *told], 1)]
    asyncio.run(write_log(tmp_path / "log.db", former))
    published = _published_alike(tmp_path, "series")
    counts = [line["items"][COUNT] for line in published if COUNT in line["items"]]
    assert counts[0] == 0 and counts[1] in (1, 2), "both batteries may be sampled apart in the same second"
    dates = [json.loads(line["items"][DATA])["recent_alerts"] for line in published if DATA in line["items"]]
    assert dates[-1][-1]["timestamp"] == next(alerts for alerts in dates if alerts)[-1]["timestamp"] - 3600


def _published_alike(tmp_path, topology):
    live = _run(tmp_path / "log.db", step_s=-3600, topology=topology)
    exported = run("session", "export", tmp_path / "s.jsonl", "--database", tmp_path / "log.db")
    assert exported.returncode == 0, exported.stderr
    replayed = run("replay", tmp_path / "s.jsonl", "--print")

    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout == live
    published = [json.loads(line) for line in live.splitlines()]
    assert published[-1]["uptime_s"] - published[0]["uptime_s"] >= 600
    steps = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines() if "ClockStepped" in line]
    assert [round(step["payload"]["step_us"] / 1e6) for step in steps] == [-3600]
    return published


@pytest.mark.parametrize("topology", ["separate", "series"])
def test_redacted_session_replays_to_the_same_numbers(tmp_path, topology):
    """Redaction changes names, those in paths too, and never a measurement or an instant."""
    live = [json.loads(line) for line in _run(tmp_path / "log.db", step_s=0, topology=topology).splitlines()]

    run("session", "export", tmp_path / "s.jsonl", "--redact", "--database", tmp_path / "log.db")
    replayed = [json.loads(line) for line in run("replay", tmp_path / "s.jsonl", "--print").stdout.splitlines()]

    def numbers(line, **stand_ins):
        items = line["items"]
        for name, stand_in in stand_ins.items():
            below = "/Parallel/Battery/{}/"
            items = {path.replace(below.format(name), below.format(stand_in)): items[path] for path in items}
        return {path: value for path, value in items.items() if not isinstance(value, str)}

    assert live
    assert [(line["uptime_s"], line["phase"], numbers(line, A="BATTERY1", B="BATTERY2")) for line in live] == [
        (line["uptime_s"], line["phase"], numbers(line)) for line in replayed
    ]
