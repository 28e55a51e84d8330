"""The BlueZ double as a process of its own, and its fixtures: `from ... import bluez, bluez_with` in a conftest."""

import asyncio
import contextlib
import shutil
import subprocess
import sys

import pytest

from tests.programs import ROOT, bus_daemon, wait_until

PROGRAM = ROOT / "tests" / "doubles" / "bluez" / "fake_bluez.py"


class Double:
    """A running double, steered over a TCP line; see tests/doubles/bluez/control.py for the verbs."""

    def __init__(self, address, port):
        self.address = address
        self._port = port

    async def tell(self, line):
        """Send one command; its answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(line.encode() + b"\n")
        answer = (await reader.readline()).decode().strip()
        writer.close()
        await writer.wait_closed()
        assert not answer.startswith("error"), answer
        return answer


@contextlib.contextmanager
def running_double(address, port, ready, *, count=2, adapters=1):
    """A :class:`Double` on the bus at *address* that has touched the file *ready*."""
    command = [sys.executable, str(PROGRAM), "--bus", address, "--control", "127.0.0.1:{}".format(port)]
    options = ["--count", str(count), "--adapters", str(adapters), "--ready", str(ready)]
    process = subprocess.Popen(command + options, stderr=subprocess.DEVNULL)
    try:
        wait_until(ready.exists, what="the BlueZ double")
        yield Double(address, port)
    finally:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


@pytest.fixture
def bluez_with(tmp_path, monkeypatch, unused_tcp_port_factory):
    """Call it, once, for a double that real bleak talks to: bluez_with(count=4, adapters=2)."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    with contextlib.ExitStack() as stack:

        def start(**how_many):
            daemon = stack.enter_context(bus_daemon())
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)
            port, ready = unused_tcp_port_factory(), tmp_path / "ready"
            return stack.enter_context(running_double(daemon.address, port, ready, **how_many))

        yield start


@pytest.fixture
def bluez(bluez_with):
    """Two JBD batteries (A4:C1:38:00:00:00 and :01) behind one adapter of a BlueZ double that real bleak talks to."""
    return bluez_with()
