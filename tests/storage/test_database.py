"""What the database file is when new, how it is migrated, and what is refused untouched."""

import asyncio
import os
import shutil
import sqlite3
import threading
from contextlib import closing

import pytest

import storage.database
import storage.event_log
from storage.database import (
    APPLICATION_ID,
    MIGRATIONS,
    PAGE_SIZE,
    DatabaseDamaged,
    StorageError,
    check_integrity,
    check_ours,
    connect,
    migrate,
    migrations,
)
from storage.event_log import EventLog
from storage.event_reader import EventReader
from tests.storage.logs import (
    append_all,
    contents,
    open_log,
    query,
    read_log,
    set_aside_files,
    some_events,
    try_to_open,
    write_log,
)


async def pragma(db, name):
    """The value of a setting on a connection."""
    async with db.execute("PRAGMA " + name) as cursor:
        return (await cursor.fetchone())[0]


async def refusal(path, opener=EventLog.open):
    """The one line with which *path* is refused."""
    with pytest.raises(StorageError) as caught:
        await opener(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message or str(path.parent) in message
    assert not isinstance(caught.value, DatabaseDamaged)
    return message


async def test_a_new_file_is_marked_and_set_up(tmp_path):
    """A new database says whose it is, survives a power cut at any commit and can give space back."""
    log = await open_log(tmp_path / "deep" / "er" / "new.db")
    db = log._db
    assert await pragma(db, "application_id") == APPLICATION_ID == int.from_bytes(b"btbt", "big")
    assert await pragma(db, "journal_mode") == "wal"
    assert await pragma(db, "synchronous") == 2  # FULL
    assert await pragma(db, "auto_vacuum") == 2  # INCREMENTAL
    assert await pragma(db, "page_size") == 4096
    await log.close()


async def test_an_old_file_is_written_with_full_synchronous(tmp_path):
    """The setting belongs to a connection, so every opening makes it again."""
    await write_log(tmp_path / "old.db", some_events(2))
    log = await open_log(tmp_path / "old.db")
    assert await pragma(log._db, "synchronous") == 2
    assert await pragma(log._db, "journal_mode") == "wal"
    await log.close()


async def test_every_migration_is_recorded_once(tmp_path):
    """Opening twice applies nothing twice."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(1))
    await write_log(path, some_events(1, first=2))
    recorded = query(path, "SELECT number, name FROM migration")
    assert recorded == [(number, name) for number, name, _ in migrations()]


@pytest.fixture
def more_migrations(tmp_path, monkeypatch):
    """A migrations folder with ours in it, to which a test adds."""
    folder = tmp_path / "migrations"
    shutil.copytree(str(MIGRATIONS), str(folder))
    monkeypatch.setattr(storage.database, "MIGRATIONS", folder)
    return folder


async def test_a_later_migration_is_applied_to_an_old_file(tmp_path, more_migrations):
    """A database of an older program is brought forward and keeps its events."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(3))
    (more_migrations / "0003_later.sql").write_text("CREATE TABLE later (a INTEGER);\n", encoding="utf-8")
    await write_log(path, some_events(1, first=4))
    assert query(path, "SELECT count(*) FROM later") == [(0,)]
    assert query(path, "SELECT number, name FROM migration")[-1] == (3, "0003_later")
    assert await read_log(path) == some_events(4)


BROKEN = "CREATE TABLE half (a INTEGER);\nINSERT INTO half VALUES (1);\nCREATE TABLE event (a INTEGER);\n"


@pytest.mark.parametrize("exists", [False, True], ids=["new file", "old file"])
async def test_a_broken_migration_leaves_no_trace(tmp_path, more_migrations, exists):
    """A migration and its record are one transaction: what came before it stays, nothing of it does."""
    path = tmp_path / "log.db"
    if exists:
        await write_log(path, some_events(3))
    (more_migrations / "0003_broken.sql").write_text(BROKEN, encoding="utf-8")
    assert "table event already exists" in await refusal(path)
    assert query(path, "SELECT number FROM migration") == [(1,), (2,)]
    assert query(path, "SELECT count(*) FROM sqlite_master WHERE name = 'half'") == [(0,)]
    assert set_aside_files(tmp_path) == []
    (more_migrations / "0003_broken.sql").unlink()
    assert await read_log(path) == (some_events(3) if exists else [])


async def test_a_migration_that_breaks_a_rule_of_the_data_is_no_damage(tmp_path, more_migrations):
    """A faulty migration must not cost the history: the file stays where it is."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(3))
    (more_migrations / "0003_broken.sql").write_text("INSERT INTO kind VALUES (1, 'again');\n", encoding="utf-8")
    await try_to_open(path)
    assert set_aside_files(tmp_path) == []


async def test_a_migration_while_somebody_writes_is_put_off(tmp_path, more_migrations):
    """A lock held by another program makes the step fail before anything is changed."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(3))
    (more_migrations / "0003_later.sql").write_text("CREATE TABLE later (a INTEGER);\n", encoding="utf-8")
    db = await connect(path)
    await db.execute("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(str(path))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await migrate(db, path, 0)
    await db.close()
    assert query(path, "SELECT max(number) FROM migration") == [(2,)]


async def make_newer(path):
    """Ours, of a later program."""
    await write_log(path, some_events(3))
    query(path, "INSERT INTO migration VALUES (9999, '9999_later', 0)")


async def make_foreign(path):
    """A database of another program."""
    query(path, "CREATE TABLE theirs (a)")


async def make_foreign_wal(path):
    """A database of another program that also writes ahead."""
    query(path, "PRAGMA journal_mode=WAL")
    query(path, "CREATE TABLE theirs (a)")


async def make_foreign_small(path):
    """A database of another program that is no larger than one page of ours."""
    query(path, "PRAGMA page_size=512")
    with closing(sqlite3.connect(str(path))) as db, db:
        db.execute("PRAGMA page_size=512")
        db.execute("CREATE TABLE theirs (a)")
    assert 0 < path.stat().st_size < PAGE_SIZE


async def make_text(path):
    """A text file."""
    path.write_text("Dear diary, today the battery was full.\n" * 40, encoding="utf-8")


REFUSED = [
    (make_newer, "install the newer program again"),
    (make_foreign, "belongs to another program"),
    (make_foreign_wal, "belongs to another program"),
    (make_foreign_small, "belongs to another program"),
    (make_text, "is not a database of this program"),
]


def assert_untouched(folder, before):
    """Everything is as it was, but for an empty ``-wal``, which a read-only connection cannot take away again."""
    after = contents(folder)
    assert {name: data for name, data in after.items() if name in before or not name.endswith("-wal") or data} == before


@pytest.mark.parametrize("opener", [EventLog.open, EventReader.open], ids=["writer", "reader"])
@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[make.__name__ for make, _ in REFUSED])
async def test_what_is_not_ours_is_refused_and_left_alone(tmp_path, make, message, opener):
    """Another program's file, or a newer one of ours, keeps its name and every byte."""
    path = tmp_path / "file.db"
    await make(path)
    before = contents(tmp_path)
    assert message in await refusal(path, opener)
    assert_untouched(tmp_path, before)


@pytest.mark.parametrize("opener", [EventLog.open, EventReader.open], ids=["writer", "reader"])
async def test_a_directory_is_refused(tmp_path, opener):
    """A directory where the file should be is named as such."""
    path = tmp_path / "folder.db"
    path.mkdir()
    assert "is a directory" in await refusal(path, opener)
    assert list(path.iterdir()) == []


async def test_a_path_below_a_file_is_refused(tmp_path):
    """A file where a folder should be is named, and is not changed."""
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    assert "cannot create the folder" in await refusal(tmp_path / "file" / "log.db")
    assert "Not a directory" in await refusal(tmp_path / "file" / "log.db", EventReader.open)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_an_unreadable_file_is_refused(tmp_path):
    """Missing rights are told as such."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(2))
    path.chmod(0)
    assert "Permission denied" in await refusal(path)
    path.chmod(0o600)
    assert await read_log(path) == some_events(2)


async def test_a_missing_database_cannot_be_read(tmp_path):
    """Reading never creates a file."""
    assert "does not exist" in await refusal(tmp_path / "none.db", EventReader.open)
    with pytest.raises(StorageError, match="cannot open the database"):
        await connect(tmp_path / "none.db", read_only=True)
    while threading.active_count() > 1:  # aiosqlite's thread tells this loop that it ends; a closed one would not hear
        await asyncio.sleep(0)
    assert list(tmp_path.iterdir()) == []


async def test_a_path_that_cannot_be_looked_at_is_refused(tmp_path):
    """A name too long (or a folder without rights) is one line, too."""
    await refusal(tmp_path / ("x" * 300), EventReader.open)


async def test_a_database_without_tables_yet_is_nothing_to_read_but_can_be_begun(tmp_path):
    """A start that was killed during its first migration leaves a marked file without tables: no damage."""
    path = tmp_path / "log.db"
    query(path, "PRAGMA application_id={}".format(APPLICATION_ID))
    query(path, "PRAGMA journal_mode=WAL")
    assert path.stat().st_size == PAGE_SIZE
    assert "is empty" in await refusal(path, EventReader.open)
    await write_log(path, some_events(2))
    assert await read_log(path) == some_events(2)
    assert set_aside_files(tmp_path) == []


async def test_a_start_that_was_killed_while_it_marked_the_file_can_be_begun(tmp_path):
    """The rollback journal of the very first transaction is played back: no damage, no reason to refuse."""
    path, source = tmp_path / "log.db", tmp_path / "source.db"
    with closing(sqlite3.connect(str(source), isolation_level=None)) as db:
        db.execute("PRAGMA application_id={}".format(APPLICATION_ID))
        db.execute("BEGIN IMMEDIATE")
        db.execute("PRAGMA user_version=5")
        for suffix in ("", "-journal"):
            shutil.copy(str(source) + suffix, str(path) + suffix)
    assert (tmp_path / "log.db-journal").stat().st_size > 0
    await write_log(path, some_events(2))
    assert await read_log(path) == some_events(2)
    assert set_aside_files(tmp_path) == []


async def test_an_empty_file_is_nothing_to_read_but_can_be_begun(tmp_path):
    """A start that was killed before its first migration leaves an empty file: no damage."""
    path = tmp_path / "log.db"
    path.touch()
    assert "is empty" in await refusal(path, EventReader.open)
    await write_log(path, some_events(2))
    assert await read_log(path) == some_events(2)
    assert set_aside_files(tmp_path) == []


async def test_a_locked_database_cannot_be_judged(tmp_path):
    """A program that holds the file to itself makes reading it fail with one line, and is not damage."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(2))
    db = await connect(path, read_only=True)
    await db.execute("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(str(path))) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match=r"cannot read the database .*: database is locked") as caught:
            await check_ours(db, path)
    await db.close()
    assert not isinstance(caught.value, DatabaseDamaged)


async def test_a_locked_database_is_not_set_aside(tmp_path, monkeypatch):
    """Somebody looking into the file with a tool of his own must not cost the history."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(2))

    async def impatient(path, **options):
        db = await connect(path, **options)
        await db.execute("PRAGMA busy_timeout=10")
        return db

    monkeypatch.setattr(storage.database, "connect", impatient)
    monkeypatch.setattr(storage.event_log, "connect", impatient)
    with closing(sqlite3.connect(str(path))) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        await try_to_open(path)
        assert set_aside_files(tmp_path) == []


async def copy_in_use(make, path, source):
    """*path* as a power cut left it: its last transactions are in its ``-wal`` only."""
    await make(source)
    with closing(sqlite3.connect(str(source))) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE more (a)")
        db.commit()
        for suffix in ("", "-wal"):
            shutil.copy(str(source) + suffix, str(path) + suffix)


async def test_a_check_that_cannot_be_made_is_no_damage(tmp_path):
    """What SQLite says of the disk or a lock is told as it is; only broken content is damage."""
    path = tmp_path / "log.db"
    await write_log(path, some_events(2))
    db = await connect(path)
    await db.execute("PRAGMA busy_timeout=0")
    with closing(sqlite3.connect(str(path))) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match=r"cannot read the database .*: database is locked") as caught:
            await check_integrity(db, path)
    await db.close()
    assert not isinstance(caught.value, DatabaseDamaged)


@pytest.mark.parametrize("make", [make_newer, make_foreign])
async def test_a_refused_file_keeps_its_wal(tmp_path, make):
    """What another program has in its write-ahead log is none of our business."""
    path = tmp_path / "used" / "file.db"
    path.parent.mkdir()
    await copy_in_use(make, path, tmp_path / "source.db")
    before = contents(path.parent)
    await refusal(path)
    assert_untouched(path.parent, before)


async def test_a_damaged_file_of_another_program_is_left_alone(tmp_path):
    """Somebody else's file is not ours to rename, whatever its state."""
    path = tmp_path / "file.db"
    query(path, "CREATE TABLE theirs (a)")
    with closing(sqlite3.connect(str(path))) as db, db:
        db.executemany("INSERT INTO theirs VALUES (?)", [("x" * 500,)] * 100)
    data = bytearray(path.read_bytes())
    data[3 * 4096 : 4 * 4096] = b"\x5a" * 4096
    path.write_bytes(bytes(data))
    before = contents(tmp_path)
    await try_to_open(path)
    assert contents(tmp_path) == before


async def test_a_second_opening_sees_what_the_first_left(tmp_path):
    """Nothing about a database depends on the object that wrote it."""
    path = tmp_path / "log.db"
    log = await open_log(path)
    append_all(log, some_events(5))
    await log.close()
    assert await read_log(path) == some_events(5)
