"""CSV of history and log: in true order, nothing lost or doubled, units as the header says, gaps to be seen."""

import csv
import io
import tracemalloc

import pytest

from core.configuration import BatteryConfiguration, Configuration
from core.events import (
    AlertClosed,
    AlertOpened,
    FrameRejected,
    LinkEstablished,
    LinkLost,
    LinkReleased,
    ReadingTaken,
    RecoveryAttempted,
    SessionEnded,
    SessionStarted,
)  # fmt: skip
from core.history import DAY, MINUTE, QUARTER
from storage.csv_export import KINDS, CsvSelection, csv_rows
from storage.database import StorageError
from storage.history_reader import HistoryReader
from tests.storage.lives import BATTERIES, HOUR_S, Device
from tests.storage.logs import WALL_US, read_log

YEARS_US = 56 * 365 * 86_400 * 1_000_000


async def exported(path, kind, *, tier=MINUTE, since_us=None, until_us=None, battery=None):
    """The rows as dictionaries, through the text of the file."""
    text = io.StringIO()
    async with await HistoryReader.open(path) as reader:
        selection = CsvSelection(kind, tier, since_us, until_us, battery)
        csv.writer(text, lineterminator="\n").writerows([row async for row in csv_rows(reader, selection)])
    text.seek(0)
    rows = list(csv.DictReader(text))
    assert all(None not in row and None not in row.values() for row in rows), "every row is as wide as the header"
    return rows


def seconds(row):
    """The time of a row, in seconds of that day."""
    hours, minutes, rest = row["time_utc"][11:-1].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


@pytest.fixture
async def stepped(tmp_path):
    """A boot that begins in 1970, is set right after 10 minutes, and set back an hour after 30."""
    path = tmp_path / "log.db"
    device = Device(path)
    device.wall_offset_us = -device.uptime_us
    await device.start()
    await device.run(600)
    device.set_clock((WALL_US + 4 * HOUR_S * 1_000_000) / 1e6)
    await device.run(1200)
    device.set_clock(-HOUR_S)
    await device.run(1800)
    await device.stop()
    return path


@pytest.mark.parametrize("kind", ["readings", "batteries", "cells"])
async def test_true_order_whatever_the_clock_did(stepped, kind):
    """One date after the other, an hour long, none lost and none doubled: dated by the last setting of the clock."""
    rows = await exported(stepped, kind)
    times = [row["time_utc"] for row in rows]
    assert times == sorted(times)
    assert times[0].startswith("2026-01-01T03:0") and times[-1].startswith(("2026-01-01T03:59", "2026-01-01T04:00"))
    if kind == "readings":
        stored = [one for one in await read_log(stepped) if isinstance(one.fact, ReadingTaken)]
        assert [int(row["number"]) for row in rows] == [one.number for one in stored]
        assert [row["frame"] for row in rows] == [one.fact.frame.hex() for one in stored]
    else:
        places = [(row["uptime_s"], row.get("cell")) for row in rows]
        assert len(places) == len(set(places)) == (60 if kind == "batteries" else 240)


async def test_a_boot_whose_clock_was_never_right(tmp_path):
    """No date, but its place; and it does not belong to any span of dates."""
    path = tmp_path / "log.db"
    device = Device(path)
    device.wall_offset_us = -device.uptime_us
    await device.start()
    await device.run(600)
    await device.stop()
    for kind in ("readings", "batteries", "events"):
        rows = await exported(path, kind)
        assert rows and {row["time_utc"] for row in rows} == {""}
        assert {row["boot"] for row in rows} == {"1"}
        assert await exported(path, kind, since_us=0) == []


async def test_numbers_and_units(tmp_path):
    """Volts, amperes, percent and degrees as the frames say; a broken sense wire has no voltage, and is not 0."""
    path = tmp_path / "log.db"
    device = Device(path, seed=3, poll_s=5)
    await device.start()
    await device.run(HOUR_S)
    await device.stop()
    frames = [one.fact.frame for one in await read_log(path) if isinstance(one.fact, ReadingTaken)]
    packs = [frame[4:] for frame in frames if frame[1] == 3]
    cells = [[int.from_bytes(frame[4 + n : 6 + n], "big") for n in range(0, 8, 2)] for frame in frames if frame[1] == 4]

    readings = await exported(path, "readings")
    assert [row["current_A"] for row in readings if row["current_A"]] == [
        "{:.2f}".format(int.from_bytes(pack[2:4], "big", signed=True) / 100) for pack in packs
    ]
    assert [row["cells_V"] for row in readings if row["cells_V"]] == [
        " ".join("{:.3f}".format(mv / 1000) for mv in voltages) for voltages in cells
    ]
    assert any("cell 3" in row["doubts"] for row in readings), "a broken wire is named"

    (whole,) = await exported(path, "batteries", tier=DAY)
    currents = [int.from_bytes(pack[2:4], "big", signed=True) / 100 for pack in packs]
    assert float(whole["current_min_A"]) == min(currents) and float(whole["current_max_A"]) == max(currents)
    assert float(whole["current_mean_A"]) == pytest.approx(sum(currents) / len(currents), abs=0.001)
    assert float(whole["soc_mean_pct"]) == pytest.approx(sum(pack[19] for pack in packs) / len(packs), abs=0.01)
    assert whole["temperature3_C"] == ""
    day = await exported(path, "cells", tier=DAY)
    known = [[mv for mv in column if mv] for column in zip(*cells)]
    assert [int(row["readings"]) for row in day] == [len(column) for column in known]
    means = [sum(column) / len(column) / 1000 for column in known]
    for row, column, mean in zip(day, known, means):
        assert (float(row["min_V"]), float(row["max_V"])) == (min(column) / 1000, max(column) / 1000)
        assert float(row["mean_V"]) == pytest.approx(mean, abs=0.0001)
        assert float(row["deviation_V"]) == pytest.approx(mean - sum(means) / 4, abs=0.0001)
    balanced = sum(5 for pack in packs[:-1] if pack[13])
    assert float(day[0]["balancing_s"]) == pytest.approx(balanced, abs=60)
    assert (day[1]["balancing_s"], day[0]["balancing_s"]) == ("0.0", day[2]["balancing_s"])


async def test_gaps_can_be_seen(tmp_path):
    """One row without readings where something is missing, at the first place that is; also before another boot."""
    path = tmp_path / "log.db"
    device = Device(path)
    await device.start()
    await device.run(300)
    device.uptime_us += HOUR_S * 1_000_000
    await device.run(300)
    await device.stop()
    device.reboot()
    await device.start()
    await device.run(300)
    await device.stop()
    rows = await exported(path, "batteries")
    empty = [place for place, row in enumerate(rows) if row["readings"] == "0"]
    assert len(empty) == 2
    for place in empty:
        assert set(list(rows[place].values())[5:]) == {""}
        assert int(rows[place]["uptime_s"]) == int(rows[place - 1]["uptime_s"]) + 60
    assert (rows[empty[1]]["boot"], rows[empty[1] + 1]["boot"]) == ("1", "2")
    cells = [row for row in await exported(path, "cells") if row["readings"] == "0"]
    assert [row["cell"] for row in cells] == ["1", "2", "3", "4"] * 2


async def test_since_until_and_battery(tmp_path):
    """From this time on, until before that; one battery; and an unknown one is an error that names the others."""
    path = tmp_path / "log.db"
    device = Device(path, batteries=2)
    await device.start()
    await device.run(2 * HOUR_S)
    await device.stop()
    since_us, until_us = WALL_US + 1800 * 1_000_000, WALL_US + 2700 * 1_000_000
    for kind in ("readings", "batteries", "cells"):
        rows = await exported(path, kind, since_us=since_us, until_us=until_us, battery=BATTERIES[1])
        assert {row["battery"] for row in rows} == {BATTERIES[1]}
        assert 1800 <= min(map(seconds, rows)) < 1860 and 2580 < max(map(seconds, rows)) < 2700
    quarters = await exported(path, "batteries", tier=QUARTER, since_us=since_us)
    assert [int(row["uptime_s"]) for row in quarters[::2]] == [1800, 2700, 3600, 4500, 5400, 6300, 7200]
    with pytest.raises(StorageError, match=r"there is no battery ble_x in .*, only ble_000000000001, ble_000000000002"):
        await exported(path, "cells", battery="ble_x")


async def test_alerts_links_and_events(tmp_path):
    """One row for an incident and one for every change of a link, with what it lasted; events with all they hold."""
    path = tmp_path / "log.db"
    device = Device(path, batteries=2)
    await device.start()
    for after_s, fact in (
        (1, LinkEstablished(BATTERIES[0], "DP04")), (9, LinkLost(BATTERIES[0], "dropped", "by the battery")),
        (5, AlertOpened(BATTERIES[0], "imbalance", 210, 200, 3, 3200, 7, 3410)),
        (5, AlertOpened(BATTERIES[1], "imbalance", 300, 200, 1, 3100, 2, 3400)),
        (5, AlertClosed(BATTERIES[1], "imbalance", 100)), (30, FrameRejected(BATTERIES[0], "jbd", "x", b"\xdd")),
    ):  # fmt: skip
        device.uptime_us += after_s * 1_000_000
        device.record(fact)
    await device.stop()
    first, second = await exported(path, "alerts")
    assert (first["battery"], first["closed_utc"], first["lasted_s"]) == (BATTERIES[0], "", "")
    assert (first["spread_V"], first["lowest_cell"], first["highest_V"]) == ("0.210", "3", "3.410")
    assert (second["time_utc"], second["closed_utc"]) == ("2026-01-01T00:00:40.000Z", "2026-01-01T00:00:45.000Z")
    assert second["lasted_s"] == "5.000"
    assert await exported(path, "alerts", until_us=WALL_US + 41 * 1_000_000) == [first, second], "it closed later"
    links = await exported(path, "links")
    assert [(row["state"], row["cause"], row["detail"], row["lasted_s"]) for row in links] == [
        ("up", "", "", ""), ("down", "dropped", "by the battery", "9.000"),
    ]  # fmt: skip
    events = await exported(path, "events")
    assert [row["kind"] for row in events][1:3] == ["LinkEstablished", "LinkLost"]
    assert '"data":"dd"' in events[-2]["payload"]


async def test_every_gap_has_a_cause(tmp_path):
    """Drops at the beat of a minute are called by their name; recoveries and releases stand between; stops are gaps."""
    path = tmp_path / "log.db"
    device = Device(path, batteries=2)
    await device.start()
    known = Configuration(tuple(BatteryConfiguration(name, name) for name in BATTERIES[:2]))
    again = SessionStarted("0.4.0", known.to_payload())
    for after_s, fact in (
        (1, LinkEstablished(BATTERIES[0], "DP04", "hci0 (00:AA:01:00:00:00)")), (1, LinkEstablished(BATTERIES[1])),
        (58, LinkLost(BATTERIES[0], "dropped")), (2, LinkEstablished(BATTERIES[0])),
        (58, LinkLost(BATTERIES[0], "dropped")), (2, LinkEstablished(BATTERIES[0])),
        (58, LinkLost(BATTERIES[0], "dropped")), (1, RecoveryAttempted(BATTERIES[0], "forget device", "dropped")),
        (1, LinkReleased(BATTERIES[1], 5)), (1, LinkLost(BATTERIES[1], "released", "for 5 min")),
        (60, LinkEstablished(BATTERIES[0])), (1, SessionEnded("stopped")),
        (30, again), (2, LinkEstablished(BATTERIES[0])),
        (9, again),
    ):  # fmt: skip
        device.uptime_us += after_s * 1_000_000
        device.record(fact)
    await device.stop()
    rows = [row for row in await exported(path, "links", battery=BATTERIES[0]) if row["battery"] == BATTERIES[0]]
    assert [(row["state"], row["cause"], row["detail"], row["lasted_s"]) for row in rows] == [
        ("up", "", "hci0 (00:AA:01:00:00:00)", ""),
        ("down", "dropped", "", "59.000"), ("up", "", "", "2.000"), ("down", "dropped", "", "58.000"),
        ("up", "", "", "2.000"),
        ("down", "dropped every 60 s", "", "58.000"), ("recovery", "dropped", "forget device", ""),
        ("up", "", "", "63.000"), ("down", "program not running", "", "1.000"),
        ("up", "", "", "32.000"), ("down", "program not running", "killed, nobody knows when", ""),
    ]  # fmt: skip
    others = [row for row in await exported(path, "links") if row["battery"] == BATTERIES[1]]
    assert [(row["state"], row["cause"], row["detail"]) for row in others] == [
        ("up", "", ""), ("released", "", "5 min"), ("down", "released", "for 5 min"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["readings", "batteries"])
async def test_beside_a_daemon_that_writes(tmp_path, kind):
    """What is stored between two rows is neither doubled nor does it hide anything."""
    path = tmp_path / "log.db"
    device = Device(path, commit_every=1)
    await device.start()
    await device.run(HOUR_S)
    seen = []
    async with await HistoryReader.open(path) as reader:
        async for row in csv_rows(reader, CsvSelection(kind, MINUTE)):
            seen.append(row[2])
            if len(seen) % 7 == 0 and len(seen) < 140:
                await device.run(60)
    await device.stop()
    assert len(seen) == len(set(seen)) >= (120 if kind == "readings" else 60)
    after = [row["uptime_s"] for row in await exported(path, kind)]
    assert seen[1:] == after[: len(seen) - 1]


async def test_memory_does_not_grow_with_the_history(tmp_path):
    """Four times as many rows take the same."""
    peaks = []
    for hours in (3, 12):
        path = tmp_path / "{}.db".format(hours)
        device = Device(path, poll_s=10, commit_every=100)
        await device.start()
        await device.run(hours * HOUR_S)
        await device.stop()
        async with await HistoryReader.open(path) as reader:
            tracemalloc.start()
            async for _ in csv_rows(reader, CsvSelection("readings", MINUTE)):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.3 + 100_000


async def test_every_kind_of_an_empty_log_is_a_header(tmp_path):
    """Nothing was read yet."""
    path = tmp_path / "log.db"
    device = Device(path)
    await device.start()
    await device.stop()
    for kind in KINDS:
        assert len(await exported(path, kind)) == (2 if kind == "events" else 0)
