"""What the running program published is what a replay of its export publishes, byte for byte."""

import json
import subprocess
import sys

from tests.programs import ROOT, environment, run

RATE = 60
RUN_S = 620
STEP_AT_S = 300
BATTERIES = ["sim:a?drop=60+45&drop=150+170&seed=3", "sim:b?cells=16&capacity=280&drop=100+400"]


def _run(database, *, step_s):
    arguments = ["run", *BATTERIES, "--print", "--bus", "none", "--database", str(database)]
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
    live = _run(tmp_path / "log.db", step_s=-3600)

    exported = run("session", "export", tmp_path / "s.jsonl", "--database", tmp_path / "log.db")
    assert exported.returncode == 0, exported.stderr
    replayed = run("replay", tmp_path / "s.jsonl", "--print")

    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout == live
    published = [json.loads(line) for line in live.splitlines()]
    assert {"LIVE", "STALE", "LOST", "GONE"} == {line["phase"] for line in published}
    assert [line["change"] for line in published if line["service"].endswith("sim_b")].count("joined") == 2
    assert published[-1]["uptime_s"] - published[0]["uptime_s"] >= 600
    steps = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines() if "ClockStepped" in line]
    assert [round(step["payload"]["step_us"] / 1e6) for step in steps] == [-3600]


def test_redacted_session_replays_to_the_same_numbers(tmp_path):
    """Redaction changes names, never a measurement or an instant."""
    live = [json.loads(line) for line in _run(tmp_path / "log.db", step_s=0).splitlines()]

    run("session", "export", tmp_path / "s.jsonl", "--redact", "--database", tmp_path / "log.db")
    replayed = [json.loads(line) for line in run("replay", tmp_path / "s.jsonl", "--print").stdout.splitlines()]

    def numbers(line):
        return {path: value for path, value in line["items"].items() if not isinstance(value, str)}

    assert live
    assert [(line["uptime_s"], line["phase"], numbers(line)) for line in live] == [
        (line["uptime_s"], line["phase"], numbers(line)) for line in replayed
    ]
