"""Three weeks of 4 x 16 cells at a poll of 5 s through the event log: does it keep within its bounds? ``make soak``."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from core.events import ReadingsDeleted
from core.sequencer import Sequencer
from storage.event_log import EventLog
from storage.history_reader import TABLES
from storage.retention import MB, Retention, size_of
from tests.bench import DAY_S, WALL_US, facts, written_bytes
from tests.storage.logs import query

DAYS = 21
COMMIT_US = 10_000_000


async def live(path, cap_bytes):
    """Print the size of every day; return the largest that file and WAL ever were, in bytes."""
    log = await EventLog.open(path, wall_us=lambda: WALL_US, retention=Retention(cap_bytes=cap_bytes))
    sequencer = Sequencer(boot=await log.begin_boot("soak", 0), next_number=1)
    commit_us, day, largest, before = COMMIT_US, 1, 0, written_bytes()
    for at_us, fact in facts(DAYS * DAY_S):
        while at_us >= commit_us:
            await log.commit()
            for told in log.take_facts():
                for event in sequencer.number(told, commit_us, WALL_US + commit_us):
                    log.append(event)
            largest = max(largest, size_of(path))
            commit_us += COMMIT_US
        for event in sequencer.number(fact, at_us, WALL_US + at_us):
            log.append(event)
        if at_us >= day * DAY_S * 1_000_000:
            written, before = (written_bytes() - before) / 1e6, written_bytes()
            days = await log.forecast_days()
            print("day {:>2}: {:>6.1f} MB, written {:>6.1f} MB, room for {:.1f} days of readings".format(
                day, size_of(path) / 1e6, written, days), flush=True)  # fmt: skip
            day += 1
    await log.close()
    return largest


def main():
    """One run with a cap in MB; without one what 14 days of readings take."""
    cap_bytes = int(sys.argv[1]) * MB if len(sys.argv) > 1 else 256 * MB
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        largest = asyncio.run(live(path, cap_bytes))
        oldest_us, newest_us = query(path, "SELECT min(uptime_us), max(uptime_us) FROM event WHERE kind = 1")[0]
        rows = {table: query(path, "SELECT count(*) FROM " + table)[0][0] for table in TABLES.values()}
        of_kind = "SELECT count(*) FROM event JOIN kind ON kind = id WHERE name = ?"
        steps = query(path, of_kind, (ReadingsDeleted.__name__,))[0][0]
        kept_days = (newest_us - oldest_us) / DAY_S / 1e6
        print("largest: {:.1f} MB of {} MB".format(largest / 1e6, cap_bytes // MB))
        print("readings of {:.2f} days, others deleted in {} steps; rows {}".format(kept_days, steps, rows))
        print("integrity: {}, {:.0f} s".format(query(path, "PRAGMA integrity_check")[0][0], time.monotonic() - begun))


if __name__ == "__main__":
    main()
