"""The ``rebuild`` command: the history counted anew from the readings that are kept."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from adapters.clock import SystemClock
from service.plan import default_database
from service.progress import progress_bar
from storage.rebuild import rebuild


async def rebuild_command(arguments: Namespace) -> int:
    """Rebuild one database, which no daemon may hold."""
    database = Path(arguments.database) if arguments.database else default_database(in_process=False)
    with progress_bar("events") as bar:

        def reached(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        counted = await rebuild(database, wall_us=SystemClock().wall_us(), progress=reached)
    print("counted anew: {}".format(", ".join("{} rows of {}".format(rows, tier) for tier, rows in counted.items())))
    return 0
