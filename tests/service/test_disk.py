"""A disk that is full for a day, or read-only from the start: the battery is there, the alarm tells, nothing breaks."""

import asyncio
import gc
import shutil
import tracemalloc

import pytest

import storage.waiting
from config.loader import load
from core.events import HistoryPaused, HistoryResumed, ReadingTaken
from service.daemon import Daemon
from service.outputs import Picture
from service.plan import plan_batteries, plan_configuration
from storage.database import PAGE_SIZE
from storage.event_log import EventLog
from storage.retention import Retention
from tests.doubles.manual_clock import ManualClock
from tests.storage.disks import fill, remount, small_disk
from tests.storage.logs import query, read_log

HOUR_S = 3600
HOURS = 1
SERVICE = "com.victronenergy.battery.sim_a"
ROOM = Retention(cap_bytes=64_000_000)
"""The size of the database is not what keeps it from being written here."""


class Run:
    """The real daemon with one simulated battery on a clock that is told to go on."""

    def __init__(self, database, uptime_s=1000.0):
        self.clock = ManualClock(uptime_s=uptime_s, rounds=8)
        self.picture = Picture()
        self._database = database

    async def start(self):
        """Run until the first event waits."""
        values, _ = load(None, ["POLL_SECONDS = 30"])
        planned = plan_batteries(["sim:a"], values)
        self.daemon = Daemon(
            planned,
            plan_configuration(planned, values, 5),
            clock=self.clock,
            event_log=await EventLog.open(self._database, wall_us=self.clock.wall_us, retention=ROOM),
            outputs=self.picture,
            bus_address=None,
            commit_s=10,
        )
        self._stop = asyncio.Event()
        self._running = asyncio.ensure_future(self.daemon.run(self._stop))
        while not self.daemon.event_log.waiting:
            assert not self._running.done(), self._running.result()
            await asyncio.sleep(0.001)

    async def pass_time(self, seconds):
        """Let the daemon live; commits get their turn in between."""
        for _ in range(int(seconds / 10)):
            await self.clock.run_for(10)
            while self.daemon.event_log._turn.locked():
                await asyncio.sleep(0.001)
        assert not self._running.done()

    async def stop(self):
        """An orderly end."""
        self._stop.set()
        await self._running

    @property
    def shown(self):
        """Phase, alarm and text of the connection, as they are now."""
        shown = self.picture.services[SERVICE]
        return shown.phase, shown.items["/Alarms/InternalFailure"], shown.items["/ConnectionInformation"]


async def test_a_disk_that_is_full_for_hours(tmp_path, monkeypatch):
    """Live, alarm raised, memory bounded; then it writes again, and the log says what is missing."""
    monkeypatch.setattr(storage.waiting, "MAX_PENDING", 700)  # what 24 hours do to the bound: tests/storage
    with small_disk(tmp_path / "disk", 3) as folder:
        run = Run(folder / "history.db")
        await run.start()
        await run.pass_time(600)
        assert run.shown == ("LIVE", 0, "Connected")
        before = query(folder / "history.db", "SELECT max(number) FROM event")

        fill(folder)
        await run.pass_time(120)
        assert run.shown == ("LIVE", 1, "Connected (no history: database or disk is full)")
        gc.collect()
        tracemalloc.start()
        for _ in range(HOURS):
            await run.pass_time(HOUR_S)
            assert run.shown[:2] == ("LIVE", 1)
        gc.collect()
        grown_bytes = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert grown_bytes < 5_000_000
        assert query(folder / "history.db", "SELECT max(number) FROM event")[0][0] - before[0][0] < 20
        assert query(folder / "history.db", "PRAGMA integrity_check") == [("ok",)]

        (folder / "filler").unlink()
        await run.pass_time(120)
        assert run.shown == ("LIVE", 0, "Connected")
        await run.pass_time(600)
        log, lost = run.daemon.event_log, run.daemon.event_log.lost
        assert (log.problem, log.waiting < 20) == (None, True)
        await run.stop()
        events = await read_log(folder / "history.db")
        assert query(folder / "history.db", "PRAGMA integrity_check") == [("ok",)]
    numbers = [one.number for one in events]
    assert numbers == sorted(set(numbers)), "none doubled"
    (paused,) = [one for one in events if isinstance(one.fact, HistoryPaused)]
    (resumed,) = [one for one in events if isinstance(one.fact, HistoryResumed)]
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    assert lost == resumed.fact.lost == missing > 0
    assert paused.fact.problem == "database or disk is full"
    hole = next(number for number, after in zip(numbers, numbers[1:]) if after != number + 1)
    before_hole = next(one for one in events if one.number == hole)
    after_hole = next(one for one in events if one.number > hole)
    assert before_hole.uptime_us <= resumed.fact.first_uptime_us <= resumed.fact.last_uptime_us <= after_hole.uptime_us


@pytest.mark.parametrize("exists", [False, True], ids=["empty disk", "a database on it"])
async def test_a_disk_that_is_read_only_at_the_start(tmp_path, exists):
    """The battery comes up without a history, under the name and with the settings of before, and goes on with one."""
    with small_disk(tmp_path / "disk", 3) as folder:
        database = folder / "history.db"
        if exists:
            run = Run(database)
            await run.start()
            await run.pass_time(60)
            assert run.daemon._writer(SERVICE)("/CustomName", "Pantry") == 0
            await run.pass_time(60)
            await run.stop()
            before = await read_log(database)
        remount(folder, "ro")
        run = Run(database, uptime_s=2000.0)
        await run.start()
        await run.pass_time(60)
        phase, alarm, information = run.shown
        assert (phase, alarm) == ("LIVE", 1)
        assert "no history: " in information
        assert run.picture.services[SERVICE].items["/CustomName"] == ("Pantry" if exists else "")
        remount(folder, "rw")
        await run.pass_time(60)
        assert run.shown == ("LIVE", 0, "Connected")
        await run.stop()
        events = await read_log(database)
        assert query(database, "PRAGMA integrity_check") == [("ok",)]
    numbers = [one.number for one in events]
    assert numbers == list(range(1, len(events) + 1)), "nothing lost, nothing doubled"
    if exists:
        assert events[: len(before)] == before
        assert events[-1].boot == before[-1].boot
    assert sum(isinstance(one.fact, ReadingTaken) for one in events[-40:]) > 6


@pytest.mark.parametrize("trouble", ["damaged", "WAL without its index"])
async def test_a_read_only_disk_with_a_database_that_cannot_be_read(tmp_path, trouble):
    """What failing flash leaves after a power cut: the battery comes up all the same, and the alarm tells."""
    with small_disk(tmp_path / "disk", 3) as folder:
        run = Run(folder / "made.db")
        await run.start()
        await run.pass_time(60)
        database = folder / "history.db"
        for suffix in ("", "-wal"):
            shutil.copy(str(folder / "made.db") + suffix, str(database) + suffix)
        await run.stop()
        if trouble == "damaged":
            (folder / "history.db-wal").unlink()
            shutil.copy(str(folder / "made.db"), str(database))
            with open(str(database), "r+b") as file:
                file.seek(PAGE_SIZE)
                file.write(b"\xff" * 20_000)
        remount(folder, "ro")
        try:
            run = Run(database, uptime_s=2000.0)
            await run.start()
            await run.pass_time(60)
            assert run.shown[:2] == ("LIVE", 1)
        finally:
            remount(folder, "rw")
        await run.stop()


async def test_a_database_that_is_deleted_while_it_is_written(tmp_path, caplog):
    """It is noticed, told, and a new one is begun that can be read and replayed by itself."""
    run = Run(tmp_path / "history.db")
    await run.start()
    await run.pass_time(60)
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / ("history.db" + suffix)).unlink()
    await run.pass_time(60)
    assert "the file was deleted" in caplog.text
    await run.stop()
    events = await read_log(tmp_path / "history.db")
    assert type(events[0].fact).__name__ == "SessionStarted"
    assert len(events) > 5
