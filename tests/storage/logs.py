"""Events of every kind, and logs full of them, for the tests of this folder."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from core.configuration import BatteryConfiguration, Configuration
from core.events import (
    ClockStepped,
    Event,
    FrameRejected,
    LinkEstablished,
    LinkLost,
    ReadingTaken,
    RequestUnanswered,
    SessionEnded,
    SessionStarted,
    SettingChanged,
    TaskFailed,
    UnknownFact,
)
from storage.database import StorageError
from storage.event_log import EventLog
from storage.event_reader import EventReader
from tests.frames import frame

SECOND_US = 1_000_000
WALL_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
BATTERY = "ble_000000000001"
OTHER = "ble_000000000002"
FRAMES = (frame("jbd-034"), frame("jbd-065"))
CONFIGURATION = Configuration(
    (BatteryConfiguration(BATTERY, "00:00:00:00:00:01"), BatteryConfiguration(OTHER, "00:00:00:00:00:02"))
).to_payload()


def started(configuration=CONFIGURATION, remembered=None):
    """The fact that opens a session."""
    return SessionStarted("0.1.0", configuration, remembered or {})


def reading(which=0, battery=BATTERY):
    """One of two captured frames as a fact."""
    return ReadingTaken(battery, "jbd", FRAMES[which % len(FRAMES)])


def all_facts():
    """One fact of every kind, SessionStarted first, and one of a kind that nobody here knows."""
    return [
        started(remembered={"settings": {BATTERY: {"CustomName": "Höhle \U0001f50b"}}}),
        reading(),
        ReadingTaken(BATTERY, "jbd", frame("jbd-071"), altered=True),
        FrameRejected(BATTERY, "jbd", "checksum wrong", b"\xdd\x00\xff"),
        RequestUnanswered(BATTERY, "0x05", 3),
        LinkEstablished(BATTERY, "xiaoxiang"),
        LinkEstablished(BATTERY),
        LinkLost(BATTERY, "timeout", "nothing for 10 s"),
        ClockStepped(-3_600_000_000),
        SettingChanged(BATTERY, "CustomName", "Höhle"),
        SettingChanged(BATTERY, "Limit", 1.5),
        TaskFailed("reader", "ValueError: x"),
        UnknownFact("BalancingSeen", 7, {"battery": BATTERY, "cells": [1, 2], "deep": {"a": None}}),
        SessionEnded("stopped"),
    ]


def event(number, fact, *, boot=1, uptime_us=None, wall_us=None, unread=None):
    """*fact* as event *number*; without times it happened *number* seconds after the boot."""
    uptime_us = number * SECOND_US if uptime_us is None else uptime_us
    wall_us = WALL_US + uptime_us if wall_us is None else wall_us
    return Event(number, boot, uptime_us, wall_us, fact, unread or {})


def some_events(count, first=1):
    """A session start when *first* is 1, then readings."""
    numbers = range(first, first + count)
    return [event(n, started() if n == 1 else reading(n)) for n in numbers]


async def open_log(path, boot_id="boot-1", uptime_us=0):
    """A log with its boot begun, under a clock that stands at :data:`WALL_US`."""
    log = await EventLog.open(Path(path), wall_us=lambda: WALL_US)
    await log.begin_boot(boot_id, uptime_us)
    return log


def append_all(log, events):
    """Append each of *events*."""
    for one in events:
        log.append(one)


async def write_log(path, events):
    """A closed log at *path* that holds *events*."""
    log = await open_log(path)
    append_all(log, events)
    await log.close()


async def try_to_open(path):
    """Open and close the log; being refused is fine."""
    with suppress(StorageError):
        await (await EventLog.open(Path(path), wall_us=lambda: WALL_US)).close()


async def read_log(path, *selection, **options):
    """The events in the database at *path*."""
    async with await EventReader.open(Path(path)) as reader:
        return [one async for one in reader.events(*selection, **options)]


def query(path, sql, values=()):
    """All rows of one statement, run and committed by SQLite itself."""
    with closing(sqlite3.connect(str(path))) as db, db:
        return db.execute(sql, values).fetchall()


def contents(folder):
    """Every file in *folder* with its bytes, but for lock files and the shared memory that SQLite makes to look."""
    passed_over = (".db.lock", ".db-shm")
    files = [file for file in folder.iterdir() if file.is_file() and not file.name.endswith(passed_over)]
    return {file.name: file.read_bytes() for file in files}


def set_aside_files(folder):
    """The names of the databases that were set aside, sorted; their ``-wal`` and ``-shm`` go without saying."""
    names = (file.name for file in folder.iterdir() if ".damaged-" in file.name)
    return sorted(name for name in names if not name.endswith(("-wal", "-shm")))
