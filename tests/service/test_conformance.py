"""Our service against the checker of Victron's wire behaviour, on a real dbus-daemon."""

import os
import subprocess
import sys
from collections import Counter

import pytest
from rawbus import RawBus

from tests.programs import ROOT, environment, running, wait_until

SERVICE = "com.victronenergy.battery.sim_a"


def _check(name, address, *options):
    """Run conformance.py; with Victron's own library too where REF says that it is there."""
    checker = [sys.executable, str(ROOT / "tests" / "victron" / "conformance.py"), name, "--seconds", "6", *options]
    if "REF" not in os.environ:
        checker.append("--no-velib")
    done = subprocess.run(
        checker,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(DBUS_SYSTEM_BUS_ADDRESS=address),
        check=False,
    )
    assert "PASS" in done.stdout, done.stderr
    return Counter(line.split()[0] for line in done.stdout.splitlines() if line[:4].isupper()), done.stdout


def _on_bus(address, name):
    client = RawBus(address)
    try:
        wait_until(lambda: client.owner(name), what=name)
    finally:
        client.close()


BANKS = {
    "sim_a": ["sim:a"],
    "virtual_series": ["-s", "sim:a", "sim:b?cells=8"],
    "virtual_parallel": ["-p", "sim:a", "sim:b?capacity=50"],
}


@pytest.mark.parametrize("name", sorted(BANKS))
def test_a_service_conforms(name, bus, tmp_path):
    """Nothing that a Victron program would trip over, writes included; with every family of paths."""
    options = ["--instance", "1", "--bus", bus.address, "--database", tmp_path / "log.db"]
    for option in ("MIDPOINT_ENABLE=1", "TIME_TO_SOC_POINTS=20,100", "BATTERY_CELL_DATA_FORMAT=3"):
        options += ["--set", option]
    service = "com.victronenergy.battery." + name
    with running("run", *BANKS[name], *options):
        _on_bus(bus.address, service)
        writes = ["--writable", "/CustomName=s:Pantry", "--reject", "/CustomName=i:3"]
        writes += ["--writable", '/CellMonitor/Trend/Request=s:{"hours":1}', "--reject", "/CellMonitor/Trend/Json=s:x"]
        writes += ["--writable", "/Settings/CellMonitor/SampleInterval=i:30"]
        writes += ["--writable", "/Settings/CellMonitor/AlertThreshold=d:0.1"]
        writes += ["--reject", "/Settings/CellMonitor/AlertThreshold=d:-1"]
        counts, report = _check(service, bus.address, *writes)
    assert counts["FAIL"] == 0, report
    assert "/CellMonitor/Trend/Request" in report
    assert counts["PASS"] > 90
    assert "/Info/MaxChargeVoltage" in report


def test_replayed_battery_conforms(bus):
    """A replay on a bus is as good a service; nothing in it can be written."""
    session = ROOT / "service" / "sessions" / "demo-4s.jsonl"
    with running("replay", session, "--bus", bus.address, "--speed", "1", "--instance", "1"):
        name = "com.victronenergy.battery.ble_sp04s034"
        _on_bus(bus.address, name)
        counts, report = _check(name, bus.address, "--reject", "/CustomName=s:x")
    assert counts["FAIL"] == 0, report


WRITTEN = [
    ("y", 7), ("b", True), ("n", -7), ("q", 7), ("i", 77), ("u", 77), ("x", 77), ("t", 77), ("d", 12.5), ("s", "x"),
    ("ai", []), ("as", ["x"]), ("a{sv}", [("k", ("i", 1))]),
]  # fmt: skip
SETTINGS = {"/Settings/CellMonitor/SampleInterval", "/Settings/CellMonitor/AlertThreshold"}
WRITABLE = {
    "/CustomName", "/Battery/Request/Id", "/Battery/1/ReleaseMinutes", "/CellMonitor/Trend/Request", *SETTINGS
}  # fmt: skip


def test_no_write_changes_what_is_read_only(bus, tmp_path):
    """SetValue of every type on every published path: refused with 1, nothing moves, but for the writable ones."""
    with running("run", "sim:a", "--instance", "1", "--bus", bus.address, "--database", tmp_path / "log.db"):
        _on_bus(bus.address, SERVICE)
        client = RawBus(bus.address)
        items = client.call(SERVICE, "/", "com.victronenergy.BusItem", "GetItems").args[0][1]
        paths = [key[1] for key, _ in items]
        assert len(paths) > 80 and set(paths) > WRITABLE
        for path in paths:
            for signature, value in WRITTEN:
                reply = client.call(SERVICE, path, "com.victronenergy.BusItem", "SetValue", "v", [(signature, value)])
                code = reply.args[0][1]
                if path not in WRITABLE or signature in ("ai", "as", "a{sv}"):
                    assert code == 1, (path, signature)
                written = client.call(SERVICE, path, "com.victronenergy.BusItem", "GetValue").args[0][1]
                assert path in WRITABLE or written[1] not in (77, 12.5, "x"), path
        client.close()


@pytest.mark.parametrize("calls_per_s", [1000])
def test_flood_of_calls_delays_nothing(bus, tmp_path, calls_per_s):
    """1,000 calls a second for 10 s hold no publish back by more than 2 s, and every call is answered."""
    config = tmp_path / "config.ini"
    config.write_text("[DEFAULT]\nPOLL_SECONDS = 1\n")
    options = ("--instance", "1", "--bus", bus.address, "--database", tmp_path / "log.db", "--config", config)
    with running("run", "sim:a", *options):
        _on_bus(bus.address, SERVICE)
        answered, times = _flood(bus.address, calls_per_s, seconds=10)
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert answered == calls_per_s * 10
    assert max(gaps) < 1 + 2, gaps


def _flood(address, calls_per_s, seconds):
    """How many calls were answered, and when each ItemsChanged came."""
    import time

    client = RawBus(address)
    client.add_match("type='signal',sender='{}',member='ItemsChanged'".format(SERVICE))
    begun, sent, answered, times = time.monotonic(), 0, 0, []
    while answered < calls_per_s * seconds and time.monotonic() - begun < seconds + 90:
        # A bus refuses the calls of a client that waits for 128 answers.
        due = min(int((time.monotonic() - begun) * calls_per_s), calls_per_s * seconds, answered + 100)
        for _ in range(max(0, due - sent)):
            client.send(1, SERVICE, "/Soc", "com.victronenergy.BusItem", "SetValue", "v", [("d", 1.0)])
        sent = max(sent, due)
        message = client._next(0.005)
        while message is not None:
            answered += message.type == 2
            if message.member == "ItemsChanged":
                times.append(time.monotonic())
            message = client._next(0)
    client.close()
    return answered, times
