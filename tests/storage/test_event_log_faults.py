"""A disk that refuses or forgets: events wait, nothing is lost or doubled, the program goes on."""

import sqlite3

import pytest

import storage.event_log
import storage.waiting
from core.events import TaskFailed
from storage.database import StorageError
from storage.event_log import EventLog
from storage.session_export import Selection, export_session
from storage.session_file import SessionReader
from tests.storage.logs import (
    WALL_US,
    append_all,
    event,
    open_log,
    query,
    read_log,
    set_aside_files,
    some_events,
    started,
    write_log,
)

PAGE = 4096


class FullDisk:
    """No page more."""

    problem = "database or disk is full"

    async def begin(self, log):
        async with log._db.execute("PRAGMA page_count") as cursor:
            pages = (await cursor.fetchone())[0]
        await log._db.execute("PRAGMA max_page_count={}".format(pages))

    async def end(self, log):
        await log._db.execute("PRAGMA max_page_count=1000000")


class ReadOnlyDisk:
    """A file system that was mounted again without the right to write."""

    problem = "attempt to write a readonly database"

    async def begin(self, log):
        await log._db.execute("PRAGMA query_only=1")

    async def end(self, log):
        await log._db.execute("PRAGMA query_only=0")


class LockedFile:
    """Another program writes and does not end its transaction."""

    problem = "database is locked"

    async def begin(self, log):
        await log._db.execute("PRAGMA busy_timeout=0")
        self._other = sqlite3.connect(str(log.path), isolation_level=None)
        self._other.execute("BEGIN IMMEDIATE")

    async def end(self, _):
        self._other.close()


def bulky(count, first):
    """Events too large for what is free in the last page."""
    return [event(n, TaskFailed("reader", "x" * 3000)) for n in range(first, first + count)]


@pytest.mark.parametrize("trouble", [FullDisk(), ReadOnlyDisk(), LockedFile()], ids=["full", "read-only", "locked"])
async def test_a_refusing_disk_costs_nothing_when_it_recovers(tmp_path, trouble, caplog):
    """While it refuses ``problem`` says why and events wait; then each is stored once, in order."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(3))
    await log.commit()

    await trouble.begin(log)
    for first in (4, 14, 24):
        append_all(log, bulky(10, first))
        log.save_snapshot("remembered", 1, {"n": first})
        await log.commit()
        assert (log.problem, log.stored, log.lost) == (trouble.problem, 3, 0)
    assert [record.levelname for record in caplog.records] == ["ERROR"], "told once, not at every commit"
    assert await read_log(path) == some_events(3)

    await trouble.end(log)
    append_all(log, bulky(1, 34))
    await log.commit()
    assert (log.problem, log.stored, log.lost) == (None, 34, 0)
    assert caplog.records[-1].getMessage() == "history is being kept again (0 events were lost)"
    assert await log.load_snapshot("remembered", 1) == (33, {"n": 24})
    await log.close()
    assert await read_log(path) == some_events(3) + bulky(31, 4)


async def test_a_disk_that_does_not_even_show_the_file(tmp_path, monkeypatch):
    """It is a problem of the disk like any other, and not the end of the task that commits."""
    log = await open_log(tmp_path / "log.db")
    append_all(log, some_events(2))

    def fail(_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.exists", fail)
        await log.commit()
    assert (log.problem, log.waiting) == ("[Errno 5] Input/output error", 2)
    await log.commit()
    assert (log.problem, log.waiting) == (None, 0)
    await log.close()


async def test_new_names_survive_a_failed_commit(tmp_path):
    """Kinds, batteries, clock and boot that a failed commit would have stored are stored by the next one."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    await FullDisk().begin(log)
    events = some_events(2) + bulky(5, 3) + [event(8, TaskFailed("x", "y"), wall_us=5)]
    append_all(log, events)
    await log.commit()
    assert log.problem == FullDisk.problem
    await FullDisk().end(log)
    await log.close()
    assert await read_log(path) == events
    assert query(path, "SELECT number FROM boot") == [(1,)]
    assert query(path, "SELECT number FROM session_start") == [(1,)]


async def test_memory_is_bounded(tmp_path, monkeypatch):
    """Beyond the bound the newest events are lost and counted; what waited is stored."""
    assert (storage.waiting.MAX_PENDING, storage.waiting.RESERVED) == (8_000, 500)
    monkeypatch.setattr(storage.waiting, "MAX_PENDING", 12)
    monkeypatch.setattr(storage.waiting, "RESERVED", 2)
    path = tmp_path / "log.db"
    log = await open_log(path)
    await ReadOnlyDisk().begin(log)
    append_all(log, some_events(25))
    await log.commit()
    assert (log.lost, log.next_number) == (15, 26)
    await ReadOnlyDisk().end(log)
    await log.commit()
    append_all(log, some_events(1, first=26))
    await log.close()
    assert (log.lost, log.stored) == (15, 11)
    assert await read_log(path) == some_events(10) + some_events(1, first=26)


async def test_closing_while_the_disk_refuses_does_not_fail(tmp_path):
    """A stop never hangs or raises for the disk; what was committed before stays."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(3))
    await log.commit()
    await ReadOnlyDisk().begin(log)
    append_all(log, some_events(3, first=4))
    await log.close()
    assert log.problem == ReadOnlyDisk.problem
    assert await read_log(path) == some_events(3)


async def test_a_start_that_cannot_use_the_file_is_one_line(tmp_path, monkeypatch):
    """What SQLite cannot do at a start is told with the path."""

    async def locked(*_):
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(storage.event_log, "migrate", locked)
    with pytest.raises(StorageError, match=r"cannot use the database .*log.db: database is locked"):
        await EventLog.open(tmp_path / "log.db")


async def damage_while_open(log):
    """Overwrite the database below its writer, so that the next statement meets it."""
    await log._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await log._db.execute("PRAGMA shrink_memory")
    pages = log.path.stat().st_size // PAGE
    with open(str(log.path), "r+b") as file:
        file.seek(PAGE)
        file.write(b"\x5a" * (pages - 1) * PAGE)


async def test_damage_while_running(tmp_path, caplog):
    """The file is set aside; the new log begins with the session's start, then what waited, and goes on."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(300))
    await log.commit()
    await damage_while_open(log)
    append_all(log, some_events(2, first=301))
    log.save_snapshot("remembered", 1, {"n": 302})
    await log.commit()
    assert set_aside_files(tmp_path) == ["log.db.damaged-20260101T000000Z"]
    assert "THE DATABASE WAS DAMAGED" in caplog.text
    append_all(log, some_events(1, first=303))
    await log.commit()
    assert (log.problem, log.lost) == (None, 0)
    assert await log.load_snapshot("remembered", 1) == (302, {"n": 302})
    await log.close()

    assert await read_log(path) == some_events(1) + some_events(3, first=301)
    assert query(path, "SELECT number, boot_id FROM boot") == [(1, "boot-1")]
    log = await open_log(path, uptime_us=400_000_000)
    assert log.next_number == 304
    async with await log.reader() as reader:
        await export_session(reader, tmp_path / "s.jsonl", Selection(), writer="test")
    await log.close()
    session = SessionReader(tmp_path / "s.jsonl")
    assert [one.number for one in session.events()] == [1, 301, 302, 303]
    session.close()


async def test_damage_before_the_start_is_stored(tmp_path):
    """The start that still waits is not put in front a second time."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(300))
    log = await open_log(path, uptime_us=400_000_000)
    await damage_while_open(log)
    append_all(log, [event(301, some_events(1)[0].fact)] + some_events(1, first=302))
    await log.commit()
    await log.close()
    assert await read_log(path) == [event(301, some_events(1)[0].fact)] + some_events(1, first=302)


async def test_damage_in_a_log_without_a_session(tmp_path):
    """Without a start to repeat the waiting events are stored alone."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(300))
    log = await EventLog.open(path, wall_us=lambda: WALL_US)
    await damage_while_open(log)
    append_all(log, some_events(2, first=301))
    await log.commit()
    await log.commit()
    await log.close()
    assert await read_log(path) == some_events(2, first=301)


async def test_damage_again_and_again(tmp_path):
    """Every damaged file is kept, and the newest log replays by itself each time."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(1))
    await log.commit()
    for first in (2, 302, 602):
        append_all(log, some_events(299, first=first))
        await log.commit()
        await damage_while_open(log)
        append_all(log, some_events(1, first=first + 299))
        await log.commit()
    await log.commit()
    await log.close()
    assert len(set_aside_files(tmp_path)) == 3
    assert await read_log(path) == some_events(1) + some_events(1, first=901)


async def test_a_new_file_that_cannot_be_opened_yet_is_tried_again(tmp_path, monkeypatch):
    """After damage the next commit opens what the first one could not, and nothing that waited is lost."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(300))
    await log.commit()
    await damage_while_open(log)

    async def refuse(*_):
        raise StorageError("cannot open the database: no room")

    with monkeypatch.context() as patched:
        patched.setattr(storage.event_log, "connect", refuse)
        append_all(log, some_events(1, first=301))
        for _ in range(3):
            await log.commit()
            assert log.problem == "cannot open the database: no room"
    await log.commit()
    assert log.problem is None
    await log.close()
    assert await read_log(path) == some_events(1) + some_events(1, first=301)


async def test_a_file_that_is_damaged_when_it_is_tried_again(tmp_path, monkeypatch):
    """Damage that is met by reopening sets the file aside like any other."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(300))
    await log.commit()
    await damage_while_open(log)

    async def refuse(*_):
        raise StorageError("cannot open the database: no room")

    with monkeypatch.context() as patched:
        patched.setattr(storage.event_log, "connect", refuse)
        append_all(log, some_events(1, first=301))
        await log.commit()
    path.write_bytes(bytes(PAGE))
    await log.commit()
    await log.close()
    assert len(set_aside_files(tmp_path)) == 2
    assert await read_log(path) == some_events(1) + some_events(1, first=301)


async def test_a_new_file_that_cannot_be_set_up_yet_is_tried_again(tmp_path, monkeypatch):
    """Damage on a full disk: when there is room again the new log is set up and history is kept."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(300))
    await log.commit()
    await damage_while_open(log)

    async def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(storage.event_log, "migrate", full)
        append_all(log, some_events(1, first=301))
        await log.commit()
        assert "disk is full" in log.problem
    await log.commit()
    await log.close()
    assert log.problem is None
    assert await read_log(path) == some_events(1) + some_events(1, first=301)


async def test_damage_met_at_close(tmp_path):
    """What was appended is on the disk after close, also when close itself had to begin a new file."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(300))
    await log.commit()
    await damage_while_open(log)
    append_all(log, some_events(1, first=301))
    await log.close()
    assert await read_log(path) == some_events(1) + some_events(1, first=301)


async def test_damage_and_a_full_disk_at_a_start_still_give_a_boot(tmp_path, monkeypatch):
    """Open begins anew and records the problem; the program must be able to go on without history."""
    path = tmp_path / "log.db"
    path.write_bytes(bytes(PAGE))

    async def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(storage.event_log, "migrate", full)
    log = await EventLog.open(path, wall_us=lambda: WALL_US)
    try:
        assert "disk is full" in log.problem
        assert await log.begin_boot("boot-1", 0) >= 1
        assert await log.load_snapshot("remembered", 1) is None
        append_all(log, some_events(2))
        await log.commit()
        assert log.waiting == 2
        monkeypatch.undo()
    finally:
        await log.close()
    assert await read_log(path) == some_events(2)
    assert query(path, "SELECT number, boot_id FROM boot") == [(1, "boot-1")]


async def test_damage_met_while_recalling_is_set_aside(tmp_path, monkeypatch):
    """A broken page behind the last snapshot, in a file too large to be checked: a start goes on without it."""
    path = tmp_path / "log.db"
    monkeypatch.setattr(storage.event_log, "QUICK_CHECK_BYTES", 0)
    await write_log(path, [event(1, started()), *(event(n, TaskFailed("t", "x" * 200)) for n in range(2, 400))])
    data = bytearray(path.read_bytes())
    at = data.find(b"x" * 200) // PAGE * PAGE
    data[at : at + PAGE] = b"\x5a" * PAGE
    path.write_bytes(bytes(data))
    log = await open_log(path)
    assert [one.number for one in await log.facts_since(0)] == []
    log.append(event(500, started()))
    await log.close()
    assert len(set_aside_files(tmp_path)) == 1
    assert [one.number for one in await read_log(path)] == [500]


async def test_history_of_a_newer_program_does_not_keep_a_battery_away(tmp_path, caplog):
    """What comes before it is recalled, the rest is told in one line, and new events are stored."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(3))
    query(path, "INSERT INTO event SELECT 4, boot, uptime_us, 0, kind, 99, NULL, '{}' FROM event WHERE number = 1")
    log = await open_log(path, uptime_us=10**9)
    assert len(await log.facts_since(0)) < 4
    assert sum("some of the history cannot be read" in record.getMessage() for record in caplog.records) == 1
    assert await log.facts_since(4) == []
    await log.close()
