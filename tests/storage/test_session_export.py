"""A session cut out of the log has what was asked for, and in front of it what a replay needs."""

import pytest

from core.events import LinkEstablished, LinkLost, SessionEnded, SettingChanged, TaskFailed, UnknownFact
from core.live import LiveView
from storage.database import StorageError
from storage.event_reader import EventReader
from storage.session_export import Selection, export_session
from storage.session_file import SessionHeader, SessionReader
from tests.storage.logs import (
    BATTERY,
    CONFIGURATION,
    OTHER,
    SECOND_US,
    WALL_US,
    event,
    query,
    reading,
    started,
    write_log,
)

HOUR_US = 3600 * SECOND_US


def at(number, seconds, fact, boot=1):
    """An event so many seconds after the boot; each boot began an hour after the one before."""
    uptime_us = seconds * SECOND_US
    return event(number, fact, boot=boot, uptime_us=uptime_us, wall_us=WALL_US + (boot - 1) * HOUR_US + uptime_us)


LOG = [
    at(1, 10, started()),
    at(2, 11, LinkEstablished(BATTERY)),
    at(3, 20, reading(0)),
    at(4, 21, reading(1)),
    at(5, 25, reading(0, OTHER)),
    at(6, 30, SettingChanged(BATTERY, "CustomName", "x")),
    at(7, 40, reading(0)),
    at(8, 41, reading(1)),
    at(9, 50, SessionEnded("stopped")),
    at(10, 60, started({**CONFIGURATION, "device_instance": 7})),
    at(11, 61, LinkLost(OTHER, "gone")),
    at(12, 70, reading(0)),
    at(13, 71, reading(1, OTHER)),
    at(14, 5, started(), boot=2),
    at(15, 20, reading(0), boot=2),
    at(16, 21, TaskFailed("reader", "x"), boot=2),
    at(17, 30, UnknownFact("Later", 1, {"battery": OTHER}), boot=2),
    at(18, 40, SessionEnded("stopped"), boot=2),
]


async def export(folder, selection, log=None):
    """The count that was told, and the header and events of the file."""
    await write_log(folder / "log.db", log or LOG)
    return await export_again(folder, selection)


async def export_again(folder, selection):
    """The same from the log that is there."""
    async with await EventReader.open(folder / "log.db") as reader:
        count = await export_session(reader, folder / "s.jsonl", selection, writer="dbus-btbattery 0.1.0")
    session = SessionReader(folder / "s.jsonl")
    events = list(session.events())
    session.close()
    return count, session.header, events


def wall(seconds, boot=1):
    """The time so many seconds after the boot."""
    return WALL_US + (boot - 1) * HOUR_US + seconds * SECOND_US


async def test_everything(tmp_path):
    """Without a selection all sessions of all boots are in the file, under the first configuration."""
    count, header, events = await export(tmp_path, Selection())
    assert events == LOG
    assert count == len(LOG)
    assert header == SessionHeader("dbus-btbattery 0.1.0", False, CONFIGURATION)


SPANS = [
    ("from a start", wall(10), wall(25), [1, 2, 3, 4]),
    ("in the middle", wall(40), wall(45), [1, 2, 6, 7, 8]),
    ("over an end", wall(45), wall(65), [1, 2, 6, 9, 10, 11]),
    ("the second session", wall(70), wall(75), [10, 11, 12, 13]),
    ("open at the end", wall(71), None, [10, 11, 13, 14, 15, 16, 17, 18]),
    ("open at the beginning", None, wall(20), [1, 2]),
    ("over two boots", wall(71), wall(21, 2), [10, 11, 13, 14, 15]),
    ("the second boot", wall(30, 2), None, [14, 16, 17, 18]),
    ("until is not included", wall(20), wall(21), [1, 2, 3]),
]


@pytest.mark.parametrize(("since_us", "until_us", "numbers"), [span[1:] for span in SPANS], ids=[s[0] for s in SPANS])
async def test_a_span_of_time(tmp_path, since_us, until_us, numbers):
    """The span, after the start in force and everything since it but the readings."""
    count, _, events = await export(tmp_path, Selection(since_us, until_us))
    assert [one.number for one in events] == numbers
    assert events == [one for one in LOG if one.number in numbers]
    assert count == len(numbers)


async def test_the_header_has_the_configuration_in_force(tmp_path):
    """The configuration is that of the first session in the file, not of the log."""
    _, header, _ = await export(tmp_path, Selection(wall(70), wall(75)))
    assert header.configuration["device_instance"] == 7


async def test_one_battery(tmp_path):
    """Events of other batteries go; what concerns no battery, or all, stays."""
    _, _, events = await export(tmp_path, Selection(battery=OTHER))
    assert [one.number for one in events] == [1, 5, 9, 10, 11, 13, 14, 16, 17, 18]
    _, _, events = await export_again(tmp_path, Selection(wall(70), None, BATTERY))
    assert [one.number for one in events] == [10, 12, 14, 15, 16, 17, 18]


@pytest.mark.parametrize("selection", [Selection(), Selection(wall(40)), Selection(battery=OTHER)])
async def test_an_export_replays(tmp_path, selection):
    """The live view takes every export, whatever was cut away."""
    _, _, events = await export(tmp_path, selection)
    view = LiveView()
    changes = [publication.change for one in events for publication in view.fold(one)]
    assert changes.count("joined") == changes.count("left")


async def test_readings_that_retention_took_are_no_obstacle(tmp_path):
    """A span whose readings are gone still has its other events."""
    await write_log(tmp_path / "log.db", LOG)
    query(tmp_path / "log.db", "DELETE FROM event WHERE kind = 1 AND number < 10")
    _, _, events = await export_again(tmp_path, Selection(wall(35), wall(65)))
    assert [one.number for one in events] == [1, 2, 6, 9, 10, 11]


NOWHERE = [
    Selection(wall(3600, 2)),
    Selection(None, wall(10)),
    Selection(wall(100), wall(100)),
    Selection(wall(42), wall(43)),
]


@pytest.mark.parametrize("selection", NOWHERE)
async def test_nothing_in_that_time(tmp_path, selection):
    """An empty selection is an error with one line, and leaves no file."""
    with pytest.raises(StorageError, match="nothing was recorded in that time"):
        await export(tmp_path, selection)
    assert list(tmp_path.glob("s.jsonl*")) == []


async def test_an_older_file_stays_when_nothing_is_selected(tmp_path):
    """An export that fails does not take the file that was there."""
    (tmp_path / "s.jsonl").write_text("older", encoding="utf-8")
    with pytest.raises(StorageError):
        await export(tmp_path, Selection(wall(3600, 2)))
    assert (tmp_path / "s.jsonl").read_text(encoding="utf-8") == "older"


async def test_events_without_a_start_cannot_be_exported(tmp_path):
    """What cannot be replayed by itself is refused, and named."""
    with pytest.raises(StorageError, match="no start of the session that event 1 belongs to"):
        await export(tmp_path, Selection(), log=[at(1, 10, reading())])
    assert list(tmp_path.glob("s.jsonl*")) == []


async def test_no_event_of_that_battery_and_no_start(tmp_path):
    """A filter that leaves nothing is an error with one line."""
    with pytest.raises(StorageError):
        await export(tmp_path, Selection(battery=OTHER), log=[at(1, 10, reading())])


async def test_a_file_that_cannot_be_written_is_told(tmp_path):
    """The path and the reason, in one line."""
    await write_log(tmp_path / "log.db", LOG)
    async with await EventReader.open(tmp_path / "log.db") as reader:
        with pytest.raises(StorageError, match=r"cannot write .*none/s.jsonl"):
            await export_session(reader, tmp_path / "none" / "s.jsonl", Selection(), writer="x")
