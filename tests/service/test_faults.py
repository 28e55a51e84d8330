"""Faults around the daemon: outputs, packages, mixed batteries, stops of other commands, odd session files."""

import asyncio
import json
import subprocess
import sys
import time

import pytest
from attrs import evolve

from core.configuration import BatteryConfiguration, Configuration
from core.events import Event, LinkEstablished, ReadingTaken, SessionStarted, SettingChanged
from core.presence import Phase
from core.service_view import Publication
from service.bus import Bus
from service.outputs import Outputs, Picture
from service.plan import plan_batteries
from service.replay import Replay
from storage.session_file import SessionHeader, SessionReader, SessionWriter
from tests.frames import frame
from tests.programs import LAUNCHER, ROOT, environment, run, running, stop, wait_until

DEMO = ROOT / "service" / "sessions" / "demo-4s.jsonl"
CONFIGURATION = Configuration((BatteryConfiguration("ble_1", "00:00:00:00:00:01"),)).to_payload()
DAY_US = 86_400_000_000
MOMENT = {"boot": 1, "uptime_us": 5, "wall_us": 5}
ALERT = {
    "battery": "ble_1", "alert": "imbalance", "spread_mv": 210, "threshold_mv": 200, "lowest_cell": 1,
    "lowest_mv": 3200, "highest_cell": 2, "highest_mv": 3410, "opened": MOMENT, "closed": None,
}  # fmt: skip


class Full:
    """An output on a full disk."""

    def publish(self, publication):
        raise OSError(28, "No space left on device")


def test_an_output_that_fails_is_given_up_and_nothing_else(caplog):
    """The others go on, and one line says so."""
    picture = Picture()
    outputs = Outputs([Full(), picture])
    for uptime_s in (1, 2):
        outputs.publish(Publication(1, uptime_s, "s", Phase.LIVE, "joined", {"/Soc": 50.0}))
    assert picture.services["s"].items == {"/Soc": 50.0}
    assert len(caplog.records) == 1


def test_print_to_a_full_disk_keeps_the_battery(tmp_path):
    """The log goes on and a stop is orderly."""
    with open("/dev/full", "w") as full:
        options = ("--bus", "none", "--database", tmp_path / "log.db", "--print", "--accelerate", "10")
        with running("run", "sim:a", *options, stdout=full) as program:
            wait_until(lambda: "are given up" in program.stderr.readline(), what="the complaint")
            code, stderr, _ = stop(program)
    assert code == 0
    assert "Traceback" not in stderr


def test_real_and_simulated_batteries_do_not_mix(tmp_path):
    """They would share a database and a bus."""
    done = run("run", "A4:C1:38:00:00:00", "sim:a", "--bus", "none", "--database", tmp_path / "log.db")
    assert done.returncode == 2
    assert "never share a run" in done.stderr


def test_simulated_batteries_keep_off_the_system_bus(tmp_path):
    """Nothing names a bus: they get a private one, whatever the machine has."""
    with running("run", "sim:a", "--database", tmp_path / "log.db") as program:
        assert "(private)" in program.stderr.readline()
        assert stop(program)[0] == 0


def test_a_stopped_replay_leaves_nothing(tmp_path):
    """SIGTERM: exit 0, and the private bus is gone."""
    with running("replay", DEMO, "--bus", "private") as program:
        folder = wait_until(lambda: list(_bus_folders(program.pid)), what="the private bus")
        time.sleep(0.3)
        assert stop(program)[0] == 0
    assert not [path for path in folder if path.exists()]


def _bus_folders(pid):
    from pathlib import Path

    children = Path("/proc/{0}/task/{0}/children".format(pid)).read_text().split()
    for child in children:
        for word in Path("/proc/{}/cmdline".format(child)).read_text().split("\0"):
            if word.startswith("--config-file="):
                yield Path(word.split("=")[1]).parent


def test_a_python_without_packages_says_what_to_do(tmp_path):
    """One line, exit 1; `version` works all the same."""
    folders = ("service", "core", "adapters", "config", "storage", "migrations")
    subprocess.run(["cp", "-r", *(str(ROOT / name) for name in folders), str(LAUNCHER), str(tmp_path)], check=True)
    bare = [sys.executable, "-S", str(tmp_path / LAUNCHER.name)]
    done = subprocess.run([*bare, "run", "sim:a"], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "run `make venv` first" in done.stderr
    done = subprocess.run([*bare, "version"], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0
    assert "attrs is not installed" in done.stdout


def _session(path, timed_facts):
    """A session file of (boot, uptime_us, fact)."""
    with SessionWriter(path, SessionHeader("test", False, CONFIGURATION)) as writer:
        for number, (boot, uptime_us, fact) in enumerate(timed_facts, 1):
            writer.write(Event(number, boot, uptime_us, uptime_us, fact))
    return path


def _reading(name):
    return ReadingTaken("ble_1", "jbd", frame(name))


def test_an_export_from_the_middle_plays_at_once(tmp_path):
    """The start that an export has in front may be days older than its first reading: nobody waits for that."""
    facts = [(1, 0, SessionStarted("0", CONFIGURATION)), (1, 10 * DAY_US, LinkEstablished("ble_1"))]
    facts += [(1, 10 * DAY_US + 1000 * n, _reading(name)) for n, name in enumerate(("jbd-034", "jbd-065"))]
    facts.append((1, 10 * DAY_US + 1_500_000, _reading("jbd-034")))
    reader, picture = SessionReader(_session(tmp_path / "s.jsonl", facts)), Picture()
    begun = time.monotonic()
    asyncio.run(Replay(Outputs([picture]), Bus(None), speed=1.0).run(reader))
    reader.close()
    assert 1 < time.monotonic() - begun < 4
    assert picture.services["com.victronenergy.battery.ble_1"].items["/Dc/0/Voltage"] == 13.32


def test_sessions_of_two_boots_are_played_end_to_end(tmp_path):
    """Uptime that begins again does not turn the time of the recording back."""
    facts = []
    for boot, start_us in ((1, 900_000_000), (2, 5_000_000)):
        facts.append((boot, start_us, SessionStarted("0", CONFIGURATION)))
        facts.append((boot, start_us + DAY_US, _reading("jbd-034")))
        facts.append((boot, start_us + DAY_US + 10_000_000, _reading("jbd-035")))
    (planned,) = plan_batteries(["session:{}".format(_session(tmp_path / "s.jsonl", facts))])
    times_s = [at_s for at_s, _ in planned.peripheral._frames]
    assert times_s == sorted(times_s)
    assert times_s[:2] == [0.0, 10.0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"remembered": {"settings": []}}, "what was remembered has settings of the wrong kind"),
        ({"remembered": {"settings": {"ble_1": []}}}, "what was remembered is not settings"),
        ({"remembered": {"capacities_mah": 5}}, "what was remembered has capacities_mah of the wrong kind"),
        ({"remembered": {"charge": []}}, "what was remembered has charge of the wrong kind"),
        ({"remembered": {"settings": {"ble_1": {"CustomName": 5}}}}, "a remembered name is no text"),
        ({"remembered": {"alerts": {}}}, "what was remembered has alerts of the wrong kind"),
        ({"remembered": {"alerts": [5]}}, "5 is no alert"),
        ({"remembered": {"alerts": [{"battery": "ble_1"}]}}, "an alert does not say of which battery"),
        ({"remembered": {"alerts": [{**ALERT, "spread_mv": 0.2}]}}, "an alert has spread_mv = 0.2"),
        ({"remembered": {"alerts": [{**ALERT, "lowest_cell": True}]}}, "an alert has lowest_cell = True"),
        ({"remembered": {"alerts": [{**ALERT, "opened": None}]}}, "an alert has no time"),
        ({"remembered": {"alerts": [{**ALERT, "closed": {**MOMENT, "wall_us": 2**62}}]}}, "an alert has wall_us = "),
        ({"remembered": {"settings": {"ble_1": {"SampleInterval": 5}}}}, "SampleInterval = 5 is not within 10 to 3600"),
        ({"remembered": {"settings": {"ble_1": {"AlertThreshold": "x"}}}}, "'x' is not within 0.01 to 1"),
        ({"configuration": {**CONFIGURATION, "device_instance": float("inf")}}, "has device_instance = inf"),
        ({"configuration": {**CONFIGURATION, "product_id": float("nan")}}, "has product_id = nan"),
    ],
)
def test_odd_session_starts_are_refused(tmp_path, change, says):
    """With the line, before a projection meets them."""
    started = evolve(SessionStarted("0", CONFIGURATION), **change)
    done = run("replay", _session(tmp_path / "s.jsonl", [(1, 0, started)]))
    assert done.returncode == 1
    assert says in done.stderr and "line 2" in done.stderr and "Traceback" not in done.stderr


def test_odd_lines_are_refused(tmp_path):
    """A nesting bomb, an absurd number, a jump over years."""
    begun = (1, 0, SessionStarted("0", CONFIGURATION))
    path = _session(tmp_path / "s.jsonl", [begun, (1, 10**15, LinkEstablished("ble_1"))])
    assert "lies over a year after" in run("replay", path).stderr
    lines = _session(tmp_path / "t.jsonl", [begun]).read_text().splitlines()
    path.write_text("\n".join([*lines, "[" * 200_000]))
    assert "line 3: not JSON" in run("replay", path).stderr
    setting = SettingChanged("ble_1", "AlertThreshold", 7)
    _session(path, [begun, (1, 5, setting)])
    assert "line 3: AlertThreshold = 7 is not within 0.01 to 1" in run("replay", path).stderr
    event = {**json.loads(lines[1]), "uptime_us": 10**30}
    path.write_text("\n".join([lines[0], json.dumps(event)]))
    assert "'uptime_us' is missing or not a whole number" in run("replay", path).stderr


def test_export_onto_the_database_or_of_nobody_is_refused(tmp_path):
    """The database stays what it is, and a typing error is no empty file."""
    database = tmp_path / "log.db"
    with running("run", "sim:a", "--bus", "none", "--database", database) as program:
        assert "database" in program.stderr.readline()
        assert stop(program)[0] == 0
    before = database.read_bytes()
    done = run("session", "export", database, "--database", database)
    assert done.returncode == 1 and "is the database itself" in done.stderr
    done = run("session", "export", tmp_path / "s.jsonl", "--battery", "sim:b", "--database", database)
    assert done.returncode == 1 and "there is no battery sim_b in that time, only sim_a" in done.stderr
    assert database.read_bytes() == before
    assert not (tmp_path / "s.jsonl").exists()


def test_bus_address_out_of_range():
    """No traceback for a port that cannot be."""
    done = run("run", "sim:a", "--bus", "tcp:host=localhost,port=99999")
    assert done.returncode == 1 and "cannot connect to the D-Bus" in done.stderr
