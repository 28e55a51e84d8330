"""Real, unmodified bleak against a BlueZ double: the happy path and its nearest neighbours."""

import asyncio

import pytest

from adapters.battery_reader import BatteryReader
from adapters.ble import BleakRadio, scan
from adapters.clock import SystemClock
from adapters.radio import LinkDropped
from core import protocols
from core.events import FrameRejected, LinkEstablished, LinkLost, ReadingTaken
from service.scan import scan_lines

JBD = protocols.find("jbd")
ADDRESS = "A4:C1:38:00:00:00"


def _radio(address=ADDRESS):
    return BleakRadio(address, JBD, asyncio.Lock())


async def _read_until(facts, condition, *, poll_s=0.2, seconds=20):
    """Run a reader until *condition* of *facts*; it has hung up when this returns."""
    reader = BatteryReader("ble_0", JBD, _radio(), clock=SystemClock(), record=facts.append, poll_s=poll_s)
    task = asyncio.ensure_future(reader.run())
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

    assert facts[0] == LinkEstablished("ble_0", "JBD-SP04S-0")
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
    monkeypatch.setattr("adapters.battery_reader.BACKOFF_S", (0.2,))
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
    monkeypatch.setattr("adapters.ble.bleak_radio.FIND_S", 0.5)
    with pytest.raises(LinkDropped) as dropped:
        await _radio("A4:C1:38:00:00:FF").connect()
    assert dropped.value.cause == "not found"


async def test_a_failing_connect_names_the_error_of_bluez(bluez):
    """What BlueZ said is in the detail."""
    await bluez.tell("connect_error 0 Failed Input/output error")
    with pytest.raises(LinkDropped) as dropped:
        await _radio().connect()
    assert dropped.value.cause == "connect failed"
    assert "Input/output error" in dropped.value.detail


async def test_scan_lists_batteries_first_with_the_reason(bluez):
    """Address, name, RSSI and why a device looks like a supported BMS."""
    lines = scan_lines(await scan(0.6))
    assert lines[0].startswith("A4:C1:38:00:00:00")
    assert "dBm" in lines[0] and "JBD-SP04S-0" in lines[0]
    assert "JBD: service ff00 + name + address" in lines[0]
    assert "only a hint" in lines[-1]
