"""What real, unmodified bleak sees of each fault that the BlueZ double can be told to have."""

import asyncio
import json
import sys
import time

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError, BleakError

from tests.doubles.bluez.fake_bluez import FakeBluez
from tests.doubles.bluez.jbd_model import NOTIFY, REQ_BASIC, REQ_CELLS, WRITE
from tests.doubles.bus_stats import bus_stats

ADDRESS = "A4:C1:38:00:00:00"
BLEAK_0 = sys.version_info < (3, 9)  # bleak 0.22; later Pythons have 1.1 and above


class Link:
    """A client with its notifications and the moments of its disconnected callbacks."""

    def __init__(self, device=None, timeout=0.6):
        self.data = []
        self.drops = []
        self.client = BleakClient(device or _known(), disconnected_callback=self._dropped, timeout=timeout)

    def _dropped(self, _):
        self.drops.append(time.monotonic())

    async def open(self):
        await self.client.connect()
        await self.client.start_notify(NOTIFY, lambda _, data: self.data.append(bytes(data)))
        return self

    async def ask(self, request=REQ_BASIC, wait=0.06):
        """What comes within *wait* seconds."""
        self.data.clear()
        await self.client.write_gatt_char(WRITE, request, response=False)
        await asyncio.sleep(wait)
        return b"".join(self.data).hex()


def _known(adapter=0):
    """A device without a scan, as if it had been seen before."""
    path = "/org/bluez/hci{}/dev_{}".format(adapter, ADDRESS.replace(":", "_"))
    more = {"rssi": 0} if BLEAK_0 else {}
    return BLEDevice(ADDRESS, "JBD", {"path": path, "props": {"Adapter": path.rsplit("/", 1)[0]}}, **more)


async def _find(adapter=0, seconds=3.0):
    name = "hci{}".format(adapter)
    options = {"adapter": name} if BLEAK_0 else {"bluez": {"adapter": name}}
    return await BleakScanner.find_device_by_address(ADDRESS, timeout=seconds, **options)


async def _is_silent(adapter=0):
    return await _find(adapter, seconds=0.3) is None


async def _opened():
    return await Link(await _find()).open()


@pytest.fixture
async def make(bus, monkeypatch):
    """Call it for a started double in this process: await make(count=1, adapters=2)."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    made = []

    async def start(**how_many):
        made.append(FakeBluez(address=bus.address, **how_many))
        return await made[-1].start()

    yield start
    for fake in made:
        await fake.stop()


@pytest.fixture
async def fake(make):
    """One battery, one adapter."""
    return await make()


# ---- adapters


async def test_every_adapter_hears_a_battery_until_one_has_the_link(make):
    fake = await make(adapters=2)
    first, second = await _find(0), await _find(1)
    assert (first.details["path"][:15], second.details["path"][:15]) == ("/org/bluez/hci0", "/org/bluez/hci1")

    link = await Link(second).open()
    assert await fake.command("state 0") == '{"adapter": 1, "connecting": [], "subscribers": 1}'
    assert len(await link.ask()) == 68
    assert await _is_silent(0)
    with pytest.raises(asyncio.TimeoutError):  # nobody answers hci0
        await Link(first, timeout=0.3).open()
    assert not link.drops
    await link.client.disconnect()
    assert await _find(0)


async def test_an_adapter_that_does_not_hear(make):
    fake = await make(adapters=2)
    await fake.command("hear 0 off 1")
    assert await _find(0)
    assert await _is_silent(1)
    await fake.command("hear 0 on 1")
    assert await _find(1)


async def test_a_second_adapter_goes_and_comes(make):
    fake = await make(adapters=2)
    link = await Link(await _find(1)).open()
    await fake.command("remove_adapter 1")
    await asyncio.sleep(0.05)
    assert len(link.drops) == 1
    await link.client.disconnect()
    with pytest.raises(BleakError, match="device 'dev_A4_C1_38_00_00_00' not found"):
        await Link(_known(1)).open()
    with pytest.raises(BleakError, match="adapter 'hci1' not found"):
        await _find(1)
    await fake.command("add_adapter 1")
    await asyncio.sleep(0.05)
    await (await Link(_known(1)).open()).client.disconnect()


async def test_one_adapter_without_power(make):
    fake = await make(adapters=2)
    device = await _find(1)
    await fake.command("power off 1")
    with pytest.raises(BleakDBusError, match="Resource Not Ready") as raised:
        await _find(1)
    assert raised.value.dbus_error == "org.bluez.Error.NotReady"
    with pytest.raises(BleakDBusError, match="Resource Not Ready"):
        await Link(device).open()
    assert await _find(0)
    await fake.command("power on 1")
    assert await _find(1)


async def test_remove_device_of_one_adapter(make):
    fake = await make(adapters=2)
    await _find(0), await _find(1)
    await fake.command("remove_device 0 1")
    assert [fake.device(fake.batteries[0], adapter).exported for adapter in (0, 1)] == [True, False]


# ---- connecting


async def test_connect_fails_a_counted_number_of_times(fake):
    device = await _find()
    await fake.command("connect_error 0 Failed Input/output error 2")
    for _ in range(2):
        with pytest.raises(BleakDBusError, match="Input/output error") as raised:
            await Link(device).open()
        assert raised.value.dbus_error == "org.bluez.Error.Failed"
    await (await Link(device).open()).client.disconnect()


async def test_bleak_swallows_an_abort_and_waits_for_its_own_timeout(fake):
    """It waits for Connected to become false, which never was true."""
    device = await _find()
    await fake.command("connect_error 0 Failed le-connection-abort-by-local 40")
    with pytest.raises(asyncio.TimeoutError):
        await Link(device, timeout=0.3).open()
    assert fake.stats["calls"]["Device1.Connect"] == 1


async def test_bleak_repeats_by_itself_when_an_abort_shows_a_link_for_a_moment(fake):
    device = await _find()
    for line in ("connect_error 0 Failed le-connection-abort-by-local 40", "flicker 0 1", "connect_delay 0 0.005"):
        await fake.command(line)
    link = await Link(device, timeout=5).open()
    assert fake.stats["calls"]["Device1.Connect"] == 41
    assert len(link.drops) == 40  # a callback for each, before there was a link
    await link.client.disconnect()


async def test_connect_is_answered_before_connected(fake):
    device = await _find()
    await fake.command("connected_late 0 0.02")
    with pytest.raises(BleakError, match="failed to discover services, device disconnected"):
        await Link(device).open()


@pytest.mark.parametrize("verb", ["phantom 0 1", "resolve 0 0"])
async def test_services_are_never_resolved(fake, verb):
    device = await _find()
    await fake.command(verb)
    with pytest.raises(asyncio.TimeoutError):
        await Link(device, timeout=0.3).open()
    assert fake.stats["max_connected"] == 1
    assert fake.state(fake.batteries[0])["adapter"] is None  # bleak hung up


async def test_a_live_link_becomes_a_phantom(fake):
    link = await _opened()
    await fake.command("phantom 0 1")
    assert await link.ask() == ""
    assert link.client.is_connected and not link.drops
    await link.client.disconnect()


async def test_connect_on_a_device_with_a_link_succeeds(fake):
    link = await _opened()
    await fake.device(fake.batteries[0]).connect()
    other = Link()
    await other.client.connect()
    await other.client.disconnect()  # and takes the link from the first
    await asyncio.sleep(0.05)
    assert len(link.drops) == 1


async def test_address_type(fake):
    assert (await _find()).details["props"]["AddressType"] == "public"
    await fake.command("address_type 0 random")
    await fake.command("remove_device 0")
    assert (await _find()).details["props"]["AddressType"] == "random"


# ---- discovery


@pytest.mark.parametrize("verb", ["discovery_error", "filter_error"])
async def test_discovery_is_refused(make, verb):
    fake = await make(adapters=2)
    await fake.command(verb + " InProgress Operation already in progress 0")
    with pytest.raises(BleakDBusError, match="Operation already in progress") as raised:
        await _find(0)
    assert raised.value.dbus_error == "org.bluez.Error.InProgress"
    assert await _find(1)
    await fake.command(verb + " -")
    assert await _find(0)


# ---- notifications


async def test_lost_notifications(fake):
    link = await _opened()
    whole = await link.ask()
    await fake.command("lose 0 1")
    assert await link.ask() == whole[40:]
    assert await link.ask() == whole
    assert json.loads(await fake.command("delivered 0")) == [whole, whole]
    await link.client.disconnect()


async def test_late_answers_keep_their_order(fake):
    link = await _opened()
    await fake.command("late 0 0.15")
    assert await link.ask() == ""
    assert await link.ask(REQ_CELLS, wait=0.25) == "".join(fake.batteries[0].delivered)
    assert [frame[:4] for frame in fake.batteries[0].delivered] == ["dd03", "dd04"]
    await link.client.disconnect()


async def test_doubled_answers(fake):
    link = await _opened()
    await fake.command("double 0 1")
    data = await link.ask()
    assert data[:68] == data[68:]
    assert fake.batteries[0].delivered == [data[:68]] * 2
    await link.client.disconnect()


async def test_beat_drops_every_link(fake):
    device = await _find()
    await fake.command("beat 0 0.2")
    for _ in range(2):
        link = await Link(device).open()
        await asyncio.sleep(0.2)
        assert len(link.drops) == 1
        with pytest.raises(BleakError, match="Service Discovery has not been performed yet"):
            await link.ask()
        await link.client.disconnect()


async def test_delivered_counts_what_a_live_subscription_got(fake):
    link = await _opened()
    whole = await link.ask()
    await fake.command("corrupt 0 1")
    assert await link.ask() != whole
    await fake.command("corrupt 0 0")
    await link.client.stop_notify(NOTIFY)
    assert await link.ask() == ""
    assert fake.batteries[0].delivered == [whole]
    await link.client.start_notify(NOTIFY, lambda _, data: link.data.append(bytes(data)))
    await fake.command("notify_delay 0 0.05")
    await link.ask(wait=0.07)
    await fake.command("drop 0")  # between two notifications
    await asyncio.sleep(0.05)
    assert link.data and fake.batteries[0].delivered == [whole]
    await link.client.disconnect()


@pytest.mark.skipif(BLEAK_0, reason="bleak 0.22 has no AcquireNotify")
async def test_delivered_through_a_pipe(fake):
    link = Link(await _find())
    await link.client.connect()
    with_pipe = {"use_start_notify": False}
    await link.client.start_notify(NOTIFY, lambda _, data: link.data.append(bytes(data)), bluez=with_pipe)
    whole = await link.ask()
    assert fake.batteries[0].delivered == [whole]
    await fake.command("drop 0")
    await asyncio.sleep(0.05)
    await link.client.disconnect()
    again = await Link().open()  # the pipe is gone with the link
    assert await again.ask() == whole
    await again.client.disconnect()


# ---- other programs, bluetoothd


async def test_a_stale_link_is_not_found_but_can_be_taken_over(fake):
    await fake.command("stale 0")
    assert await _is_silent()
    link = await Link().open()
    assert len(await link.ask()) == 68
    assert "Device1.Connect" not in fake.stats["calls"]  # bleak skips it
    await link.client.disconnect()
    assert await _find()


async def test_a_held_battery_is_taken_again(fake):
    await fake.command("hold 0 on")
    assert await _is_silent()
    link = await Link().open()
    await link.client.disconnect()
    assert fake.state(fake.batteries[0])["adapter"] is None
    await asyncio.sleep(0.3)
    assert fake.state(fake.batteries[0])["adapter"] == 0
    await fake.command("hold 0 off")
    assert await _find()


async def test_frozen_calls_are_answered_after_the_thaw(fake):
    link = await _opened()
    await fake.command("freeze on")
    asking = asyncio.ensure_future(link.ask())
    await asyncio.sleep(0.2)
    assert not asking.done() and not link.data
    await fake.command("drop 0")
    await asyncio.sleep(0.05)
    assert link.client.is_connected  # nobody told
    await fake.command("freeze off")
    with pytest.raises((BleakDBusError, EOFError)):  # "Not connected", or bleak 0.22 has closed its bus
        await asking
    assert len(link.drops) == 1
    await link.client.disconnect()


async def test_a_frozen_connect_ends_with_the_timeout_of_bleak_only_if_its_disconnect_is_answered(fake):
    """bleak's clean-up waits for bluetoothd without a limit: only a wait_for from outside ends it."""
    device = await _find()
    await fake.command("freeze on")
    connecting = asyncio.ensure_future(Link(device, timeout=0.1).open())
    await asyncio.wait({connecting}, timeout=0.5)
    assert not connecting.done()
    await fake.command("freeze off")
    with pytest.raises(asyncio.TimeoutError):
        await connecting
    await asyncio.sleep(0.1)
    assert fake.state(fake.batteries[0]) == {"adapter": None, "connecting": [], "subscribers": 0}


# ---- the program, the bus


async def test_bus_stats_count_rules_and_connections(fake):
    async with bus_stats(fake.address) as stats:
        assert (await stats.match_rules(), await stats.connections()) == ({":1.0": 1}, 1)  # the double
        link = await _opened()
        assert await stats.match_rules() == {":1.0": 1, ":1.2": 3, ":1.3": 0}  # bleak: its manager, a bus per client
        assert await stats.connections() == 3
        await link.client.disconnect()
        assert await stats.match_rules() == {":1.0": 1, ":1.2": 3}


async def test_as_a_program_with_adapters(bluez_with):
    double = bluez_with(count=3, adapters=2)
    await double.tell("hear 0 off 0")
    assert await _is_silent(0)
    assert await _find(1)
    assert json.loads(await double.tell("state 2"))["adapter"] is None
    with pytest.raises(AssertionError, match="error unknown nonsense"):
        await double.tell("nonsense 0")
