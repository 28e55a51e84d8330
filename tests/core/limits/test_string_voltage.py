"""The voltage limit of a string: targets, the fall to float, cells in doubt."""

import json

import pytest

from core.limits.profile import ChargeProfile
from tests.core.limits.house import House, known, parallel, series
from tests.core.physics import Pack, Site

FULL_4S = [3450] * 4


def until(house, mode, most=3000):
    """Step until the phase is *mode*."""
    for _ in range(most):
        if house.step().mode == mode:
            return
    raise AssertionError("never {}".format(mode))


def floating(**options):
    """A full battery of 4 cells whose limit has arrived at float."""
    house = House(FULL_4S, profiles=[ChargeProfile(absorption_s=10)], **options)
    house.fields[0] = {"soc_permille": 1000}
    until(house, "Float")
    return house


@pytest.mark.parametrize(
    ("cells", "bulk_mv", "float_mv", "low_mv"), [(16, 55_200, 53_600, 46_400), (4, 13_800, 13_400, 11_600)]
)
def test_targets_by_cell_count(cells, bulk_mv, float_mv, low_mv):
    """B4: n x 3.45 V in bulk and absorption, n x 3.35 V in float, by the cells that the BMS has."""
    house = House([3450] * cells, profiles=[ChargeProfile(absorption_s=10)])
    house.fields[0] = {"soc_permille": 1000}
    assert (house.step().cvl_mv, house.limits.mode, house.limits.low_mv) == (bulk_mv, "Bulk", low_mv)
    until(house, "Absorption")
    assert house.limits.cvl_mv == bulk_mv
    until(house, "Float")
    assert house.limits.cvl_mv == float_mv


@pytest.mark.parametrize(("cells", "volts"), [(4, 13.8), (8, 27.6), (16, 55.2)])
def test_nothing_before_the_cell_count_is_known(cells, volts):
    """B4: no limit before the BMS has told its cells, then that of this very battery, from real frames."""
    site = Site([Pack("a", [50.0] * cells, answers=False)])
    site.step(30)
    assert not site.publications
    site.packs[0].answers = True
    site.step(6)
    assert site.cvl_v == volts


def test_the_fall_to_float_is_a_ramp():
    """1 mV per second: a step would export the battery into the grid."""
    house = House(FULL_4S, profiles=[ChargeProfile(absorption_s=10)])
    until(house, "Float Transition")
    start_mv = house.cvl_mv
    assert start_mv == 13_800
    values = house.each_second(450, lambda limits: limits.voltage.value)
    assert values[:400] == pytest.approx([start_mv - n for n in range(1, 401)])
    assert values[400:] == [13_400] * 50


def test_the_fall_of_a_long_string_is_faster_in_proportion():
    """32 cells fall by 2 mV per second."""
    house = House([3450] * 32, profiles=[ChargeProfile(absorption_s=10)])
    until(house, "Float Transition")
    values = house.each_second(100, lambda limits: limits.voltage.value)
    assert values[99] == pytest.approx(110_400 - 200)


def test_a_restart_continues_the_fall():
    """The limit goes on from where it was, not again from the top, and never steps down."""
    first = House(FULL_4S, profiles=[ChargeProfile(absorption_s=10)])
    until(first, "Float Transition")
    first.step(150)
    kept = json.loads(json.dumps(first.control.state()))
    second = House(FULL_4S, profiles=[ChargeProfile(absorption_s=10)], state=kept, start_s=5)
    assert second.step().voltage.value == 13_650
    assert second.step(10).voltage.value == 13_640
    assert second.limits.mode == "Float Transition"


def test_a_restart_in_float_is_float():
    """There is no moment of bulk voltage after a restart."""
    kept = json.loads(json.dumps(floating().control.state()))
    house = House(FULL_4S, state=kept)
    house.fields[0] = {"soc_permille": 1000}
    assert house.each_second(100, lambda limits: (limits.cvl_mv, limits.mode)) == [(13_400, "Float")] * 100


@pytest.mark.parametrize("target", [1e12, float("nan"), float("inf"), -5, 0, True, None, "13800", [13_800], {}])
@pytest.mark.parametrize("shape", [lambda target: {"b1": target}, lambda target: target])
def test_a_garbage_float_target_opens_nothing(target, shape):
    """Whatever was kept, a restored float starts between float and bulk."""
    state = {"phase": "Float", "absorbed_s": {}, "float_target_mv": shape(target)}
    house = House(state=state)
    assert 13_400 <= house.step().cvl_mv <= 13_800
    assert house.step(401).cvl_mv == 13_400


def test_an_old_float_target_is_forgotten_in_bulk():
    """A float that a restart has ended at once leaves no step for the next one: that falls from bulk at 1 mV/s."""
    state = {"phase": "Float", "absorbed_s": {}, "soc_was_high": True, "float_target_mv": {"b1": 13_400}}
    house = House(FULL_4S, profiles=[ChargeProfile(absorption_s=10)], state=state)
    assert house.step().mode == "Bulk"
    house.step(69)
    assert (house.limits.mode, house.limits.cvl_mv) == ("Absorption", 13_800)
    assert house.step(3).cvl_mv >= 13_790


def test_switching_off_means_bulk_for_ever():
    """CVCM_ENABLE off keeps 3.45 V per cell, and a state of float from before changes nothing."""
    state = floating().control.state()
    house = House(FULL_4S, float_switching=False, state=state)
    values = house.each_second(2000, lambda limits: (limits.cvl_mv, limits.mode))
    assert set(values) == {(13_800, "Bulk")}


@pytest.mark.parametrize("linear", [False, True])
def test_linear_mode_aims_at_bulk_too(linear):
    """C3: the normal limit is n x MAX_CELL_VOLTAGE in both modes, not float."""
    assert House(linear=linear).step().cvl_mv == 13_800


def test_an_unknown_state_of_charge_is_no_exception():
    """C2: without a gauge the phases go by voltage alone."""
    house = House(FULL_4S, profiles=[ChargeProfile(absorption_s=10)])
    house.fields[0] = {"soc_permille": None}
    until(house, "Float")
    assert house.limits.cvl_mv == 13_400


@pytest.mark.parametrize(
    ("cells", "fields"),
    [([3450, 0, 3450, 3450], {}), ([0] * 4, {"voltage_mv": 13_800}), ([3450] * 3, {"cell_count": 4}),
     ([3450] * 5, {}), ([3450, 3450, 3450, 65_535], {"voltage_mv": 13_800})],
)  # fmt: skip
def test_cells_in_doubt_mean_float_at_most(cells, fields):
    """C9: cells that are missing or implausible are neither 0 V nor fine: the target is float."""
    house = House(FULL_4S)
    house.step(5)
    house.cells[0], house.fields[0] = cells, fields
    assert house.step().cvl_mv == 13_400
    assert "cell voltages of battery 1 missing" in house.limits.voltage.text()
    assert set(house.each_second(50, lambda limits: limits.cvl_mv)) == {13_400}


def test_back_from_cells_in_doubt():
    """When all cells are there again the limit waits 10 s and comes back within a minute."""
    house = House(FULL_4S)
    house.step(5)
    house.fields[0] = {"cell_count": 5}
    house.step(5)
    house.fields[0] = {}
    values = house.each_second(71, lambda limits: limits.voltage.value)
    assert values[:10] == [13_400] * 10
    assert values[10:70] == pytest.approx([13_400 + 400 / 60 * n for n in range(1, 61)])
    assert values[69:] == [13_800] * 2


def test_a_high_cell_recovers_as_slowly_beside_a_cell_in_doubt():
    """A broken sense wire does not end the patience of the high-cell rule: 60 s held, then 1 mV per second."""
    house = House([3300] * 4)
    house.step(5)
    house.cells[0] = [3200, 3200, 0, 3480]
    held_mv = house.step(5).voltage.value
    assert held_mv < 13_400
    house.cells[0] = [3300, 3300, 0, 3400]
    values = house.each_second(70, lambda limits: limits.voltage.value)
    assert values == [held_mv] * 59 + [held_mv + n for n in range(11)]


def test_back_from_a_silence_with_a_cell_in_doubt():
    """What a high cell had brought below float before a silence returns by the rule of the link, not in one step."""
    house = House([3300, 3300, 3300, 3600])
    low_mv = house.step(5).voltage.value
    house.silence(40)
    house.cells[0] = [3300, 3300, 0, 3300]
    values = house.each_second(71, lambda limits: limits.voltage.value)
    assert values[:10] == [low_mv] * 10
    assert values[10:70] == pytest.approx([low_mv + (13_400 - low_mv) / 60 * n for n in range(1, 61)])


@pytest.mark.parametrize(
    ("cells", "fields"),
    [([3300] * 15, {"cell_count": 16, "voltage_mv": 52_800}), ([3300] * 4 + [0], {"cell_count": 0})],
)
def test_no_limit_before_the_cell_count_is_certain(cells, fields):
    """B4: a first reading in which pack and cells disagree, or a cell is at 0 mV, must not fix n: START needs all."""
    house = House(cells)
    house.fields[0] = {"voltage_mv": sum(cells), **fields}
    assert house.step(3) is None


@pytest.mark.parametrize(("voltage_mv", "cells"), [(5_000, 4), (18_100, 4), (0, 4), (65_535, 4)])
def test_no_limit_for_an_impossible_voltage_per_cell(voltage_mv, cells):
    """B4: outside of 1.5 to 4.5 V per cell the cell count cannot be right: no limit, and a reason."""
    house = House([3300] * cells)
    house.fields[0] = {"voltage_mv": voltage_mv}
    assert house.step(3) is None
    assert "over 4 cells" in house.control.problem


def test_no_limit_against_the_asserted_cell_count():
    """A BMS that contradicts CELL_COUNT gets no limits, and is told of."""
    house = House([3300] * 4, knowns=[known(cell_count=8)])
    assert house.step(3) is None
    assert house.control.problem == "b1: CELL_COUNT = 8, but the BMS has 4 cells"


def test_series_targets_are_those_of_the_whole_string():
    """V1: two batteries of 8 cells are 16 cells, each with its own targets."""
    assert series([3300] * 8, [3300] * 8).step().cvl_mv == 55_200
    profiles = [ChargeProfile(), ChargeProfile(max_cell_mv=3500, float_cell_mv=3300)]
    mixed = series([3300] * 8, [3300] * 4, profiles=profiles)
    assert mixed.step().cvl_mv == 8 * 3450 + 4 * 3500
    assert mixed.limits.voltage.text() == "8 x 3.45 V + 4 x 3.5 V"


def test_parallel_targets_are_the_strictest():
    """Batteries that share a voltage get the lowest target of them."""
    profiles = [ChargeProfile(), ChargeProfile(max_cell_mv=3400)]
    assert parallel(profiles=profiles).step().cvl_mv == 13_600
