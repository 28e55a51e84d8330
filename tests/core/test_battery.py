"""One battery as the fold of its events."""

import pytest
from attrs import evolve

from core.battery import Battery
from core.configuration import UNIT_AUTO, UNIT_X1, UNIT_X10
from core.events import (
    ClockStepped,
    FrameRejected,
    LinkEstablished,
    LinkLost,
    RequestUnanswered,
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
    assert (new.device_name, new.hardware_name) == (None, None)
    assert (new.current_ma, new.soc_permille, new.installed_mah, new.remaining_mah, new.consumed_mah) == (None,) * 5
    assert (new.age_s(10**9), new.cell_voltages_mv(), new.temperatures_dc()) == (None, (), [])
    assert not new.link.up


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
    return made.link.up, made.link.cause, made.device_name


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
    assert (before.pack, before.link.up, before.age_s(0)) == (after.pack, after.link.up, after.age_s(0))


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


def test_a_reading_that_cannot_be_true_is_unknown():
    """Current and state of charge are kept as read, and are unknown to whoever asks for what is true."""
    odd = battery(basic(current_ma=-150_000, fet=0x83, soc_pct=101), cells(3300, 0, 3300, 3300))
    assert (odd.pack.current_ma, odd.pack.soc_permille) == (-1_500_000, 1010)
    assert (odd.current_ma, odd.soc_permille) == (None, None)
    assert odd.plausible_cells_mv() == [(1, 3300), (3, 3300), (4, 3300)]
    assert not odd.cells_are_known


def test_known_cells():
    """All cells are known when all of them are there, as many as the BMS says, and can be true."""
    assert battery(basic(), cells()).cells_are_known
    assert not battery(basic()).cells_are_known
    assert not battery(basic(cell_count=5), cells()).cells_are_known
    assert battery(basic(), cells()).plausible_cells_mv() == [(1, 3325), (2, 3320), (3, 3330), (4, 3325)]


def test_what_was_ever_read():
    """A sensor or a state of charge that was there once is missing afterwards, and not unsupported."""
    never = battery(basic(temperatures_dc=()), cells())
    once = battery(basic(), cells(), basic(temperatures_dc=(-2731,)))
    assert (never.known_sensors, once.known_sensors, once.temperatures_dc()) == (set(), {1, 2}, [])
    assert (Battery(KNOWN).has_soc, never.has_soc) == (False, True)


LEARNED = bytes(3) + (9_850).to_bytes(2, "big") + bytes(4)
"""The tail of a board that has learned a full charge of 98.5 Ah, or of 985 Ah."""


@pytest.mark.parametrize(
    ("flagged", "unit", "times"),
    [
        (False, UNIT_AUTO, 1),
        (False, UNIT_X1, 1),
        (False, UNIT_X10, 10),
        (True, UNIT_AUTO, 10),
        (True, UNIT_X1, 1),
        (True, UNIT_X10, 10),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_sign_and_unit_of_the_current(flagged, unit, times, sign):
    """The owner turns the current around and settles the unit of currents and capacities, whatever the BMS flags."""
    configuration = evolve(KNOWN, current_sign=sign, current_unit=unit)
    made = battery(basic(fet=0x83 if flagged else 3, tail=LEARNED), cells(), configuration=configuration)
    assert (made.pack.current_ma, made.current_ma) == (-5_000 * times * sign,) * 2
    assert (made.pack.remaining_mah, made.pack.nominal_mah) == (50_000 * times, 100_000 * times)
    assert made.pack.full_charge_mah == 98_500 * times
    assert (made.installed_mah, made.remaining_mah, made.consumed_mah) == (
        100_000 * times,
        50_000 * times,
        -50_000 * times,
    )
    assert (made.pack.voltage_mv, made.pack.soc_permille) == (13_300, 500)


def test_an_unknown_capacity_has_no_unit():
    """What the BMS does not tell stays unknown, whatever it is multiplied with."""
    made = battery(basic(), cells(), configuration=evolve(KNOWN, current_unit=UNIT_X10))
    assert made.pack.full_charge_mah is None


def test_a_unit_that_is_not_believed_makes_no_mark():
    """1500 A because of a flag are 150 A for an owner who knows better, and plausible."""
    frames = basic(current_ma=-150_000, fet=0x83), cells()
    assert set(battery(*frames).marks) == {"current"}
    corrected = battery(*frames, configuration=evolve(KNOWN, current_unit=UNIT_X1))
    assert (corrected.marks, corrected.current_ma) == ({}, -150_000)


@pytest.mark.parametrize(
    ("known", "nominal_mah", "expected"),
    [
        ({}, 100_000, (100_000, 50_000, -50_000)),
        ({}, 0, (None, 50_000, None)),
        ({"capacity_mah": 280_000}, 100_000, (280_000, 168_000, -112_000)),
        ({"capacity_mah": 280_000}, 0, (280_000, 168_000, -112_000)),
        ({"capacity_mah": 100_000}, 100_000, (100_000, 50_000, -50_000)),
        ({"fallback_capacity_mah": 280_000}, 100_000, (100_000, 50_000, -50_000)),
        ({"fallback_capacity_mah": 280_000}, 0, (280_000, 168_000, -112_000)),
        ({"capacity_mah": 200_000, "fallback_capacity_mah": 280_000}, 0, (200_000, 120_000, -80_000)),
    ],
)
def test_capacities(known, nominal_mah, expected):
    """The owner's capacity, else that of the BMS, else the owner's guess; what is left follows it by percent."""
    made = battery(basic(nominal_mah=nominal_mah, soc_pct=60), cells(), configuration=evolve(KNOWN, **known))
    assert expected == (made.installed_mah, made.remaining_mah, made.consumed_mah)


def test_what_is_left_without_a_state_of_charge():
    """A state of charge that cannot be true moves nothing: what the BMS counts is what is left."""
    made = battery(basic(soc_pct=101), cells(), configuration=evolve(KNOWN, capacity_mah=280_000))
    assert (made.installed_mah, made.remaining_mah, made.consumed_mah) == (280_000, 50_000, -230_000)


def test_capacities_before_an_answer():
    """What the owner knows is known at once; a guess, and what is left, only once the BMS has answered."""
    known = Battery(evolve(KNOWN, capacity_mah=280_000, fallback_capacity_mah=100_000))
    guessed = Battery(evolve(KNOWN, fallback_capacity_mah=100_000))
    assert (known.installed_mah, known.remaining_mah, known.consumed_mah) == (280_000, None, None)
    assert (guessed.installed_mah, guessed.remaining_mah, guessed.consumed_mah) == (None, None, None)
