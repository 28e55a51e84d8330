"""One SQLite file: recognised, brought to the present schema, or refused with a clear line.

Nothing is ever deleted. A file that is ours but damaged is set aside under a dated name together with
its ``-wal`` and ``-shm``; a file that is somebody else's, or newer than this program, is left alone.
SQL stays within what SQLite 3.31 knows.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import Any, Iterable, List, Optional, Tuple

import aiosqlite

FORMAT = 2
"""The newest migration: what this program writes."""
REFUSING = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""What a disk says that takes no writing at the moment."""
_REFUSALS = ("readonly", "disk is full", "disk I/O error", "unable to open database file")
APPLICATION_ID = 0x62746274
"""``btbt`` in the file header marks a database as ours."""

PAGE_SIZE = 4096
MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
_MIGRATION_TABLE = (
    "CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_wall_us INTEGER NOT NULL);"
)
_MAGIC = b"SQLite format 3\x00"
_APPLICATION_ID_AT = 68
_CONSTANTS_AT, _CONSTANTS = 21, b"\x40\x20\x20"
"""Payload fractions, the same in every SQLite file."""
_TEXT_BYTES = {*b"\t\n\r\x0c", *range(0x20, 0x7F), *range(0x80, 0xF5)}


class StorageError(Exception):
    """A database or session file that cannot be used: what, where, and what to do, in one line."""


class DiskRefuses(StorageError):
    """The disk is full, read-only or failing: nothing is wrong with the file, and it may work later."""


class DatabaseDamaged(StorageError):
    """The file is ours, or was, and its content is broken."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__("the database {} is damaged: {}".format(path, reason))


def refused(message: str) -> StorageError:
    """The error for what SQLite could not do: a :class:`DiskRefuses` if it is the disk that does not let it."""
    return (DiskRefuses if any(text in message for text in _REFUSALS) else StorageError)(message)


def make_folder(path: Path) -> None:
    """Make the folder of the database at *path*. Raises :class:`StorageError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        kind = DiskRefuses if error.errno in REFUSING else StorageError
        raise kind("cannot create the folder {}: {}".format(path.parent, error.strerror)) from None


def migrations() -> List[Tuple[int, str, str]]:
    """Number, name and SQL of every migration, in order."""
    files = sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return [(int(file.name[:4]), file.stem, file.read_text(encoding="utf-8")) for file in files]


def check_file(path: Path) -> bool:
    """Look at *path* without SQLite; whether there is a database in it yet.

    Raises :class:`StorageError` for a file that is not ours, :class:`DatabaseDamaged` for one that lost its beginning.
    """
    try:
        if path.is_dir():
            raise StorageError("the database {} is a directory; give the path of a file with --database".format(path))
        with open(str(path), "rb") as file:
            beginning = file.read(PAGE_SIZE)
        size = path.stat().st_size
    except FileNotFoundError:
        return False
    except OSError as error:
        kind = DiskRefuses if error.errno in REFUSING else StorageError
        raise kind("cannot read the database {}: {}".format(path, error.strerror)) from None
    if not beginning:
        return False
    if not beginning.startswith(_MAGIC):
        if size % PAGE_SIZE == 0 and not _is_text(beginning):
            # Whole pages without a header: flash that lost its first page, not a file of another program.
            raise DatabaseDamaged(path, "its header is gone")
        raise StorageError("{} is not a database of this program; give another path with --database".format(path))
    if beginning[_CONSTANTS_AT : _CONSTANTS_AT + 3] != _CONSTANTS:
        raise DatabaseDamaged(path, "its header is broken")
    mark = int.from_bytes(beginning[_APPLICATION_ID_AT : _APPLICATION_ID_AT + 4], "big")
    if mark != APPLICATION_ID and (mark or size > PAGE_SIZE):
        raise _not_ours(path)
    return True


def _is_text(beginning: bytes) -> bool:
    return not set(beginning) - _TEXT_BYTES


def _not_ours(path: Path) -> StorageError:
    return StorageError("{} belongs to another program; give another path with --database".format(path))


async def connect(path: Path, *, read_only: bool = False, immutable: bool = False) -> aiosqlite.Connection:
    """A connection with our settings. Raises :class:`StorageError` when the file cannot be opened.

    *immutable*: not even a ``-shm`` is made beside the file; only for one that nobody has open.
    """
    mode = "ro" if read_only else "rwc"
    address = "{}?mode={}{}".format(path.resolve().as_uri(), mode, "&immutable=1" if immutable else "")
    try:
        return await aiosqlite.connect(address, uri=True, isolation_level=None, timeout=5)
    except sqlite3.OperationalError as error:
        raise refused("cannot open the database {}: {}".format(path, error)) from None


async def fetch_all(db: aiosqlite.Connection, path: Path, sql: str, values: Iterable[Any] = ()) -> List[sqlite3.Row]:
    """The rows of a query. Raises :class:`StorageError`, a :class:`DatabaseDamaged` if the content is broken."""
    try:
        async with db.execute(sql, values) as cursor:
            return list(await cursor.fetchall())
    except sqlite3.OperationalError as error:
        if "malformed" in str(error) or "no such table" in str(error):
            raise DatabaseDamaged(path, str(error)) from None
        raise refused("cannot read the database {}: {}".format(path, error)) from None
    except sqlite3.DatabaseError as error:
        raise DatabaseDamaged(path, str(error)) from None


async def fetch_one(
    db: aiosqlite.Connection, path: Path, sql: str, values: Iterable[Any] = ()
) -> Optional[sqlite3.Row]:
    """The first row of a query, if any. Raises as :func:`fetch_all`."""
    rows = await fetch_all(db, path, sql, values)
    return rows[0] if rows else None


async def fetch_number(db: aiosqlite.Connection, path: Path, sql: str, values: Iterable[Any] = ()) -> Optional[int]:
    """The one number of a query, ``None`` for NULL or no row. Raises as :func:`fetch_all`."""
    row = await fetch_one(db, path, sql, values)
    return None if row is None or row[0] is None else int(row[0])


async def find_boot(db: aiosqlite.Connection, path: Path, boot_id: str, uptime_us: int) -> Tuple[Tuple[int, str], bool]:
    """Number and id of the boot that goes on at *uptime_us*, and whether it is stored already. Raises as
    :func:`fetch_all`.
    """
    last = await fetch_one(db, path, "SELECT number, boot_id FROM boot ORDER BY number DESC LIMIT 1")
    if last is None:
        return (1, boot_id), False
    sql = "SELECT uptime_us FROM event WHERE boot = ? ORDER BY number DESC LIMIT 1"
    newest_us = await fetch_number(db, path, sql, (last[0],))
    if last[1] == boot_id and (newest_us is None or newest_us <= uptime_us):
        return (int(last[0]), boot_id), True
    return (int(last[0]) + 1, boot_id), False


async def check_ours(db: aiosqlite.Connection, path: Path) -> int:
    """The number of the newest migration applied, 0 for an empty file. Raises as :func:`fetch_all`."""
    if not await fetch_number(db, path, "SELECT count(*) FROM sqlite_master"):
        return 0
    if await fetch_number(db, path, "PRAGMA application_id") != APPLICATION_ID:
        raise _not_ours(path)
    applied = await fetch_number(db, path, "SELECT max(number) FROM migration") or 0
    newest = migrations()[-1][0]
    if applied > newest:
        raise StorageError(
            "the database {} has format {}, this program knows up to {}: install the newer program again, "
            "or give another path with --database".format(path, applied, newest)
        )
    return applied


async def inspect(path: Path) -> int:
    """:func:`check_ours` for an existing file, without changing it or its ``-wal``."""
    db = await connect(path, read_only=True, immutable=not os.path.exists("{}-wal".format(path)))
    try:
        return await check_ours(db, path)
    finally:
        await db.close()


async def migrate(db: aiosqlite.Connection, path: Path, wall_us: int) -> None:
    """Bring the database to the present schema, each step and its record in one transaction."""
    applied = await check_ours(db, path)
    if applied == 0:
        await db.execute("PRAGMA page_size={}".format(PAGE_SIZE))
        await db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        # Before WAL mode, so that the mark stands in the file itself from its first page on.
        await db.execute("PRAGMA application_id={}".format(APPLICATION_ID))
    await db.execute("PRAGMA journal_mode=WAL")
    await db.execute("PRAGMA synchronous=FULL")
    for number, name, sql in migrations():
        if number > applied:
            await _apply(db, path, (_MIGRATION_TABLE if number == 1 else "") + sql, (number, name, wall_us))


async def _apply(db: aiosqlite.Connection, path: Path, sql: str, record: Tuple[int, str, int]) -> None:
    insert = "INSERT INTO migration (number, name, applied_wall_us) VALUES ({}, '{}', {});".format(*record)
    try:
        await db.executescript("BEGIN IMMEDIATE;" + sql + insert + "COMMIT;")
    except sqlite3.Error as error:
        if db.in_transaction:
            await db.rollback()
        if isinstance(error, sqlite3.IntegrityError):
            raise StorageError("the database {} does not fit migration {}: {}".format(path, record[1], error)) from None
        raise


async def check_integrity(db: aiosqlite.Connection, path: Path) -> None:
    """Read every page. Raises :class:`DatabaseDamaged` with the first fault."""
    row = await fetch_one(db, path, "PRAGMA quick_check(1)")
    if row is None or row[0] != "ok":
        raise DatabaseDamaged(path, row[0] if row else "no answer")


def set_aside(path: Path, stamp: str) -> Path:
    """Rename the database and its companions to a dated name that is free; return the new path.

    Raises :class:`StorageError`.
    """
    base = "{}.damaged-{}".format(path, stamp)
    target, attempt = base, 1
    while any(os.path.exists(target + suffix) for suffix in ("", "-wal", "-shm")):
        attempt += 1
        target = "{}-{}".format(base, attempt)
    try:
        for suffix in ("-wal", "-shm", ""):
            if os.path.exists(str(path) + suffix):
                os.rename(str(path) + suffix, target + suffix)
    except OSError as error:
        raise StorageError("the database {} is damaged and cannot be set aside: {}".format(path, error)) from None
    return Path(target)
