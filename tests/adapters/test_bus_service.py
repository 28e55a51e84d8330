"""Values beside the grid: read at once, told with a tick, at most once a second, and kept while the service is away."""

import pytest

from adapters.dbus import BusService
from adapters.dbus.tree import BUS_ITEM, Call
from core.presence import Phase
from core.service_view import CHANGED, JOINED, LEFT, Publication

NAME = "com.victronenergy.battery.test"
JSON = "/CellMonitor/Trend/Json"


class Connection:
    """Takes note of what a bus would see."""

    def __init__(self):
        self.told = []

    async def request_name(self, name):
        self.told.append("joined")

    async def release_name(self, name):
        self.told.append("left")

    def signal_items_changed(self, items):
        self.told.append(dict(items))


class Bus:
    """A service on a connection that is made by hand; each step is one turn of its task."""

    def __init__(self):
        self.service = BusService(NAME, "unix:path=/nowhere", lambda path, value: 1)
        self.connection = Connection()

    async def publish(self, uptime_s, change, **items):
        self.service.publish(Publication(1, uptime_s, NAME, Phase.LIVE, change, items))
        await self.turn()

    async def turn(self):
        if self.service._news.is_set():
            self.service._news.clear()
            await self.service._carry_out(self.connection)

    async def tick(self, uptime_s):
        self.service.tick(uptime_s)
        await self.turn()

    def value(self):
        return self.service._tree.answer(Call(JSON, BUS_ITEM, "GetValue", []))[1][0].value


@pytest.fixture
async def bus():
    """A service that has joined at 1 s."""
    made = Bus()
    made.service.put({JSON: "a"})
    await made.publish(1, JOINED, **{"/Soc": 1.0})
    assert made.connection.told == ["joined"]
    made.connection.told.clear()
    return made


async def test_it_joins_with_what_was_put_before(bus):
    """The paths are in the tree before the name is on the bus, and are not told once more."""
    assert bus.value() == "a"
    await bus.tick(2)
    assert bus.connection.told == []


async def test_it_goes_along_with_the_tick(bus):
    """One signal with both; it can be read before that."""
    bus.service.put({JSON: "b"})
    await bus.turn()
    assert (bus.value(), bus.connection.told) == ("b", [])
    await bus.publish(2, CHANGED, **{"/Soc": 2.0})
    await bus.tick(2)
    assert bus.connection.told == [{"/Soc": 2.0, JSON: "b"}]


async def test_a_tick_without_news_tells_it_too(bus):
    """Once, and only what changed."""
    bus.service.put({JSON: "b"})
    await bus.tick(2)
    bus.service.put({JSON: "b"})
    await bus.tick(3)
    assert bus.connection.told == [{JSON: "b"}]


async def test_no_second_signal_in_one_second(bus):
    """What comes between a publication and the end of its tick waits for the next one."""
    await bus.publish(2, CHANGED, **{"/Soc": 2.0})
    bus.service.put({JSON: "b"})
    await bus.tick(2)
    assert bus.connection.told == [{"/Soc": 2.0}]
    await bus.tick(3)
    assert bus.connection.told == [{"/Soc": 2.0}, {JSON: "b"}]


async def test_it_is_there_again_when_the_service_comes_back(bus):
    """What was put while it was away is neither told nor lost."""
    bus.service.put({JSON: "b"})
    await bus.publish(2, LEFT)
    bus.service.put({JSON: "c"})
    await bus.tick(3)
    await bus.publish(4, JOINED, **{"/Soc": 1.0})
    await bus.tick(5)
    assert bus.connection.told == ["left", "joined"]
    assert bus.value() == "c"
