"""A settings client that runs beside a test, and what it reported."""

import asyncio
import contextlib

from adapters.dbus import SettingsClient, SettingsEntry
from adapters.dbus.settings import Periods

SHELF = SettingsEntry("ble_shelf", "btbattery_shelf", 1)
PANTRY = SettingsEntry("ble_pantry", "btbattery_pantry", 1)

QUICK = Periods(poll_s=0.02, retry_s=0.02, reconnect_s=(0.02,))
PATIENT = Periods(poll_s=3600, remind_s=3600, retry_s=3600, reconnect_s=(0.02,))
"""Nothing happens by itself: what happens was told by the bus."""


class Running:
    """The client, its task, and every report in order."""

    def __init__(self, client, reports):
        self.client = client
        self.reports = reports

    def known(self, entry, kind="DeviceInstance"):
        """The last report."""
        values = [value for service, reported, value in self.reports if (service, reported) == (entry.service, kind)]
        return values[-1] if values else None

    async def instance(self, entry):
        """Wait for the instance of *entry*."""
        await until(lambda: self.known(entry) is not None, "an instance")
        return self.known(entry)


@contextlib.asynccontextmanager
async def running(bus, *entries, periods=QUICK):
    """A :class:`Running` client; the test fails when it ends by itself."""
    reports = []
    client = SettingsClient(bus.address, entries or (SHELF,), lambda *report: reports.append(report), periods)
    task = asyncio.ensure_future(client.run())
    try:
        yield Running(client, reports)
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition, what="the condition", seconds=20):
    """Give the client its turns until *condition* is true; fail loudly otherwise."""
    loop = asyncio.get_event_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "{} did not come in {} s".format(what, seconds)
        await asyncio.sleep(0.005)


async def in_thread(function, *arguments):
    """What would block the client."""
    return await asyncio.get_event_loop().run_in_executor(None, function, *arguments)
