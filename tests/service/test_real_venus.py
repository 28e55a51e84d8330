"""Victron's own systemcalc and settings service with our battery, where REF names a folder with their sources."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rawbus import RawBus, py

from tests.programs import ROOT, environment, running, wait_until

RIG = ROOT / "tests" / "victron"
SOURCES = ("velib_python", "localsettings", "dbus-systemcalc-py")
MODULES = "import dbus, gi, lxml, psutil"


def _missing():
    """Why the real programs cannot run here; nothing if they can."""
    if shutil.which("dbus-daemon") is None:
        return "dbus-daemon is not installed"
    folder = os.environ.get("REF")
    if not folder or not all((Path(folder) / ("victronenergy+" + name)).is_dir() for name in SOURCES):
        return "REF names no folder with Victron's programs"
    if subprocess.run(["/usr/bin/python3", "-c", MODULES], capture_output=True, check=False).returncode:
        return "the system's Python lacks the modules that Victron's programs need"
    return None


pytestmark = [
    pytest.mark.skipif(_missing() is not None, reason=str(_missing())),
    pytest.mark.timeout(400),
]


def _rig(script, env, *arguments):
    subprocess.run([str(RIG / script), *arguments], env=env, check=True, capture_output=True)


@pytest.fixture
def bus_only(tmp_path):
    """Environment of a private bus with nothing on it."""
    env = environment(RIG_RUN=str(tmp_path / "rig"))
    _rig("start-bus.sh", env)
    env["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path={}/bus.sock".format(tmp_path / "rig")
    yield env
    _rig("stop-rig.sh", env)


@pytest.fixture
def rig(bus_only):
    """The same with the real settings service."""
    _rig("start-localsettings.sh", bus_only, "--fresh")
    return bus_only


CAPACITY = "capacity=200"  # a load of 50 A
BANKS = {
    "sim_a": ["sim:a?" + CAPACITY],
    "virtual_series": ["-s", "sim:a?" + CAPACITY, "sim:b?seed=2&" + CAPACITY],
    "virtual_parallel": ["-p", "sim:a?" + CAPACITY, "sim:b?seed=2&" + CAPACITY],
}


@pytest.mark.parametrize("name", sorted(BANKS))
def test_systemcalc_follows_the_battery_and_drops_it_when_gone(name, rig, tmp_path):
    """It picks the battery, obeys its limits, lets chargers time out when it is GONE and takes it back; the Multi never
    hears of a discharge limit of 0 under a load of 50 A.
    """
    silent = tmp_path / "silent"
    options = ["--set", "HOLD_SECONDS=20", "--set", "REMOVE_SECONDS=5", "--database", str(tmp_path / "log.db")]
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.service.switched_run", str(silent), "run", *BANKS[name], *options],
        cwd=str(ROOT),
        env=rig,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        time.sleep(5)
        stop = "touch {0}; sleep 17; rm {0}; sleep 8; touch {0}; sleep 27".format(silent)
        service = "com.victronenergy.battery." + name
        check = [
            sys.executable,
            str(RIG / "systemcalc_check.py"),
            service,
            "--stop",
            stop,
            "--start",
            "rm {}".format(silent),
        ]
        done = subprocess.run(check, env=rig, capture_output=True, text=True, timeout=330, check=False)
    finally:
        program.send_signal(signal.SIGTERM)
        _, log = program.communicate(timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr + log
    writes = (tmp_path / "rig" / "logs" / "charger_writes.jsonl").read_text().splitlines()
    discharge = [json.loads(line) for line in writes if line.endswith("}") and "MaxDischargeCurrent" in line]
    values = [write["value"] for write in discharge]
    assert len(values) > 5 and min(value for value in values if value is not None) >= 50


def _items(client, name):
    reply = client.call(name, "/", "com.victronenergy.BusItem", "GetItems")
    return {path[1]: {key[1]: py(value) for key, value in properties}["Value"]
            for path, (_, properties) in reply.args[0][1]}  # fmt: skip


def _stop_settings(env):
    pid = int((Path(env["RIG_RUN"]) / "localsettings.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    (Path(env["RIG_RUN"]) / "localsettings.pid").unlink()


def test_instance_and_name_come_from_the_settings_service_and_stay(bus_only, tmp_path):
    """Absent for 60 s: nothing is published. Then each service gets an instance of its own; they and the name survive
    restarts of the settings service and of ours.
    """
    names = ["com.victronenergy.battery." + key for key in ("virtual_parallel", "sim_a", "sim_b")]
    arguments = ["run", "-p", "sim:a", "sim:b", "--set", "PUBLISH_MEMBERS=1", "--database", tmp_path / "log.db"]
    client = RawBus(bus_only["DBUS_SYSTEM_BUS_ADDRESS"])
    with running(*arguments, env=bus_only):
        time.sleep(60)
        assert not [name for name in client.names() if name.startswith("com.victronenergy.battery.")]
        _rig("start-localsettings.sh", bus_only, "--fresh")
        for name in names:
            wait_until(lambda name=name: client.owner(name), what=name)
        first = {name: _items(client, name)["/DeviceInstance"] for name in names}
        assert len(set(first.values())) == 3
        client.call(names[0], "/CustomName", "com.victronenergy.BusItem", "SetValue", "v", [("s", "House")])
        wait_until(lambda: _items(client, names[0])["/CustomName"] == "House", what="the name")
        time.sleep(2)
        _stop_settings(bus_only)
        time.sleep(3)
        assert {name: _items(client, name)["/DeviceInstance"] for name in names} == first
        _rig("start-localsettings.sh", bus_only)
        time.sleep(3)
        assert {name: _items(client, name)["/DeviceInstance"] for name in names} == first
    with running(*arguments[:-1], tmp_path / "other.db", env=bus_only):
        for name in names:
            wait_until(lambda name=name: client.owner(name), what=name)
        assert {name: _items(client, name)["/DeviceInstance"] for name in names} == first
        assert _items(client, names[0])["/CustomName"] == "House"
    client.close()
