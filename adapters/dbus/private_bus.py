"""A dbus-daemon of our own, for a machine without one and for a battery that must not meet the real system."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Optional

from adapters.dbus.address import BusUnavailable

START_S = 5.0
STOP_S = 2.0

_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


class PrivateBus:
    """Runs until :meth:`stop`."""

    def __init__(self, process: asyncio.subprocess.Process, folder: str, address: str) -> None:
        self._process = process
        self._folder = folder
        self.address = address

    @staticmethod
    def installed() -> bool:
        """Whether the program dbus-daemon is there."""
        return shutil.which("dbus-daemon") is not None

    @classmethod
    async def start(cls) -> PrivateBus:
        """Raises :class:`BusUnavailable`."""
        folder = tempfile.mkdtemp(prefix="btbattery-bus-")
        configuration = Path(folder) / "bus.conf"
        configuration.write_text(_CONFIGURATION.format(folder=folder), encoding="utf-8")
        process: Optional[asyncio.subprocess.Process] = None
        try:
            process = await asyncio.create_subprocess_exec(
                "dbus-daemon",
                "--config-file={}".format(configuration),
                "--nofork",
                "--nopidfile",
                "--print-address=1",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the terminal is for us: we release our names first
            )
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), START_S)
        except (OSError, asyncio.TimeoutError) as error:
            if process is not None:
                process.kill()
            shutil.rmtree(folder, ignore_errors=True)
            raise BusUnavailable("cannot start a private dbus-daemon: {}".format(error or "no answer")) from None
        if not line:
            shutil.rmtree(folder, ignore_errors=True)
            raise BusUnavailable("the private dbus-daemon ended at once")
        return cls(process, folder, line.decode().strip().split(",guid=")[0])

    def kill(self) -> None:
        """End the daemon at once."""
        if self._process.returncode is None:
            self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def stop(self) -> None:
        """End the daemon and remove its folder."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_S)
            except asyncio.TimeoutError:
                self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
