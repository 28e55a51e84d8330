"""What a scan shows, without any radio: the order, the table, the live screen, the closing lines, the JSON."""

import io
import json

import pytest

from adapters.dbus.bluez import Adapter, Device, Snapshot
from adapters.proof import Proof
from adapters.radio import LinkDropped
from core import protocols
from core.protocols.base import Advertisement
from core.readings import CellReading, Identity, PackReading
from service.scan_list import ScanList
from service.scan_report import closing_lines, document
from service.scan_screen import ScanScreen
from service.scan_table import table, told

JBD = "70:3E:97:08:00:62"
OTHER = "A4:C1:37:40:89:5E"
FF00 = "0000ff00-0000-1000-8000-00805f9b34fb"
HCI0 = Adapter("/org/bluez/hci0", "hci0", "00:AA", True, True)
HCI1 = Adapter("/org/bluez/hci1", "hci1", "00:BB", True, True)


def _heard(*advertisements, adapter="hci0"):
    found = ScanList()
    for advertisement in advertisements:
        found.hear(adapter, advertisement)
    return found


def _proof(name="JBD-SP04S034"):
    proof = Proof(protocols.find("jbd"))
    proof.pack = PackReading(13280, -5200, 4, nominal_mah=100000, soc_permille=800)
    proof.cells, proof.identity = CellReading((3320, 3321, 3319, 3320)), Identity(name)
    return proof


def test_supported_first_then_by_signal():
    """However strong a television is; what has no signal comes last."""
    found = _heard(
        Advertisement("11:11:11:11:11:11", "TV", -30),
        Advertisement(OTHER, None, -90),
        Advertisement("22:22:22:22:22:22", None, None),
        Advertisement(JBD, "JBD-SP", -80),
    )
    assert [device.address[:2] for device in found.devices] == ["70", "A4", "11", "22"]
    assert [device.address for device in found.supported] == [JBD, OTHER]


def test_what_was_heard_once_is_kept():
    """A later advertisement without name and services takes nothing away; its signal counts."""
    found = _heard(Advertisement(JBD.lower(), "JBD-SP", -80, (FF00,)), Advertisement(JBD, None, -60))
    (device,) = found.devices
    assert (device.name, device.services, device.best_rssi_dbm) == ("JBD-SP", (FF00,), -60)
    assert device.reason == "service ff00 + name + address"


def test_adapters_that_hear_it_best_first():
    """That one is shown, and is asked to connect."""
    found = _heard(Advertisement(JBD, "JBD-SP", -80))
    found.hear("hci1", Advertisement(JBD, "JBD-SP", -60))
    assert found.devices[0].adapters == ["hci1", "hci0"]
    assert "-60 dBm  hci1   JBD-SP" in table(found.devices, {})[0]


def test_what_bluez_knows_already():
    """Connected ones that look like a battery, and those with a signal; not what it merely remembers."""
    devices = (
        Device("/org/bluez/hci1/dev_1", JBD, "public", "JBD-SP", True),
        Device("/org/bluez/hci0/dev_2", OTHER, "random", None, False, (), -70),
        Device("/org/bluez/hci1/dev_3", "33:33:33:33:33:33", "public", "x", False, (), -70),
        Device("/org/bluez/hci0/dev_4", "44:44:44:44:44:44", "public", "keyboard", True),
        Device("/org/bluez/hci0/dev_5", "55:55:55:55:55:55", "public", "JBD-old", False),
    )
    found = ScanList()
    found.take(Snapshot((HCI0, HCI1), devices), ["hci0"])
    assert [device.address for device in found.devices] == [OTHER, JBD]
    assert [device.in_use for device in found.devices] == [False, True]
    assert [device.address_type for device in found.devices] == ["random", "public"]
    lines = table(found.devices, {})
    assert lines[0].startswith(OTHER + "  random   -70 dBm")
    assert lines[1].startswith(JBD + "           --- dBm")
    assert lines[2].strip() == "connected: in use by this device"
    found.take(Snapshot((HCI0,), ()), [])
    assert [device.in_use for device in found.devices] == [False, False]


def test_a_name_from_the_air_draws_nothing():
    """Escape sequences, new lines and letters that turn the line around are left out; a long name is cut."""
    found = _heard(Advertisement(JBD, "\x1b[2J\nJBD\u202e-" + "x" * 300, -50))
    (line,) = table(found.devices, {})
    assert line.isprintable()
    assert len(line) < 100


def test_answers_and_states():
    """Below each device what it answered, or what is being done with it."""
    third = "10:A5:62:00:00:01"
    found = _heard(Advertisement(JBD, "JBD-SP", -50), Advertisement(OTHER, None, -60), Advertisement(third, None, -70))
    one, two, _ = found.devices
    one.answer, two.answer = _proof("JBD-\x07SP"), LinkDropped("no battery service", "no\nff00")
    lines = [line.strip() for line in table(found.devices, dict.fromkeys((JBD, third), "being asked"))]
    assert lines[1] == "answers: JBD-SP, 4 cells, 13.28 V, 80 %"
    assert (
        lines[3] == "no answer: the device has none of the services of such a battery (noff00). It is something else."
    )
    assert lines[5] == "being asked"


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        ("scan refused: in progress", "dbus-ble-sensors (hci0). Switch off Settings, Integrations"),
        ("unknown", "BlueZ refused (hci0). Scan again."),
        ("adapter switched off", "bluetoothctl power on"),
        ("password wanted", "Set PASSWORD"),
        ("connect timed out", "Bring battery and adapter closer"),
    ],
)
def test_causes_come_with_what_helps(cause, says):
    """For somebody who scans: nothing is tried again by itself."""
    assert says in told(LinkDropped(cause, "hci0"), "BlueZ refused")
    assert "by itself" not in told(LinkDropped(cause), "BlueZ refused")


def test_live_screen_shows_what_fits():
    """80 by 24 where the terminal does not tell its size; the result is whole."""
    stream = io.StringIO()
    lines = ["{:02} {}".format(number, "x" * 100) for number in range(40)]
    screen = ScanScreen(stream, lambda: lines)
    screen.draw()
    shown = stream.getvalue().replace("\x1b[H\x1b[2J", "").splitlines()
    assert len(shown) == 23
    assert max(map(len, shown)) == 80
    assert shown[-1] == "... and 18 lines more, at the end"
    screen.draw_last(lines)
    assert stream.getvalue().endswith("\n".join(lines) + "\n")


def test_closing_lines():
    """One battery has one command line, two have one for each way they may be wired, and hints stand for the rest."""
    nothing = closing_lines([], confirmed_only=False)
    assert nothing == ["nothing heard. Is the battery switched on and near, and no phone connected to it?"]
    television = _heard(Advertisement("11:11:11:11:11:11", "TV", -30)).devices
    assert closing_lines(television, confirmed_only=False)[0].startswith("none of these looks like")
    found = _heard(Advertisement(JBD, "JBD-SP", -50), Advertisement(OTHER, None, -60))
    both = closing_lines(found.devices, confirmed_only=False)
    assert "only a hint" in both[0] and "--confirm" in both[0]
    assert [line.strip() for line in both if line.startswith(" ")] == [
        "./dbus-btbattery.py -s {} {}".format(JBD, OTHER),
        "./dbus-btbattery.py -p {} {}".format(JBD, OTHER),
    ]
    assert closing_lines(found.devices, confirmed_only=True) == ["no battery has answered."]
    found.devices[1].answer = _proof()
    assert closing_lines(found.devices, confirmed_only=True) == ["To read it:", "", "    ./dbus-btbattery.py " + OTHER]
    for device in found.devices:
        device.in_use = True
    (line,) = closing_lines(found.devices, confirmed_only=True)
    assert line.endswith("left out: {} {}".format(JBD, OTHER))


def test_json_document():
    """Every key is always there; two batteries leave the choice of the wiring to people."""
    found = _heard(Advertisement(JBD, "JBD-SP", -50, (FF00,)), Advertisement(OTHER, None, None))
    found.devices[0].answer = _proof()
    told_all = json.loads(document(found.devices, confirmed_only=False))
    assert told_all["command"] is None
    assert sorted(told_all["commands"]) == ["parallel", "series"]
    one, two = told_all["devices"]
    assert one["confirmed"] == {
        "answers": True, "hardware_name": "JBD-SP04S034", "cells": 4, "voltage_V": 13.28, "current_A": -5.2,
        "soc_pct": 80.0, "capacity_Ah": 100.0, "cell_voltages_V": [3.32, 3.321, 3.319, 3.32],
    }  # fmt: skip
    assert two == {
        "address": OTHER, "address_type": None, "name": None, "rssi_dbm": None, "adapter": None, "services": [],
        "supported": "jbd", "reason": "address", "in_use": False, "confirmed": None,
    }  # fmt: skip
    told_confirmed = json.loads(document(found.devices, confirmed_only=True))
    assert told_confirmed["command"] == "./dbus-btbattery.py " + JBD
    assert json.loads(document([], confirmed_only=False)) == {"devices": [], "command": None, "commands": {}}
