"""Real, unmodified bleak against a BlueZ double: the happy path and its nearest neighbours."""

import asyncio
import contextlib

import pytest

from adapters.ble import AdapterBroker, BluezRadio, listen_on
from adapters.clock import SystemClock
from adapters.dbus import Bluez, choose_address
from adapters.link_supervisor import LinkSupervisor
from adapters.radio import LinkDropped
from adapters.unlocker import Unlocker
from core import protocols
from core.events import FrameRejected, LinkEstablished, LinkLost, ReadingTaken

JBD = protocols.find("jbd")
ADDRESS = "A4:C1:38:00:00:00"


@contextlib.asynccontextmanager
async def _radio(address=ADDRESS):
    bluez = Bluez(choose_address("system"))
    yield BluezRadio(address, JBD, bluez=bluez, broker=AdapterBroker(), clock=SystemClock())
    await bluez.close()


async def _read_until(facts, condition, *, poll_s=0.2, seconds=20):
    """Supervise a link until *condition* of *facts*; it has hung up when this returns."""
    clock = SystemClock()
    async with _radio() as radio:
        unlocker = Unlocker(JBD, ADDRESS, "", clock)
        supervisor = LinkSupervisor(
            "ble_0", JBD, radio, clock=clock, record=facts.append, allow=lambda rung: True, unlocker=unlocker,
            poll_s=poll_s,
        )  # fmt: skip
        task = asyncio.ensure_future(supervisor.run())
        deadline = asyncio.get_event_loop().time() + seconds
        while not condition(facts) and asyncio.get_event_loop().time() < deadline:
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert condition(facts), facts


def _frames(facts):
    return [fact.frame for fact in facts if isinstance(fact, ReadingTaken)]


async def test_connects_polls_in_turn_and_hangs_up(bluez):
    """Connect, resolve by UUID, subscribe, poll 03 and 04 one at a time, ask the name once, disconnect."""
    facts = []
    await _read_until(facts, lambda facts: len(_frames(facts)) >= 7)

    assert facts[0] == LinkEstablished("ble_0", "JBD-SP04S-0", "hci0 (00:AA:01:00:00:00)")
    registers = [frame[1] for frame in _frames(facts)]
    assert registers[:7] == [3, 4, 5, 3, 4, 3, 4]
    assert JBD.decode(_frames(facts)[0]).pack.voltage_mv == 13280
    requests = await bluez.tell("requests 0")
    assert requests.count("dda50500") == 1
    stats = await bluez.tell("stats")
    assert "Device1.Disconnect" in stats


async def test_repeats_a_request_that_stays_unanswered(bluez, monkeypatch):
    """The first request after a pause is lost; its repetition is answered, and no link is lost over it."""
    monkeypatch.setattr("adapters.battery_reader.ANSWER_S", 0.3)
    await bluez.tell("silent 0 1")
    facts = []

    async def wake():
        while (await bluez.tell("requests 0")).count("dda50300") < 2:
            await asyncio.sleep(0.02)
        await bluez.tell("silent 0 0")

    waking = asyncio.ensure_future(wake())
    await _read_until(facts, lambda facts: len(_frames(facts)) >= 2)
    await waking
    assert not [fact for fact in facts if isinstance(fact, LinkLost)]


async def test_corrupt_answers_are_rejected_and_never_delivered(bluez, monkeypatch):
    """A wrong checksum is an event of its own with the bytes; the reading comes when the answer is whole."""
    monkeypatch.setattr("adapters.battery_reader.ANSWER_S", 0.3)
    await bluez.tell("corrupt 0 1")
    facts = []

    async def mend():
        while len(await bluez.tell("requests 0")) < 40:
            await asyncio.sleep(0.02)
        await bluez.tell("corrupt 0 0")

    mending = asyncio.ensure_future(mend())
    await _read_until(facts, lambda facts: len(_frames(facts)) >= 2)
    await mending
    assert {fact.reason for fact in facts if isinstance(fact, FrameRejected)} == {"checksum wrong"}
    assert {frame[1] for frame in _frames(facts)} <= {3, 4, 5}


async def test_comes_back_after_a_drop(bluez, monkeypatch):
    """A dropped link is recorded with its cause and made again, without doubled notifications."""
    monkeypatch.setattr("core.recovery.BACKOFF_S", (0.2,))
    facts = []

    async def drop():
        while len(_frames(facts)) < 3:
            await asyncio.sleep(0.02)
        await bluez.tell("drop 0")

    dropping = asyncio.ensure_future(drop())
    await _read_until(facts, lambda facts: sum(isinstance(fact, LinkEstablished) for fact in facts) == 2)
    await dropping
    assert [fact.cause for fact in facts if isinstance(fact, LinkLost)] == ["dropped"]
    assert not [fact for fact in facts if isinstance(fact, FrameRejected)]


async def test_a_battery_that_does_not_advertise_is_not_found(bluez, monkeypatch):
    """The cause has a name of its own: the battery is off, out of reach, or somebody else holds it."""
    monkeypatch.setattr("adapters.ble.bluez_radio.FIND_S", 0.5)
    async with _radio("A4:C1:38:00:00:FF") as radio:
        with pytest.raises(LinkDropped) as dropped:
            await radio.connect()
    assert dropped.value.cause == "not found"


async def test_a_failing_connect_names_the_error_of_bluez(bluez):
    """What BlueZ said is in the detail."""
    await bluez.tell("connect_error 0 Failed Input/output error")
    async with _radio() as radio:
        with pytest.raises(LinkDropped) as dropped:
            await radio.connect()
    assert dropped.value.cause == "connect failed"
    assert "Input/output error" in dropped.value.detail


async def test_listening_hears_what_devices_say_of_themselves(bluez):
    """Address and its type, name, RSSI and services, from every adapter that listens."""
    heard = {}
    told_to = Bluez(choose_address("system"))
    adapters = (await told_to.snapshot()).adapters

    def hear(adapter, advertisement, address_type):
        heard[advertisement.address] = adapter, advertisement, address_type

    await listen_on(adapters, 0.6, heard=hear, refused=pytest.fail, bluez=told_to, clock=SystemClock())
    await told_to.close()
    adapter, advertisement, address_type = heard[ADDRESS]
    assert (adapter, address_type, advertisement.name) == ("hci0", "public", "JBD-SP04S-0")
    assert -52 < advertisement.rssi_dbm < -48
    assert advertisement.services == (JBD.service_uuids[0],)


async def test_a_scan_ends_when_bluetoothd_does(bluez):
    """bleak would listen on to nobody."""
    told_to = Bluez(choose_address("system"))
    adapters = (await told_to.snapshot()).adapters
    listening = asyncio.ensure_future(
        listen_on(adapters, 20, heard=lambda *told: None, refused=print, bluez=told_to, clock=SystemClock())
    )
    await asyncio.sleep(0.3)
    await bluez.tell("crash")
    with pytest.raises(LinkDropped) as dropped:
        await asyncio.wait_for(listening, 5)
    await told_to.close()
    assert dropped.value.cause == "bluetoothd gone"


async def test_a_connect_that_is_given_up_is_hung_up(bluez):
    """Else BlueZ would go on, and the battery be connected to nobody."""
    await bluez.tell("connect_delay 0 1")
    async with _radio() as radio:
        connecting = asyncio.ensure_future(radio.connect())
        while "Device1.Connect" not in await bluez.tell("stats"):
            await asyncio.sleep(0.02)
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
    await asyncio.sleep(1.2)
    told_to = Bluez(choose_address("system"))
    assert not (await told_to.snapshot()).connected(ADDRESS)
    await told_to.close()


async def test_a_link_that_is_made_while_it_is_given_up_is_hung_up(bluez):
    """Else it would be held by nobody for ever, and taken for another program's."""
    async with _radio() as radio:
        reach = radio._reach

        async def reached(adapter):
            link = await reach(adapter)
            asyncio.get_event_loop().call_soon(connecting.cancel)
            return link

        radio._reach = reached
        connecting = asyncio.ensure_future(radio.connect())
        await asyncio.wait({connecting})
        assert connecting.cancelled()
        assert not (await radio._bluez.snapshot()).connected(ADDRESS)
        assert not radio._bluez._listeners
        radio._reach = reach
        await (await radio.connect()).close()


async def test_hanging_up_that_is_given_up_leaves_nothing_behind(bluez):
    """Nobody watches for the end of bluetoothd any more; and what may still be connected is ours, not another's."""
    await bluez.tell("disconnect_delay 0 1")
    async with _radio() as radio:
        closing = asyncio.ensure_future((await radio.connect()).close())
        await asyncio.sleep(0.1)
        closing.cancel()
        await asyncio.wait({closing})
        assert not radio._bluez._listeners
        await (await radio.connect()).close()


async def test_a_connection_of_another_program_is_left_alone(bluez):
    """Who only wants to ask once takes no link away."""
    async with _radio() as daemon:
        link = await daemon.connect()
        asking = BluezRadio(
            ADDRESS, JBD, bluez=daemon._bluez, broker=AdapterBroker(), clock=SystemClock(), may_be_left_over=False
        )
        with pytest.raises(LinkDropped) as dropped:
            await asking.connect()
        assert dropped.value.cause == "held by another program"
        assert (await daemon._bluez.snapshot()).connected(ADDRESS)
        await link.close()
