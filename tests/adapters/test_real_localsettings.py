"""The promises of the settings client against Victron's own localsettings, and the double beside it.

It is not part of this project: ``REF`` names a folder with a checkout of it as ``victronenergy+localsettings``.
"""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest
from rawbus import RawBus, py

from tests.adapters.settings_client import PANTRY, PATIENT, SHELF, in_thread, running, until
from tests.doubles.settings_service import INTERFACE, SettingsService, instance_path, name_path, set_value
from tests.doubles.settings_service import NAME as SETTINGS
from tests.programs import environment, wait_until

PYTHON = "/usr/bin/python3"
NEEDED = "import dbus, gi, lxml, psutil"


class LocalSettings:
    """The real one, in a folder of its own."""

    def __init__(self, address, program, folder):
        self._address = address
        self._program = program
        self._folder = folder
        self._process = None

    def start(self):
        """Return when it owns its name."""
        self._process = subprocess.Popen(
            [PYTHON, "-B", str(self._program), "--path={}".format(self._folder), "--no-delay"],
            cwd=str(self._folder),
            env=environment(DBUS_SESSION_BUS_ADDRESS=self._address),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with contextlib.closing(RawBus(self._address)) as client:
            wait_until(lambda: client.owner(SETTINGS), what="localsettings")

    def stop(self):
        """As daemontools stops it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def restart(self):
        """Stop and start."""
        self.stop()
        self.start()


@pytest.fixture
def real(bus, tmp_path):
    """Victron's localsettings on the bus; skipped where it or what it needs is missing."""
    program = Path(os.environ.get("REF", "")) / "victronenergy+localsettings" / "localsettings.py"
    if "REF" not in os.environ or not program.exists():
        pytest.skip("REF names no folder with victronenergy+localsettings")
    if not Path(PYTHON).exists() or subprocess.run([PYTHON, "-c", NEEDED], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("{} cannot {}".format(PYTHON, NEEDED))
    settings = LocalSettings(bus.address, program, tmp_path)
    settings.start()
    yield settings
    settings.stop()


def _call(address, path, interface, member, signature="", arguments=()):
    with contextlib.closing(RawBus(address)) as client:
        reply = client.call(SETTINGS, path, interface, member, signature, arguments)
        return reply.error or [py(argument) for argument in reply.args]


def _value(address, path):
    return _call(address, path, "com.victronenergy.BusItem", "GetValue")[0]


async def test_instance_and_name_survive_restarts_of_both_sides(bus, real):
    """The same battery has the same instance and name, whoever restarts and whoever asks first."""
    async with running(bus, SHELF, PANTRY) as client:
        client.client.set_custom_name(PANTRY.service, "Pantry \u00e4")
        assert [await client.instance(SHELF), await client.instance(PANTRY)] == [1, 2]
        path = name_path(PANTRY.unique)
        with contextlib.closing(RawBus(bus.address)) as user:
            get = (SETTINGS, path, "com.victronenergy.BusItem", "GetValue")
            await in_thread(wait_until, lambda: py(user.call(*get).args[0]) == "Pantry \u00e4")
    await in_thread(real.restart)
    async with running(bus, PANTRY, SHELF) as client:
        assert [await client.instance(SHELF), await client.instance(PANTRY)] == [1, 2]
        assert client.known(PANTRY, "CustomName") == "Pantry \u00e4"
        assert client.known(SHELF, "CustomName") == ""


async def test_two_never_share_an_instance(bus, real):
    """Two programs that ask at the same time, and a user who wants both to be the same."""
    async with running(bus, SHELF, periods=PATIENT) as first, running(bus, PANTRY, periods=PATIENT) as second:
        instances = {SHELF: await first.instance(SHELF), PANTRY: await second.instance(PANTRY)}
        assert sorted(instances.values()) == [1, 2]
        one, two = sorted(instances, key=instances.__getitem__)
        assert await in_thread(set_value, bus.address, instance_path(one.unique), "battery:2") == 0
        await until(lambda: 3 in (first.known(SHELF), second.known(PANTRY)), "the next free instance")
        assert {first.known(SHELF), second.known(PANTRY)} == {2, 3}
        assert (first if two is SHELF else second).known(two) == 2


async def test_change_by_a_user_and_restart_while_running(bus, real, caplog):
    """Changes are heard before and after a restart of the service, and nothing is reported twice."""
    async with running(bus, SHELF, periods=PATIENT) as client:
        await client.instance(SHELF)
        assert await in_thread(set_value, bus.address, instance_path(SHELF.unique), "battery:7") == 0
        await until(lambda: client.known(SHELF) == 7, "the instance")
        await in_thread(real.stop)
        await until(lambda: "went away" in caplog.text, "the line in the log")
        client.client.set_custom_name(SHELF.service, "Shelf")
        await in_thread(real.start)
        with contextlib.closing(RawBus(bus.address)) as user:
            get = (SETTINGS, name_path(SHELF.unique), "com.victronenergy.BusItem", "GetValue")
            await in_thread(wait_until, lambda: py(user.call(*get).args[0]) == "Shelf")
        assert await in_thread(set_value, bus.address, name_path(SHELF.unique), "Attic") == 0
        await until(lambda: client.known(SHELF, "CustomName") == "Attic", "the name")
        changes = [("CustomName", ""), ("DeviceInstance", 1), ("DeviceInstance", 7), ("CustomName", "Attic")]
        assert client.reports == [(SHELF.service, kind, value) for kind, value in changes]


def _definitions():
    """What AddSettings is asked in a row: every code that the double knows, and what is good."""
    device = "/Settings/Devices/{}/{}".format
    text = [
        (device("a", "ClassAndVrmInstance"), "battery:1"),
        (device("b", "ClassAndVrmInstance"), "battery:1"),
        (device("c", "ClassAndVrmInstance"), "battery:2"),
        (device("d", "ClassAndVrmInstance"), "tank:2"),
        (device("a", "ClassAndVrmInstance"), "battery:1"),
        (device("b", "ClassAndVrmInstance"), "battery:9"),
        (device("e", "ClassAndVrmInstance"), "battery"),
        (device("f", "ClassAndVrmInstance"), "battery:x"),
        (device("a", "CustomName"), ""),
        (device("_a", "CustomName"), ""),
        ("/Settings/Devices/a", ""),
        ("/Elsewhere/a", ""),
    ]
    typed = [(device("a", "CustomName"), "i", 1), (device("a", "Number"), "i", 5), (device("a", "Other"), "ai", [1])]
    wanted = [(path, "s", default) for path, default in text] + typed
    return [[("path", ("s", path)), ("default", (wire, default))] for path, wire, default in wanted] + [
        [("default", ("s", ""))]
    ]


WRITES = [
    ("a", "battery:1", 0),
    ("a", "battery:2", 0),
    ("a", "battery:x", -1),
    ("b", "tank:02", 0),
    ("c", "battery:3", 0),
]


def _behaviour(address):
    """What a service answers and then holds."""
    added = _call(address, "/", INTERFACE, "AddSettings", "aa{sv}", [_definitions()])
    paths = [instance_path(unique) for unique in "abcd"]
    written = [set_value(address, instance_path(unique), value) for unique, value, _ in WRITES]
    removed = _call(address, "/", INTERFACE, "RemoveSettings", "as", [[paths[0], "/Settings/None"]])
    gone = _call(address, paths[0], "com.victronenergy.BusItem", "GetValue")
    return added, written, removed, isinstance(gone, str), [_value(address, path) for path in paths[1:]]


def test_double_behaves_as_the_real_one(bus, real, tmp_path):
    """The same codes, values and instances for the same calls."""
    theirs = _behaviour(bus.address)
    real.stop()
    double = SettingsService(bus.address, tmp_path / "settings.json")
    double.start()
    try:
        assert _behaviour(bus.address) == theirs
    finally:
        double.stop()
    assert theirs[1] == [code for _, _, code in WRITES]
