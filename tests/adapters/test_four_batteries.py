"""Four batteries on one adapter: what disturbs one leaves the others alone, and all are LIVE again before LOST.

LOST is 120 s without a complete reading. The rig runs five times as fast, so what the double does in real time counts
five times; ``pytest -rP`` shows the figures.
"""

import json

import pytest

from core.configuration import PLAIN_HOLD_S
from core.conversation import NOT_ASKED_FOR
from core.events import FrameRejected, ReadingTaken
from tests.adapters.radio_rig import Rig

POLL_S = 5
LIVE_S = 15


@pytest.fixture
def four(bluez_with):
    """The double with four batteries."""
    return bluez_with(count=4)


@pytest.fixture
def told(request):
    """Prints the longest time without a complete reading, of each battery."""

    def tell(rig):
        gaps = [each.longest_gap_s() for each in rig.batteries]
        print("{}: {}".format(request.node.name, " ".join("{:.1f} s".format(gap) for gap in gaps)))
        return gaps

    return tell


async def test_an_ordinary_drop(four, told):
    """One is away for seconds, the others notice nothing."""
    async with Rig(4, rate=5).running() as rig:
        await rig.readings(6)
        await four.tell("drop 2")
        await rig.readings(6)
    gaps = told(rig)
    assert gaps[2] < 60 and rig.batteries[2].causes == ["dropped"]
    assert all(gap < LIVE_S and not each.causes for each, gap in zip(rig.batteries, gaps) if each.number != 2)


async def test_one_that_falls_silent(four, told):
    """Found, hung up and connected anew while the others are read."""
    async with Rig(4, rate=5).running() as rig:
        await rig.readings(4)
        await four.tell("silent 1 1")
        await rig.until(lambda: rig.batteries[1].causes == ["battery silent"], 60)
        await four.tell("silent 1 0")
        await rig.readings(6)
    gaps = told(rig)
    assert gaps[1] < PLAIN_HOLD_S
    assert all(gap < LIVE_S for each, gap in zip(rig.batteries, gaps) if each.number != 1)


async def test_bluetoothd_restarts(four, told):
    """All four links go at once and come back one after the other."""
    async with Rig(4, rate=5).running() as rig:
        await rig.readings(6)
        await four.tell("crash")
        await rig.clock.sleep(10)
        await four.tell("start")
        await rig.readings(6)
    assert max(told(rig)) < PLAIN_HOLD_S
    assert [each.causes for each in rig.batteries] == [["bluetoothd gone"]] * 4


async def test_all_drop_at_once(four, told):
    """A microwave oven: one at a time on the adapter, and nobody starves."""
    async with Rig(4, rate=5).running() as rig:
        await rig.readings(6)
        for number in range(4):
            await four.tell("drop {}".format(number))
        await rig.readings(6)
    assert max(told(rig)) < 90


async def test_three_go_on_beside_one_that_is_off(four, told):
    """Looking for it takes turns on the adapter; who is connected needs none."""
    await four.tell("adv 3 off")
    async with Rig(4, rate=5).running() as rig:
        await rig.until(lambda: all(len(each.frames) > 20 for each in rig.batteries[:3]), 300)
        await four.tell("drop 0")
        await rig.until(lambda: rig.batteries[0].ups == 2, 100)
        await rig.until(lambda: len(rig.batteries[0].frames) > 30, 100)
    gaps = [each.longest_gap_s() for each in rig.batteries[:3]]
    assert gaps[0] < 90 and max(gaps[1:]) < LIVE_S
    assert rig.batteries[3].causes == ["not found"]


async def test_the_log_is_what_was_delivered(four):
    """Whatever is lost, damaged or late on the way: every whole answer is on record once, in order, none is made up."""
    faults = [
        ("lose {} 1", None), ("corrupt {} 1", "corrupt {} 0"), ("late {} 0.3", "late {} 0"), ("drop {}", None),
        ("silent {} 1", "silent {} 0"), ("lose {} 2", None), ("drop {}", None),
    ]  # fmt: skip
    async with Rig(4, rate=5).running() as rig:
        await rig.readings(2)
        for fault, cure in faults:
            for number in range(4):
                await four.tell(fault.format(number))
            await rig.clock.sleep(8)
            for number in range(4):
                if cure is not None:
                    await four.tell(cure.format(number))
            await rig.readings(3)
        await four.tell("crash")
        delivered = [json.loads(await four.tell("delivered {}".format(number))) for number in range(4)]
    for each, expected in zip(rig.batteries, delivered):
        assert [frame.hex() for frame in _whole(each)] == expected
        assert len(each.frames) > 30


def _whole(watched):
    """Every valid answer that the log holds: readings, and those that came when nobody waited for them any more."""
    for _, fact in watched.facts:
        if isinstance(fact, ReadingTaken):
            yield fact.frame
        elif isinstance(fact, FrameRejected) and fact.reason == NOT_ASKED_FOR:
            yield fact.data
