"""The ``export`` command: history and log as CSV."""

from __future__ import annotations

import csv
import io
import sys
from argparse import Namespace
from pathlib import Path
from typing import AsyncIterator, Callable, List

from config.options import ConfigError
from core.history import QUARTER, TIERS
from service import PROGRAM
from service.plan import default_database
from service.progress import progress_bar
from service.session_commands import battery_named, time_or_none
from storage.csv_export import BY_BUCKET, CsvSelection, csv_rows
from storage.history_reader import HistoryReader
from storage.whole_file import WholeFile

RESOLUTIONS = {tier.name: tier for tier in TIERS}
STANDARD_OUTPUT = "-"
_ROWS_AT_ONCE = 500


async def csv_command(arguments: Namespace) -> int:
    """Write one table to a file, which appears when it is complete, or to standard output."""
    if arguments.resolution is not None and arguments.kind not in BY_BUCKET:
        raise ConfigError("--resolution is for {} only".format(" and ".join(BY_BUCKET)))
    selection = CsvSelection(
        arguments.kind,
        RESOLUTIONS[arguments.resolution or QUARTER.name],
        time_or_none(arguments.since),
        time_or_none(arguments.until),
        battery_named(arguments.battery),
    )
    database = Path(arguments.database) if arguments.database else default_database(in_process=False)
    output = Path(arguments.output)
    if arguments.output != STANDARD_OUTPUT and output.resolve() == database.resolve():
        raise ConfigError("{} is the database itself; give the table another name".format(output))
    async with await HistoryReader.open(database) as reader:
        rows = csv_rows(reader, selection)
        if arguments.output == STANDARD_OUTPUT:
            count = await _write(rows, sys.stdout.write, shown=not sys.stdout.isatty())
        else:
            with WholeFile(output) as file:
                count = await _write(rows, file.write_text, shown=True)
    if not count:
        print("{}: nothing was recorded in that time".format(PROGRAM), file=sys.stderr)
    return 0


async def _write(rows: AsyncIterator[List[str]], write: Callable[[str], object], *, shown: bool) -> int:
    """Write header and rows; return how many rows came after the header."""
    count = -1
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    with progress_bar("rows", shown=shown) as bar:
        async for row in rows:
            table.writerow(row)
            count += 1
            if count % _ROWS_AT_ONCE == 0:
                write(_taken(text))
                bar.update(count - bar.n)
        write(_taken(text))
    return count


def _taken(text: io.StringIO) -> str:
    written = text.getvalue()
    text.seek(0)
    text.truncate()
    return written
