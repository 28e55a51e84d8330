"""A session file comes back as it was written; whatever is wrong with one is told with file and line."""

import json
import os
import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import (
    AlertClosed,
    ClockStepped,
    FrameRejected,
    SettingChanged,
    UnknownFact,
    event_from,
    kind_of,
    payload_of,
    version_of,
)
from storage.database import StorageError
from storage.session_file import SessionHeader, SessionReader, SessionWriter, event_line, header_line
from tests.storage.logs import BATTERY, CONFIGURATION, all_facts, event, reading, some_events, started

HEADER = SessionHeader("dbus-btbattery 0.1.0", False, CONFIGURATION)
HEADER_VALUES = json.loads(header_line(HEADER))
EVENT_VALUES = json.loads(event_line(some_events(1)[0]))


def read(path):
    """Header and events."""
    reader = SessionReader(Path(path))
    try:
        return reader.header, list(reader.events())
    finally:
        reader.close()


def write(path, *lines):
    """A file of *lines*: JSON values, or text or bytes as it is."""
    encoded = [line if isinstance(line, (str, bytes)) else json.dumps(line) + "\n" for line in lines]
    path.write_bytes(b"".join(line if isinstance(line, bytes) else line.encode() for line in encoded))
    return path


def failure(path):
    """The error line, without the path."""
    with pytest.raises(StorageError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    prefix = "session {} ".format(path)
    assert message.startswith(prefix)
    return message[len(prefix) :]


def test_round_trip(tmp_path):
    """Header and events of every kind, with fields of a later version, survive the file."""
    events = [event(n, fact) for n, fact in enumerate(all_facts(), 1)]
    events += [
        event(n, fact, boot=2, unread={"later": n})
        for n, fact in enumerate(all_facts(), 100)
        if not isinstance(fact, UnknownFact)
    ]
    header = SessionHeader("dbus-btbattery 9.9", True, CONFIGURATION)
    with SessionWriter(tmp_path / "s.jsonl", header) as session:
        for one in events:
            session.write(one)
    assert read(tmp_path / "s.jsonl") == (header, events)
    assert [file.name for file in tmp_path.iterdir()] == ["s.jsonl"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40)
@given(
    data=st.binary(max_size=40), value=json_values, later=st.dictionaries(st.text(min_size=9), json_values, max_size=2)
)
def test_any_payload_survives_its_line(data, value, later):
    """Bytes, text in any script and nested values of a later version are the same after a line."""
    for fact in (FrameRejected(BATTERY, "jbd", "noise", data), SettingChanged(BATTERY, "CustomName", value)):
        one = event(5, fact, unread=later)
        values = json.loads(event_line(one))
        assert event_line(one).count("\n") == 1
        assert event_from(**values) == one
        assert (values["kind"], values["version"], values["payload"]) == (
            kind_of(fact),
            version_of(fact),
            payload_of(one),
        )


def test_the_header_is_the_documented_one():
    """The first line has the keys of README.md, nothing else."""
    assert HEADER_VALUES == {
        "format": "dbus-btbattery session",
        "version": "1.2",
        "writer": "dbus-btbattery 0.1.0",
        "redacted": False,
        "configuration": CONFIGURATION,
    }
    assert set(EVENT_VALUES) == {"number", "boot", "uptime_us", "wall_us", "kind", "version", "payload"}


BAD_HEADERS = [
    ([], "line 1: the file is empty"),
    (["\n"], "line 1: not JSON; the file is damaged or cut off here"),
    (["hello\n"], "line 1: not JSON; the file is damaged or cut off here"),
    ([header_line(HEADER)[:40]], "line 1: not JSON; the file is damaged or cut off here"),
    ([b"\x00\xff\xfe\x80" * 9], "line 1: not text; the file is damaged or no session"),
    (["[1]\n"], "line 1: not a JSON object"),
    ([{"format": "other"}], "line 1: this is no session of dbus-btbattery"),
    ([{}], "line 1: this is no session of dbus-btbattery"),
    (
        [{**HEADER_VALUES, "version": "2.0"}],
        "line 1: format 2.0 is newer than this program, which reads up to 1.x; update it",
    ),
    ([{**HEADER_VALUES, "version": "ten"}], "line 1: 'ten' is no format version"),
    ([{key: HEADER_VALUES[key] for key in ("format",)}], "line 1: '' is no format version"),
    ([{**HEADER_VALUES, "configuration": None}], "line 1: the configuration is missing"),
    ([{key: HEADER_VALUES[key] for key in ("format", "version")}], "line 1: the configuration is missing"),
]


@pytest.mark.parametrize(("lines", "message"), BAD_HEADERS)
def test_a_bad_header_is_told(tmp_path, lines, message):
    """A file that is no session of ours says so, and where."""
    assert failure(write(tmp_path / "s.jsonl", *lines)) == message


def line(place, fact=None, **changes):
    """Event number *place*, a reading unless told, as JSON values."""
    return {**json.loads(event_line(event(place, fact or reading()))), **changes}


def without(key):
    """A second event that lacks *key*."""
    return {name: value for name, value in line(2).items() if name != key}


def payload(**changes):
    """The payload of a reading, changed."""
    return {**payload_of(event(2, reading())), **changes}


BAD_EVENTS = [
    ("\n", "not JSON; the file is damaged or cut off here"),
    (event_line(event(2, reading()))[:-20], "not JSON; the file is damaged or cut off here"),
    ("5\n", "not a JSON object"),
    (line(2, number="2"), "'number' is missing or not a whole number"),
    (line(2, wall_us=1.5), "'wall_us' is missing or not a whole number"),
    (without("number"), "'number' is missing or not a whole number"),
    (without("boot"), "'boot' is missing or not a whole number"),
    (without("uptime_us"), "'uptime_us' is missing or not a whole number"),
    (without("wall_us"), "'wall_us' is missing or not a whole number"),
    (without("version"), "'version' is missing or not a whole number"),
    (without("kind"), "'kind' or 'payload' is missing"),
    (without("payload"), "'kind' or 'payload' is missing"),
    (line(2, payload=[]), "'kind' or 'payload' is missing"),
    (line(2, uptime_us=999_999), "event 2 lies before event 1 in time"),
    (line(2, boot=0), "event 2 lies before event 1 in time"),
    (line(2, version=2), "event 2: ReadingTaken of version 2 was written by a newer program (this one reads up to 1)"),
    (line(2, payload=payload(frame="0g")), "event 2: 'frame' is not hex"),
    (line(2, payload=payload(frame=5)), "event 2: 'frame' is of the wrong type"),
    (line(2, ClockStepped(2**62)), "'step_us' is too large"),
    (line(2, AlertClosed(BATTERY, "imbalance", -(10**400))), "'spread_mv' is too large"),
    (line(2, SettingChanged(BATTERY, "SampleInterval", 9)), "SampleInterval = 9 is not within 10 to 3600"),
    (line(2, started(remembered={"alerts": {}})), "what was remembered has alerts of the wrong kind"),
    (line(2, started(remembered={"settings": {BATTERY: 5}})), "what was remembered is not settings by battery"),
    (line(2, started(remembered={"settings": {BATTERY: {"CustomName": 5}}})), "a remembered name is no text"),
    (
        line(2, started(remembered={"settings": {BATTERY: {"CustomName": "", "AlertThreshold": "x"}}})),
        "AlertThreshold = 'x' is not within 0.01 to 1",
    ),
    (line(2, started(remembered={"alerts": [5]})), "5 is no alert"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_EVENTS)
def test_a_bad_event_is_told(tmp_path, bad, message):
    """The line that is none is named; what stands before it was given out."""
    path = write(tmp_path / "s.jsonl", HEADER_VALUES, line(1, started()), bad)
    assert failure(path) == "line 3: " + message
    reader = SessionReader(path)
    assert next(reader.events()).number == 1
    reader.close()


def test_a_fact_without_its_parts_is_told(tmp_path):
    """A payload that lacks a field names the field."""
    path = write(tmp_path / "s.jsonl", HEADER_VALUES, line(1, started()), line(2, payload={"battery": "b"}))
    message = failure(path)
    assert message.startswith("line 3: event 2: ReadingTaken is incomplete: ")
    assert "'protocol' and 'frame'" in message


def test_the_first_event_opens_a_session(tmp_path):
    """Without the configuration in front nothing can be replayed."""
    path = write(tmp_path / "s.jsonl", HEADER_VALUES, line(1))
    assert failure(path) == "line 2: the first event must be SessionStarted, not ReadingTaken"


def test_time_runs_on_within_a_boot_only(tmp_path):
    """Uptime may stand still, and begins again in the next boot."""
    path = write(
        tmp_path / "s.jsonl", HEADER_VALUES, line(1, started()), line(2, uptime_us=10**6), line(3, boot=2, uptime_us=0)
    )
    assert [one.number for one in read(path)[1]] == [1, 2, 3]


@pytest.mark.parametrize(("make", "message"), [("missing", "No such file"), ("folder", "Is a directory")])
def test_a_file_that_cannot_be_opened_is_told(tmp_path, make, message):
    """The path and the reason, in one line."""
    path = tmp_path / "s.jsonl"
    if make == "folder":
        path.mkdir()
    with pytest.raises(StorageError, match="cannot read the session .*s.jsonl: " + message):
        SessionReader(path)


def test_what_a_later_minor_version_adds_is_passed_over(tmp_path):
    """Unknown keys, kinds and fields, and a higher minor version, are no reason to refuse."""
    path = write(
        tmp_path / "s.jsonl",
        {**HEADER_VALUES, "version": "1.7", "mood": "good"},
        line(1, started(), source="somewhere"),
        line(2, payload=payload(rssi=-60)),
        line(3, UnknownFact("BalancingSeen", 7, {"cells": [1]})),
    )
    _, events = read(path)
    assert [kind_of(one.fact) for one in events] == ["SessionStarted", "ReadingTaken", "BalancingSeen"]
    assert dict(events[1].unread) == {"rssi": -60}
    assert version_of(events[2].fact) == 7


def test_an_end_without_a_newline_is_an_end(tmp_path):
    """An editor may have taken the last line break, or written others."""
    path = write(tmp_path / "s.jsonl", header_line(HEADER)[:-1] + "\r\n", event_line(some_events(1)[0])[:-1])
    assert read(path)[1] == some_events(1)


def long_session(path, count=60):
    """A written file; its lines as bytes."""
    with SessionWriter(path, HEADER) as session:
        for one in some_events(count):
            session.write(one)
    return path.read_bytes().splitlines(True)


@pytest.mark.parametrize("seed", range(60))
def test_a_file_cut_anywhere_gives_what_is_whole(tmp_path, seed):
    """Events before the cut come out; a cut within a line is told with that line."""
    lines = long_session(tmp_path / "whole.jsonl")
    whole = b"".join(lines)
    size = random.Random(seed).randrange(len(lines[0]), len(whole))
    path = write(tmp_path / "s.jsonl", whole[:size])
    complete = whole[:size].count(b"\n")
    reader, events, error = SessionReader(path), [], ""
    try:
        for one in reader.events():
            events.append(one)
    except StorageError as caught:
        error = str(caught)
    reader.close()
    at_end_of_line = whole[size - 1 : size] == b"\n" or whole[size : size + 1] == b"\n"
    assert bool(error) != at_end_of_line
    assert events == some_events(complete - (0 if whole[size : size + 1] == b"\n" else 1))
    assert not error or " line {}: not JSON".format(complete + 1) in error


@pytest.mark.parametrize("seed", range(100))
def test_a_flipped_byte_is_never_a_traceback(tmp_path, seed):
    """Whatever one byte becomes, a file is read or refused with file and line."""
    chance = random.Random(seed)
    data = bytearray(b"".join(long_session(tmp_path / "whole.jsonl", count=4)))
    data[chance.randrange(len(data))] = chance.randrange(256)
    path = write(tmp_path / "s.jsonl", bytes(data))
    try:
        read(path)
    except StorageError as error:
        assert str(error).startswith("session {} line ".format(path))


def test_binary_in_the_middle_is_told_with_its_line(tmp_path):
    """Whole lines before the garbage come out, and the garbage has its own line number."""
    lines = long_session(tmp_path / "whole.jsonl", count=4)
    path = write(tmp_path / "s.jsonl", *lines[:3], b"\x00\xff\xfe\x80\n", *lines[3:])
    assert failure(path) == "line 4: not text; the file is damaged or no session"


WRONG_TYPES = [
    line(2, payload=payload(battery=["b"])),
    line(2, payload=payload(protocol=5)),
    line(2, started(), payload={"program": "0.1.0", "configuration": 5}),
    line(2, payload=payload(frame="")),
]


@pytest.mark.parametrize("bad", WRONG_TYPES, ids=["battery", "protocol", "configuration", "frame"])
def test_a_payload_of_the_wrong_type_is_told(tmp_path, bad):
    """A value that is no text, no configuration or no frame is refused with its line, not met by the decoder."""
    assert failure(write(tmp_path / "s.jsonl", HEADER_VALUES, line(1, started()), bad)).startswith("line 3: ")


def test_an_exception_leaves_no_file(tmp_path):
    """A session that was not finished does not exist, under no name; an older file stays as it was."""
    path = tmp_path / "s.jsonl"
    path.write_text("older", encoding="utf-8")
    with pytest.raises(KeyError), SessionWriter(path, HEADER) as session:
        session.write(some_events(1)[0])
        assert path.read_text(encoding="utf-8") == "older"
        raise KeyError
    assert {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()} == {"s.jsonl": "older"}


def test_the_final_name_appears_when_all_is_written(tmp_path):
    """Who sees the file sees all of it."""
    with SessionWriter(tmp_path / "s.jsonl", HEADER) as session:
        session.write(some_events(1)[0])
        assert [file.name for file in tmp_path.iterdir()] == ["s.jsonl.part"]
    assert [file.name for file in tmp_path.iterdir()] == ["s.jsonl"]


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    """The path and the reason, in one line."""
    with pytest.raises(StorageError, match=r"cannot write .*none/s.jsonl: No such file"):
        SessionWriter(tmp_path / "none" / "s.jsonl", HEADER)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_told_and_leaves_no_file(tmp_path):
    """No room for the session is one line, and what was written of it is gone."""
    os.symlink("/dev/full", str(tmp_path / "s.jsonl.part"))
    session = SessionWriter(tmp_path / "s.jsonl", HEADER)
    try:
        with pytest.raises(StorageError, match=r"cannot write .*s.jsonl: No space left"), session:
            session.write(some_events(1)[0])
        assert list(tmp_path.iterdir()) == []
    finally:
        with suppress(OSError):  # what could not be written is still in its buffer
            session._file.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_disk_that_is_full_on_the_way_is_told(tmp_path):
    """The error may come at any event, not only at the end."""
    os.symlink("/dev/full", str(tmp_path / "s.jsonl.part"))
    session = SessionWriter(tmp_path / "s.jsonl", HEADER)
    with pytest.raises(StorageError, match=r"cannot write .*s.jsonl: No space left"), session:
        for one in some_events(1000):
            session.write(one)
        raise AssertionError("room for everything")
    assert list(tmp_path.iterdir()) == []


def test_a_version_of_strange_digits_is_told(tmp_path):
    """What only looks like a number is no format version."""
    path = write(tmp_path / "s.jsonl", {**HEADER_VALUES, "version": "\u00b2.0"})
    assert failure(path) == "line 1: '\u00b2.0' is no format version"


def test_a_directory_under_the_final_name_is_told(tmp_path):
    """To export onto a folder is a mistake with one line, and leaves nothing beside it."""
    (tmp_path / "s.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*s.jsonl: Is a directory"), SessionWriter(
        tmp_path / "s.jsonl", HEADER
    ) as session:
        session.write(some_events(1)[0])
    assert [file.name for file in tmp_path.iterdir()] == ["s.jsonl"]
