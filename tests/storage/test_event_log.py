"""What is appended is stored as it was, in order, once, and stays as it was."""

import asyncio
import random
import sqlite3
import subprocess
import sys

import pytest

from core.events import SettingChanged, UnknownFact, kind_of
from storage.database import StorageError
from storage.event_log import EventLog
from tests.storage.logs import (
    BATTERY,
    SECOND_US,
    WALL_US,
    all_facts,
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


async def test_every_kind_comes_back_as_it_went_in(tmp_path):
    """Every kind, a kind of a later version, and fields of a later version survive the disk."""
    facts = all_facts()
    known = [fact for fact in facts if not isinstance(fact, UnknownFact)]
    events = [event(n, fact) for n, fact in enumerate(facts, 1)]
    events += [event(n, fact, unread={"later": [n, {"deep": None}]}) for n, fact in enumerate(known, len(events) + 1)]
    await write_log(tmp_path / "log.db", events)
    assert await read_log(tmp_path / "log.db") == events


@pytest.mark.parametrize("seed", range(5))
async def test_any_cutting_into_commits_gives_the_same_log(tmp_path, seed):
    """Commits and reopenings at random places leave no seam."""
    chance, path = random.Random(seed), tmp_path / "log.db"
    events = [event(n, chance.choice(all_facts())) for n in range(1, 120)]
    log = await open_log(path)
    for one in events:
        log.append(one)
        if chance.random() < 0.1:
            await log.commit()
        if chance.random() < 0.05:
            await log.close()
            log = await open_log(path, uptime_us=one.uptime_us)
    await log.close()
    assert await read_log(path) == events


async def test_numbers_continue_after_reopening(tmp_path):
    """A number is never given twice, also when only the newest event is left of its batch."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    assert log.next_number == 1
    append_all(log, some_events(7))
    assert log.next_number == 8
    await log.close()
    query(path, "DELETE FROM event WHERE number BETWEEN 2 AND 6")
    log = await open_log(path)
    assert log.next_number == 8
    await log.close()


async def test_the_clock_of_the_device_stamps_the_migration(tmp_path):
    """Without another clock the record of a migration has the device's time."""
    await (await EventLog.open(tmp_path / "log.db")).close()
    assert query(tmp_path / "log.db", "SELECT applied_wall_us FROM migration")[0][0] > WALL_US


async def test_appending_does_not_touch_the_disk(tmp_path):
    """Append is memory only; the commit is what writes, and it counts what it wrote."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(3))
    assert (await read_log(path), log.stored, log.waiting) == ([], 0, 3)
    await log.commit()
    assert (await read_log(path), log.stored, log.waiting) == (some_events(3), 3, 0)
    await log.commit()
    assert log.stored == 3
    await log.close()


async def begin(path, boot_id, uptime_us, *, record=True):
    """The boot number a start is given; with *record* it stores one event."""
    log = await EventLog.open(path, wall_us=lambda: WALL_US)
    boot = await log.begin_boot(boot_id, uptime_us)
    if record:
        log.append(event(log.next_number, started(), boot=boot, uptime_us=uptime_us))
    await log.close()
    return boot


async def test_boots_are_numbered(tmp_path):
    """The same boot goes on; another one, or uptime that ran back, is the next."""
    path = tmp_path / "log.db"
    assert await begin(path, "a", 100) == 1
    assert await begin(path, "a", 100) == 1
    assert await begin(path, "a", 200) == 1
    assert await begin(path, "b", 50) == 2
    assert await begin(path, "b", 49) == 3
    assert await begin(path, "b", 49) == 3
    assert await begin(path, "a", 1000) == 4
    assert query(path, "SELECT number, boot_id FROM boot") == [(1, "a"), (2, "b"), (3, "b"), (4, "a")]


async def test_a_boot_without_events_takes_no_number(tmp_path):
    """A start that stored nothing has left no boot behind."""
    path = tmp_path / "log.db"
    assert await begin(path, "a", 1, record=False) == 1
    assert await begin(path, "b", 1) == 1
    assert await begin(path, "c", 1, record=False) == 2
    assert await begin(path, "d", 1) == 2


async def test_a_boot_goes_on_when_its_readings_are_gone(tmp_path):
    """Retention may leave a boot with no event at all."""
    path = tmp_path / "log.db"
    await write_log(path, [event(1, reading())])
    query(path, "DELETE FROM event")
    assert await begin(path, "boot-1", 0) == 1


async def test_an_event_cannot_be_replaced(tmp_path):
    """INSERT OR REPLACE, which no trigger on UPDATE or DELETE sees, is refused as well."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(3))
    with pytest.raises(sqlite3.IntegrityError, match="events are immutable"):
        query(
            path,
            "INSERT OR REPLACE INTO event SELECT 2, boot, 0, 0, kind, 1, source, payload FROM event WHERE number = 1",
        )
    assert await read_log(path) == some_events(3)


@pytest.mark.parametrize("column", ["boot", "uptime_us", "wall_drift_us", "kind", "version", "source", "payload"])
async def test_an_event_cannot_be_changed(tmp_path, column):
    """The database itself refuses every UPDATE, of readings as well."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(3))
    with pytest.raises(sqlite3.IntegrityError, match="events are immutable"):
        query(path, "UPDATE event SET {} = 0 WHERE number = 2".format(column))
    assert await read_log(path) == some_events(3)


async def test_only_readings_can_be_deleted(tmp_path):
    """Retention may take raw readings and rejected frames; the database refuses it everything else."""
    raw = ("ReadingTaken", "FrameRejected")
    path = tmp_path / "log.db"
    events = [event(n, fact) for n, fact in enumerate(all_facts(), 1)]
    await write_log(path, events)
    for one in events:
        if kind_of(one.fact) in raw:
            query(path, "DELETE FROM event WHERE number = ?", (one.number,))
            continue
        with pytest.raises(sqlite3.IntegrityError, match="only raw readings may be deleted"):
            query(path, "DELETE FROM event WHERE number = ?", (one.number,))
    assert await read_log(path) == [one for one in events if kind_of(one.fact) not in raw]


@pytest.mark.parametrize("seed", range(10))
async def test_wall_time_comes_back_exactly(tmp_path, seed):
    """However the clock is slewed or set, also far into the past, every event keeps the time it believed."""
    chance, path = random.Random(seed), tmp_path / "log.db"
    events, boot, uptime_us, wall_us = [], 1, 0, WALL_US
    log = await open_log(path)
    for number in range(1, 200):
        passed_us = chance.randrange(10 * SECOND_US)
        uptime_us, wall_us = uptime_us + passed_us, wall_us + passed_us
        if chance.random() < 0.3:
            wall_us += chance.randrange(-600_000, 600_000)
        if chance.random() < 0.1:
            wall_us += chance.choice([-1, 1]) * chance.randrange(SECOND_US - 2, 10 ** chance.randrange(7, 16))
        if chance.random() < 0.05:
            boot, uptime_us = boot + 1, chance.randrange(1000)
        events.append(event(number, reading(number), boot=boot, uptime_us=uptime_us, wall_us=wall_us))
        log.append(events[-1])
        if chance.random() < 0.1:
            await log.commit()
    await log.close()
    assert await read_log(path) == events


async def test_a_snapshot_is_saved_with_its_commit(tmp_path):
    """The state counts up to the last event appended before it, and comes back after a start."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(4))
    log.save_snapshot("remembered", 1, {"settings": {BATTERY: {"CustomName": "Höhle"}}})
    append_all(log, some_events(2, first=5))
    assert await log.load_snapshot("remembered", 1) is None
    await log.close()
    log = await open_log(path, uptime_us=10 * SECOND_US)
    assert await log.load_snapshot("remembered", 1) == (4, {"settings": {BATTERY: {"CustomName": "Höhle"}}})
    assert await log.load_snapshot("remembered", 2) is None
    assert await log.load_snapshot("other", 1) is None
    log.save_snapshot("remembered", 2, {})
    await log.commit()
    assert await log.load_snapshot("remembered", 1) is None
    assert await log.load_snapshot("remembered", 2) == (6, {})
    await log.close()


async def turns(count):
    """Let the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_comes_during_a_commit_waits_for_the_next(tmp_path):
    """Events and snapshots that arrive while a commit runs are neither lost nor counted as stored."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(3))
    log.save_snapshot("remembered", 1, {"n": 3})
    log.save_snapshot("steady", 1, {})
    running = asyncio.ensure_future(log.commit())
    while not log._db.in_transaction:
        await turns(1)
    append_all(log, some_events(2, first=4))
    log.save_snapshot("remembered", 1, {"n": 5})
    await running
    assert (log.stored, await log.load_snapshot("remembered", 1)) == (3, (3, {"n": 3}))
    await log.commit()
    assert (log.stored, await log.load_snapshot("remembered", 1)) == (5, (5, {"n": 5}))
    await log.close()
    assert await read_log(path) == some_events(5)


@pytest.mark.parametrize("after", range(0, 30, 3))
async def test_a_cancelled_commit_loses_and_doubles_nothing(tmp_path, after):
    """Whoever stops waiting for a commit does not stop the commit."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(20))
    running = asyncio.ensure_future(log.commit())
    await turns(after)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    append_all(log, some_events(5, first=21))
    await log.close()
    assert (await read_log(path), log.stored) == (some_events(25), 25)


async def test_commits_take_turns(tmp_path):
    """Several commits at once write every event once."""
    log = await open_log(tmp_path / "log.db")
    append_all(log, some_events(20))
    await asyncio.gather(*(log.commit() for _ in range(4)))
    await log.close()
    assert await read_log(tmp_path / "log.db") == some_events(20)


async def test_one_writer_at_a_time(tmp_path):
    """A second writer is refused with one line while the first is open, and welcome afterwards."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(2))
    with pytest.raises(StorageError) as caught:
        await EventLog.open(path)
    assert str(caught.value) == "another dbus-btbattery is writing to {}".format(path)
    await log.close()
    await (await EventLog.open(path)).close()
    assert await read_log(path) == some_events(2)


async def test_a_reader_works_beside_the_writer(tmp_path):
    """Reading takes no lock from the writer, and a new reader sees every commit made so far."""
    log = await open_log(tmp_path / "log.db")
    append_all(log, some_events(3))
    await log.commit()
    async with await log.reader() as reader:
        assert [one async for one in reader.events()] == some_events(3)
        append_all(log, some_events(2, first=4))
        await log.commit()
        assert log.problem is None
        assert [one async for one in reader.events()] == some_events(5)
    await log.close()


async def test_a_reader_beside_the_writer_leaves_it_its_locks(tmp_path):
    """Else the next program that looks believes itself alone, and deletes the WAL that the writer goes on writing."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(3))
    await log.commit()
    async with await log.reader():
        pass
    look = "import sqlite3; db = sqlite3.connect({!r}); db.execute('SELECT 1 FROM event').fetchall(); db.close()"
    subprocess.run([sys.executable, "-c", look.format(str(path))], check=True)
    assert (tmp_path / "log.db-wal").exists()
    append_all(log, some_events(2, first=4))
    await log.commit()
    assert await read_log(path) == some_events(5)
    await log.close()


async def test_a_refused_file_can_be_opened_by_others_at_once(tmp_path):
    """A failed opening keeps no lock."""
    path = tmp_path / "log.db"
    path.write_text("not ours", encoding="utf-8")
    with pytest.raises(StorageError):
        await EventLog.open(path)
    path.unlink()
    await (await EventLog.open(path)).close()


async def test_a_lock_that_cannot_be_made_is_told(tmp_path):
    """A folder that refuses new files is named in one line."""
    (tmp_path / "log.db.lock").mkdir()
    with pytest.raises(StorageError, match=r"cannot write beside the database .*log.db"):
        await EventLog.open(tmp_path / "log.db")


async def test_without_file_locks_a_second_writer_fails_at_its_first_number(tmp_path, monkeypatch):
    """Where Python has no fcntl two writers cannot mix: the numbers are unique."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    first, second = await open_log(tmp_path / "log.db"), await open_log(tmp_path / "log.db")
    append_all(first, some_events(3))
    append_all(second, [event(1, SettingChanged(BATTERY, "CustomName", "other"))])
    await first.commit()
    await second.commit()
    assert first.problem is None
    assert second.problem is not None and "UNIQUE" in second.problem
    await first.close()
    await second.close()
    assert await read_log(tmp_path / "log.db") == some_events(3)
