"""Doubles on a private bus: BlueZ and the settings service."""

import asyncio
import contextlib
import shutil
import subprocess
import sys

import pytest

from tests.doubles.settings_service import SettingsService
from tests.programs import ROOT, bus_daemon

BLUEZ = ROOT / "tests" / "doubles" / "bluez"


class Double:
    """The double as a process of its own, steered over a TCP line; see fake_bluez.py for the verbs."""

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


@pytest.fixture
def bluez(tmp_path, monkeypatch, unused_tcp_port):
    """Two JBD batteries (A4:C1:38:00:00:00 and :01) behind a BlueZ double that real bleak talks to."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    with bus_daemon() as daemon:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)
        ready = tmp_path / "ready"
        double = subprocess.Popen(
            [sys.executable, str(BLUEZ / "fake_bluez.py"), "--bus", daemon.address, "--count", "2"]
            + ["--control", "127.0.0.1:{}".format(unused_tcp_port), "--ready", str(ready)],
            stderr=subprocess.DEVNULL,
        )
        try:
            from tests.programs import wait_until

            wait_until(ready.exists, what="the BlueZ double")
            yield Double(daemon.address, unused_tcp_port)
        finally:
            double.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                double.wait(5)


@pytest.fixture
def absent(bus, tmp_path):
    """A settings service that has not started; stopped at the end."""
    service = SettingsService(bus.address, tmp_path / "settings.json")
    yield service
    service.stop()


@pytest.fixture
def settings(absent):
    """A settings service on the bus."""
    absent.start()
    return absent
