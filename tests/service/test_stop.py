"""SIGTERM at any moment: exit code 0, and the log complete up to a SessionEnded."""

import asyncio
import signal
import sqlite3

import pytest

from core.events import ReadingTaken, SessionEnded, SessionStarted
from storage.event_reader import EventReader
from tests.doubles.bluez_process import running_double
from tests.programs import environment, running, stop, wait_until
from tests.storage.logs import query


def _events(database):
    async def read():
        async with await EventReader.open(database) as reader:
            return [event async for event in reader.events()]

    return asyncio.run(read())


def _assert_complete(database):
    events = _events(database)
    assert isinstance(events[0].fact, SessionStarted)
    assert isinstance(events[-1].fact, SessionEnded)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    return events


def _begun(program):
    """The daemon has said where it writes: from here on a stop must be orderly."""
    assert "database" in program.stderr.readline()


@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.35, 0.9, 1.05, 2.0])
def test_stop_at_any_moment_of_a_simulated_battery(tmp_path, delay_s):
    """Before the first reading, while connecting, while reading, afterwards."""
    import time

    database = tmp_path / "log.db"
    with running("run", "sim:a", "--bus", "none", "--database", database) as program:
        _begun(program)
        time.sleep(delay_s)
        code, stderr, seconds = stop(program)
    assert code == 0, stderr
    assert seconds < 3
    _assert_complete(database)


def _readings_in(database):
    """How many readings are stored by now."""
    if not database.exists():
        return 0
    try:
        return query(database, "SELECT count(*) FROM event WHERE kind = 1")[0][0]
    except sqlite3.OperationalError:  # being made
        return 0


def test_stop_while_committing(tmp_path):
    """Accelerated, so that a commit is under way most of the time: nothing is lost or doubled."""
    database = tmp_path / "log.db"
    config = tmp_path / "config.ini"
    config.write_text("[DEFAULT]\nCOMMIT_SECONDS = 1\nPOLL_SECONDS = 1\n")
    batteries = ["sim:b{}?cells=16".format(n) for n in range(4)]
    options = ("--bus", "none", "--database", database, "--config", config, "--accelerate", "200")
    with running("run", *batteries, *options) as program:
        _begun(program)
        wait_until(lambda: _readings_in(database) > 100)
        code, stderr, _ = stop(program)
    assert code == 0, stderr
    events = _assert_complete(database)
    assert sum(isinstance(event.fact, ReadingTaken) for event in events) > 100


@pytest.mark.parametrize(("verb", "moment"), [("connect_delay 0 30", "connecting"), ("silent 0 1", "reading")])
def test_stop_while_bluetooth_hangs(tmp_path, bus, unused_tcp_port, verb, moment):
    """A BlueZ that never answers does not hold the stop up: exit 0 within 5 s."""
    import time

    ready, database = tmp_path / "ready", tmp_path / "log.db"
    with running_double(bus.address, unused_tcp_port, ready, count=1):
        _tell(unused_tcp_port, verb)
        env = environment(DBUS_SYSTEM_BUS_ADDRESS=bus.address)
        options = ("--bus", "none", "--database", database)
        with running("run", "A4:C1:38:00:00:00", *options, env=env) as program:
            _begun(program)
            asked = "Device1.Connect" if moment == "connecting" else "WriteValue"
            wait_until(lambda: asked in _tell(unused_tcp_port, "stats"), what=asked)
            time.sleep(0.2)
            code, stderr, seconds = stop(program)
        assert code == 0, stderr
        assert seconds < 6
        _assert_complete(database)


def _tell(port, line):
    import socket

    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(line.encode() + b"\n")
        return connection.makefile().readline()


def test_stop_before_anything_is_loaded():
    """A SIGTERM while Python still imports: exit 0."""
    with running("run", "sim:a", "--bus", "none") as program:
        wait_until(lambda: b"dbus-btbattery" in _command_line(program.pid) and _catches_sigterm(program.pid))
        code, stderr, _ = stop(program)
    assert code == 0, stderr


def _catches_sigterm(pid):
    """Whether the first lines of the program have run."""
    with open("/proc/{}/status".format(pid), encoding="ascii") as status:
        caught = next(line.split()[1] for line in status if line.startswith("SigCgt"))
    return bool(int(caught, 16) & 1 << signal.SIGTERM - 1)


def _command_line(pid):
    with open("/proc/{}/cmdline".format(pid), "rb") as file:
        return file.read()
