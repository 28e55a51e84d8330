"""Parallel batteries that leave and come back: what the others may carry meanwhile."""

import pytest

from tests.core.limits.house import parallel

LOST_AFTER_S = 121


def bank(**options):
    """Two equal batteries for some seconds."""
    house = parallel(**options)
    house.step(5)
    return house


def dcl(house, seconds):
    """At each of the coming seconds, in A."""
    return house.each_second(seconds, lambda limits: limits.dcl_ma / 1000)


def test_a_departure_lowers_the_discharge_limit_over_a_minute():
    """180 A of two become 90 A of one in a straight line: a step would drop the load."""
    house = bank()
    house.answers[1] = False
    house.step(LOST_AFTER_S - 1)
    assert house.dcl_a == 180
    assert dcl(house, 70) == pytest.approx([180 - 1.5 * n for n in range(61)] + [90] * 9, abs=0.051)
    assert "a battery left" not in house.limits.discharge.text()


def test_a_departure_lowers_the_charge_limit_at_once_and_once_more():
    """Excluded from the sum, not from caution: 70 A of the battery that is there, by half of the capacity."""
    house = bank()
    house.answers[1] = False
    house.step(LOST_AFTER_S)
    assert house.limits.charge.value <= 35_000
    house.step(60)
    assert house.ccl_a == 35
    assert "100 of 200 Ah are lost" in house.limits.charge.text()


def test_a_lost_member_caps_the_voltage_at_float():
    """What nobody sees is not charged above float."""
    house = bank()
    house.answers[1] = False
    house.step(LOST_AFTER_S)
    assert house.limits.cvl_mv == 13_400


def test_a_stale_member_takes_a_tenth_and_keeps_its_discharge():
    """STALE: CCL by a tenth of its own maximum, DCL as before."""
    house = bank()
    house.answers[1] = False
    house.step(16)
    assert (house.ccl_a, house.dcl_a) == (14, 180)


def test_a_protective_fall_is_not_delayed():
    """A stop of the battery that is left holds at once, departure or not."""
    house = bank()
    house.answers[1] = False
    house.step(LOST_AFTER_S + 5)
    house.fields[0] = {"discharge_fet_on": False}
    house.step()
    assert (house.dcl_a, house.limits.discharge.stops) == (0, True)


@pytest.mark.parametrize("charging", [True, False])
def test_a_member_with_an_open_switch_carries_nothing(charging):
    """V10, V4: it neither contributes to the sum nor stops the others."""
    house = bank()
    house.fields[1] = {"charge_fet_on" if charging else "discharge_fet_on": False}
    house.step()
    assert (house.ccl_a, house.dcl_a) == ((70, 180) if charging else (140, 90))


def test_all_switches_off_is_zero():
    """V10: nobody can carry anything: 0, for a named cause."""
    house = bank()
    house.fields[:] = [{"charge_fet_on": False, "discharge_fet_on": False}] * 2
    house.step()
    assert (house.ccl_a, house.dcl_a) == (0, 0)
    assert house.limits.discharge.stops


def test_a_full_member_that_is_still_connected_stops_the_charge():
    """V4: a member whose table is at 0 while its switch is on takes current nevertheless: total 0."""
    house = bank()
    house.cells[1] = [3300, 3300, 3300, 3550]
    house.step()
    assert house.ccl_a == 0


def test_a_member_that_was_never_seen_counts_as_lost():
    """After the wait the bank begins without it: half the charge of the one that is there, float at most."""
    house = parallel(capacities_mah={"b2": 100_000})
    house.answers[1] = False
    assert house.step(119) is None
    house.step(3)
    assert (house.ccl_a, house.dcl_a, house.limits.cvl_mv) == (35, 90, 13_400)
    house.answers[1] = True
    house.step(150)
    assert (house.ccl_a, house.dcl_a, house.limits.cvl_mv) == (140, 180, 13_800)


def test_unknown_capacities_count_as_equal():
    """V9: one subset for all: if one capacity is unknown no capacity weighs."""
    house = parallel()
    house.fields[:] = [{"nominal_mah": 300_000}, {"nominal_mah": 0}]
    house.step()
    assert (house.ccl_a, house.dcl_a) == (140, 180)
    house.fields[1] = {"nominal_mah": 100_000}
    house.step()
    assert house.ccl_a == pytest.approx(70 / 0.75, abs=0.05)


def test_noise_measures_no_share_when_capacities_are_unknown():
    """0.1 C of an unknown capacity is unknown: a trickle into one battery must not halve the bank's limit."""
    house = parallel()
    house.fields[:] = [{"nominal_mah": 0, "current_ma": 50}, {"nominal_mah": 0, "current_ma": 0}]
    house.step(90)
    assert house.ccl_a == 140


def test_no_invented_capacity_is_told():
    """Honest numbers: a reason names no capacity that nobody knows."""
    house = parallel()
    house.fields[:] = [{"nominal_mah": 0}, {"nominal_mah": 0}]
    house.step(5)
    house.answers[1] = False
    house.step(200)
    assert "0.002 Ah" not in house.limits.charge.text()


@pytest.mark.parametrize("away_s", [LOST_AFTER_S + 2, LOST_AFTER_S + 30])
def test_a_battery_that_comes_back_ends_its_departure(away_s):
    """Never more than the sum of the members' limits, whoever left a moment ago."""
    house = bank()
    house.answers[1] = False
    house.step(away_s)
    house.answers[1] = True
    assert max(dcl(house, 70)) <= 180


def test_a_bank_that_comes_back_one_by_one_never_exceeds_its_sum():
    """An ordinary outage of the radio, the batteries back seconds apart: no limit above the one before."""
    house = bank()
    house.silence(LOST_AFTER_S + 20)
    house.answers = [True, False]
    house.step(3)
    house.answers = [True, True]
    assert max(dcl(house, 70)) <= 180


def test_a_departure_never_raises_the_limit():
    """One battery was low when the other left: as it recovers, nothing above its own maximum nor above before."""
    house = bank()
    house.cells[0][0] = 2850
    house.step(5)
    house.answers[1] = False
    house.step(LOST_AFTER_S)
    assert house.dcl_a <= 90
    house.cells[0][0] = 3300
    assert max(dcl(house, 70)) <= 90


def test_a_fall_in_the_second_of_a_departure_is_immediate():
    """Protective falls are immediate: what the battery that stays may give never exceeds its share of before."""
    house = bank()
    house.answers[1] = False
    house.step(LOST_AFTER_S - 1)
    house.cells[0][0] = 2750
    house.step()
    assert house.dcl_a <= 18


def test_a_departure_of_a_member_that_was_off_changes_nothing():
    """Who carried nothing leaves nothing behind."""
    house = bank()
    house.fields[1] = {"discharge_fet_on": False}
    house.step(5)
    house.answers[1] = False
    assert set(dcl(house, 200)) == {90}
