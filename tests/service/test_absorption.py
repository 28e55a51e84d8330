"""The time that a battery has spent at its full voltage survives a kill -9."""

import json
import signal
import subprocess
import sys

from tests.programs import ROOT, environment

RATE = 120
FULL = "sim:a?soc=100"  # rests at 3.48 V a cell
OPTIONS = ["--set", "CVCM_ENABLE=True", "--bus", "none", "--print", "--accelerate", str(RATE)]


def _start(database):
    return subprocess.Popen(
        [sys.executable, str(ROOT / "dbus-btbattery.py"), "run", FULL, "--database", str(database), *OPTIONS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )


def _modes(program):
    """(uptime, charge mode) of every publication, as they come."""
    mode = ""
    for line in program.stdout:
        publication = json.loads(line)
        mode = publication["items"].get("/Info/ChargeMode", mode).partition(":")[0]
        yield publication["uptime_s"], mode


def test_absorption_goes_on_after_a_kill(tmp_path):
    """Killed at minute 10 of 15, float comes after 15 minutes, give or take one, of accumulated time."""
    killed = _start(tmp_path / "log.db")
    begun_s = None
    for uptime_s, mode in _modes(killed):
        if mode == "Absorption" and begun_s is None:
            begun_s = uptime_s
        if begun_s is not None and uptime_s >= begun_s + 600:
            killed.send_signal(signal.SIGKILL)
            break
    killed_s = max([uptime_s, *(later_s for later_s, _ in _modes(killed))])
    killed.wait()

    again = _start(tmp_path / "log.db")
    try:
        modes = _modes(again)
        resumed_s, first = next(modes)
        assert first == "Absorption"
        float_s = next(uptime_s for uptime_s, mode in modes if mode.startswith("Float"))
    finally:
        again.kill()
        again.stdout.close()
        again.wait()
        killed.stdout.close()

    accumulated_s = (killed_s - begun_s) + (float_s - resumed_s)
    assert 14 * 60 <= accumulated_s <= 16 * 60, (killed_s - begun_s, float_s - resumed_s)
