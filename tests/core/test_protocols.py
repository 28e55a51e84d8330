"""The registry, and a second family that proves it: JK02 pushes, is little-endian, and needs no change in the core."""

import struct
import sys
from pathlib import Path

import pytest

from core import protocols
from core.battery import Battery
from core.configuration import BatteryConfiguration, Configuration
from core.conversation import NOT_ASKED_FOR, Answer, Conversation
from core.live import LiveView
from core.protocols import Protocol, UnknownProtocol
from core.protocols.base import Advertisement, Rejected
from core.service_view import CHANGED, JOINED
from tests.core.made import deliveries_of, event, frames_in, reading, started
from tests.doubles import jk02
from tests.frames import real_frames, special_streams

DOUBLES = Path(jk02.__file__).parent
CAPTURES = real_frames("jk02")
CELL_INFORMATION = [capture for capture in CAPTURES if "cell info" in capture["command"]]
DEVICE_INFORMATION = [capture for capture in CAPTURES if "device info" in capture["command"]]
START_STREAM, IDENTIFY = jk02.request(0x96), jk02.request(0x97)


def ids(item):
    """The name of a capture in the list of tests."""
    return item["id"]


@pytest.fixture
def jk():
    """JK02, found in the registry as if its file lay in the folder of the families."""
    folders = list(protocols.__path__)
    protocols.__path__.append(str(DOUBLES))
    yield protocols.find("jk02")
    protocols.__path__[:] = folders
    protocols.find.cache_clear()
    del sys.modules["core.protocols.jk02"], protocols.jk02


def test_find():
    """A family is found by its name, and is one object."""
    assert (protocols.find("jbd").name, protocols.find("jbd").label) == ("jbd", "JBD")
    assert protocols.find("jbd") is protocols.find("jbd")
    assert "jbd" in protocols.names()


@pytest.mark.parametrize("name", ["acme", "", "base", "__init__", "jbd.framing", "JBD", "../doubles/jk02"])
def test_unknown_name(name):
    """An unknown name is refused, told, and the known ones with it."""
    with pytest.raises(UnknownProtocol) as refused:
        protocols.find(name)
    assert name == refused.value.name
    assert "unknown BMS protocol {!r}; known: {}".format(name, ", ".join(protocols.names())) == str(refused.value)


def test_a_file_that_is_no_module_is_no_family(tmp_path, monkeypatch):
    """Notes or an editor's back-up beside the families are not offered as families."""
    (tmp_path / "README.md").write_text("notes", encoding="utf-8")
    monkeypatch.setattr(protocols, "__path__", [*protocols.__path__, str(tmp_path)])
    assert "README" not in protocols.names()


def test_a_family_is_one_file(jk):
    """JK02 is a Protocol, found by its name beside JBD."""
    assert isinstance(jk, Protocol)
    assert {"jbd", "jk02"} <= set(protocols.names())


def expected_values(capture):
    """What is known of a capture, in the units of a pack reading."""
    expected = capture["expected"]
    thousands = ("voltage_V", "current_A", "remaining_Ah", "full_charge_Ah")
    tenths = ("temperature1_C", "temperature2_C", "mosfet_temperature_C")
    return {
        "cells_mv": tuple(round(v * 1000) for v in expected["cell_voltages_V"]),
        **{key: round(expected[key] * 1000) for key in thousands},
        "temperatures_dc": tuple(round(expected[key] * 10) for key in tenths),
        **{key: expected[key] for key in ("cell_count", "soc_pct", "soh_pct", "cycles")},
        **{key: expected[key] for key in ("charge_fet_on", "discharge_fet_on")},
    }


def decoded_values(sample):
    """The same of a sample."""
    pack = sample.pack
    return {
        "cells_mv": sample.cells.voltages_mv,
        "voltage_V": pack.voltage_mv,
        "current_A": pack.current_ma,
        "remaining_Ah": pack.remaining_mah,
        "full_charge_Ah": pack.full_charge_mah,
        "temperatures_dc": pack.temperatures_dc,
        "cell_count": pack.cell_count,
        "soc_pct": pack.soc_permille // 10,
        "soh_pct": pack.soh_permille // 10,
        "cycles": pack.cycles,
        "charge_fet_on": pack.charge_fet_on,
        "discharge_fet_on": pack.discharge_fet_on,
    }


def heard(protocol, notifications):
    """The answers of a conversation that asked nothing and then waited no longer."""
    conversation = Conversation(protocol)
    outcomes = [outcome for data in notifications for outcome in conversation.hear(bytes.fromhex(data))]
    return [outcome for outcome in outcomes + conversation.give_up() if isinstance(outcome, Answer)]


@pytest.mark.parametrize("capture", CELL_INFORMATION, ids=ids)
def test_pushed_reading(jk, capture):
    """A captured push, as fragmented then, is an answer to nothing and folds into a live battery."""
    (answer,) = heard(jk, capture["notifications"])
    assert Answer(None, bytes.fromhex(capture["frame"])) == answer
    sample = jk.decode(answer.frame)
    assert expected_values(capture) == decoded_values(sample)
    assert sample.pack.protections == ()
    battery = Battery(BatteryConfiguration("ble_jk", "", "jk02", "JK"))
    battery.fold(event(reading(answer.frame, "ble_jk", "jk02"), 5.0))
    assert (sample.pack, sample.cells, {}) == (battery.pack, battery.cells, battery.marks)
    assert battery.age_s(7_000_000) == 2.0


@pytest.mark.parametrize("capture", DEVICE_INFORMATION, ids=ids)
def test_answer_to_a_question(jk, capture):
    """Device information answers its request, and is nothing when nobody asked."""
    assert heard(jk, capture["notifications"]) == []
    conversation = Conversation(jk)
    conversation.ask(IDENTIFY)
    outcomes = [outcome for data in capture["notifications"] for outcome in conversation.hear(bytes.fromhex(data))]
    assert Answer(IDENTIFY, bytes.fromhex(capture["frame"])) == outcomes[0]
    assert capture["expected"]["model"] == jk.decode(outcomes[0].frame).identity.hardware_name
    assert capture["expected"]["model"] == jk.describe(outcomes[0].frame)["model"]


def test_pushes_do_not_disturb_a_question(jk):
    """Readings that arrive while a question is open are delivered, and the question stays open."""
    pushed = bytes.fromhex(CELL_INFORMATION[0]["frame"])
    answer = bytes.fromhex(DEVICE_INFORMATION[0]["frame"])
    conversation = Conversation(jk)
    conversation.ask(IDENTIFY)
    assert [Answer(None, pushed), Answer(IDENTIFY, answer)] == conversation.hear(pushed + answer)
    assert [Rejected(NOT_ASKED_FOR, answer), Answer(None, pushed)] == conversation.hear(answer + pushed)


@pytest.mark.parametrize("stream", special_streams("jk02") + special_streams("jk04"), ids=ids)
def test_special_stream(jk, stream):
    """A special stream gives exactly the frames that are in it, whatever is around them."""
    notifications = [bytes.fromhex(n) for n in stream["notifications"]]
    assert [bytes.fromhex(f) for f in stream["expected_frames"]] == frames_in(jk.assembler(), notifications)


def test_another_generation_is_no_reading(jk):
    """A JK04 frame has the head and the sum of JK02 and fits neither of its layouts: no value is made of it."""
    (stream,) = special_streams("jk04")
    sample = jk.decode(bytes.fromhex(stream["expected_frames"][0]))
    assert (sample.pack, sample.cells, len(sample.remarks)) == (None, None, 1)


@pytest.mark.parametrize("size", [1, 2, 20, 128, 150, 299, 301, 1000])
def test_the_cut_does_not_matter(jk, size):
    """All captures in one stream, in pieces of any size: every frame, and no byte lost."""
    stream = b"AT\r\n" + b"".join(bytes.fromhex("".join(capture["notifications"])) for capture in CAPTURES)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [bytes.fromhex(capture["frame"]) for capture in CAPTURES] == frames_in(jk.assembler(), pieces)
    assert stream == b"".join(delivery.data for delivery in deliveries_of(jk.assembler(), pieces))


@pytest.mark.parametrize("capture", CAPTURES, ids=ids)
def test_redaction(jk, capture):
    """Names, pass codes and serial numbers go, measurements stay, and the frame stays valid."""
    data = bytes.fromhex(capture["frame"])
    redacted = jk.redact(data, [])
    assert [redacted] == frames_in(jk.assembler(), [redacted])
    assert redacted is jk.redact(redacted, [])
    assert (redacted is not data) == (capture in DEVICE_INFORMATION)
    assert jk.decode(redacted) == jk.decode(data)
    assert capture not in DEVICE_INFORMATION or capture["expected"]["serial_number"].encode() in data
    assert capture["expected"].get("serial_number", "no serial").encode() not in redacted


def test_a_session_with_two_families(jk):
    """JBD and JK02 in one program: the pushed readings are published on the grid like any other."""
    known = BatteryConfiguration("ble_jk", "C8:47:80:00:00:01", jk.name, jk.label)
    view, quiet = LiveView(), Configuration((BatteryConfiguration("ble_jbd", ""), known))
    view.fold(event(started(quiet), 100.0))
    capture = next(capture for capture in CELL_INFORMATION if "discharge" in capture["tags"])
    first = bytes.fromhex(capture["frame"])
    second = jk02.checked(first[:173] + bytes([first[173] - 1]) + first[174:])
    assert view.fold(event(reading(first, "ble_jk", "jk02"), 100.3)) == []
    (joined,) = view.fold(event(reading(second, "ble_jk", "jk02"), 101.3))
    (changed,) = view.advance(102_000_000)
    assert (joined.change, joined.uptime_s, joined.items["/ProductName"]) == (JOINED, 101, "BT Battery (JK)")
    soc_pct = capture["expected"]["soc_pct"]
    assert (CHANGED, {"/Soc": soc_pct - 1.0}) == (changed.change, {"/Soc": changed.items["/Soc"]})
    assert soc_pct == joined.items["/Soc"]
    assert round(capture["expected"]["voltage_V"], 2) == joined.items["/Dc/0/Voltage"]


@pytest.mark.parametrize(("bit", "alarm"), [(0, "InternalFailure"), (5, "HighVoltage"), (4, None)])
def test_protections_in_the_shared_words(jk, bit, alarm):
    """Error bits become the shared names, which is all that the alarms need."""
    frame = bytearray.fromhex(CELL_INFORMATION[0]["frame"])
    frame[136:138] = (1 << bit).to_bytes(2, "little")
    view = LiveView()
    view.fold(event(started(Configuration((BatteryConfiguration("ble_jk", ""),))), 100.0))
    view.fold(event(reading(jk02.checked(frame), "ble_jk", "jk02"), 100.3))
    (joined,) = view.advance(101_000_000)
    raised = {path for path, value in joined.items.items() if path.startswith("/Alarms/") and value}
    assert ({"/Alarms/" + alarm} if alarm else set()) == raised


def test_a_temperature_that_cannot_be_true(jk):
    """A family that passes on what its sensor says: it is marked, not shown, and two alarms warn."""
    frame = bytearray.fromhex(next(c for c in CELL_INFORMATION if "discharge" in c["tags"])["frame"])
    good_dc = jk.decode(bytes(frame)).pack.temperatures_dc
    position = frame.index(struct.pack("<2h", *good_dc[:2]))
    frame[position : position + 2] = struct.pack("<h", 1201)
    view = LiveView()
    view.fold(event(started(Configuration((BatteryConfiguration("ble_jk", ""),))), 100.0))
    view.fold(event(reading(jk02.checked(frame), "ble_jk", "jk02"), 100.3))
    (member,) = view.service("com.victronenergy.battery.ble_jk").bank.members
    assert set(member.battery.marks) == {"sensor 1"}
    assert member.battery.pack.temperatures_dc == (1201, *good_dc[1:])
    assert member.battery.temperatures_dc() == [(2, good_dc[1]), (3, good_dc[2])]
    (joined,) = view.advance(101_000_000)
    assert joined.items["/System/Temperature1"] is None
    assert joined.items["/System/MaxCellTemperature"] == max(good_dc[1:]) / 10
    raised = {path: value for path, value in joined.items.items() if path.startswith("/Alarms/") and value}
    assert raised == {"/Alarms/InternalFailure": 1, "/Alarms/BatteryTemperatureSensor": 1}


def test_recognised_by_name(jk):
    """A scan asks every family."""
    assert jk.recognise(Advertisement("C8:47:80:00:00:01", "JK-B2A24S")) == "name"
    assert jk.recognise(Advertisement("C8:47:80:00:00:01")) is None


def test_a_family_that_says_nothing_of_pushes_only_answers():
    """The default of the interface: what was not asked for is not accepted."""

    class Quiet(jk02.Jk02):
        accepts_unasked = Protocol.accepts_unasked

    pushed = bytes.fromhex(CELL_INFORMATION[0]["frame"])
    assert [Rejected(NOT_ASKED_FOR, pushed)] == Conversation(Quiet()).hear(pushed)


def test_requests_of_the_document():
    """What starts the stream is what the document says."""
    assert bytes.fromhex("aa5590eb96" + "00" * 14 + "10") == START_STREAM.data
    assert bytes.fromhex("aa5590eb97" + "00" * 14 + "11") == IDENTIFY.data
