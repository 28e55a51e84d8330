"""What the bus daemon counts about its clients, to find match rules and connections that leak."""

import contextlib

from dbus_next import Message, MessageType
from dbus_next.aio import MessageBus

BUS = "org.freedesktop.DBus"


class BusStats:
    """Asks the bus at an address over a connection of its own, which is in no count."""

    def __init__(self, bus):
        self._bus = bus

    async def match_rules(self):
        """Unique name -> number of match rules, of every connection (0 as well)."""
        rules = (await self._call("GetAllMatchRules"))[0]
        return {name: len(own) for name, own in rules.items() if name != self._bus.unique_name}

    async def connections(self):
        """How many clients are on the bus."""
        statistics = (await self._call("GetStats"))[0]
        return statistics["ActiveConnections"].value - 1

    async def _call(self, member):
        interface = BUS + ".Debug.Stats"
        message = Message(destination=BUS, path="/org/freedesktop/DBus", interface=interface, member=member)
        reply = await self._bus.call(message)
        assert reply.message_type == MessageType.METHOD_RETURN, (reply.error_name, reply.body)
        return reply.body


@contextlib.asynccontextmanager
async def bus_stats(address):
    """A :class:`BusStats` of the bus at *address*."""
    bus = await MessageBus(bus_address=address).connect()
    try:
        yield BusStats(bus)
    finally:
        bus.disconnect()
