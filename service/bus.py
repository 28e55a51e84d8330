"""Which bus a command publishes on: that of the system, one that was named, a private one, or none."""

from __future__ import annotations

import logging
from typing import Optional

from adapters.dbus import BusUnavailable, PrivateBus, choose_address, probe
from config.options import ConfigError
from service.plan import on_venus

log = logging.getLogger(__name__)

PRIVATE_INSTANCE = 1


class Bus:
    """The bus that services go to; possibly one of our own."""

    def __init__(self, address: Optional[str], private: Optional[PrivateBus] = None) -> None:
        self.address = address
        self.private = private

    async def stop(self) -> None:
        """End a bus of our own."""
        if self.private is not None:
            await self.private.stop()

    def describe(self) -> str:
        """For the status."""
        if self.address is None:
            return "none; nothing is published"
        return self.address + (" (private)" if self.private else "")


async def open_bus(option: Optional[str], *, may_be_private: bool) -> Bus:
    """The bus for ``--bus`` *option*. Raises :class:`BusUnavailable`.

    *may_be_private*: batteries that are not real get a bus of our own where there is none, and always on a Victron
    device, whose real system must not take them for batteries.
    """
    if option == "none":
        return Bus(None)
    if option == "private":
        return await _private_bus()
    if option is None and may_be_private and on_venus():
        return await _private_bus()
    try:
        address = choose_address(option)
        await probe(address)
        return Bus(address)
    except BusUnavailable:
        if option is not None or not may_be_private:
            raise
    if not PrivateBus.installed():
        log.warning("no D-Bus here, and no dbus-daemon to start one: running without publishing")
        return Bus(None)
    return await _private_bus()


async def _private_bus() -> Bus:
    private = await PrivateBus.start()
    return Bus(private.address, private)


def choose_instance(option: Optional[int], bus: Bus) -> int:
    """The DeviceInstance. Raises :class:`ConfigError`: on a bus of others it is never invented."""
    if option is not None:
        return option
    if bus.private is None and bus.address is not None:
        raise ConfigError("this bus is shared with other devices: give the battery's DeviceInstance with --instance N")
    return PRIVATE_INSTANCE
