"""Events are found by number and by time, whatever was deleted and however the clock was set."""

import random

import pytest

import storage.event_reader
from core.events import ClockStepped, LinkLost, ReadingsDeleted, SessionEnded, SettingChanged
from core.sequencer import Sequencer
from storage.database import StorageError
from storage.event_reader import EventReader
from tests.storage.logs import (
    BATTERY,
    OTHER,
    SECOND_US,
    WALL_US,
    append_all,
    event,
    open_log,
    query,
    read_log,
    reading,
    some_events,
    started,
    write_log,
)

HOUR_US = 3600 * SECOND_US


def random_events(chance, count):
    """Several boots, several events at the same instant, readings mostly."""
    events, boot, uptime_us = [], 1, 0
    for number in range(1, count + 1):
        uptime_us += chance.choice([0, 0, 1, SECOND_US, 10 * SECOND_US])
        if chance.random() < 0.05:
            boot, uptime_us = boot + chance.randrange(1, 3), chance.randrange(5)
        fact = reading(number) if chance.random() < 0.9 else LinkLost(BATTERY, "gone")
        events.append(event(number, fact, boot=boot, uptime_us=uptime_us))
    return events


async def with_gaps(path, chance, events):
    """A log of *events* without some stretches and some single readings; what is left."""
    await write_log(path, events)
    gone = set(chance.sample(range(1, len(events) + 1), chance.randrange(len(events))))
    begin = chance.randrange(1, len(events))
    gone.update(range(begin, chance.randrange(begin, len(events))))
    marks = ",".join(str(number) for number in gone)
    query(path, "DELETE FROM event WHERE kind = 1 AND number IN ({})".format(marks))
    return [one for one in events if one.number not in gone or not hasattr(one.fact, "frame")]


@pytest.mark.parametrize("seed", range(15))
async def test_binary_search_agrees_with_a_linear_one(tmp_path, seed):
    """Everything before the number found is earlier than asked for, nothing from it on is."""
    chance, path = random.Random(seed), tmp_path / "log.db"
    left = await with_gaps(path, chance, random_events(chance, chance.randrange(2, 120)))
    instants = [(one.boot, one.uptime_us + early) for one in left for early in (-1, 0, 1)]
    instants = chance.sample(instants, min(len(instants), 60))
    instants += [(0, 0), (1, 0), (left[-1].boot if left else 1, 10 * HOUR_US), (99, 0)]
    async with await EventReader.open(path) as reader:
        for instant in instants:
            number = await reader.number_at(*instant)
            linear = [one.number for one in left if (one.boot, one.uptime_us) >= instant]
            assert [one.number for one in left if one.number >= number] == linear, instant


async def test_an_empty_log_has_nothing_anywhere(tmp_path):
    """A log without events answers every question with nothing."""
    await (await open_log(tmp_path / "log.db")).close()
    async with await EventReader.open(tmp_path / "log.db") as reader:
        assert await reader.number_at(1, 0) == 0
        assert await reader.ranges_at(None, None) == []
        assert await reader.session_before(5) is None
        assert [one async for one in reader.events()] == []


async def test_events_are_selected_by_number_and_kind(tmp_path):
    """Start is included, stop is not; readings can be left out."""
    path = tmp_path / "log.db"
    events = [event(1, started()), event(2, reading()), event(3, LinkLost(BATTERY, "x")), event(4, reading())]
    await write_log(path, events)
    assert await read_log(path, 2, 4) == events[1:3]
    assert await read_log(path, 3) == events[2:]
    assert await read_log(path, 0, 1) == []
    assert await read_log(path, 5) == []
    assert await read_log(path, readings=False) == [events[0], events[2]]
    assert await read_log(path, 2, 4, readings=False) == [events[2]]


@pytest.mark.parametrize("chunk", [1, 2, 7, 20, 21])
async def test_chunks_leave_no_seam(tmp_path, monkeypatch, chunk):
    """However many rows are fetched at a time, each event comes once."""
    monkeypatch.setattr(storage.event_reader, "_CHUNK", chunk)
    await write_log(tmp_path / "log.db", some_events(20))
    assert await read_log(tmp_path / "log.db") == some_events(20)
    assert await read_log(tmp_path / "log.db", 3, 17) == some_events(14, first=3)


async def test_the_session_in_force(tmp_path):
    """The last start at or before an event, none before the first."""
    events = [event(1, reading()), event(2, started()), event(3, reading()), event(4, started()), event(5, reading())]
    await write_log(tmp_path / "log.db", events)
    async with await EventReader.open(tmp_path / "log.db") as reader:
        assert [await reader.session_before(n) for n in range(1, 7)] == [None, 2, 2, 4, 4, 4]


async def write_boot(path, boot_id, moments):
    """One run of the program: a start, a reading at each later (uptime s, wall µs), an end. Returns its numbers."""
    log = await open_log(path, boot_id, moments[0][0] * SECOND_US)
    boot = await log.begin_boot(boot_id, moments[0][0] * SECOND_US)
    sequencer, first = Sequencer(boot=boot, next_number=log.next_number), log.next_number
    for place, (uptime_s, wall_us) in enumerate(moments):
        fact = started() if place == 0 else SessionEnded("stopped") if place == len(moments) - 1 else reading(place)
        append_all(log, sequencer.number(fact, uptime_s * SECOND_US, wall_us))
    await log.close()
    return range(first, log.next_number)


async def selected(path, since_us, until_us):
    """The numbers in the ranges of a span of wall time."""
    async with await EventReader.open(path) as reader:
        ranges = await reader.ranges_at(since_us, until_us)
        assert ranges == sorted(ranges) and all(start < stop for start, stop in ranges)
        return [one.number for start, stop in ranges async for one in reader.events(start, stop)]


def steady(count, wall_us, uptime_s=100):
    """*count* moments, ten seconds apart, under a right clock."""
    return [(uptime_s + 10 * n, wall_us + 10 * n * SECOND_US) for n in range(count)]


async def test_a_span_over_several_boots(tmp_path):
    """A span that begins in one boot and ends in another is one range in each."""
    path = tmp_path / "log.db"
    first = await write_boot(path, "a", steady(6, WALL_US))
    second = await write_boot(path, "b", steady(6, WALL_US + HOUR_US, uptime_s=7))
    third = await write_boot(path, "c", steady(6, WALL_US + 2 * HOUR_US))
    everything = [*first, *second, *third]
    assert await selected(path, None, None) == everything
    assert await selected(path, WALL_US, None) == everything
    assert await selected(path, WALL_US + 30 * SECOND_US, WALL_US + HOUR_US + 20 * SECOND_US) == [
        *first[3:],
        *second[:2],
    ]
    assert await selected(path, WALL_US + HOUR_US, WALL_US + HOUR_US + 1) == [second[0]]
    assert await selected(path, None, WALL_US + 10 * SECOND_US) == [first[0]]
    assert await selected(path, WALL_US + 2 * HOUR_US + 50 * SECOND_US, None) == [third[-1]]
    assert await selected(path, WALL_US + 100 * SECOND_US, WALL_US + HOUR_US) == []
    assert await selected(path, None, WALL_US) == []
    assert await selected(path, WALL_US + 3 * HOUR_US, None) == []
    assert await selected(path, WALL_US + HOUR_US, WALL_US) == []


async def test_a_boot_that_began_in_1970_is_dated_by_the_clock_it_got(tmp_path):
    """What a device without a clock chip recorded before NTP arrived belongs to the time it really was."""
    path = tmp_path / "log.db"
    before = [(10 + 10 * n, 10 * n * SECOND_US) for n in range(4)]
    after = [(50 + 10 * n, WALL_US + (50 + 10 * n) * SECOND_US) for n in range(4)]
    numbers = await write_boot(path, "a", before + after)
    events = await read_log(path)
    assert [type(one.fact) for one in events].count(ClockStepped) == 1
    assert await selected(path, WALL_US, WALL_US + HOUR_US) == list(numbers)
    assert await selected(path, None, HOUR_US) == []
    assert await selected(path, WALL_US + 20 * SECOND_US, WALL_US + 40 * SECOND_US) == list(numbers[1:3])
    assert [one.wall_us for one in events[:2]] == [0, 10 * SECOND_US], "what was believed then is kept as it was"


async def test_a_boot_that_never_got_a_clock_stays_in_1970(tmp_path):
    """An unknown time is never guessed from its neighbours."""
    path = tmp_path / "log.db"
    lost = await write_boot(path, "a", [(10 + n, n * SECOND_US) for n in range(4)])
    known = await write_boot(path, "b", steady(4, WALL_US))
    assert await selected(path, WALL_US - HOUR_US, WALL_US + HOUR_US) == list(known)
    assert await selected(path, None, HOUR_US) == list(lost)


async def test_a_clock_set_back_selects_nothing_twice(tmp_path):
    """After a step back the whole boot is dated by the new clock."""
    path = tmp_path / "log.db"
    moments = steady(4, WALL_US) + steady(4, WALL_US + 40 * SECOND_US - HOUR_US, uptime_s=140)
    numbers = await write_boot(path, "a", moments)
    assert await selected(path, WALL_US - HOUR_US, WALL_US) == list(numbers)
    assert await selected(path, WALL_US, None) == []


@pytest.mark.parametrize("seed", range(5))
async def test_any_cut_in_time_parts_the_log(tmp_path, seed):
    """What is before an instant and what is after it are together everything, each event once."""
    chance, path = random.Random(seed), tmp_path / "log.db"
    numbers = []
    for boot in range(4):
        wall_us = WALL_US + boot * HOUR_US
        moments = steady(8, wall_us)
        step_us = chance.choice([0, 0, -wall_us, 90 * SECOND_US])
        moments = [(at, wall + step_us) if n < 3 else (at, wall) for n, (at, wall) in enumerate(moments)]
        numbers += await write_boot(path, str(boot), moments)
    for _ in range(10):
        cut_us = WALL_US + chance.randrange(-HOUR_US, 5 * HOUR_US)
        assert await selected(path, None, cut_us) + await selected(path, cut_us, None) == numbers


async def test_a_payload_that_is_no_json_is_named(tmp_path):
    """A row that cannot be read says which event it is."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(2))
    query(path, "INSERT INTO event SELECT 3, boot, uptime_us, 0, kind, 1, NULL, '{' FROM event WHERE number = 1")
    with pytest.raises(StorageError, match="event 3: the payload is not JSON"):
        await read_log(path)


async def test_a_kind_of_a_newer_version_is_named(tmp_path):
    """A payload that a newer program wrote is refused, not misread."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(2))
    query(path, "INSERT INTO event SELECT 3, boot, uptime_us, 0, kind, 2, NULL, '{}' FROM event WHERE number = 1")
    with pytest.raises(StorageError, match="event 3: SessionStarted of version 2 was written by a newer program"):
        await read_log(path)


@pytest.mark.parametrize(
    ("later", "what"),
    [
        (event(3, SettingChanged(BATTERY, "CustomName", "new")), "kind"),
        (event(3, reading(battery=OTHER)), "battery"),
        (event(3, reading(), wall_us=WALL_US + HOUR_US), "clock"),
    ],
    ids=["kind", "battery", "clock"],
)
async def test_a_reader_understands_what_is_committed_after_it_was_opened(tmp_path, later, what):
    """Beside the running daemon a new kind, battery or clock segment is read as it was written."""
    log = await open_log(tmp_path / "log.db")
    append_all(log, some_events(2))
    await log.commit()
    try:
        async with await log.reader() as reader:
            log.append(later)
            await log.commit()
            assert [one async for one in reader.events()] == [*some_events(2), later]
    finally:
        await log.close()


async def _sessions(path):
    async with await EventReader.open(path) as reader:
        return [session async for session in reader.sessions()]


async def test_sessions_newest_first(tmp_path):
    """Each with where it begins and ends, whether it was ended, and how its boot is dated."""
    path = tmp_path / "log.db"
    facts = [(10, started()), (12, reading(1)), (20, SessionEnded("stopped")), (30, started()), (31, reading(2))]
    await write_log(path, [event(n, fact, uptime_us=at_s * SECOND_US) for n, (at_s, fact) in enumerate(facts, 1)])
    newest, oldest = await _sessions(path)
    assert (oldest.start, oldest.stop, oldest.first_us, oldest.last_us, oldest.ended) == (
        1, 4, 10 * SECOND_US, 20 * SECOND_US, True,
    )  # fmt: skip
    assert (newest.start, newest.stop, newest.first_us, newest.last_us, newest.ended) == (
        4, 6, 30 * SECOND_US, 31 * SECOND_US, False,
    )  # fmt: skip
    assert newest.boot == oldest.boot == 1


async def test_which_times_a_session_knows(tmp_path):
    """From its first event on; up to its end, or to the whole second of its last event."""
    path = tmp_path / "log.db"
    facts = [(10, started()), (20.4, SessionEnded("stopped")), (30, started()), (31.2, reading(2))]
    await write_log(path, [event(n, fact, uptime_us=int(at_s * SECOND_US)) for n, (at_s, fact) in enumerate(facts, 1)])
    newest, oldest = await _sessions(path)

    def knows(session, uptime_s):
        return session.uptime_at(round(uptime_s * SECOND_US) + session.wall_offset_us) is not None

    assert [knows(oldest, at_s) for at_s in (9.999999, 10, 20.399999, 20.4, 20.9)] == [False, True, True, False, False]
    assert [knows(newest, at_s) for at_s in (29, 30, 31.2, 31.999999, 32)] == [False, True, True, True, False]


async def test_what_retention_deleted(tmp_path):
    """Nothing before it ever did; then what the last deletion says."""
    path, kept = tmp_path / "log.db", [event(1, started()), event(2, reading(1))]
    await write_log(tmp_path / "whole.db", kept)
    async with await EventReader.open(tmp_path / "whole.db") as reader:
        assert await reader.readings_deleted_below() == 0
    deleted = [event(3, ReadingsDeleted(2, 1, "age")), event(4, ReadingsDeleted(3, 1, "size"))]
    await write_log(path, [*kept, *deleted])
    async with await EventReader.open(path) as reader:
        assert await reader.readings_deleted_below() == 3
