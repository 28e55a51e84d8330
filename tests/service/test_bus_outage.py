"""The bus goes away and comes back: same name, and a battery that was old stays old."""

import time

from rawbus import RawBus

from tests.programs import running, stop, wait_until

SERVICE = "com.victronenergy.battery.sim_a"
BUS_ITEM = "com.victronenergy.BusItem"


def _information(address):
    """ConnectionInformation, or None while the service or the bus is not there."""
    try:
        client = RawBus(address)
    except OSError:
        return None
    try:
        if client.owner(SERVICE) is None:
            return None
        return client.call(SERVICE, "/ConnectionInformation", BUS_ITEM, "GetValue").args[0][1][1]
    finally:
        client.close()


def _stale_s(address):
    text = _information(address)
    if text is None or not text.startswith("Stale"):
        return None
    hours, minutes, seconds = text.split()[1].rstrip(",").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def test_dbus_daemon_restarted(bus, tmp_path):
    """Back with the same name within 10 s; the age of the data went on meanwhile."""
    options = ("--instance", "1", "--bus", bus.address, "--database", tmp_path / "log.db")
    with running("run", "sim:a?drop=2+600", *options) as program:
        before_s = wait_until(lambda: _stale_s(bus.address), seconds=40, what="a stale battery")
        stopped = time.monotonic()
        bus.stop()
        time.sleep(1)
        bus.start()
        restarted = time.monotonic()
        after_s = wait_until(lambda: _stale_s(bus.address), seconds=10, what="the service")
        assert time.monotonic() - restarted < 10
        assert after_s - before_s >= int(restarted - stopped)
        assert stop(program)[0] == 0


def test_second_copy_is_refused(bus, tmp_path):
    """The name is claimed once; the second program says so and ends with 1."""
    options = ("--instance", "1", "--bus", bus.address)
    with running("run", "sim:a", *options, "--database", tmp_path / "one.db"):
        wait_until(lambda: _information(bus.address), what="the first copy")
        with running("run", "sim:a", *options, "--database", tmp_path / "two.db") as second:
            _, stderr = second.communicate(timeout=20)
            assert second.returncode == 1
            assert "is taken; is another copy running?" in stderr


def test_names_are_released_at_once_on_stop(bus, tmp_path):
    """SIGTERM: the name is gone within a second, the exit code is 0."""
    with running("run", "sim:a", "--instance", "1", "--bus", bus.address, "--database", tmp_path / "log.db") as program:
        wait_until(lambda: _information(bus.address), what="the service")
        client = RawBus(bus.address)
        begun = time.monotonic()
        code, _, _ = stop(program)
        assert code == 0
        assert client.owner(SERVICE) is None
        assert time.monotonic() - begun < 2
        client.close()
