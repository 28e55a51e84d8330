"""Which bus a command publishes on: that of the system, one that was named, a private one, or none."""

from __future__ import annotations

import logging
import os
from typing import Optional

from adapters.dbus import BusUnavailable, PrivateBus, choose_address, probe

log = logging.getLogger(__name__)

PRIVATE_INSTANCE = 1
_NAMED_BY = ("DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS")


class Bus:
    """The bus that services go to; possibly one of our own."""

    def __init__(self, address: Optional[str], private: Optional[PrivateBus] = None) -> None:
        self.address = address
        self.private = private

    async def stop(self) -> None:
        """End a bus of our own."""
        if self.private is not None:
            await self.private.stop()

    def kill(self) -> None:
        """The same at once, when time is up."""
        if self.private is not None:
            self.private.kill()

    def describe(self) -> str:
        """For the status."""
        if self.address is None:
            return "none; nothing is published"
        return self.address + (" (private)" if self.private else "")


async def open_bus(option: Optional[str], *, may_be_private: bool) -> Bus:
    """The bus for ``--bus`` *option*. Raises :class:`BusUnavailable`.

    *may_be_private*: batteries that are not real go to a bus that the environment names, else to one of our own. They
    never find their way to the system bus of the machine by themselves: on a Victron device they would be taken for
    batteries, elsewhere its policy refuses the name.
    """
    if option == "none":
        return Bus(None)
    if option == "private":
        return await _private_bus()
    if option is None and may_be_private and not any(name in os.environ for name in _NAMED_BY):
        return await _own_bus()
    try:
        address = choose_address(option)
        await probe(address)
        return Bus(address)
    except BusUnavailable:
        if option is not None or not may_be_private:
            raise
    return await _own_bus()


async def _own_bus() -> Bus:
    if not PrivateBus.installed():
        log.warning("no D-Bus here, and no dbus-daemon to start one: running without publishing")
        return Bus(None)
    return await _private_bus()


async def _private_bus() -> Bus:
    private = await PrivateBus.start()
    return Bus(private.address, private)


def choose_instance(option: Optional[int], bus: Bus, *, settings: bool = True) -> Optional[int]:
    """The DeviceInstance of the first service; ``None`` on a bus of others, whose settings service assigns it."""
    if option is not None:
        return option
    if settings and bus.private is None and bus.address is not None:
        return None
    return PRIVATE_INSTANCE
