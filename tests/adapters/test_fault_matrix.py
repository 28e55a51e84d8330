"""Every way in which a radio link fails, on the BlueZ double under real bleak: it ends connected, or with its name."""

import asyncio
import json

import pytest

from core.events import FrameRejected, LinkEstablished, RequestUnanswered
from tests.adapters.radio_rig import Rig

HCI0, HCI1 = "00:AA:01:00:00:00", "00:AA:01:00:00:01"


@pytest.fixture
def quick(monkeypatch):
    """A backoff that does not grow: what is tested is what happens, not how seldom."""
    monkeypatch.setattr("core.recovery.BACKOFF_S", (1.0,) * 6)
    monkeypatch.setattr("core.recovery.WAITING_S", 1.0)


async def test_a_storm_of_aborts(bluez, quick):
    """Forty connects in a row are aborted; the next one stands. All of it is one cause, told once."""
    await bluez.tell("connect_error 0 Failed le-connection-abort-by-local 40")
    async with Rig().running() as rig:
        await rig.until(lambda: rig.batteries[0].ups == 1, 1000)
        await rig.readings()
    assert rig.batteries[0].causes == ["connect aborted"]


async def test_a_phantom_connection_is_never_up(bluez, quick):
    """BlueZ says connected and nobody is there: it counts only when an answer came."""
    await bluez.tell("phantom 0 1")
    async with Rig().running() as rig:
        await rig.until(lambda: rig.batteries[0].causes == ["services not resolved"])
        await rig.until(lambda: "forget device" in rig.batteries[0].rungs)
        assert rig.batteries[0].ups == 0
        await bluez.tell("phantom 0 0")
        await rig.readings()
    assert rig.batteries[0].ups == 1


async def test_services_that_are_never_resolved(bluez, quick):
    """The connect ends by its deadline, and BlueZ is made to forget the device."""
    await bluez.tell("resolve 0 0")
    async with Rig().running() as rig:
        await rig.until(lambda: "forget device" in rig.batteries[0].rungs)
        await bluez.tell("resolve 0 1")
        await rig.readings()
    assert rig.batteries[0].causes == ["services not resolved"]
    assert "Adapter1.RemoveDevice" in await bluez.tell("stats")


async def test_lost_notifications_cost_a_repetition_and_no_link(bluez):
    """A request whose answer lost a part is asked again; what did arrive is no reading."""
    async with Rig().running() as rig:
        for _ in range(5):
            await rig.readings(2)
            await bluez.tell("lose 0 1")
        await rig.readings()
    battery = rig.batteries[0]
    assert battery.causes == [] and not battery.of(RequestUnanswered)
    asked = len(json.loads(await bluez.tell("requests 0")))
    assert asked - len(battery.frames) in (5, 6), "the last one may be under way"


async def test_in_progress_for_ever(bluez, quick):
    """Somebody scans behind the back of BlueZ: named, and over when that is over."""
    await bluez.tell("discovery_error InProgress Operation already in progress")
    async with Rig().running() as rig:
        await rig.until(lambda: rig.batteries[0].causes == ["scan refused: in progress"])
        await bluez.tell("discovery_error -")
        await rig.readings()
    assert rig.batteries[0].causes == ["scan refused: in progress"]


async def test_a_device_removed_in_the_middle_of_a_read(bluez):
    """bluetoothctl remove: found again by a scan."""
    async with Rig().running() as rig:
        await rig.readings()
        await bluez.tell("remove_device 0")
        await rig.readings()
    assert rig.batteries[0].causes == ["dropped"]
    assert rig.batteries[0].longest_gap_s() < 60


async def test_an_adapter_that_is_pulled_and_plugged_in_again(bluez):
    """Named while it is away, and used within seconds of its return."""
    async with Rig(2).running() as rig:
        await rig.readings()
        await bluez.tell("remove_adapter")
        await rig.until(lambda: all(each.causes == ["adapter gone"] for each in rig.batteries))
        await bluez.tell("add_adapter")
        await rig.readings(4, 60)
    assert [each.ups for each in rig.batteries] == [2, 2]


async def test_an_adapter_that_is_switched_off(bluez):
    """Settings, Bluetooth, off and on again."""
    async with Rig().running() as rig:
        await rig.readings()
        await bluez.tell("power off")
        await rig.until(lambda: rig.batteries[0].causes == ["adapter switched off"])
        await bluez.tell("power on")
        await rig.readings(4, 60)


async def test_bluetoothd_is_killed_and_comes_back(bluez):
    """bleak never notices; we do, at once, and connect to the new one with nothing of the old one in mind."""
    async with Rig(2).running() as rig:
        await rig.readings()
        await bluez.tell("crash")
        await rig.until(lambda: all(each.causes == ["bluetoothd gone"] for each in rig.batteries), 10)
        await bluez.tell("start")
        await rig.readings(4, 60)
        await rig.readings(4, 60)
    assert [each.causes for each in rig.batteries] == [["bluetoothd gone"]] * 2
    assert not rig.batteries[0].of(FrameRejected), "no notification came twice"


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("remove_adapter 0", "adapter gone"),
        ("power off 0", "adapter switched off"),
        ("crash", "bluetoothd gone"),
        ("freeze on", "bluetoothd hangs"),
    ],
)
@pytest.mark.parametrize(
    ("during", "begun"),
    [("adv 0 off", "StartDiscovery"), ("connect_delay 0 3", "Device1.Connect"), ("resolve 0 0", "Device1.Connect")],
)
async def test_what_ends_an_attempt_is_called_by_its_name(bluez, during, begun, fault, cause):
    """And not by what it looks like from here: not heard, aborted, timed out, not resolved."""
    await bluez.tell(during)
    async with Rig().running() as rig:
        while begun not in await bluez.tell("stats"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        await bluez.tell(fault)
        await rig.until(lambda: rig.batteries[0].causes)
        await bluez.tell("freeze off")
    assert rig.batteries[0].causes[0] == cause


async def test_bluetoothd_hangs(bluez, quick):
    """It accepts calls and answers none: named, and no call is left behind when it goes on."""
    async with Rig().running() as rig:
        await rig.readings()
        await bluez.tell("freeze on")
        await rig.until(lambda: rig.batteries[0].causes[-1:] == ["bluetoothd hangs"], 300)
        await bluez.tell("freeze off")
        await rig.readings(4, 300)


async def test_the_beat_of_sixty_seconds(bluez, quick):
    """vesmart-server drops every link once a minute: the third time it is called by its name."""
    await bluez.tell("beat 0 6")
    async with Rig().running() as rig:
        await rig.until(lambda: rig.batteries[0].health.cause == "dropped every 60 s", 400)
    assert set(rig.batteries[0].causes) == {"dropped"}, "what was seen; the beat is concluded"


@pytest.mark.parametrize(("late_s", "repeated"), [(0.04, False), (0.3, True)])
async def test_a_slow_battery_is_read_all_the_same(bluez, late_s, repeated):
    """0.4 s: within the time for an answer. 3 s: the request is repeated, and the late answer is not lost."""
    await bluez.tell("late 0 {}".format(late_s))
    async with Rig().running() as rig:
        await rig.readings(6)
    battery = rig.batteries[0]
    assert battery.causes == [] and battery.ups == 1
    assert bool(battery.of(FrameRejected)) == repeated, "the answer to the repetition comes when nobody waits for it"
    assert not battery.of(RequestUnanswered)


async def test_a_battery_that_falls_silent(bluez):
    """BlueZ says connected for ever. It is hung up, connected anew, and LIVE before LOST."""
    async with Rig().running() as rig:
        await rig.readings()
        await bluez.tell("silent 0 1")
        await rig.until(lambda: rig.batteries[0].causes == ["battery silent"], 60)
        await bluez.tell("silent 0 0")
        await rig.readings()
    assert rig.batteries[0].rungs == ["resync", "reconnect"]
    assert rig.batteries[0].longest_gap_s() < 120


async def test_a_second_client_holds_the_battery(bluez, quick):
    """Another driver on this device: named, not fought, and taken over when it lets go."""
    async with Rig().running() as rig:
        await rig.readings()
        await bluez.tell("drop 0")
        await bluez.tell("hold 0 on")
        await rig.until(lambda: rig.batteries[0].causes[-1:] == ["held by another program"])
        before = await bluez.tell("stats")
        await rig.clock.sleep(30)
        assert _disconnects(await bluez.tell("stats")) == _disconnects(before), "it is not thrown out again and again"
        await bluez.tell("hold 0 off")
        await rig.readings()


def _disconnects(stats):
    return json.loads(stats)["calls"].get("Device1.Disconnect", 0)


async def test_a_connection_of_a_former_process_is_cleared(bluez):
    """BlueZ keeps the links of a program that was killed."""
    await bluez.tell("stale 0")
    async with Rig().running() as rig:
        await rig.readings(4, 60)
    assert rig.batteries[0].causes == []


async def test_a_connect_that_is_answered_too_early(bluez):
    """bluetoothd 5.66 sometimes answers before Connected is true."""
    await bluez.tell("connected_late 0 0.1")
    async with Rig().running() as rig:
        await rig.readings(4, 60)
    assert rig.batteries[0].causes == []


async def test_answers_that_come_twice_are_taken_once(bluez):
    """The second one was not asked for."""
    await bluez.tell("double 0 1")
    async with Rig().running() as rig:
        await rig.readings(8)
    battery = rig.batteries[0]
    assert {fact.reason for fact in battery.of(FrameRejected)} <= {"not asked for", "truncated"}
    assert [frame[1] for frame in battery.frames[:8]] == [3, 4, 5, 3, 4, 3, 4, 3]
    assert battery.causes == []


async def test_a_random_address(bluez):
    """Some modules have one."""
    await bluez.tell("address_type 0 random")
    async with Rig().running() as rig:
        await rig.readings()
    assert rig.batteries[0].ups == 1


async def test_a_battery_that_is_off_is_not_found(bluez, quick):
    """And does not keep the other one from being read."""
    await bluez.tell("adv 0 off")
    async with Rig(2).running() as rig:
        await rig.until(lambda: len(rig.batteries[1].frames) > 8)
        await rig.until(lambda: rig.batteries[0].causes == ["not found"])
        await bluez.tell("adv 0 on")
        await rig.readings()
    assert rig.batteries[1].causes == []


async def test_the_next_adapter_reaches_what_the_first_does_not(bluez_with, quick):
    """In the order of the owner's list; which one is used is on record."""
    bluez = bluez_with(count=1, adapters=2)
    await bluez.tell("hear 0 off 0")
    async with Rig(adapters=[HCI0, "hci1"]).running() as rig:
        await rig.readings()
    battery = rig.batteries[0]
    assert battery.causes == ["not found"] and battery.rungs == ["next adapter"]
    assert battery.of(LinkEstablished)[0].adapter == "hci1 ({})".format(HCI1)


async def test_a_pulled_adapter_is_replaced_by_the_other(bluez_with, quick):
    """Without a list any adapter will do."""
    bluez = bluez_with(count=1, adapters=2)
    async with Rig().running() as rig:
        await rig.readings()
        await bluez.tell("remove_adapter 0")
        await rig.readings(4, 100)
    assert [fact.adapter for fact in rig.batteries[0].of(LinkEstablished)] == [
        "hci0 ({})".format(HCI0), "hci1 ({})".format(HCI1),
    ]  # fmt: skip


async def test_only_the_adapters_of_the_list(bluez_with, quick):
    """One that is not there is named; no other is used instead."""
    bluez_with(count=1, adapters=1)
    async with Rig(adapters=["00:aa:01:00:00:07"]).running() as rig:
        await rig.until(lambda: rig.batteries[0].causes == ["adapter gone"])
        await rig.clock.sleep(10)
    assert rig.batteries[0].ups == 0
