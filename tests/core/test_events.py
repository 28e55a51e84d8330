"""Facts in and out of plain JSON: nothing is lost, nothing newer is misread."""

import json

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from core import events as e
from tests.core.made import BATTERY, CONFIGURATION, basic, event

FACTS = [
    e.SessionStarted("0.1.0", CONFIGURATION.to_payload(), {"settings": {BATTERY: {"CustomName": "Pantry"}}}),
    e.SessionEnded("stopped"),
    e.ReadingTaken(BATTERY, "jbd", basic()),
    e.ReadingTaken(BATTERY, "jbd", b"", altered=True),
    e.FrameRejected(BATTERY, "jbd", "truncated", b"\xdd\x03"),
    e.RequestUnanswered(BATTERY, "0x03", 3),
    e.LinkEstablished(BATTERY, "JBD-SP04S034"),
    e.LinkEstablished(BATTERY),
    e.LinkLost(BATTERY, "dropped", "by the battery"),
    e.LinkEstablished(BATTERY, "JBD-SP04S034", "hci1 (00:AA:01:00:00:01)"),
    e.LinkReleased(BATTERY, 15),
    e.RecoveryAttempted(BATTERY, "resync", "battery silent"),
    e.ClockStepped(-3_600_000_000),
    e.SettingChanged(BATTERY, "CustomName", "Pantry"),
    e.TaskFailed("publisher", "KeyError"),
    e.AlertOpened("ble_1", "imbalance", 210, 200, 3, 3200, 7, 3410),
    e.AlertClosed("ble_1", "imbalance", 120),
    e.HistoryPaused("database or disk is full"),
    e.HistoryResumed(3, 5_000_000, 9_000_000),
    e.HistoryResumed(0),
    e.ReadingsDeleted(1000, 900, "age"),
    e.UnknownFact("CellReplaced", 7, {"cell": 3, "why": {"mv": 2000}}),
]


def read_back(original):
    """*original* through its JSON text."""
    payload = json.loads(json.dumps(e.payload_of(original)))
    return e.event_from(
        number=original.number,
        boot=original.boot,
        uptime_us=original.uptime_us,
        wall_us=original.wall_us,
        kind=e.kind_of(original.fact),
        version=e.version_of(original.fact),
        payload=payload,
    )


def made_from(kind, payload, version=1):
    """An event of *kind* from a stored payload."""
    return e.event_from(number=9, boot=1, uptime_us=2, wall_us=3, kind=kind, version=version, payload=payload)


@pytest.mark.parametrize("fact", FACTS, ids=e.kind_of)
def test_round_trip(fact):
    """An event is the same after a trip through JSON."""
    original = event(fact, 12.5, number=4, boot=2)
    assert original == read_back(original)


@given(st.binary(max_size=200))
def test_frames_are_kept_verbatim(data):
    """The bytes of a frame survive whatever they are."""
    original = event(e.ReadingTaken(BATTERY, "jbd", data))
    assert data == read_back(original).fact.frame


def test_every_kind_is_tried():
    """The table above names every kind there is."""
    assert set(e.KINDS) == {e.kind_of(fact) for fact in FACTS} - {"CellReplaced"}


def test_bytes_are_hex_and_altered_is_said_only_when_true():
    """The stored form of a reading, which files on disk rely on."""
    plain, altered = (
        event(e.ReadingTaken("b", "jbd", b"\xdd")),
        event(e.ReadingTaken("b", "jbd", b"\xdd", altered=True)),
    )
    assert e.payload_of(plain) == {"battery": "b", "protocol": "jbd", "frame": "dd"}
    assert e.payload_of(altered) == {"battery": "b", "protocol": "jbd", "frame": "dd", "altered": True}


def test_unknown_kind_is_kept():
    """A kind of a later program is passed on untouched, whatever its version."""
    read = made_from("CellReplaced", {"cell": 3}, version=99)
    assert e.UnknownFact("CellReplaced", 99, {"cell": 3}) == read.fact
    assert (e.kind_of(read.fact), e.version_of(read.fact), e.payload_of(read)) == ("CellReplaced", 99, {"cell": 3})


def test_unknown_fields_are_kept():
    """A field that this program does not know is in the payload again when the event is written."""
    payload = {"battery": "b", "cause": "dropped", "detail": "", "rssi_dbm": -80}
    read = made_from("LinkLost", payload)
    assert e.LinkLost("b", "dropped") == read.fact
    assert read.unread == {"rssi_dbm": -80}
    assert payload == e.payload_of(read)


@pytest.mark.parametrize("kind", sorted(e.KINDS))
def test_newer_version_is_refused(kind):
    """A known kind of a higher version is refused in one clear line that names the event."""
    with pytest.raises(e.EventError, match="event 9: {} of version 2 was written by a newer program".format(kind)):
        made_from(kind, {}, version=2)


@pytest.mark.parametrize(
    ("kind", "payload", "complaint"),
    [
        ("LinkLost", {"battery": "b"}, "event 9: LinkLost is incomplete: .*cause"),
        ("ReadingTaken", {"battery": "b", "protocol": "jbd", "frame": "dx"}, "event 9: 'frame' is not hex"),
        ("FrameRejected", {"battery": "b", "protocol": "jbd", "data": 7}, "event 9: 'data' is of the wrong type"),
        ("LinkLost", {"battery": 5, "cause": "dropped"}, "event 9: 'battery' is of the wrong type"),
        ("LinkEstablished", {"battery": "b", "name": 5}, "event 9: 'name' is of the wrong type"),
        ("ClockStepped", {"step_us": "1"}, "event 9: 'step_us' is of the wrong type"),
        ("SessionStarted", {"program": "0.1.0", "configuration": []}, "event 9: 'configuration' is of the wrong type"),
        ("ReadingTaken", {"battery": "b", "protocol": "jbd", "frame": "dd", "altered": 1}, "event 9: 'altered' is of"),
    ],
)
def test_unreadable_payload(kind, payload, complaint):
    """A payload that cannot be read is refused with what is wrong."""
    with pytest.raises(e.EventError, match=complaint):
        made_from(kind, payload)


def test_facts_are_immutable():
    """Nobody changes what happened."""
    with pytest.raises(FrozenInstanceError):
        e.SessionEnded("stopped").reason = "never"
