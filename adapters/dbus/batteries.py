"""Battery services of this program on a bus, seen from outside: what a command does to a daemon that runs."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple

from dbus_next import Message, MessageType

from adapters.dbus.address import BusUnavailable
from adapters.dbus.connection import DAEMON, BusConnection, CallFailed, ConnectionLost
from adapters.dbus.tree import BUS_ITEM, ServiceTree
from adapters.dbus.wire import from_variant, to_variant
from core.publication import BUS_NAME_PREFIX


class PublishedBattery(NamedTuple):
    """One battery of one service, by its place there."""

    service: str
    number: int
    address: str
    items: Dict[str, Any]
    """All that the service shows."""


class Batteries:
    """The batteries on the bus at *address*."""

    def __init__(self, connection: BusConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, address: str) -> Batteries:
        """Raises :class:`BusUnavailable`."""
        return cls(await BusConnection.open(address, ServiceTree(lambda path, value: 1)))

    async def close(self) -> None:
        """Leave the bus."""
        await self._connection.close()

    async def found(self) -> List[PublishedBattery]:
        """Every battery of every service whose name begins as ours do. Raises :class:`BusUnavailable`."""
        names = await self._ask(DAEMON, "/org/freedesktop/DBus", DAEMON, "ListNames")
        batteries: List[PublishedBattery] = []
        for name in sorted(each for each in names.body[0] if each.startswith(BUS_NAME_PREFIX)):
            told = await self._ask(name, "/", BUS_ITEM, "GetItems")
            if told.signature != "a{sa{sv}}":
                continue
            items = {path: from_variant(item["Value"]) for path, item in told.body[0].items() if "Value" in item}
            number = 1
            while "/Battery/{}/Serial".format(number) in items:
                address = str(items["/Battery/{}/Serial".format(number)])
                batteries.append(PublishedBattery(name, number, address, items))
                number += 1
        return batteries

    async def write(self, service: str, path: str, value: Any) -> int:
        """What SetValue answers: 0 is good. Raises :class:`BusUnavailable`."""
        reply = await self._ask(service, path, BUS_ITEM, "SetValue", to_variant(path, value))
        return int(reply.body[0])

    async def _ask(self, destination: str, path: str, interface: str, member: str, *written: Any) -> Message:
        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature="v" * len(written),
            body=list(written),
        )
        try:
            reply = await self._connection.call(message)
        except (CallFailed, ConnectionLost) as error:
            raise BusUnavailable("{} does not answer: {}".format(destination, error)) from None
        assert reply.message_type is MessageType.METHOD_RETURN
        return reply
