"""The ``release`` command against the running program: the battery is free for a phone, and comes back by itself."""

import asyncio

import pytest

from core.events import LinkEstablished, LinkLost, LinkReleased
from tests.programs import run, running, wait_until
from tests.storage.logs import read_log
from tests.victron.rawbus import RawBus

SERVICE = "com.victronenergy.battery.virtual_parallel"
ITEM = "com.victronenergy.BusItem"


@pytest.fixture
def house(bus, tmp_path):
    """Two batteries in parallel, ten times as fast, and somebody who looks at them."""
    database = tmp_path / "log.db"
    options = ("--instance", 1, "--no-settings", "--bus", bus.address, "--database", database, "--accelerate", 10)
    with running("run", "-p", "sim:a", "sim:b", *options):
        client = RawBus(bus.address)
        wait_until(lambda: client.owner(SERVICE), what="the service")
        yield client, database
        client.close()


def value(client, path):
    """What the service shows at *path*."""
    return client.call(SERVICE, path, ITEM, "GetValue").args[0][1][1]


def facts(database, kind):
    """The facts of one kind that are stored."""
    return [event.fact for event in asyncio.run(read_log(database)) if isinstance(event.fact, kind)]


def test_one_battery_is_released_and_comes_back_by_itself(bus, house):
    """Its minutes count down on the bus, the other one goes on, and the log tells what happened."""
    client, database = house
    done = run("release", 1, "b", "--bus", bus.address)
    assert (done.returncode, done.stdout) == (0, "b: released for 1 min, then taken back by itself\n")
    wait_until(lambda: value(client, "/Battery/2/ReleaseMinutes") == 1)
    wait_until(lambda: "released" in value(client, "/ConnectionInformation"), what="the reason")
    assert value(client, "/Battery/1/ReleaseMinutes") == 0
    assert isinstance(value(client, "/Battery/1/Voltage"), float)
    wait_until(lambda: value(client, "/ConnectionInformation") == "Connected", what="its return")
    assert value(client, "/Battery/2/ReleaseMinutes") == 0
    wait_until(lambda: len(facts(database, LinkEstablished)) == 3, what="the log")
    assert facts(database, LinkReleased) == [LinkReleased("sim_b", 1)]
    assert facts(database, LinkLost) == [LinkLost("sim_b", "released", "for 1 min")]


def test_all_are_released_and_taken_back_at_once(bus, house):
    """0 ends it."""
    client, _ = house
    done = run("release", 600, "--bus", bus.address)
    assert done.stdout.splitlines() == [name + ": released for 600 min, then taken back by itself" for name in "ab"]
    wait_until(lambda: "released" in value(client, "/ConnectionInformation"))
    assert run("release", 0, "--bus", bus.address).stdout.splitlines() == ["a: taken back", "b: taken back"]
    wait_until(lambda: value(client, "/ConnectionInformation") == "Connected")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("2000",), 2, "is no number from 0 to 1440"),
        (("5", "c"), 2, "no battery c on this bus, only a, b"),
    ],
)
def test_what_cannot_be_released(bus, house, arguments, code, says):
    """One line that says what, and the right exit code."""
    done = run("release", *arguments, "--bus", bus.address)
    assert done.returncode == code and says in done.stderr.splitlines()[-1]


def test_nobody_there(bus):
    """No program of ours on this bus."""
    done = run("release", 5, "--bus", bus.address)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "is it running, and connected?" in done.stderr
