"""The three limits of one service: rounding, restarts from 0, states that were kept, and what must never happen."""

import json

import pytest

from core.limits.control import Limits
from core.limits.limit import Limit
from core.limits.profile import ChargeProfile
from tests.core.limits.house import House, known, parallel, series
from tests.core.physics import Pack, Site


def limits(voltage_mv=13_800.0, charge_ma=0.0, discharge_ma=0.0):
    """Limits with these numbers."""
    return Limits(Limit(voltage_mv, ""), Limit(charge_ma, ""), Limit(discharge_ma, ""), "Bulk", 11_600)


@pytest.mark.parametrize(
    ("exact", "published"), [(13_800, 13_800), (13_799.9, 13_790), (13_795, 13_790), (13_799.9999999, 13_800)]
)
def test_voltage_is_rounded_down(exact, published):
    """To 10 mV, never up."""
    assert limits(voltage_mv=exact).cvl_mv == published


@pytest.mark.parametrize(("exact", "published"), [(0, 0), (3, 100), (149, 100), (151, 200), (69_960, 70_000)])
def test_currents_are_rounded_to_a_tenth_but_never_to_zero(exact, published):
    """0.1 A is the least that is not 0: 0 would be a stop that nobody asked for."""
    assert limits(charge_ma=exact, discharge_ma=exact).ccl_ma == published
    assert limits(charge_ma=exact, discharge_ma=exact).dcl_ma == published


def test_after_zero_only_for_more_than_a_trickle():
    """C8: after 0 the charge current stays 0 until more than 1.5 % of the maximum is allowed."""
    house = House(linear=True)
    house.fields[0] = {"temperatures_dc": (0, 0)}
    assert house.step(5).ccl_ma == 0
    house.fields[0] = {"temperatures_dc": (3, 3)}
    assert house.step(100).ccl_ma == 0
    assert "0 A until more than 1.05 A are allowed" in house.limits.charge.text()
    house.fields[0] = {"temperatures_dc": (4, 4)}
    assert house.step(100).ccl_ma == 1_400
    house.fields[0] = {"temperatures_dc": (3, 3)}
    assert house.step(1).ccl_ma == 1_000


def test_charging_rises_after_30_s_by_5_a_per_second():
    """C8: up with patience, down at once."""
    house = House()
    house.fields[0] = {"temperatures_dc": (120, 120)}
    house.step(5)
    house.fields[0] = {}
    assert (
        house.each_second(42, lambda each: each.ccl_ma / 1000)
        == [28] * 30 + [28 + 5 * n for n in range(1, 9)] + [70] * 4
    )
    house.fields[0] = {"temperatures_dc": (120, 120)}
    assert house.step().ccl_ma == 28_000


def test_discharging_rises_by_20_a_per_second_without_a_hold():
    """C8: a house that may draw more gets it soon."""
    house = House()
    house.fields[0] = {"discharge_fet_on": False}
    house.step(5)
    house.fields[0] = {}
    assert house.each_second(6, lambda each: each.dcl_ma / 1000) == [20, 40, 60, 80, 90, 90]


def test_a_discharge_limit_held_at_zero_is_a_stop():
    """Below the restart threshold 0 still names its cause."""
    house = House(linear=True)
    house.cells[0] = [2700, 3300, 3300, 3300]
    house.step(5)
    house.cells[0] = [2710, 3300, 3300, 3300]
    house.step(5)
    assert (house.dcl_a, house.limits.discharge.stops) == (0, True)


def test_a_missing_member_keeps_a_series_bank_off_the_bus():
    """V1: nothing before the string is complete, however long that takes."""
    house = series()
    house.answers[1] = False
    assert house.step(1000) is None


def test_series_currents_are_those_of_the_weakest():
    """V1, V4: the same current flows through all: the strictest member counts, in each direction."""
    profiles = [ChargeProfile(), ChargeProfile(max_charge_ma=20_000, max_discharge_ma=30_000)]
    house = series(profiles=profiles)
    house.step()
    assert (house.ccl_a, house.dcl_a) == (20, 30)
    house.fields[0] = {"charge_fet_on": False}
    house.step()
    assert (house.ccl_a, house.dcl_a) == (0, 30)
    house.fields[1] = {"discharge_fet_on": False}
    house.step()
    assert (house.ccl_a, house.dcl_a) == (0, 0)


def test_a_frozen_member_stops_the_charge_of_a_bank():
    """V2: true minimum over all sensors of all members; the warm ones hide nothing."""
    for house in (series(), parallel()):
        house.fields[1] = {"temperatures_dc": (-10, 350, 350)}
        house.step()
        assert house.ccl_a == 0


def test_unequal_limits_do_not_lower_each_other():
    """V6: members whose limits differ are shared out, and that is no fault: DCL is not halved for it."""
    profiles = [ChargeProfile(), ChargeProfile(max_charge_ma=35_000, max_discharge_ma=45_000)]
    house = parallel(profiles=profiles)
    house.step(100)
    assert (house.ccl_a, house.dcl_a) == (70, 90)


@pytest.mark.parametrize("signs", [(1, -1), (-1, -1), (-1, 1)])
def test_measured_currents_of_any_sign_raise_nothing(signs):
    """V5: shares are taken per direction; mixed signs neither divide by a small sum nor open a limit."""
    house = parallel()
    house.fields[:] = [{"current_ma": 40_000 * signs[0]}, {"current_ma": 39_000 * signs[1]}]
    for each in house.each_second(100, lambda each: (each.charge.value, each.discharge.value)):
        assert 0 < each[0] <= 140_000
        assert 0 < each[1] <= 180_000


def test_a_voltage_difference_between_members_lowers_nothing():
    """V8: samples are not simultaneous; 0.4 V between two members is no reason for another limit."""
    house = parallel([3300] * 4, [3400] * 4)
    house.step(100)
    assert (house.limits.cvl_mv, house.dcl_a) == (13_800, 180)


def test_a_field_that_is_none_now_does_not_keep_its_last_value():
    """V12: after its minute an input that is not told any more is missing, not what it last was."""
    house = House()
    house.step(5)
    house.fields[0] = {"soc_permille": None}
    house.step(62)
    assert (house.ccl_a, house.dcl_a) == (7, 9)
    assert "state of charge of battery 1 missing" in house.limits.charge.text()


def test_a_problem_that_ends_while_another_member_is_lost():
    """A series bank without limits for an odd voltage: the odd battery mends while the other is lost. No exception."""
    house = series()
    house.fields[1] = {"voltage_mv": 65_535}
    assert house.step(3) is None
    house.silence(130, 1)
    house.answers[0] = False
    house.fields[1] = {}
    house.step(3)
    assert house.limits is None or house.ccl_a == 0


def test_the_state_survives_a_bank_that_never_began():
    """A restart before any battery answers keeps what the run before had kept."""
    kept = {"phase": "Float", "absorbed_s": {"b1": 7}, "float_target_mv": {"b1": 13_400}}
    house = House(state=kept)
    house.answers = [False]
    house.step(10)
    assert house.control.state() == kept


def test_the_state_is_plain_json():
    """What is kept is the same before and after a file."""
    house = House([3450] * 4, profiles=[ChargeProfile(absorption_s=5)])
    for _ in range(5):
        house.step(40)
        assert json.loads(json.dumps(house.control.state())) == house.control.state()


GARBAGE = [
    {"phase": 7},
    {"phase": "Float", "absorbed_s": None},
    {"phase": "Float", "absorbed_s": {}, "absorbing_s": "x"},
    {"float_target_mv": 3},
    {"float_target_mv": {"b1": [1]}},
    {"phase": "Absorption", "absorbed_s": {"b1": 1e8}, "absorbing_s": 1e8, "away_s": 1e8},
    {"": None},
]


@pytest.mark.parametrize("state", GARBAGE)
def test_garbage_state_opens_nothing(state):
    """Whatever was kept, the limits stay within what is configured."""
    house = House(state=state)
    for each in house.each_second(5, lambda each: each):
        assert (each.ccl_ma, each.dcl_ma) == (70_000, 90_000)
        assert 13_400 <= each.cvl_mv <= 13_800


def test_absorption_time_survives_a_restart_and_the_wall_clock():
    """C5: a whole site: 900 s of absorption in two runs, with the wall clock a day back in between."""
    packs = [Pack("a", [100.0] * 4, profile=ChargeProfile(absorption_s=300))]
    first = Site(packs)
    while first.step(1, charge_a=20) or first.items.get("/Info/ChargeMode", "")[:10] != "Absorption":
        assert first.now_s < 5_000
    first.step(200, charge_a=20)
    assert first.mode == "Absorption"
    charge = json.loads(json.dumps(first.view.remembered()))
    second = Site(packs, remembered=charge, boot=2)
    second.wall_step_us = -86_400_000_000
    second.step(30, charge_a=20)
    assert second.mode == "Absorption"
    second.step(120, charge_a=20)
    assert second.mode.startswith("Float")


def test_one_path_for_one_and_for_many():
    """B4: a bank of equal batteries is limited as its single battery is, times their number."""
    reading = {"temperatures_dc": (120, 300), "soc_permille": 920}
    cells = [3410, 3300, 3300, 3300]
    single, twice, string = House(cells), parallel(cells, cells), series(cells, cells)
    for house in (single, twice, string):
        house.fields[:] = [reading] * len(house.fields)
        house.step(3)
    assert (twice.ccl_a, twice.dcl_a) == (2 * single.ccl_a, 2 * single.dcl_a)
    assert (string.ccl_a, string.dcl_a) == (single.ccl_a, single.dcl_a)
    assert (twice.limits.cvl_mv, string.limits.cvl_mv) == (single.limits.cvl_mv, 2 * single.limits.cvl_mv)


def test_each_battery_by_its_own_maximum():
    """B14: in a bank every member tapers by fractions of its own maximum."""
    knowns = [known(1, ChargeProfile(max_charge_ma=20_000)), known(2, ChargeProfile(max_charge_ma=100_000))]
    house = parallel(knowns=knowns)
    house.fields[:] = [{"temperatures_dc": (120, 120)}] * 2
    house.step()
    assert house.ccl_a == 16


def test_fewer_cells_than_at_the_start_are_missing_cells():
    """C1: a BMS that now tells of 3 cells where it had 4 hides one: missing, for the currents too."""
    house = House([3300, 3300, 3300, 3600])
    assert house.step(5).ccl_ma == 0
    house.cells[0] = [3300] * 3
    house.step(50)  # a minute of it would be another battery
    assert house.ccl_a <= 3.5


@pytest.mark.parametrize(("option", "fields"), [({"cell_count": 8}, {}), ({}, {"voltage_mv": 65_535})])
def test_a_late_member_that_contradicts_its_cell_count_is_not_charged(option, fields):
    """B4: a parallel member that comes after the start gets the same checks; until then it counts as lost."""
    house = parallel(knowns=[known(1), known(2, **option)])
    house.answers[1] = False
    house.step(125)
    house.answers[1], house.fields[1] = True, fields
    house.step(100)
    assert house.limits is None or house.limits.cvl_mv <= 13_400
