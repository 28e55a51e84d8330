"""The D-Bus package: answers without a bus, and the known faults of dbus-next on a real one."""

import asyncio
import os

import pytest
from dbus_next import Message, MessageFlag, MessageType, Variant
from hypothesis import given
from hypothesis import strategies as st
from rawbus import RawBus

from adapters.dbus import BusService, BusUnavailable, PrivateBus, choose_address, probe
from adapters.dbus.connection import BusConnection, ConnectionLost
from adapters.dbus.items_changed import ItemsChanged
from adapters.dbus.tree import BUS_ITEM, INTROSPECTABLE, Call, CallError, ServiceTree
from adapters.dbus.wire import clean, from_variant, item, to_variant
from core.presence import Phase
from core.service_view import CHANGED, JOINED, LEFT, Publication
from tests.programs import wait_until

NAME = "com.victronenergy.battery.test"
ITEMS = {"/Soc": 80.0, "/Dc/0/Voltage": 13.2, "/Dc/0/Current": None, "/CustomName": "", "/ProductId": 0xBAB7}


def _tree(items=ITEMS):
    tree = ServiceTree(lambda path, value: 0 if path == "/CustomName" else 1)
    tree.update(items)
    return tree


def _call(path, member, interface=BUS_ITEM, body=()):
    return Call(path, interface, member, list(body))


def test_wire_types_never_change():
    """One type per path; unknown is the empty array; what cannot be sent is cleaned."""
    assert to_variant("/Soc", 80).signature == "d"
    assert to_variant("/Soc", None) == Variant("ai", [])
    assert to_variant("/DeviceInstance", 2**31).signature == "x"
    assert to_variant("/DeviceInstance", -(2**31)).signature == "i"
    assert item("/ProductId", 0xBAB7)["Text"].value == "0xBAB7"
    assert clean("a\x00b\ud800") == "ab?"


@pytest.mark.parametrize("path", ["/Info/Config/ANY_OPTION", "/TimeToSoC/80"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Variant("ai", [])),
        (5, Variant("i", 5)),
        (2**31, Variant("x", 2**31)),
        (True, Variant("i", 1)),
        (5.0, Variant("d", 5.0)),
        ("01:00:00", Variant("s", "01:00:00")),
        ("a\x00b", Variant("s", "ab")),
        ((3.45, 3.5), Variant("ad", [3.45, 3.5])),
        ((), Variant("ad", [])),
    ],
)
def test_paths_that_go_by_their_value(path, value, expected):
    """Options of the owner and times until a charge have the type of their value; arrays are of numbers."""
    assert to_variant(path, value) == expected


def test_an_array_can_be_asked_for():
    """Its value and its text, as of any other path."""
    tree = _tree({"/Info/Config/CELLS": (3.45, 3.5)})
    assert tree.answer(_call("/Info/Config/CELLS", "GetValue")) == ("v", [Variant("ad", [3.45, 3.5])])
    assert tree.answer(_call("/Info/Config/CELLS", "GetText")) == ("s", ["3.45, 3.5"])


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (Variant("v", Variant("i", 3)), 3),
        (Variant("s", "x"), "x"),
        (Variant("ai", []), None),
        (Variant("a{sv}", {}), None),
    ],
)
def test_what_a_client_wrote(written, plain):
    """Scalars as they are, anything else is nothing."""
    assert from_variant(written) == plain


numbers = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False)
arrays = st.lists(numbers, max_size=9).map(tuple)
by_value = st.none() | st.booleans() | numbers | st.text(max_size=9) | arrays

VALUES = {
    "/Soc": st.none() | st.floats(-1e6, 1e6),
    "/Dc/0/Voltage": st.none() | st.floats(-1e6, 1e6),
    "/DeviceInstance": st.integers(-(2**40), 2**40),
    "/ProductId": st.none() | st.integers(0, 0xFFFF),
    "/CustomName": st.text(max_size=40),
    "/Voltages/Cell7": st.none() | st.floats(0, 5),
    "/Battery/1/Cell/16/Voltage": st.none() | st.floats(0, 5),
    "/ConnectionInformation": st.none() | st.text(max_size=9),
    "/Parallel/SocImbalance": st.none() | st.integers(0, 1),
    "/Info/Config/CELLS": arrays,
    "/Info/Config/X": by_value,
    "/Info/Config/OPTION": by_value,
    "/TimeToSoC/5": by_value,
    "/TimeToSoC/100": by_value,
}


@given(st.fixed_dictionaries({}, optional=VALUES), st.integers(1, 2**32 - 1))
def test_hand_made_signal_is_what_the_library_would_send(items, serial):
    """Byte for byte the encoding of dbus-next, for any values of every wire type and any order of paths."""
    ours = ItemsChanged(items)
    theirs = Message(
        message_type=MessageType.SIGNAL,
        flags=MessageFlag.NO_REPLY_EXPECTED,
        path="/",
        interface=BUS_ITEM,
        member="ItemsChanged",
        signature="a{sa{sv}}",
        body=[{path: item(path, value) for path, value in items.items()}],
    )
    ours.serial = theirs.serial = serial
    assert bytes(theirs._marshall()) == ours._marshall()


def test_leaf_branch_and_root():
    """Each node answers what Victron's clients expect of it."""
    tree = _tree()
    assert tree.answer(_call("/Soc", "GetValue")) == ("v", [Variant("d", 80.0)])
    assert tree.answer(_call("/Soc", "GetText", interface=None)) == ("s", ["80.0%"])
    assert tree.answer(_call("/Dc", "GetValue"))[1][0].value.keys() == {"0/Voltage", "0/Current"}
    assert tree.answer(_call("/", "GetText"))[1][0].value["Dc/0/Current"] == "---"
    assert set(tree.answer(_call("/", "GetItems"))[1][0]) == set(ITEMS)
    assert tree.answer(_call("/", "SetValue", body=[Variant("i", 1)])) == ("i", [1])
    assert tree.answer(_call("/CustomName", "SetValue", body=[Variant("s", "x")])) == ("i", [0])
    assert tree.answer(_call("/Soc", "GetDescription", body=["en", 1])) == ("s", [""])


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (_call("/Nothing", "GetValue"), "UnknownObject"),
        (_call("/Soc", "GetItems"), "UnknownMethod"),
        (_call("/Soc", "GetValue", interface="com.example"), "UnknownMethod"),
        (_call("/Soc", "SetValue"), "InvalidArgs"),
    ],
)
def test_what_cannot_be_answered_is_an_error(call, error):
    """With the name that clients know, and without a traceback."""
    with pytest.raises(CallError) as raised:
        _tree().answer(call)
    assert raised.value.name.endswith(error)


def test_introspection_lists_children_by_element():
    """Cell1 and Cell10 are brothers, not parent and child."""
    tree = _tree({"/Voltages/Cell1": 3.3, "/Voltages/Cell10": 3.3})
    (xml,) = tree.answer(_call("/Voltages", "Introspect", INTROSPECTABLE))[1]
    assert '<node name="Cell1"/><node name="Cell10"/>' in xml
    assert "<node name=" not in tree.answer(_call("/Voltages/Cell1", "Introspect", INTROSPECTABLE))[1][0]


def test_which_bus():
    """Victron's rule: the session bus when its variable is set, else the system bus; an option overrides."""
    session = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/s"}
    assert choose_address(None, session) == choose_address("session", session) == "unix:path=/s"
    assert choose_address(None, {}).endswith("system_bus_socket")
    assert choose_address("system", {**session, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/y"}) == "unix:path=/y"
    assert choose_address("tcp:host=h", session) == "tcp:host=h"
    with pytest.raises(BusUnavailable):
        choose_address("session", {})


def _publication(change, **items):
    return Publication(1, 1, NAME, Phase.LIVE, change, items)


async def _in_thread(function, *arguments):
    return await asyncio.get_event_loop().run_in_executor(None, function, *arguments)


class Client:
    """A second program on the bus."""

    def __init__(self, address):
        self._bus = RawBus(address)
        self._bus.add_match("type='signal',interface='{}'".format(BUS_ITEM))
        self._bus.add_match("type='signal',member='NameOwnerChanged',arg0='{}'".format(NAME))

    def owner(self):
        return self._bus.owner(NAME)

    def value(self, path):
        return self._bus.call(NAME, path, BUS_ITEM, "GetValue").args[0][1][1]

    def wait_for_owner(self, owned):
        wait_until(lambda: (self.owner() is not None) == owned, what="the name")

    def comings_and_goings(self):
        """Whether the name had an owner after each change of it that came meanwhile."""
        return [bool(m.args[2][1]) for m in self._bus.collect(0.4) if m.member == "NameOwnerChanged"]

    def changed(self):
        """The paths of the ItemsChanged that came meanwhile."""
        return [{key[1] for key, _ in m.args[0][1]} for m in self._bus.collect(0.4) if m.member == "ItemsChanged"]

    def close(self):
        self._bus.close()


async def test_joins_changes_leaves_and_joins_again(bus):
    """All paths before the name; one signal with the changed items; the name goes and comes back with news."""
    service = BusService(NAME, bus.address, lambda path, value: 1)
    task = asyncio.ensure_future(service.run())
    client = await _in_thread(Client, bus.address)
    try:
        await asyncio.sleep(0.2)
        assert await _in_thread(client.owner) is None
        service.publish(Publication(1, 1, NAME, Phase.LIVE, JOINED, dict(ITEMS)))
        await _in_thread(client.wait_for_owner, True)
        assert await _in_thread(client.value, "/Soc") == 80.0
        service.publish(Publication(1, 2, NAME, Phase.LIVE, CHANGED, {"/Soc": 81.0, "/Dc/0/Voltage": 13.3}))
        assert await _in_thread(client.changed) == [{"/Soc", "/Dc/0/Voltage"}]
        service.publish(Publication(1, 3, NAME, Phase.GONE, LEFT))
        await _in_thread(client.wait_for_owner, False)
        service.publish(Publication(1, 9, NAME, Phase.LIVE, JOINED, {**ITEMS, "/Soc": 50.0}))
        await _in_thread(client.wait_for_owner, True)
        assert await _in_thread(client.value, "/Soc") == 50.0
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await _in_thread(client.close)


async def test_leaving_and_joining_in_one_go_is_seen_from_outside(bus):
    """Who joins again at once (another DeviceInstance, a late tick) gives the name up for a moment: all look anew."""
    service = BusService(NAME, bus.address, lambda path, value: 1)
    task = asyncio.ensure_future(service.run())
    client = await _in_thread(Client, bus.address)
    try:
        service.publish(Publication(1, 1, NAME, Phase.LIVE, JOINED, dict(ITEMS)))
        await _in_thread(client.wait_for_owner, True)
        service.publish(Publication(1, 2, NAME, Phase.LIVE, LEFT))
        service.publish(Publication(1, 3, NAME, Phase.LIVE, JOINED, {**ITEMS, "/DeviceInstance": 9}))
        assert await _in_thread(client.comings_and_goings) == [True, False, True]
        assert await _in_thread(client.value, "/DeviceInstance") == 9
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await _in_thread(client.close)


async def test_a_bus_that_restarts_before_the_battery_answered_is_no_end(bus):
    """Only a bus that never was there is fatal: the service connects again and joins when it is its time."""
    service = BusService(NAME, bus.address, lambda path, value: 1)
    task = asyncio.ensure_future(service.run())
    await asyncio.sleep(0.3)
    await _in_thread(bus.stop)
    await _in_thread(bus.start)
    client = await _in_thread(Client, bus.address)
    try:
        service.publish(Publication(1, 1, NAME, Phase.LIVE, JOINED, dict(ITEMS)))
        await _in_thread(client.wait_for_owner, True)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await _in_thread(client.close)


async def test_strings_from_outside_do_not_cost_the_connection(bus):
    """A NUL makes the daemon hang up and a lone surrogate cannot be encoded: both are cleaned away."""
    service = BusService(NAME, bus.address, lambda path, value: 1)
    task = asyncio.ensure_future(service.run())
    client = await _in_thread(Client, bus.address)
    try:
        service.publish(Publication(1, 1, NAME, Phase.LIVE, JOINED, {**ITEMS, "/CustomName": "a\x00b\ud800"}))
        await _in_thread(client.wait_for_owner, True)
        assert await _in_thread(client.value, "/CustomName") == "ab?"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await _in_thread(client.close)


async def test_reconnecting_leaks_no_descriptor(bus):
    """dbus-next leaves its socket open; thirty connections later we have as many descriptors as before."""
    await probe(bus.address)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(30):
        await probe(bus.address)
    assert len(os.listdir("/proc/self/fd")) <= before + 1


@pytest.mark.parametrize("rounds", range(5))
async def test_who_asks_while_the_connection_is_closed_is_told(bus, rounds):
    """By the exception that says so: cancelled, a task would end for good without anybody wanting it."""
    connection = await BusConnection.open(bus.address, ServiceTree(lambda path, value: 1))
    closing = asyncio.ensure_future(connection.close())
    for _ in range(rounds):
        await asyncio.sleep(0)
    with pytest.raises(ConnectionLost):
        await connection.ask(Message(destination=NAME, path="/", interface=BUS_ITEM, member="GetItems"), 3)
    await closing


async def test_private_bus_comes_and_goes(monkeypatch):
    """A bus of our own can be used, and nothing is left of it; where the program is missing, one line says so."""
    if not PrivateBus.installed():
        pytest.skip("dbus-daemon is not installed")
    private = await PrivateBus.start()
    await probe(private.address)
    await private.stop()
    with pytest.raises(BusUnavailable):
        await probe(private.address)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BusUnavailable, match="cannot start a private dbus-daemon"):
        await PrivateBus.start()
