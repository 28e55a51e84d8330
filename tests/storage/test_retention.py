"""What is deleted and when, what the cap holds, and what a full disk costs."""

import gc
import os
import tracemalloc

import pytest

from core.events import FrameRejected, HistoryPaused, HistoryResumed, LinkLost, ReadingsDeleted, ReadingTaken
from storage.event_log import UNCOUNTED_AT_MOST, EventLog
from storage.rebuild import rebuild
from storage.retention import MB, WAL_BYTES, Retention, size_of
from tests.storage.disks import fill, small_disk
from tests.storage.lives import BATTERIES, DAY_S, HOUR_S, Device, tables
from tests.storage.logs import SECOND_US, WALL_US, event, query, read_log, reading, started


def kinds_of(events, kind):
    """The facts of one kind."""
    return [one.fact for one in events if isinstance(one.fact, kind)]


async def test_ages_are_counted_in_recorded_time(tmp_path):
    """A year of silence, a clock in 1970 and a new boot delete nothing; a further day of readings does."""
    path = tmp_path / "log.db"
    device = Device(path, retention=Retention(readings_days=1, minutes_hours=24, quarters_days=2), commit_every=15)
    await device.start()
    await device.run(DAY_S - 2 * HOUR_S)
    first = query(path, "SELECT min(number) FROM event WHERE kind = 1")
    device.uptime_us += 300 * DAY_S * 1_000_000
    device.set_clock(-56 * 365 * DAY_S)
    await device.run(HOUR_S / 2)
    await device.stop()
    device.reboot()
    await device.start()
    await device.run(900)
    assert query(path, "SELECT min(number) FROM event WHERE kind = 1") == first
    await device.run(DAY_S + 2 * HOUR_S)
    await device.stop()
    events = await read_log(path)
    readings = [one for one in events if isinstance(one.fact, ReadingTaken)]
    assert readings[0].boot == 2 and readings[0].uptime_us < 3 * HOUR_S * 1e6
    deleted = kinds_of(events, ReadingsDeleted)
    assert {fact.cause for fact in deleted} == {"age"}
    assert [fact.below_number for fact in deleted] == sorted(fact.below_number for fact in deleted)
    assert sum(fact.count for fact in deleted) == events[-1].number - len(events)
    assert len(kinds_of(events, type(started()))) == 2, "everything but readings stays"
    counted = tables(path)
    assert len(counted["history_minute"]) in range(1440, 1500)
    assert len(counted["history_quarter"]) == 96 * 2
    assert len(counted["history_day"]) == 3


async def test_the_cap_holds_and_the_oldest_readings_go_first(tmp_path):
    """At every commit file and WAL are within it; the newest readings and the history are there."""
    path = tmp_path / "log.db"
    cap = 8 * MB
    device = Device(path, batteries=2, poll_s=5, retention=Retention(cap_bytes=cap), commit_every=60)
    await device.start()
    largest = 0
    for _ in range(40):
        await device.run(HOUR_S)
        largest = max(largest, size_of(path))
    assert WAL_BYTES < largest <= cap
    await device.stop()
    assert path.stat().st_size <= cap
    events = await read_log(path)
    readings = [one for one in events if isinstance(one.fact, ReadingTaken)]
    numbers = [one.number for one in readings]
    deleted = kinds_of(events, ReadingsDeleted)
    assert {fact.cause for fact in deleted} == {"size"}
    assert numbers[0] >= deleted[-1].below_number
    facts = len(deleted)
    assert numbers[-1] - numbers[0] + 1 - len(numbers) <= facts, "no hole among those that are left"
    assert len(tables(path)["history_minute"]) in range(2 * 40 * 60 - 4, 2 * 40 * 60 + 1)
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_cap_that_is_lowered(tmp_path):
    """A file that is larger than it may be shrinks, step by step, and goes on being written."""
    path = tmp_path / "log.db"
    device = Device(path, commit_every=60)
    await device.start()
    for _ in range(20):
        await device.run(HOUR_S)
        for _ in range(250):
            device.record(FrameRejected(BATTERIES[0], "jbd", "noise", b"\x55" * 1000))
    await device.stop()
    assert path.stat().st_size > 8 * MB
    device = Device(path, poll_s=5, retention=Retention(cap_bytes=8 * MB), commit_every=12)
    device.uptime_us = 37 * HOUR_S * 1_000_000
    await device.start()
    await device.run(HOUR_S)
    await device.stop()
    assert size_of(path) <= 8 * MB
    events = await read_log(path)
    assert events[-2].uptime_us == device.uptime_us or isinstance(events[-2].fact, ReadingTaken)


async def test_when_nothing_may_be_deleted(tmp_path, monkeypatch):
    """Minutes and quarters follow the readings; then it is told, events wait, and what is there stays whole."""
    path = tmp_path / "log.db"
    monkeypatch.setattr("storage.retention.MARGIN_BYTES", 8 * MB - WAL_BYTES - 400_000)
    device = Device(path, retention=Retention(cap_bytes=8 * MB), commit_every=30)
    await device.start()
    await device.run(2 * DAY_S)
    assert device.log.problem is None
    assert query(path, "SELECT name FROM history_mark WHERE name = 'readings_from'") == [("readings_from",)]
    for number in range(400):
        device.change_setting("CustomName", "x" * 3000 + str(number))
        await device.commit()
    assert "has its largest size of 8 MB, and nothing in it may be deleted" in device.log.problem
    assert device.log.waiting > 50
    assert query(path, "SELECT count(*) FROM history_minute")[0][0] <= 100
    assert query(path, "SELECT count(*) FROM history_quarter")[0][0] <= 100
    assert query(path, "SELECT count(*) FROM history_day")[0][0] >= 1
    await device.log.close()
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


async def test_too_little_room_for_any_history(tmp_path):
    """Below 8 MB nothing is recorded, and the reason says how much there is."""
    log = await EventLog.open(tmp_path / "log.db", wall_us=lambda: WALL_US, retention=Retention(cap_bytes=7 * MB))
    await log.begin_boot("a", 0)
    log.append(event(1, started()))
    await log.commit()
    assert log.problem == "there is room for 7.0 MB of history only, and 8 MB is the least"
    assert log.waiting == 1
    await log.close()


async def test_the_cap_by_free_space(tmp_path):
    """A quarter of what is free, the database itself counted as free, and 256 MB at most."""
    assert Retention().cap(tmp_path / "log.db") == 256 * MB
    with small_disk(tmp_path / "disk", 20) as folder:
        free = os.statvfs(str(folder))
        free_bytes = free.f_bavail * free.f_frsize
        assert Retention().cap(folder / "log.db") == free_bytes // 4
        (folder / "log.db").write_bytes(b"x" * 4_000_000)
        assert abs(Retention().cap(folder / "log.db") - free_bytes // 4) < 10_000


async def test_the_forecast(tmp_path):
    """Room in days at the rate of the last day; unknown in the first hour."""
    path = tmp_path / "log.db"
    device = Device(path, poll_s=5, retention=Retention(cap_bytes=20 * MB), commit_every=60)
    await device.start()
    assert await device.log.forecast_days() is None
    await device.run(3000)
    assert await device.log.forecast_days() is None
    await device.run(20 * HOUR_S)
    days = await device.log.forecast_days()
    per_day = query(path, "PRAGMA page_count")[0][0] * 4096 / 20 * 24
    await device.stop()
    assert days == pytest.approx((20 * MB - WAL_BYTES) / per_day, rel=0.2)


async def test_a_day_on_a_full_disk(tmp_path):
    """24 hours at a poll of 5 s: memory bounded, nothing corrupted; then all that waited is stored and told."""
    with small_disk(tmp_path / "disk", 3) as folder:
        path = folder / "log.db"
        device = Device(path, poll_s=5, retention=Retention(cap_bytes=64 * MB), commit_every=12)
        await device.start()
        await device.run(HOUR_S)
        await device.commit()
        fill(folder)
        gc.collect()
        tracemalloc.start()
        await device.run(24 * HOUR_S)
        gc.collect()
        grown_bytes, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert grown_bytes < 5_000_000 and peak_bytes < 7_000_000
        assert device.log.problem == "database or disk is full"
        device.change_setting("AlertThreshold", 0.1)
        assert query(path, "PRAGMA integrity_check") == [("ok",)]
        (folder / "filler").unlink()
        await device.run(600)
        assert (device.log.problem, device.log.waiting < 2) == (None, True)
        await device.stop()
        events = await read_log(path)
        lost = device_lost = kinds_of(events, HistoryResumed)[0]
    numbers = [one.number for one in events]
    assert numbers == sorted(set(numbers))
    assert len(kinds_of(events, HistoryPaused)) == len(kinds_of(events, HistoryResumed)) == 1
    assert lost.lost == numbers[-1] - len(numbers) > 20_000
    assert device_lost.last_uptime_us - device_lost.first_uptime_us > 18 * HOUR_S * 1e6
    assert "AlertThreshold" in [getattr(one.fact, "setting", None) for one in events], "settings find room"
    assert sum(one.fact == reading() for one in events) == 0


async def test_a_winter_without_an_answer_is_not_folded_at_every_start(tmp_path):
    """Only link events for months: it is noted how far they are counted, and no reading before is counted twice."""
    device = Device(tmp_path / "log.db")
    await device.start()
    await device.run(3 * 60 + 30)
    for _ in range(3 * UNCOUNTED_AT_MOST // 2):
        device.uptime_us += 60 * SECOND_US
        device.record(LinkLost(BATTERIES[0], "timeout"))
        if device.log.waiting >= 500:
            await device.commit()
    await device.kill()
    newest = query(device.path, "SELECT max(number) FROM event")[0][0]
    counted_to = query(device.path, "SELECT value FROM history_mark WHERE name = 'counted_to'")[0][0]
    assert newest - counted_to < UNCOUNTED_AT_MOST
    await device.start()
    await device.run(600)
    await device.stop()
    before = tables(device.path)
    await rebuild(device.path, wall_us=WALL_US)
    assert tables(device.path) == before
