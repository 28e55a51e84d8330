"""A cell above its maximum lowers the voltage limit: at once, and for long enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.limits.profile import ChargeProfile
from tests.core.limits.house import House, parallel, series

HIGH = [3400, 3400, 3400, 3480]


def after(*cells, **options):
    """A house of 4 good cells that then reads *cells*."""
    house = House([3400] * 4, **options)
    house.step(3)
    house.cells[0] = list(cells)
    house.step()
    return house


@pytest.mark.parametrize(
    ("cells", "clip_mv"),
    [
        ([3400, 3400, 3400, 3450], 13_800),
        ([3400, 3400, 3400, 3451], 13_660),
        (HIGH, 13_660),
        ([3400, 3400, 3400, 3600], 13_660),
        ([3440, 3440, 3440, 3460], 13_780),
        ([3500, 3500, 3500, 3500], 13_800),
        ([3100, 3100, 3100, 3500], 13_000),
    ],
)
def test_clip(cells, clip_mv):
    """C4: the sum of the cells, none counted above 3.45 V, plus 10 mV, at least float less 0.1 V per cell."""
    assert after(*cells).cvl_mv == clip_mv


@pytest.mark.parametrize("switching", [False, True])
def test_always_on(switching):
    """C4: without float switching, the default, a high cell lowers the limit all the same."""
    assert after(*HIGH, float_switching=switching).cvl_mv == 13_660


@pytest.mark.parametrize(
    ("low_cell_mv", "float_cell_mv", "floor_mv"), [(2900, 3350, 13_000), (3300, 3350, 13_200), (2900, 3450, 13_400)]
)
def test_floor(low_cell_mv, float_cell_mv, floor_mv):
    """No lower than float less 0.1 V per cell, nor than the low voltage."""
    profile = ChargeProfile(min_cell_mv=low_cell_mv, float_cell_mv=float_cell_mv)
    assert after(2950, 2950, 2950, 3600, profiles=[profile]).cvl_mv == floor_mv


def test_it_alone_goes_below_float():
    """A high cell in float holds the limit below float."""
    house = House([3300] * 4, state={"phase": "Float", "absorbed_s": {}})
    assert house.step(410).cvl_mv == 13_400
    house.cells[0] = [3300, 3300, 3300, 3480]
    assert house.step().cvl_mv == 13_360


def test_ten_millivolts_more_for_every_reading_that_rises():
    """Above 3.48 V a highest cell that still rises lowers the limit by 10 mV per reading, down to the floor."""
    house = after(3400, 3400, 3400, 3481)
    values = []
    for mv in range(3482, 3560):
        house.cells[0][3] = mv
        values.append(house.step().voltage.value)
    assert values[:66] == [13_660 - 10 * n for n in range(1, 67)]
    assert set(values[66:]) == {13_000}


def test_a_reading_that_does_not_rise_lowers_nothing_more():
    """The same cell again, or a lower one, leaves the limit where it is."""
    house = after(3400, 3400, 3400, 3490)
    house.cells[0][3] = 3491
    assert house.step().voltage.value == 13_650
    assert house.step(50).voltage.value == 13_650
    house.cells[0][3] = 3485
    assert house.step(50).voltage.value == 13_650


def test_up_to_30_mv_above_nothing_runs():
    """A cell that rises to 3.48 V is clipped and no more."""
    house = after(3400, 3400, 3400, 3451)
    for mv in range(3452, 3481):
        house.cells[0][3] = mv
        assert house.step().voltage.value == 13_660


def test_recovery_waits_a_minute_and_then_creeps():
    """60 s held from the tick before, then 1 mV per second up to the target."""
    house = after(*HIGH)
    house.cells[0] = [3400] * 4
    values = house.each_second(210, lambda limits: limits.voltage.value)
    assert values[:60] == [13_660] * 60
    assert values[60:200] == pytest.approx([13_660 + n for n in range(1, 141)])
    assert set(values[199:]) == {13_800}


def test_another_high_reading_begins_the_recovery_anew():
    """Reductions are immediate, and the hold starts again after each."""
    house = after(*HIGH)
    house.cells[0] = [3400] * 4
    house.step(100)
    assert house.cvl_mv == pytest.approx(13_700)
    house.cells[0] = [3390, 3400, 3400, 3480]
    assert house.step().voltage.value == 13_650
    house.cells[0] = [3400] * 4
    assert set(house.each_second(60, lambda limits: limits.voltage.value)) == {13_650}


@pytest.mark.parametrize(
    ("cells", "penalized_mv"),
    [
        ([3440, 3440, 3440, 3450], 13_800),
        ([3440, 3440, 3440, 3550], 13_000),
        ([3400, 3400, 3400, 3460], 13_660 - 109),
        ([3450, 3450, 3450, 3460], 13_810 - 109 - 30),
    ],
)
def test_penalty_in_linear_mode(cells, penalized_mv):
    """C3: the penalty replaces the clip and can only lower: S - P between floor and target."""
    house = after(*cells, linear=True)
    assert house.step(60).voltage.value == pytest.approx(max(penalized_mv, 13_000))


def test_penalty_moves_by_50_mv_per_second():
    """A penalty is approached, not jumped to."""
    house = after(3440, 3440, 3440, 3540, linear=True)
    values = [house.cvl_mv, *house.each_second(20, lambda limits: limits.voltage.value)]
    assert values[:16] == pytest.approx([13_750 - 50 * n for n in range(16)])
    assert set(values[15:]) == {13_000}


@pytest.mark.parametrize(("cell_mv", "cvl_mv"), [(3600, 13_750), (3601, 13_000)])
def test_above_3_60_v_the_penalty_jumps(cell_mv, cvl_mv):
    """An urgent cell does not wait for a ramp."""
    assert after(3440, 3440, 3440, cell_mv, linear=True).cvl_mv == cvl_mv


@pytest.mark.parametrize("linear", [False, True])
def test_a_high_cell_in_any_parallel_battery_counts(linear):
    """V3: all members are looked at, not the first one."""
    house = parallel([3400] * 4, [3400] * 4, linear=linear)
    house.step(3)
    house.cells[1] = [3400, 3400, 3400, 3610]
    assert house.step().cvl_mv == (13_000 if linear else 13_660)
    assert "cell 4 of battery 2 at 3.61 V" in house.limits.voltage.text()


def test_a_high_cell_anywhere_in_a_series_string_counts():
    """V3: one high cell holds the whole string down; the floor is that of the whole string."""
    house = series([3400] * 4, [3400] * 4)
    house.step(3)
    house.cells[1][2] = 3500
    assert house.step().cvl_mv == 27_260
    assert "cell 3 of battery 2" in house.limits.voltage.text()
    house.cells = [[3150] * 4, [3150, 3150, 3500, 3150]]
    assert house.step().cvl_mv == 26_000


@pytest.mark.parametrize("soc", [(1000, 100), (100, 1000)])
def test_imbalance_never_lowers_the_voltage(soc):
    """V7: a difference of charge or of current between members does not touch the voltage limit."""
    house = parallel([3400] * 4, [3310] * 4)
    house.fields[:] = [{"soc_permille": each, "current_ma": 30 * each} for each in soc]
    assert set(house.each_second(300, lambda limits: limits.cvl_mv)) == {13_800}


@given(
    st.lists(st.tuples(st.lists(st.integers(2500, 3800), min_size=4, max_size=4), st.integers(1, 90)), max_size=6),
    st.booleans(),
)
def test_the_limit_stays_between_floor_and_target(readings, linear):
    """Whatever cells read, the limit is never above bulk, never below the floor, and rises by 1 mV/s at most."""
    house = House([3400] * 4, linear=linear, float_switching=False)
    before = house.step().voltage.value
    for cells, seconds in readings:
        house.cells[0] = cells
        for now in house.each_second(seconds, lambda limits: limits.voltage.value):
            assert 13_000 <= now <= 13_800
            assert now <= before + 1.001
            before = now
