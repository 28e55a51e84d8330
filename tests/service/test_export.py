"""The commands ``export`` and ``rebuild`` as they are typed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.events import ReadingsDeleted
from service.cli import main
from storage.event_log import EventLog
from tests.programs import ROOT, environment
from tests.storage.lives import BATTERIES, HOUR_S, Device, tables
from tests.storage.logs import event, query


@pytest.fixture
async def database(tmp_path):
    """Two batteries, two hours."""
    device = Device(tmp_path / "log.db", batteries=2, poll_s=5, commit_every=60)
    await device.start()
    await device.run(2 * HOUR_S)
    await device.stop()
    return str(tmp_path / "log.db")


def typed(capsys, *arguments):
    """Exit code, standard output and standard error of a command."""
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_to_standard_output_and_to_a_file(database, tmp_path, capsys):
    """The same bytes; quarters of an hour unless told otherwise."""
    code, out, err = typed(capsys, "export", "batteries", "--database", database)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1 + 2 * 9
    file = tmp_path / "out.csv"
    assert typed(capsys, "export", "batteries", "--database", database, "-o", str(file))[0] == 0
    assert file.read_bytes() == out.encode()
    assert not (tmp_path / "out.csv.part").exists()
    code, out, _ = typed(
        capsys, "export", "cells", "--resolution", "1day", "--battery", BATTERIES[0], "--database", database
    )
    assert (code, len(list(csv.DictReader(out.splitlines())))) == (0, 4)


def test_the_database_is_not_replaced_by_a_table_of_it(database, capsys):
    """Neither under its name nor under another one for it."""
    before = Path(database).read_bytes()
    for name in (database, os.path.join(os.path.dirname(database), ".", "log.db")):
        code, _, err = typed(capsys, "export", "cells", "--database", database, "-o", name)
        assert (code, "is the database itself" in err) == (2, True)
    assert Path(database).read_bytes() == before


def test_nothing_in_that_time(database, capsys):
    """A header, and a line that says why there is no more."""
    code, out, err = typed(capsys, "export", "cells", "--since", "2030-01-01", "--database", database)
    assert (code, len(out.splitlines())) == (0, 1)
    assert "nothing was recorded in that time" in err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["events", "--resolution", "1day"], 2, "--resolution is for cells and batteries only"),
        (["cells", "--since", "yesterday"], 2, "is no time like"),
        (["cells", "--battery", "ble_x"], 1, "there is no battery ble_x"),
        (["cells", "-o", "/dev/full/x"], 1, "cannot write /dev/full/x"),
        (["cells", "-o", "/no/such/folder/x.csv"], 1, "cannot write /no/such/folder/x.csv: No such file"),
    ],
)
def test_wrong_usage_and_places(database, capsys, arguments, code, says):
    """One line and the exit code."""
    ended, out, err = typed(capsys, "export", *arguments, "--database", database)
    assert (ended, out) == (code, "")
    assert says in err and err.count("\n") == 1


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(database, tmp_path, signal_number):
    """Neither half a file nor its beginnings; an older file stays as it was."""
    file, unfinished = tmp_path / "out.csv", tmp_path / "out.csv.part"
    file.write_text("older")
    slow = (
        "import asyncio, sys, storage.csv_export as export, service.export\n"
        "rows = service.export.csv_rows\n"
        "async def slow(*arguments):\n"
        "    async for row in rows(*arguments):\n"
        "        await asyncio.sleep(0.01)\n"
        "        yield row\n"
        "service.export.csv_rows = slow\n"
        "from service.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["export", "readings", "--database", database, "-o", str(file)]
    program = subprocess.Popen(
        [sys.executable, "-c", slow, *arguments], cwd=str(ROOT), env=environment(), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not unfinished.exists() or not os.path.getsize(str(unfinished)):
        assert program.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
        if unfinished.exists():
            break
    program.send_signal(signal_number)
    _, err = program.communicate(timeout=30)
    assert program.returncode == 1, err
    assert "Traceback" not in err
    assert file.read_text() == "older"
    assert not unfinished.exists()


def test_rebuild(database, tmp_path, capsys):
    """It says what it counted, and the history is as it was."""
    before = tables(database)
    code, out, err = typed(capsys, "rebuild", "--database", database)
    assert (code, err) == (0, "")
    rows = len(before["history_minute"])
    assert out == "counted anew: {} rows of 1min, 16 rows of 15min, 0 rows of 1day\n".format(rows)
    assert tables(database) == before
    code, _, err = typed(capsys, "rebuild", "--database", str(tmp_path / "none.db"))
    assert (code, "does not exist" in err) == (1, True)


@pytest.fixture
async def trimmed(tmp_path):
    """Eight hours of which the single readings of the last two are left."""
    path = tmp_path / "trimmed.db"
    device = Device(path, poll_s=5, commit_every=60)
    await device.start()
    await device.run(8 * HOUR_S)
    await device.stop()
    query(path, "DELETE FROM event WHERE kind = 1 AND uptime_us < 21600000000")
    log = await EventLog.open(path)
    await log.begin_boot("boot-0", 9 * HOUR_S * 1_000_000)
    log.append(event(log.next_number, ReadingsDeleted(8600, 8500, "age"), uptime_us=9 * HOUR_S * 1_000_000))
    await log.close()
    return str(path)


def test_at_a_time_whose_readings_are_gone(trimmed, capsys):
    """The history answers with the finest stretch that it has, and says that it is one."""
    code, out, err = typed(capsys, "at", "2026-01-01T01:07:30", "--database", trimmed)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == (
        "the single readings of 2026-01-01T01:07:30Z were deleted; the 1min from 2026-01-01T01:07:00Z are kept as "
        "lowest, mean, highest:"
    )
    assert lines[2] == BATTERIES[0]
    named = {line.split()[0]: [float(number) for number in line.split()[1:]] for line in lines[3:]}
    assert {"voltage_V", "current_A", "soc_pct", "spread_V", "cell1_V", "cell4_V", "temperature1_C"} <= set(named)
    assert all(low <= mean <= high for low, mean, high in named.values())
    code, out, _ = typed(capsys, "at", "2026-01-01T01:07:30", "--json", "--database", trimmed)
    told = json.loads(out)
    assert (code, told["readings_deleted"], told["resolution"]) == (0, True, "1min")
    assert told["batteries"][BATTERIES[0]]["cell1_V"] == pytest.approx(named["cell1_V"], abs=0.001)
    code, _, err = typed(capsys, "at", "2026-01-01T01:07:30", "--battery", "sim:x", "--database", trimmed)
    assert (code, "were deleted" in err) == (1, True)
