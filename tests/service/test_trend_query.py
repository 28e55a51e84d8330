"""A trend of a real log: dated by the last setting of the clock, up to the last reading, and nothing counted twice."""

import asyncio
import json

import pytest

from core.configuration import BatteryConfiguration
from core.trend import parse_request
from service.trend_query import QueryCancelled, TrendQuery
from storage.database import DatabaseDamaged, StorageError
from tests.doubles.manual_clock import ManualClock
from tests.storage.lives import BATTERIES, Device
from tests.storage.logs import WALL_US, query

KNOWN = [BatteryConfiguration(battery, battery) for battery in BATTERIES]


def asked(series="soc", hours=6, battery=None):
    """A request to a service of both batteries."""
    return parse_request(json.dumps({"series": series, "hours": hours, "battery": battery}), KNOWN)


def query_of(device):
    """A query by the clock of *device*, as it stands now."""
    uptime_us = device.uptime_us
    return TrendQuery(device.log, ManualClock(uptime_us / 1e6, uptime_us + device.wall_offset_us))


async def answered(device, request):
    """The answer, as a client reads it."""
    return json.loads(await query_of(device).answer(request))


def known(answer, line=0):
    """By unix time the points that are not null."""
    values = zip(answer["min"][line], answer["max"][line])
    return {answer["start"] + n * answer["step"]: each for n, each in enumerate(values) if each[0] is not None}


async def test_stored_closed_and_open_buckets_are_one_trend(tmp_path):
    """Half an hour of polls, the last ones not committed: every minute once, the present one too."""
    device = Device(tmp_path / "log.db", batteries=2, commit_every=7)
    await device.start()
    await device.run(1800)
    assert query(device.path, "SELECT count(*) FROM history_minute")[0][0] > 0
    assert device.log.history.closed
    answer = await answered(device, asked("current", hours=1))
    assert answer["names"] == ["1", "2"]
    assert [len(known(answer, line)) for line in (0, 1)] == [30, 30]
    assert max(known(answer)) == (device.uptime_us + WALL_US) // 60_000_000 * 60
    await device.stop()


@pytest.mark.parametrize("series", ["spread", "cells", "temperature", "current"])
async def test_a_commit_changes_no_answer(tmp_path, series):
    """What was in memory is in rows then: the same trend, bit by bit."""
    device = Device(tmp_path / "log.db", batteries=2, commit_every=10**6)
    await device.start()
    await device.run(2400)
    request = asked(series, battery=2)
    before = await answered(device, request)
    await device.commit()
    assert len(device.log.history.closed) == 0
    assert before == await answered(device, request)
    assert query(device.path, "SELECT count(*) FROM history_minute")[0][0] > 60
    await device.stop()


async def test_a_commit_during_the_query_doubles_nothing(tmp_path):
    """Readings, and a commit of all that was in memory, between the look at the memory and that at the rows."""
    device = Device(tmp_path / "log.db", batteries=2, commit_every=10**6)
    await device.start()
    await device.run(2400)
    merged, reader_of = query_of(device), device.log.reader

    async def commit_first():
        await device.run(600)
        await device.commit()
        return await reader_of()

    calm = json.loads(await merged.answer(asked("cells", battery=1)))
    device.log.reader = commit_first
    assert json.loads(await merged.answer(asked("cells", battery=1))) == calm
    assert query(device.path, "SELECT count(*) FROM history_minute")[0][0] > 80
    await device.stop()


async def test_dates_follow_the_last_setting_of_each_boots_clock(tmp_path):
    """A boot begins in 1970, NTP comes after ten minutes, somebody sets it back an hour: true order, none twice."""
    device = Device(tmp_path / "log.db", commit_every=3)
    await device.start()
    await device.run(1800)
    await device.stop()
    first_ended_s = (device.uptime_us + device.wall_offset_us) // 1_000_000
    device.reboot()
    device.wall_offset_us = 0
    await device.start()
    await device.run(600)
    device.set_clock(first_ended_s + 7200)
    await device.run(600)
    device.set_clock(-3600)
    await device.run(600)
    points = known(await answered(device, asked("current")))
    now_s = (device.uptime_us + device.wall_offset_us) // 1_000_000
    second = [at_s for at_s in points if at_s > first_ended_s]
    assert len(points) == 30 + 30
    assert len(second) == 30
    assert now_s - 1800 - 60 <= min(second) and max(second) <= now_s
    await device.stop()


async def test_a_clock_that_was_just_set_counts_at_once(tmp_path):
    """Also before any event told the log of it."""
    device = Device(tmp_path / "log.db", commit_every=3)
    await device.start()
    await device.run(600)
    device.set_clock(86_400)
    points = known(await answered(device, asked()))
    assert len(points) == 10 and min(points) > WALL_US / 1e6 + 80_000
    await device.stop()


async def test_a_boot_whose_clock_was_never_right_is_left_out(tmp_path):
    """It was in 1970, as far as anybody knows; and one in the future is not the past."""
    device = Device(tmp_path / "log.db")
    for offset_us in (0, WALL_US + 10**14, WALL_US):
        device.wall_offset_us = offset_us
        await device.start()
        await device.run(600)
        if offset_us != WALL_US:
            await device.stop()
            device.reboot()
    assert len(known(await answered(device, asked()))) == 10
    await device.stop()


async def test_silence_is_a_gap(tmp_path):
    """Nothing is invented for the time between two readings."""
    device = Device(tmp_path / "log.db")
    await device.start()
    await device.run(300)
    device.uptime_us += 1800 * 1_000_000
    await device.run(300)
    answer = await answered(device, asked(hours=1))
    assert sorted(known(answer)) == sorted(
        (WALL_US // 1_000_000 + seconds) // 60 * 60 for seconds in (*range(80, 321, 60), *range(2180, 2421, 60))
    )
    await device.stop()


async def test_the_event_loop_goes_on(tmp_path):
    """Between a few rows everybody else has a turn, so no tick waits for a query."""
    device = Device(tmp_path / "log.db", commit_every=50)
    await device.start()
    await device.run(6 * 3600)
    turns, done = 0, asyncio.Event()
    busy = []

    class Watched(TrendQuery):
        async def _add(self, trend, dated, offset_us):
            await super()._add(trend, dated, offset_us)
            busy.append(turns)

    async def others():
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    watching = asyncio.ensure_future(others())
    asker = query_of(device)
    await Watched(asker._log, asker._clock).answer(asked("cells", battery=1))
    done.set()
    await watching
    assert len(busy) > 350
    assert max(busy.count(turn) for turn in set(busy)) <= 32
    await device.stop()


async def test_a_database_that_is_gone(tmp_path):
    """The query says so; the log itself notices at its next commit."""
    device = Device(tmp_path / "log.db")
    await device.start()
    device.path.unlink()
    with pytest.raises(StorageError, match="does not exist"):
        await query_of(device).answer(asked())
    await device.kill()


@pytest.mark.parametrize("sql", ["UPDATE history_minute SET data = x'01'", "DELETE FROM battery"])
async def test_rows_that_are_damaged(tmp_path, sql):
    """An error, never other numbers."""
    device = Device(tmp_path / "log.db")
    await device.start()
    await device.run(1200)
    query(device.path, sql)
    with pytest.raises(DatabaseDamaged):
        await query_of(device).answer(asked())
    await device.stop()


async def test_a_query_can_be_cancelled(tmp_path):
    """It ends before it has read everything, and its connection is closed."""
    device = Device(tmp_path / "log.db", commit_every=50)
    await device.start()
    await device.run(3 * 3600)
    asker = query_of(device)
    asker.cancel()
    with pytest.raises(QueryCancelled):
        await asker.answer(asked())
    await device.stop()
