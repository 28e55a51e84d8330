"""``scan`` as a process, real bleak, and the double of BlueZ."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import time

from tests.programs import ROOT, command, environment

ONE, TWO = "A4:C1:38:00:00:00", "A4:C1:38:00:00:01"


class Program:
    """``scan`` in the background on the bus of a double."""

    def __init__(self, address, *arguments, launcher=(), **streams):
        streams = streams or {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        env = environment(DBUS_SYSTEM_BUS_ADDRESS=address)
        started = [*(launcher or command("scan")), *arguments]
        self.process = subprocess.Popen(started, env=env, **streams)

    async def ended(self, seconds=20):
        """Exit code, stdout, stderr."""
        loop = asyncio.get_event_loop()
        try:
            out, err = await loop.run_in_executor(None, lambda: self.process.communicate(timeout=seconds))
        finally:
            self.process.kill()
        return self.process.returncode, out, err

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)


async def _called(bluez, member):
    """Wait until somebody called *member* of BlueZ."""
    deadline = time.monotonic() + 10
    while member not in await bluez.tell("stats"):
        assert time.monotonic() < deadline, member
        await asyncio.sleep(0.02)


async def test_ctrl_c_ends_listening_and_the_result_follows(bluez):
    """Without a terminal one table at the end: address, signal, name, reason, and what to type."""
    program = Program(bluez.address, "--seconds", "500")
    await _called(bluez, "StartDiscovery")
    await asyncio.sleep(0.4)
    program.interrupt()
    code, out, err = await program.ended()
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == "scanning for 500 s ..."
    assert lines[1].startswith(ONE) and lines[2].startswith(TWO)
    assert lines[1].endswith("dBm  JBD-SP04S-0  JBD: service ff00 + name + address")
    assert "    ./dbus-btbattery.py -s {} {}".format(ONE, TWO) in lines
    assert "    ./dbus-btbattery.py -p {} {}".format(ONE, TWO) in lines
    assert "\x1b" not in out


async def test_confirmed_as_json(bluez):
    """Who answers is in the command line, who does not is told with the cause; stdout holds nothing else."""
    await bluez.tell('set 0 name "JBD\\u001b[2J\\u202e4S"')
    await bluez.tell("address_type 0 random")
    await bluez.tell("connect_error 1 Failed Input/output error")
    code, out, _ = await Program(bluez.address, "--seconds", "1", "--confirm", "--json").ended()
    told = json.loads(out)
    one, two = told["devices"]
    assert code == 0
    assert (one["address"], one["address_type"], one["adapter"]) == (ONE, "random", "hci0")
    assert (one["supported"], one["in_use"], one["name"]) == ("jbd", False, "JBD[2J4S")
    assert one["confirmed"]["answers"] is True
    assert one["confirmed"]["hardware_name"].isprintable()
    assert [one["confirmed"][key] for key in ("cells", "voltage_V", "soc_pct")] == [4, 13.28, 80.0]
    assert two["confirmed"] == {"answers": False, "cause": "connect failed", "detail": "Failed: Input/output error"}
    assert told["command"] == "./dbus-btbattery.py " + ONE


async def test_second_ctrl_c_ends_and_hangs_up(bluez):
    """The first ends listening, the second the program, with 1; no battery stays connected."""
    await bluez.tell("silent 0 1")
    program = Program(bluez.address, "--seconds", "500", "--confirm")
    await _called(bluez, "StartDiscovery")
    await asyncio.sleep(0.4)
    program.interrupt()
    await _called(bluez, "WriteValue")
    program.interrupt()
    code, out, err = await program.ended()
    assert code == 1
    assert "Traceback" not in err
    assert "./dbus-btbattery.py" not in out
    assert json.loads(await bluez.tell("state 0"))["adapter"] is None


async def test_batteries_in_use_are_listed_and_not_disturbed(bluez):
    """They do not advertise; who runs the daemon must not wonder where they are."""
    await bluez.tell("stale 1")
    code, out, _ = await Program(bluez.address, "--seconds", "1", "--confirm").ended()
    lines = out.splitlines()
    assert code == 0
    place = next(number for number, line in enumerate(lines) if line.startswith(TWO))
    assert lines[place + 1].strip() == "connected: in use by this device"
    assert "answers: JBD-SP04S-0, 4 cells, 13.28 V, 80 %" in out
    assert "    ./dbus-btbattery.py " + ONE in lines
    assert lines[-1].endswith("left out: " + TWO)
    assert json.loads(await bluez.tell("state 1"))["adapter"] == 0


async def test_the_adapter_that_hears_it_connects(bluez_with):
    """All listen; what one refuses is told, and does not end the others."""
    double = bluez_with(count=1, adapters=2)
    await double.tell("discovery_error InProgress x 0")
    code, out, err = await Program(double.address, "--seconds", "1", "--confirm", "--json").ended()
    (device,) = json.loads(out)["devices"]
    assert code == 0
    assert (device["adapter"], device["confirmed"]["answers"]) == ("hci1", True)
    assert "one adapter does not listen: " in err and "(hci0 (00:AA:01:00:00:00))" in err


async def test_live_in_a_terminal(bluez):
    """Drawn again and again in place, and at the end whole."""
    ours, theirs = pty.openpty()
    program = Program(bluez.address, "--seconds", "1", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    loop, drawn = asyncio.get_event_loop(), b""
    while True:
        try:
            part = await loop.run_in_executor(None, os.read, ours, 65536)
        except OSError:
            break
        drawn += part
        if not part:
            break
    os.close(ours)
    assert (await program.ended())[0] == 0
    frames = drawn.decode().split("\x1b[H\x1b[2J")
    assert 4 <= len(frames) <= 10
    assert "listening on hci0 (00:AA:01:00:00:00), 1 s left; Ctrl-C ends it early" in frames[1]
    assert ONE in frames[-2] and "left" in frames[-2]
    assert "left" not in frames[-1] and "./dbus-btbattery.py -s" in frames[-1]


async def test_where_no_scan_can_be_made(bluez):
    """1, and one line that says what to do."""
    name = "hci0 (00:AA:01:00:00:00)"
    for before, after, arguments, says in (
        ("power off", "power on", [], "is switched off ({})".format(name)),
        ("discovery_error InProgress x", "discovery_error -", ["--json"], "that is dbus-ble-sensors ({})".format(name)),
        ("power on", "power on", ["--adapter", "hci7", "--json"], "(hci7; there is {})".format(name)),
        ("remove_adapter", "add_adapter", ["--json"], "(none at all)"),
        ("crash", "start", ["--json"], "(bluetoothd) is not running"),
    ):
        await bluez.tell(before)
        code, out, err = await Program(bluez.address, *arguments).ended()
        await bluez.tell(after)
        assert (code, out) == (1, ""), before
        assert len(err.splitlines()) == 1
        assert err.startswith("dbus-btbattery: cannot scan: ") and says in err


async def test_nothing_around_is_a_result(bluez):
    """0, and a hint. The launcher that people know does the same."""
    await bluez.tell("adv 0 off")
    await bluez.tell("adv 1 off")
    program = Program(bluez.address, "--seconds", "500", launcher=[sys.executable, str(ROOT / "scan.py")])
    await _called(bluez, "StartDiscovery")
    program.interrupt()
    code, out, _ = await program.ended()
    assert code == 0
    assert out.splitlines()[-1].startswith("nothing heard. Is the battery")
