"""One battery as the fold of its events."""

import pytest

from core.battery import Battery
from core.events import (
    ClockStepped,
    FrameRejected,
    LinkEstablished,
    LinkLost,
    RequestUnanswered,
    SettingChanged,
    UnknownFact,
)
from core.protocols import UnknownProtocol
from tests.core.made import BATTERY, KNOWN, basic, battery, cells, counters, event, frame, name, reading
from tests.frames import real_frames


def folded(*facts):
    """A battery after these facts."""
    made = Battery(KNOWN)
    for fact in facts:
        made.fold(event(fact))
    return made


def test_a_new_battery_knows_nothing():
    """Before an answer everything is unknown; nothing is 0."""
    new = Battery(KNOWN)
    assert (new.pack, new.cells, new.counters) == (None, None, None)
    assert (new.device_name, new.hardware_name, new.custom_name) == (None, None, "")
    assert (new.age_s(10**9), new.cell_voltages_mv(), new.temperatures_dc()) == (None, (), [])
    assert not new.link_up


def test_readings():
    """Each register fills its part."""
    full = battery(basic(), cells(), name(b"SP04S034"), counters(*range(12)))
    assert full.pack.voltage_mv == 13_300
    assert full.cell_voltages_mv() == (3325, 3320, 3330, 3325)
    assert full.hardware_name == "SP04S034"
    assert full.counters.counts["pack_undervoltage"] == 10
    assert full.temperatures_dc() == [(1, 250), (2, 260)]
    assert full.marks == {}


def test_a_later_reading_replaces_the_earlier():
    """The newest answer counts, and an empty name is no name."""
    later = battery(basic(), cells(), name(), basic(soc_pct=49), cells(3300, 3300, 3300, 3300), name(b" "))
    assert (later.pack.soc_permille, later.cell_voltages_mv()[0], later.hardware_name) == (490, 3300, None)


def test_a_refusal_changes_nothing():
    """What the BMS refuses does not take away what it told before."""
    refused = battery(basic(), cells(), name(), frame(0x05, status=0x80), frame(0x03, bytes(5)))
    assert (refused.hardware_name, refused.pack.voltage_mv) == ("JBD-SP04S034", 13_300)


@pytest.mark.parametrize(
    ("pack_s", "cells_s", "now_s", "age_s"),
    [
        (10, 12, 12, 2),
        (12, 10, 12, 2),
        (10, 10, 10, 0),
        (10, 12, 130.5, 120.5),
        (None, 10, 12, None),
        (10, None, 12, None),
    ],
)
def test_age_is_that_of_the_older_half(pack_s, cells_s, now_s, age_s):
    """A battery is as old as the older of its two readings, and has no age before both."""
    aged = Battery(KNOWN)
    for data, at_s in ((basic(), pack_s), (cells(), cells_s)):
        if at_s is not None:
            aged.fold(event(reading(data), at_s))
    assert age_s == aged.age_s(int(now_s * 1e6))


def test_link():
    """The link is up when established, and its loss has a cause until it is up again."""
    assert _link(LinkEstablished(BATTERY, "JBD")) == (True, None, "JBD")
    assert _link(LinkLost(BATTERY, "dropped")) == (False, "dropped", None)
    lost = LinkLost(BATTERY, "battery silent")
    assert _link(LinkEstablished(BATTERY, "JBD"), lost, LinkEstablished(BATTERY)) == (True, None, "JBD")


def _link(*facts):
    made = folded(*facts)
    return made.link_up, made.link_cause, made.device_name


def test_custom_name():
    """A rename is folded; a setting of another name is not one."""
    settings = [SettingChanged(BATTERY, "CustomName", "Pantry"), SettingChanged(BATTERY, "Colour", "red")]
    assert folded(*settings).custom_name == "Pantry"
    assert Battery(KNOWN, "Cellar").custom_name == "Cellar"


@pytest.mark.parametrize(
    "fact",
    [
        FrameRejected(BATTERY, "jbd", "truncated", b"\xdd"),
        RequestUnanswered(BATTERY, "0x03", 3),
        ClockStepped(5),
        UnknownFact("CellReplaced", 1, {"battery": BATTERY}),
    ],
)
def test_other_events_change_nothing_but_the_revision(fact):
    """An event that says nothing about the battery's state leaves it."""
    before, after = folded(reading(basic())), folded(reading(basic()), fact)
    assert before.revision + 1 == after.revision
    assert (before.pack, before.link_up, before.age_s(0)) == (after.pack, after.link_up, after.age_s(0))


@pytest.mark.parametrize(
    ("frames", "marks"),
    [
        ([basic(soc_pct=101)], {"soc"}),
        ([basic(), cells(3300, 0, 3300, 3300)], {"cell 2", "voltage"}),
        ([cells(0, 0, 0, 0)], set()),
        ([basic(soc_pct=101), cells(), basic()], set()),
    ],
)
def test_marks(frames, marks):
    """Marks are those of the present readings."""
    assert marks == set(battery(*frames).marks)


def test_readings_far_apart_are_not_compared():
    """Pack and cells of different moments may differ: five seconds apart they are not held against each other."""
    apart = battery(basic(voltage_mv=20_000))
    apart.fold(event(reading(cells()), 5.0))
    assert apart.marks == {}
    apart.fold(event(reading(basic(voltage_mv=20_000)), 5.5))
    assert {"voltage"} == set(apart.marks)


@pytest.mark.parametrize(("cell_count", "expected"), [(2, 2), (4, 4), (8, 4), (0, 4)])
def test_cells_that_both_readings_speak_of(cell_count, expected):
    """The smaller count wins; a pack that says 0 does not know."""
    assert expected == len(battery(basic(cell_count=cell_count), cells()).cell_voltages_mv())


def test_missing_sensors_keep_their_numbers():
    """Sensor 3 stays number 3 when sensor 2 is not fitted."""
    assert battery(basic(temperatures_dc=(250, -2731, 240))).temperatures_dc() == [(1, 250), (3, 240)]


def test_unknown_family():
    """A reading of a family that this version does not know is refused by its name."""
    with pytest.raises(UnknownProtocol, match="'daly'"):
        folded(reading(b"\xa5", protocol="daly"))


def test_every_capture_folds():
    """No captured answer is too odd for a battery."""
    everything = battery(*[bytes.fromhex(capture["frame"]) for capture in real_frames()])
    assert len(real_frames()) == everything.revision
