"""Runs our launchers and a private dbus-daemon as real processes, for tests."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER = ROOT / "dbus-btbattery.py"

_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy></busconfig>"""


def environment(**changes):
    """Ours without any bus, and with *changes*."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DBUS_")}
    return {**kept, **changes}


def command(*arguments):
    """The command line that runs our program under this Python."""
    return [sys.executable, str(LAUNCHER), *[str(argument) for argument in arguments]]


def run(*arguments, timeout=60, stdin="", env=None):
    """Run to the end; the CompletedProcess has text."""
    return subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=env or environment(),
        check=False,
    )


@contextlib.contextmanager
def running(*arguments, env=None, stdout=subprocess.PIPE):
    """Our program in the background; killed at the end if it still runs."""
    process = subprocess.Popen(
        command(*arguments), stdout=stdout, stderr=subprocess.PIPE, text=True, env=env or environment()
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def stop(process, seconds=10):
    """SIGTERM; the exit code, stderr and how long it took."""
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=seconds)
    return process.returncode, stderr, time.monotonic() - started


def wait_until(condition, seconds=20, what="the condition"):
    """Poll *condition* until it gives something true; fail loudly otherwise."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError("{} did not come in {} s".format(what, seconds))


class BusDaemon:
    """A real dbus-daemon on a socket that stays the same over restarts."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self.address = "unix:path={}/bus".format(folder)
        self._process = None
        (self._folder / "bus.conf").write_text(_BUS.format(folder=folder), encoding="utf-8")

    def start(self):
        """Start, and return when clients can connect."""
        path = self._folder / "bus"
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._process = subprocess.Popen(
            ["dbus-daemon", "--config-file={}/bus.conf".format(self._folder), "--nofork", "--nopidfile"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: _accepts(path), what="the bus")

    def stop(self):
        """Kill it, as a crash does."""
        self._process.kill()
        self._process.wait()


def _accepts(path):
    """Whether somebody listens; the file of a socket is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(str(path)) == 0


@contextlib.contextmanager
def bus_daemon():
    """A running :class:`BusDaemon`."""
    with tempfile.TemporaryDirectory(prefix="btb") as folder:
        daemon = BusDaemon(folder)
        daemon.start()
        try:
            yield daemon
        finally:
            daemon.stop()
