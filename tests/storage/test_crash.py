"""A kill or a power cut at any instant leaves a database that opens and a prefix of what was appended."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.storage.appender import event_of
from tests.storage.logs import append_all, open_log, query, read_log, set_aside_files

ROOT = Path(__file__).resolve().parent.parent.parent
KILLS = 100
KILLS_PER_DATABASE = 5
SHORTEST_S, LONGEST_S = 0.03, 0.08
CUTS = 200
WAL_HEADER = 32


@pytest.fixture
def appender():
    """The program that appends."""
    command = [sys.executable, "-m", "tests.storage.appender"]
    with subprocess.Popen(
        command, cwd=str(ROOT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True
    ) as process:
        yield process
        process.stdin.close()
        assert process.wait() == 0


def run_and_kill(appender, path, chance):
    """Let it append for a random while; the newest number that it reported as committed, 0 for none."""
    appender.stdin.write("{} {}\n".format(chance.randrange(2**30), path))
    appender.stdin.flush()
    process_id = int(appender.stdout.readline())
    opening = chance.random() < 0.2  # a kill at any moment of the opening, too
    reported = [] if opening else [appender.stdout.readline()]
    time.sleep(chance.uniform(0, SHORTEST_S if opening else LONGEST_S))
    os.kill(process_id, signal.SIGKILL)
    reported += iter(appender.stdout.readline, "killed\n")
    return max([0, *(int(line) for line in reported)])


async def check_prefix(path, committed):
    """The log at *path* is sound, a gapless prefix, and has everything up to *committed*; the newest number."""
    log = await open_log(path, uptime_us=10**15)
    assert (log.problem, set_aside_files(path.parent)) == (None, [])
    newest = log.next_number - 1
    snapshot = await log.load_snapshot("newest", 1)
    await log.close()
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert newest >= committed
    assert snapshot == ((newest, {"number": newest}) if newest else None), "snapshot and events are one commit"
    assert await read_log(path) == [event_of(number) for number in range(1, newest + 1)]
    starts = [(number,) for number in range(1, newest + 1, 50)]
    assert query(path, "SELECT number FROM session_start") == starts
    return newest


async def test_kill_9_at_a_hundred_moments(tmp_path, appender):
    """Whatever a commit has returned for is there after a kill, and nothing is there twice, damaged or missing."""
    chance, newest = random.Random(20260101), []
    for kill in range(KILLS):
        path = tmp_path / "killed-{}.db".format(kill // KILLS_PER_DATABASE)
        committed = run_and_kill(appender, path, chance)
        newest.append(await check_prefix(path, committed))
    assert max(newest) > 200, "it really appended"
    assert min(newest) < 30, "and was killed early, too"


async def known_commits(folder):
    """A database with events in its file and more in its ``-wal``; (size of the wal, newest number) per commit."""
    path, chance, number = folder / "source.db", random.Random(7), 1
    for batches in (5, 30):
        log = await open_log(path, uptime_us=10**15)
        await log._db.execute("PRAGMA wal_autocheckpoint=0")
        wal = Path(str(path) + "-wal")
        borders = [(0, number - 1)]
        for _ in range(batches):
            count = chance.randrange(1, 40)
            append_all(log, [event_of(n) for n in range(number, number + count)])
            number += count
            log.save_snapshot("newest", 1, {"number": number - 1})
            await log.commit()
            borders.append((wal.stat().st_size, number - 1))
        if batches == 30:
            for suffix in ("", "-wal"):
                shutil.copy(str(path) + suffix, str(folder / "cut.db") + suffix)
        await log.close()
    return borders


def cut(wal, offset, chance):
    """What a power cut leaves of the wal: nothing behind *offset*, or pages never written read as zeros."""
    kind = chance.choice(["shorter", "zeros to the end", "a hole"])
    if kind == "shorter":
        return wal[:offset]
    end = len(wal) if kind == "zeros to the end" else min(len(wal), offset + chance.choice([512, 4096, 20000]))
    return wal[:offset] + bytes(end - offset) + wal[end:]


@pytest.mark.parametrize("part", range(4))
async def test_power_cut_at_two_hundred_offsets(tmp_path, part):
    """Whatever the disk had of the newest commits, the log ends at a commit and has all that was complete."""
    borders = await known_commits(tmp_path)
    file, wal = (tmp_path / "cut.db").read_bytes(), (tmp_path / "cut.db-wal").read_bytes()
    assert borders[-1][0] == len(wal)
    chance = random.Random(part)
    for place in range(CUTS // 4):
        folder = tmp_path / str(place)
        folder.mkdir()
        offset = chance.randrange(len(wal))
        (folder / "cut.db").write_bytes(file)
        (folder / "cut.db-wal").write_bytes(cut(wal, offset, chance))
        complete = max(newest for size, newest in borders if size <= offset)
        newest = await check_prefix(folder / "cut.db", complete)
        assert newest in [number for _, number in borders]
        shutil.rmtree(str(folder))


async def test_power_cut_during_the_first_start(tmp_path):
    """A database that got no further than its header, or half of its first migration, is begun again."""
    log = await open_log(tmp_path / "source.db")
    file = (tmp_path / "source.db").read_bytes()
    wal = (tmp_path / "source.db-wal").read_bytes()
    await log.close()
    for place, offset in enumerate([0, 1, WAL_HEADER, len(wal) // 2, len(wal) - 1, len(wal)]):
        path = tmp_path / str(place) / "log.db"
        path.parent.mkdir()
        path.write_bytes(file)
        Path(str(path) + "-wal").write_bytes(wal[:offset])
        log = await open_log(path)
        append_all(log, [event_of(1)])
        await log.close()
        assert await read_log(path) == [event_of(1)]
        assert set_aside_files(path.parent) == []
