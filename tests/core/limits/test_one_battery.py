"""One battery by itself: switches, protections, missing inputs, silence."""

import pytest
from attrs import evolve

from core import protections
from core.limits.one_battery import CHARGE_PROTECTIONS, DISCHARGE_PROTECTIONS, CurrentLimit
from core.limits.profile import ChargeProfile
from tests.core.limits.house import NOTHING, MadeBattery, known
from tests.core.made import basic, battery, cells

COLD = (250, 10)
CELLS = (3300, 3300, 3300, 3300)


def limit_of(made, *, charging=True, linear=False):
    """The limit of one direction."""
    return CurrentLimit(made, 1, cells=len(made.cell_voltages_mv()), charging=charging, linear=linear)


def one(profile=None):
    """A battery that has answered once, fit for full current."""
    made = MadeBattery(known(profile=profile))
    made.answer(0)
    return made


def test_the_maximum_is_the_limit_of_a_battery_that_nothing_ails():
    """Without a factor the configured maximum holds, in each direction its own."""
    made = one()
    assert (limit_of(made).live(0).value, limit_of(made, charging=False).live(0).value) == (70_000, 90_000)
    assert limit_of(made).live(0).text() == "maximum of battery 1: 70 A"


def test_tables_are_fractions_of_the_batterys_own_maximum():
    """B14: a battery with another maximum has its own taper, not that of the global maximum."""
    made = MadeBattery(known(profile=ChargeProfile(max_charge_ma=10_000, max_discharge_ma=20_000)))
    made.answer(0, (3460, 3300, 3300, 2850), soc_permille=500)
    assert limit_of(made).live(0).value == 5_000
    assert limit_of(made, charging=False).live(0).value == 10_000


def test_the_strictest_factor_holds():
    """Cell, temperature and state of charge are not multiplied; the smallest counts, and its reason is told."""
    made = one()
    made.answer(1, (3300, 3300, 3470, 3300), temperatures_dc=(250, 60), soc_permille=920)
    limit = limit_of(made).live(1_000_000)
    assert limit.value == 14_000
    assert limit.text() == "sensor 2 of battery 1 at 6 C: 70 A x 0.2 (level from 5 C: 0.2 to 10 C: 0.4)"


@pytest.mark.parametrize(("fet", "charge_ma", "discharge_ma"), [(3, 70_000, 90_000), (2, 0, 90_000), (1, 70_000, 0)])
def test_an_open_switch_is_zero_in_its_direction(fet, charge_ma, discharge_ma):
    """C7: what the BMS has switched off is 0, and the other direction is not touched."""
    made = battery(basic(voltage_mv=13_200, fet=fet), cells(*CELLS))
    charge, discharge = limit_of(made), limit_of(made, charging=False)
    assert (charge.live(0).value, discharge.live(0).value) == (charge_ma, discharge_ma)
    assert (charge.connected, discharge.connected) == (charge_ma > 0, discharge_ma > 0)
    assert (charge.live(0).stops, discharge.live(0).stops) == (charge_ma == 0, discharge_ma == 0)


@pytest.mark.parametrize("name", [*CHARGE_PROTECTIONS, *DISCHARGE_PROTECTIONS])
def test_a_tripped_protection_is_zero_in_its_direction(name):
    """C7: a protection stops its own direction, by name, although the switch may still be on."""
    made = one()
    made.answer(1, protections=(name,))
    for charging, stopping in ((True, CHARGE_PROTECTIONS), (False, DISCHARGE_PROTECTIONS)):
        limit = limit_of(made, charging=charging).live(1_000_000)
        assert (limit.value == 0) == (name in stopping)
        assert limit.stops == (name in stopping)
        assert (name.replace("_", " ") in limit.text()) == (name in stopping)


def test_every_protection_stops_something_or_is_known_not_to():
    """A protection that is new in core.protections needs a decision here."""
    names = {value for name, value in vars(protections).items() if name.isupper() and isinstance(value, str)}
    stops_nothing = {protections.SOFTWARE_MOS_LOCK, protections.CELL_SPREAD, protections.CAPACITY_LOW}
    assert names == {*CHARGE_PROTECTIONS, *DISCHARGE_PROTECTIONS} | stops_nothing


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_every_sensor_counts(number):
    """V2: the coldest sensor holds the charge current down, wherever it sits and however many are warmer."""
    made = one()
    made.answer(1, temperatures_dc=tuple(-10 if n == number else 300 for n in range(1, 5)))
    assert limit_of(made).live(0).value == 0


def test_an_old_cold_value_does_not_stay():
    """V2: when the sensor is warm again the limit is what the tables say now."""
    made, at_us = one(), 5_000_000
    limit = limit_of(made)
    made.answer(1, temperatures_dc=COLD)
    assert limit.live(at_us).value == 3_500
    made.answer(6)
    assert limit.live(at_us + 1).value == 70_000


def test_unsupported_inputs_are_passed_over():
    """A battery that never had a sensor or a state of charge is not limited for want of them."""
    made = MadeBattery(known())
    made.answer(0, temperatures_dc=(), soc_permille=None)
    assert limit_of(made).live(0).value == 70_000
    assert limit_of(made, charging=False).live(0).value == 90_000


LOST = {
    "cells": ({"cells_mv": (0, 0, 0, 0)}, 3_500, 9_000),
    "one cell": ({"cells_mv": (3300, 0, 3300, 3300)}, 3_500, 9_000),
    "cell count": ({"cells_mv": (3300, 3300, 3300), "cell_count": 4}, 3_500, 9_000),
    "temperatures": ({"temperatures_dc": (None, None)}, 7_000, 18_000),
    "state of charge": ({"soc_permille": None}, 7_000, 9_000),
    "absurd state of charge": ({"soc_permille": 2550}, 7_000, 9_000),
    "absurd temperature": ({"temperatures_dc": (250, 3000)}, 7_000, 18_000),
}


@pytest.mark.parametrize("what", sorted(LOST))
def test_a_missing_input_holds_a_minute_and_then_is_little(what):
    """C1, C9: missing never means the maximum: the last value for 60 s, then the table's smallest that is not 0."""
    reading, charge_ma, discharge_ma = LOST[what]
    made = one()
    charge, discharge = limit_of(made), limit_of(made, charging=False)
    made.answer(0, (3460, 2850, 3300, 3300), voltage_mv=12_910)
    held = charge.live(0).value, discharge.live(0).value
    assert held == (35_000, 45_000)
    if "cell" not in what:
        made.answer(0)
        held = charge.live(0).value, discharge.live(0).value
    made.answer(1, **reading)
    assert (charge.live(1_000_000).value, discharge.live(1_000_000).value) == held
    assert (charge.live(59_999_999).value, discharge.live(59_999_999).value) == held
    assert (charge.live(60_000_000).value, discharge.live(60_000_000).value) == (charge_ma, discharge_ma)
    made.answer(90)
    assert (charge.live(90_000_000).value, discharge.live(90_000_000).value) == (70_000, 90_000)


@pytest.mark.parametrize("what", ["cells", "absurd state of charge", "absurd temperature"])
def test_what_was_never_known_is_little_from_the_start(what):
    """C1: without a last value there is nothing to hold."""
    made = MadeBattery(known())
    made.answer(0, **LOST[what][0])
    assert limit_of(made).live(0).value == LOST[what][1]
    assert limit_of(made, charging=False).live(0).value == LOST[what][2]


@pytest.mark.parametrize("linear", [False, True])
def test_what_is_left_of_an_input_still_counts(linear):
    """A cell in doubt does not hide another one that is too high or too low."""
    made = one()
    charge, discharge = limit_of(made, linear=linear), limit_of(made, charging=False, linear=linear)
    charge.live(0), discharge.live(0)
    made.answer(1, (0, 3560, 2690, 3300))
    assert (charge.live(1_000_000).value, discharge.live(1_000_000).value) == (0, 0)


@pytest.mark.parametrize("after", [(250, None), (250,), (250, 65_535 - 2731)])
def test_a_cold_sensor_that_breaks_does_not_open_the_limit(after):
    """C1, V12: a sensor that was there and is not is missing: held for 60 s, then the smallest fraction that is not 0.

    From real frames: out of range it is decoded as not fitted.
    """
    made = battery(basic(voltage_mv=13_200, temperatures_dc=COLD), cells(*CELLS))
    limit = limit_of(made)
    assert limit.live(0).value == 3_500
    if None in after:
        made.pack = evolve(made.pack, temperatures_dc=after)
        made.revision += 1
    else:
        broken = battery(basic(voltage_mv=13_200, temperatures_dc=after), cells(*CELLS))
        made.pack, made.revision = broken.pack, made.revision + 1
    assert limit.live(1_000_000).value == 3_500
    assert limit.live(62_000_000).value <= 7_000


def test_a_value_from_before_a_silence_is_not_held():
    """C1: "last value for 60 s" is the age of the value; one from an hour ago holds for no second."""
    made = one()
    limit = limit_of(made)
    limit.live(0)
    made.answer(3600, (0, 0, 0, 0))
    assert limit.live(3_600_000_000).value == 3_500


def test_each_missing_input_has_its_own_minute():
    """C1: what went missing later does not prolong the hold of what went missing first."""
    made = one()
    limit = limit_of(made)
    limit.live(0)
    made.answer(1, (0, 0, 0, 0))
    limit.live(1_000_000)
    made.answer(50, (0, 0, 0, 0), soc_permille=None)
    limit.live(50_000_000)
    assert limit.live(61_000_000).value == 3_500


def test_a_table_that_is_switched_off_does_not_limit():
    """A factor that the owner disabled is passed over, whatever its input."""
    made = MadeBattery(known(profile=NOTHING))
    made.answer(0, (3700, 0, 2500, 3300), soc_permille=1000, temperatures_dc=(-300, 700))
    assert (limit_of(made).live(0).value, limit_of(made, charging=False).live(0).value) == (70_000, 90_000)


def test_silent_charging_is_a_tenth_or_less():
    """Of a STALE battery nobody knows the state: min(last, 10 % of the maximum)."""
    made = one()
    limit = limit_of(made)
    limit.live(0)
    assert limit.silent(20_000_000).value == 7_000
    made.answer(1, temperatures_dc=COLD)
    limit.live(1_000_000)
    assert limit.silent(20_000_000).value == 3_500


def test_silent_discharging_is_held():
    """A radio hiccup does not switch a house off, and neither does it forget a stop."""
    made = one()
    limit = limit_of(made, charging=False)
    made.answer(1, (2850, 3300, 3300, 3300))
    limit.live(1_000_000)
    assert limit.silent(20_000_000).value == 45_000
    made.answer(2, discharge_fet_on=False)
    limit.live(2_000_000)
    silent = limit.silent(20_000_000)
    assert (silent.value, silent.stops) == (0, True)


@pytest.mark.parametrize("charging", [True, False])
def test_a_switch_that_was_off_and_is_not_told_of_stays_off(charging):
    """C7, V12: an input that was there and is missing opens no limit: for its minute it is what it was."""
    made = one()
    limit = limit_of(made, charging=charging)
    made.answer(1, charge_fet_on=False, discharge_fet_on=False)
    assert limit.live(1_000_000).value == 0
    made.answer(2, charge_fet_on=None, discharge_fet_on=None)
    assert limit.live(2_000_000).value == 0
