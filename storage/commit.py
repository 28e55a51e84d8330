"""One transaction of the event log: events, names that they refer to, snapshots, and rows of the history."""

from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Tuple

import aiosqlite
from attrs import frozen

from core.events import Event, SessionStarted
from core.history import DatedBucket
from storage.bucket_rows import key_of, pack
from storage.history_reader import COUNTED_TO, TABLES
from storage.rows import INSERT_EVENT, Dictionaries, row_of


@frozen
class Batch:
    """What is stored together or not at all."""

    events: List[Event]
    snapshots: Dict[str, Tuple[int, int, str]]
    """By name: version, number of the last event that counts, state."""
    buckets: List[DatedBucket]
    counted_to: Optional[int]
    """Events below this number are in *buckets* or in rows stored before; ``None``: as it was."""
    boot: Optional[Tuple[int, str]]
    """The boot, if it is not stored yet."""


INSERT_MARK = "INSERT OR REPLACE INTO history_mark (name, value) VALUES (?, ?)"


async def insert_buckets(db: aiosqlite.Connection, buckets: Iterable[DatedBucket], names: Dictionaries) -> None:
    """Add *buckets* to the table of their tier, and new batteries to theirs. Raises :class:`sqlite3.Error`."""
    rows: Dict[str, List[Tuple[int, bytes]]] = {}
    for dated in buckets:
        key = key_of(dated.place, names.battery_id(dated.battery))
        rows.setdefault(TABLES[dated.tier], []).append((key, pack(dated.bucket)))
    await insert_names(db, names)
    for table, packed in rows.items():
        await db.executemany("INSERT INTO {} (key, data) VALUES (?, ?)".format(table), packed)


async def insert_names(db: aiosqlite.Connection, names: Dictionaries) -> None:
    """Store what *names* learned since it was stored last. Raises :class:`sqlite3.Error`."""
    for sql, values in names.unsaved:
        await db.execute(sql, values)
    names.unsaved.clear()


async def write(db: aiosqlite.Connection, batch: Batch, names: Dictionaries) -> None:
    """Store *batch*; *names* learns what was new.

    Raises :class:`sqlite3.Error`; then nothing was stored, and *names* is of no use any more.
    """
    rows = [row_of(event, names) for event in batch.events]
    starts = [(event.number,) for event in batch.events if isinstance(event.fact, SessionStarted)]
    snapshots = [(name, *snapshot) for name, snapshot in batch.snapshots.items()]
    try:
        await db.execute("BEGIN IMMEDIATE")
        if batch.boot is not None:
            await db.execute("INSERT INTO boot (number, boot_id) VALUES (?, ?)", batch.boot)
        await insert_names(db, names)
        await db.executemany(INSERT_EVENT, rows)
        await db.executemany("INSERT INTO session_start (number) VALUES (?)", starts)
        sql = "INSERT OR REPLACE INTO snapshot (name, version, number, state) VALUES (?, ?, ?, ?)"
        await db.executemany(sql, snapshots)
        if batch.buckets:
            await insert_buckets(db, batch.buckets, names)
        if batch.counted_to is not None:
            await db.execute(INSERT_MARK, (COUNTED_TO, batch.counted_to))
        await db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            await db.execute("ROLLBACK")
        raise
