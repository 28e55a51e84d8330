"""Appends and commits as fast as it can until it is killed; run as ``python -m tests.storage.appender``.

Each line of standard input is a seed and the path of a database. A process of its own, forked so that it need
not load Python again, prints its id, then the number of the newest event each time a commit has returned.
When it has been killed, ``killed`` is printed.
"""

import asyncio
import os
import random
import sys

from core.events import TaskFailed
from tests.storage.logs import SECOND_US, append_all, event, open_log, reading, started

CHECKPOINT_PAGES = 16
"""Checkpoints as often as this, so that kills hit some of them."""


def event_of(number):
    """The one event that can have this number."""
    if number % 50 == 1:
        return event(number, started())
    return event(number, TaskFailed("reader", "x" * (number % 1500)) if number % 7 == 0 else reading(number))


async def append_for_ever(path, chance):
    """Never returns."""
    log = await open_log(path, uptime_us=10**9 * SECOND_US)
    await log._db.execute("PRAGMA wal_autocheckpoint={}".format(CHECKPOINT_PAGES))
    while True:
        first = log.next_number
        append_all(log, [event_of(number) for number in range(first, first + chance.randrange(1, 30))])
        log.save_snapshot("newest", 1, {"number": log.next_number - 1})
        await log.commit()
        tell(log.next_number - 1 if log.problem is None else log.problem)


def tell(what):
    """One line, in one write."""
    os.write(1, "{}\n".format(what).encode())


def run_and_wait(seed, database):
    """Return when the process that appends is dead."""
    child = os.fork()
    if child == 0:
        tell(os.getpid())
        asyncio.run(append_for_ever(database, random.Random(int(seed))))
    os.waitpid(child, 0)
    tell("killed")


if __name__ == "__main__":
    for order in sys.stdin:
        run_and_wait(*order.rstrip("\n").split(" ", 1))
