"""A damaged file of ours is set aside under a dated name, never deleted, and a new one is begun."""

import random
import shutil
import sqlite3
from contextlib import closing

import pytest

import storage.database
import storage.event_log
from core.events import TaskFailed
from storage.database import APPLICATION_ID, DatabaseDamaged, StorageError, check_integrity, connect, set_aside
from storage.event_log import EventLog
from storage.event_reader import EventReader
from tests.storage.logs import (
    WALL_US,
    contents,
    event,
    open_log,
    query,
    read_log,
    set_aside_files,
    some_events,
    try_to_open,
    write_log,
)

PAGE = 4096
STAMP = "20260101T000000Z"
KEPT = "log.db.damaged-" + STAMP


async def open_anyway(path):
    """Open, write one event, close: what a start after damage does."""
    log = await open_log(path)
    assert log.problem is None
    log.append(some_events(1)[0])
    await log.close()


def overwrite(path, offset, data):
    """Put *data* over what stands at *offset*."""
    with open(str(path), "r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize("seed", range(12))
async def test_random_pages_overwritten(tmp_path, seed):
    """Flash that lost pages anywhere in the file: kept byte for byte, and history goes on in a new file."""
    path, chance = tmp_path / "log.db", random.Random(seed)
    await write_log(path, some_events(600))
    pages = path.stat().st_size // PAGE
    for page in chance.sample(range(1, pages), 3):
        overwrite(path, page * PAGE, bytes(chance.getrandbits(8) for _ in range(PAGE)))
    damaged = path.read_bytes()

    await open_anyway(path)

    assert set_aside_files(tmp_path) == [KEPT]
    assert (tmp_path / KEPT).read_bytes() == damaged
    assert await read_log(path) == some_events(1)


@pytest.mark.parametrize("size", [100, PAGE])
@pytest.mark.parametrize("fill", [b"\x00", b"\xff"], ids=["zeros", "erased"])
async def test_header_gone(tmp_path, size, fill):
    """A first page that reads as erased flash is damage, not the file of another program."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(50))
    overwrite(path, 0, fill * size)
    damaged = path.read_bytes()

    await open_anyway(path)

    assert (tmp_path / KEPT).read_bytes() == damaged
    assert await read_log(path) == some_events(1)


@pytest.mark.parametrize("seed", range(12))
async def test_truncated(tmp_path, seed):
    """A file that ends too early, at a page or within one."""
    path, chance = tmp_path / "log.db", random.Random(seed)
    await write_log(path, some_events(600))
    pages = path.stat().st_size // PAGE
    size = chance.randrange(1, pages) * PAGE + chance.choice([0, 1, 100, PAGE - 1])
    data = path.read_bytes()[:size]
    path.write_bytes(data)

    await open_anyway(path)

    assert (tmp_path / KEPT).read_bytes() == data
    assert await read_log(path) == some_events(1)


async def test_truncated_within_the_header(tmp_path):
    """Even the first bytes of a database are recognised as one."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(5))
    path.write_bytes(path.read_bytes()[:50])
    await open_anyway(path)
    assert set_aside_files(tmp_path) == [KEPT]


async def test_companions_go_with_the_file(tmp_path):
    """The ``-wal`` holds the newest events, so it is kept beside the file that it belongs to."""
    path, source = tmp_path / "log.db", tmp_path / "source.db"
    log = await open_log(source)
    log.append(some_events(1)[0])
    await log.commit()
    for suffix in ("", "-wal", "-shm"):
        shutil.copy(str(source) + suffix, str(path) + suffix)
    await log.close()
    overwrite(path, 0, bytes(PAGE))
    before = {suffix: (tmp_path / ("log.db" + suffix)).read_bytes() for suffix in ("", "-wal", "-shm")}

    await open_anyway(path)

    assert {suffix: (tmp_path / (KEPT + suffix)).read_bytes() for suffix in before} == before


async def test_again_in_the_same_second(tmp_path):
    """No set-aside file is ever overwritten by the next one."""
    path = tmp_path / "log.db"
    damaged = []
    for fill in (b"\x00", b"\x01", b"\x02"):
        path.write_bytes(fill * PAGE)
        damaged.append(path.read_bytes())
        await open_anyway(path)
    names = [KEPT, KEPT + "-2", KEPT + "-3"]
    assert set_aside_files(tmp_path) == names
    assert [(tmp_path / name).read_bytes() for name in names] == damaged


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_name_is_taken_if_any_companion_has_it(tmp_path, suffix):
    """A lone ``-wal`` of a former damage must not be joined to another file."""
    path = tmp_path / "log.db"
    path.write_bytes(b"new")
    (tmp_path / (KEPT + suffix)).write_bytes(b"old")
    assert set_aside(path, STAMP) == tmp_path / (KEPT + "-2")
    assert contents(tmp_path) == {KEPT + suffix: b"old", KEPT + "-2": b"new"}


async def test_the_log_line_says_where_it_went(tmp_path, caplog):
    """The owner is told once, loudly, with the name."""
    path = tmp_path / "log.db"
    path.write_bytes(bytes(PAGE))
    await open_anyway(path)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert str(tmp_path / KEPT) in caplog.text


async def test_ours_without_its_tables_is_damaged(tmp_path):
    """A file that is marked as ours but lost its tables cannot be read, and is set aside by the writer."""
    path = tmp_path / "log.db"
    query(path, "PRAGMA application_id={}".format(APPLICATION_ID))
    query(path, "CREATE TABLE something (a)")
    with pytest.raises(DatabaseDamaged, match="no such table: migration") as caught:
        await EventReader.open(path)
    assert caught.value.path == path
    await open_anyway(path)
    assert set_aside_files(tmp_path) == [KEPT]


async def test_a_reader_reports_damage_and_touches_nothing(tmp_path):
    """Only the writer sets aside; a reader names the damage."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(5))
    overwrite(path, 16, b"\x07" * 40)
    before = path.read_bytes()
    with pytest.raises(DatabaseDamaged, match="its header is broken"):
        await EventReader.open(path)
    assert path.read_bytes() == before
    assert set_aside_files(tmp_path) == []


async def test_a_large_file_is_not_read_through_but_damage_is_still_met(tmp_path, monkeypatch):
    """Above the quick-check size a start reads only what it needs; damage there still sets the file aside."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(600))
    root = query(path, "SELECT rootpage FROM sqlite_master WHERE name = 'clock'")[0][0]
    overwrite(path, (root - 1) * PAGE, b"\x5a" * PAGE)
    monkeypatch.setattr(storage.event_log, "QUICK_CHECK_BYTES", 0)
    await open_anyway(path)
    assert set_aside_files(tmp_path) == [KEPT]


async def test_damage_that_a_large_file_hides_does_not_stop_the_start(tmp_path, monkeypatch):
    """Above the quick-check size old pages are not looked at, and what is new is still appended."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(600))
    leaf = path.stat().st_size // PAGE // 2
    overwrite(path, leaf * PAGE, b"\x5a" * PAGE)
    monkeypatch.setattr(storage.event_log, "QUICK_CHECK_BYTES", 0)
    log = await open_log(path, uptime_us=601_000_000)
    assert (log.next_number, log.problem) == (601, None)
    log.append(some_events(1, first=601)[0])
    await log.close()
    assert set_aside_files(tmp_path) == []
    assert await read_log(path, 601) == some_events(1, first=601)


async def test_the_check_names_the_first_fault(tmp_path):
    """The reason in the log line is SQLite's own."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(600))
    overwrite(path, (path.stat().st_size // PAGE - 1) * PAGE, b"\x5a" * PAGE)
    db = await connect(path, read_only=True)
    with pytest.raises(DatabaseDamaged) as caught:
        await check_integrity(db, path)
    await db.close()
    assert str(path) in str(caught.value)
    assert caught.value.reason


async def test_a_check_of_what_is_no_database_is_damage(tmp_path):
    """A file that SQLite does not know at all is damaged as well."""
    path = tmp_path / "log.db"
    path.write_bytes(b"no database at all" * 500)
    db = await connect(path, read_only=True)
    with pytest.raises(DatabaseDamaged, match="file is not a database"):
        await check_integrity(db, path)
    await db.close()


@pytest.mark.parametrize("table", ["boot", "snapshot"])
async def test_damage_that_a_large_file_shows_only_at_the_start_is_set_aside(tmp_path, monkeypatch, table):
    """Above the quick-check size the first look at a broken small table must not end every start for ever."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    log.append(some_events(1)[0])
    log.save_snapshot("remembered", 1, {"n": 1})
    await log.close()
    root = query(path, "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))[0][0]
    overwrite(path, (root - 1) * PAGE, b"\x5a" * PAGE)
    monkeypatch.setattr(storage.event_log, "QUICK_CHECK_BYTES", 0)
    log = await EventLog.open(path, wall_us=lambda: WALL_US)
    try:
        assert await log.begin_boot("boot-1", 10**9) == 1
        assert await log.load_snapshot("remembered", 1) is None
        log.append(some_events(1)[0])
    finally:
        await log.close()
    assert set_aside_files(tmp_path) == [KEPT]


@pytest.mark.parametrize("table", ["kind", "event"])
async def test_damage_that_a_reader_meets_on_its_way_is_one_line(tmp_path, table):
    """Reading a log with a broken page ends with the error that names the database."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(600))
    root = query(path, "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))[0][0]
    overwrite(path, (root - 1) * PAGE, b"\x5a" * PAGE)
    with pytest.raises(StorageError, match=r"log\.db"):
        await read_log(path)


async def test_a_check_without_an_answer_is_damage(tmp_path):
    """Whatever is not ``ok`` is not trusted."""

    class Silent:
        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            return None

        async def fetchall(self):
            return []

        def execute(self, *_):
            return self

    with pytest.raises(DatabaseDamaged, match="no answer"):
        await check_integrity(Silent(), tmp_path)


async def test_damage_that_cannot_be_set_aside_is_one_line(tmp_path, monkeypatch):
    """On a read-only disk a damaged file cannot be renamed: that is an error with a line, not a traceback."""
    path = tmp_path / "log.db"
    path.write_bytes(bytes(PAGE))

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(storage.database.os, "rename", refuse)
    await try_to_open(path)


async def test_a_text_file_of_whole_pages_is_not_ours(tmp_path):
    """Printable text is no erased flash: refused and left where it is."""
    path = tmp_path / "diary.txt"
    path.write_bytes(b"Dear diary. " * 1024)
    assert path.stat().st_size % PAGE == 0
    await try_to_open(path)
    assert set_aside_files(tmp_path) == []


async def test_damage_with_events_in_the_wal_keeps_them(tmp_path):
    """Closing the damaged file may move its ``-wal`` into it, but no committed frame disappears."""
    path, source = tmp_path / "log.db", tmp_path / "source.db"
    await write_log(source, some_events(600))
    log = await open_log(source, uptime_us=601_000_000)
    log.append(event(601, TaskFailed("only in the wal", "marker")))
    await log.commit()
    for suffix in ("", "-wal"):
        shutil.copy(str(source) + suffix, str(path) + suffix)
    await log.close()
    with closing(sqlite3.connect("file:{}?immutable=1".format(path), uri=True)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'source'").fetchone()[0]
    overwrite(path, (root - 1) * PAGE, b"\x5a" * PAGE)

    await open_anyway(path)

    kept = b"".join(file.read_bytes() for file in tmp_path.glob(KEPT + "*"))
    assert b"only in the wal" in kept
