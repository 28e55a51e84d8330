"""The ladder: what is done about a battery that does not come up, in which order, and how often a day."""

import pytest

from core.events import Event, RecoveryAttempted
from core.link_causes import (
    ABORTED,
    ADAPTER_GONE,
    BLUEZ_GONE,
    CONNECT_FAILED,
    HELD,
    NOT_FOUND,
    NOT_RESOLVED,
    RADIO_BUSY,
    SILENT,
)
from core.recovery import (
    BACKOFF_S,
    DAILY,
    DAY_US,
    EARLY_US,
    FORGET,
    LATE_BACKOFF_S,
    NEXT_ADAPTER,
    RESYNC,
    SHORT_LIFE_US,
    TELL_OWNER,
    WAITING_S,
    Ladder,
    Recoveries,
)

MINUTE_US = 60_000_000


def climb(causes, adapters=1, step_s=20):
    """(rungs, pause) after each of *causes*, *step_s* apart."""
    ladder = Ladder(0)
    return [ladder.failed(cause, adapters=adapters, now_us=int(n * step_s * 1e6)) for n, cause in enumerate(causes, 1)]


def rungs_of(steps):
    """Only the rungs, with the attempt after which they came."""
    return [(n, rung) for n, (rungs, _) in enumerate(steps, 1) for rung in rungs]


def test_an_ordinary_drop_is_tried_again_at_once_and_climbs_nothing():
    """Two seconds, so that it is LIVE again long before anybody misses it."""
    ladder = Ladder(0)
    assert ladder.lost(SHORT_LIFE_US, 10**9) == BACKOFF_S[0]


def test_a_link_that_always_dies_young_waits_longer_but_never_long():
    """It answers, so it is never missed; it is only not made anew every other second, all day."""
    ladder = Ladder(0)
    assert [ladder.lost(6_000_000, n * MINUTE_US) for n in range(5)] == [2, 5, 10, 10, 10]
    assert ladder.lost(SHORT_LIFE_US, 10 * MINUTE_US) == 2
    assert ladder.lost(6_000_000, 11 * MINUTE_US) == 2


def test_backoff_is_the_documented_one():
    """2, 5, 10, 20, 30, then 60 s within the first hour, 300 s afterwards."""
    steps = climb([NOT_FOUND] * 200, step_s=30)
    assert [pause for _, pause in steps[:7]] == [2, 5, 10, 20, 30, 60, 60]
    assert steps[118][1] == 60 and EARLY_US == 119 * 30_000_000 + 30_000_000
    assert {pause for _, pause in steps[119:]} == {LATE_BACKOFF_S}


def test_a_link_that_does_not_come_up_is_forgotten_every_third_time():
    """BlueZ may hold a stale list of services; a battery that is not heard, or held by others, is no such case."""
    for cause in (CONNECT_FAILED, NOT_RESOLVED, SILENT):
        assert [n for n, rung in rungs_of(climb([cause] * 12, step_s=1)) if rung == FORGET] == [3, 6, 9, 12]
    for cause in (NOT_FOUND, HELD, RADIO_BUSY, ABORTED):
        assert rungs_of(climb([cause] * 12, step_s=1)) == []


def test_the_next_adapter_only_where_there_is_one():
    """Every second time when this one does not hear the battery, else every fourth."""
    assert rungs_of(climb([NOT_FOUND] * 5, adapters=2, step_s=1)) == [(2, NEXT_ADAPTER), (4, NEXT_ADAPTER)]
    assert rungs_of(climb([ABORTED] * 9, adapters=2, step_s=1)) == [(4, NEXT_ADAPTER), (8, NEXT_ADAPTER)]
    assert rungs_of(climb([NOT_FOUND] * 6, adapters=1, step_s=1)) == []


def test_the_order_of_the_rungs():
    """Forget before another adapter, and the owner last of all."""
    steps = climb([CONNECT_FAILED] * 12, adapters=2, step_s=30)
    assert rungs_of(steps) == [
        (3, FORGET), (4, NEXT_ADAPTER), (6, FORGET), (8, NEXT_ADAPTER), (9, FORGET), (10, TELL_OWNER),
        (12, NEXT_ADAPTER), (12, FORGET),
    ]  # fmt: skip


def test_the_owner_is_told_once_for_a_darkness():
    """After five minutes; again only after the battery had been there."""
    ladder = Ladder(0)
    told = [ladder.failed(NOT_FOUND, adapters=1, now_us=n * MINUTE_US)[0] for n in range(1, 20)]
    assert [n for n, rungs in enumerate(told, 1) if TELL_OWNER in rungs] == [5]
    ladder.succeeded()
    ladder.lost(MINUTE_US, 60 * MINUTE_US)
    told = [ladder.failed(NOT_FOUND, adapters=1, now_us=n * MINUTE_US)[0] for n in range(61, 80)]
    assert [n for n, rungs in enumerate(told, 61) if TELL_OWNER in rungs] == [65]


@pytest.mark.parametrize("cause", [ADAPTER_GONE, BLUEZ_GONE])
def test_what_is_missing_is_waited_for(cause):
    """Looked for every few seconds, and no failure of the battery's: it comes back at the bottom of the ladder."""
    ladder = Ladder(0)
    for n in range(1, 20):
        assert ladder.failed(cause, adapters=1, now_us=n * 5_000_000) == ([], WAITING_S)
    assert ladder.failed(NOT_FOUND, adapters=1, now_us=100_000_000) == ([], BACKOFF_S[0])
    assert ladder.failed(cause, adapters=1, now_us=2 * EARLY_US)[1] == BACKOFF_S[-1]


def attempted(uptime_us, battery="b", rung=FORGET, boot=1):
    """A rung that was climbed."""
    return Event(1, boot, uptime_us, 0, RecoveryAttempted(battery, rung, SILENT))


def test_a_rung_has_a_daily_cap():
    """For each battery by itself; a day later it is free again."""
    recoveries = Recoveries()
    for n in range(DAILY[FORGET]):
        assert recoveries.allow("b", FORGET, n)
        recoveries.fold(attempted(n))
    assert not recoveries.allow("b", FORGET, 10)
    assert recoveries.allow("other", FORGET, 10) and recoveries.allow("b", RESYNC, 10)
    assert not recoveries.allow("b", FORGET, DAY_US - 1)
    assert recoveries.allow("b", FORGET, DAY_US)
    recoveries.fold(attempted(2 * DAY_US))
    assert len(recoveries.to_payload()["b"][FORGET]) == 1, "what is older than a day is not kept"


def test_two_days_of_darkness_never_leave_a_battery_to_one_adapter():
    """It may be the wrong one when the battery comes back: the cap is for what goes round faster than that."""
    ladder, recoveries, now_us, used_us = Ladder(0), Recoveries(), 0, [0]
    while now_us < 2 * DAY_US:
        rungs, pause_s = ladder.failed(NOT_FOUND, adapters=2, now_us=now_us)
        if NEXT_ADAPTER in rungs and recoveries.allow("b", NEXT_ADAPTER, now_us):
            recoveries.fold(attempted(now_us, rung=NEXT_ADAPTER))
            used_us.append(now_us)
        now_us += int(pause_s * 1e6)
    assert max(later - earlier for earlier, later in zip(used_us, used_us[1:])) <= 2 * LATE_BACKOFF_S * 1e6


def test_a_restart_does_not_lift_the_cap():
    """In the same boot the times go on; those of a former boot are as old as this run is."""
    before = Recoveries()
    for n in range(DAILY[FORGET]):
        before.fold(attempted(n * MINUTE_US, boot=3))
    again = Recoveries({"recoveries": before.to_payload()})
    again.fold(Event(9, 3, 10 * MINUTE_US, 0, None))
    assert not again.allow("b", FORGET, 10 * MINUTE_US)
    assert again.allow("b", FORGET, DAY_US + MINUTE_US)
    rebooted = Recoveries({"recoveries": before.to_payload()})
    rebooted.fold(Event(9, 4, 50 * MINUTE_US, 0, None))
    assert not rebooted.allow("b", FORGET, DAY_US + MINUTE_US)
    assert rebooted.allow("b", FORGET, DAY_US + 50 * MINUTE_US)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        5,
        [],
        {"b": 3},
        {"b": {FORGET: 4}},
        {"b": {FORGET: [5]}},
        {"b": {FORGET: [[1, "x"]]}},
        {"b": {"x": [[1, 2]]}},
    ],
)
def test_what_cannot_be_read_is_left_out(payload):
    """A snapshot of a later version, or a damaged one."""
    assert Recoveries({"recoveries": payload}).to_payload() == {}
