"""No reading, however absurd, opens a limit: properties over arbitrary readings."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from core import protections
from core.limits.one_battery import CurrentLimit
from tests.core.limits.house import House, MadeBattery, known, parallel, series

NAMES = sorted(value for name, value in vars(protections).items() if name.isupper() and isinstance(value, str))
cell_mv = st.sampled_from([0, 65_535, 3300, 3450, 3551, 2700]) | st.integers(0, 65_535)
optional_bool = st.none() | st.booleans()
readings = st.fixed_dictionaries(
    {
        "cells_mv": st.lists(cell_mv, min_size=1, max_size=40).map(tuple)
        | st.tuples(cell_mv, cell_mv, cell_mv, cell_mv),
        "voltage_mv": st.sampled_from([0, 13_200, 655_350]) | st.integers(0, 655_350),
        "current_ma": st.integers(-330_000_000, 330_000_000),
        "cell_count": st.just(4) | st.integers(0, 255),
        "soc_permille": st.none() | st.integers(0, 2550),
        "remaining_mah": st.none() | st.integers(0, 655_350),
        "nominal_mah": st.none() | st.integers(0, 655_350),
        "charge_fet_on": optional_bool,
        "discharge_fet_on": optional_bool,
        "protections": st.lists(st.sampled_from([*NAMES, "unheard_of"]), max_size=2).map(tuple),
        "temperatures_dc": st.lists(st.none() | st.integers(-2731, 62_804), max_size=10).map(tuple),
    }
)
"""An answer without any cell is left to a test of its own."""


def answer(house, number, reading):
    """From now on the battery says this."""
    house.fields[number] = {name: value for name, value in reading.items() if name != "cells_mv"}
    house.cells[number] = list(reading["cells_mv"])


def check(house, strings, cells, *, named=True):
    """Everything that must hold of any limits."""
    limits = house.limits
    for value in (limits.voltage.value, limits.charge.value, limits.discharge.value):
        assert math.isfinite(value)
    assert strings and 0 <= limits.charge.value <= 70_000 * strings
    assert 0 <= limits.discharge.value <= 90_000 * strings
    assert limits.discharge.value > 0 or limits.discharge.stops or not named
    assert cells * 3250 <= limits.cvl_mv <= cells * 3450
    for limit in (limits.voltage, limits.charge, limits.discharge):
        assert limit.text()


@settings(max_examples=60)
@given(st.lists(st.tuples(readings, st.sampled_from([1, 5, 70])), max_size=5), st.booleans(), st.booleans())
def test_single(steps, linear, switching):
    """One battery: finite, within what is configured, and DCL 0 only for a named cause."""
    house = House(linear=linear, float_switching=switching)
    house.step(3)
    for reading, seconds in steps:
        answer(house, 0, reading)
        for _ in range(seconds):
            house.step()
            check(house, 1, 4)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), readings, st.sampled_from([1, 16, 30, 122])), max_size=4), st.booleans())
def test_series(steps, silent):
    """Two in series, one of them silent at times: never the targets of half a string."""
    house = series()
    house.step(3)
    for number, reading, seconds in steps:
        answer(house, number, reading)
        house.answers[1 - number] = not (silent and seconds > 1)
        for _ in range(seconds):
            house.step()
            check(house, 1, 8, named=False)  # see test_zero_held_in_a_silence_names_its_cause


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), readings, st.sampled_from([1, 5, 30, 70])), max_size=4))
def test_parallel(steps):
    """Two in parallel: never more than the sum."""
    house = parallel()
    house.step(3)
    for number, reading, seconds in steps:
        answer(house, number, reading)
        for _ in range(seconds):
            house.step()
            check(house, 2, 4, named=False)  # see test_an_overload_of_a_stopped_battery_does_not_outlive_the_stop


def test_no_cells_at_all_is_no_exception():
    """C9: a family that decodes an answer without cells (JBD refuses such a frame) causes no exception."""
    made = MadeBattery(known())
    made.answer(0, (), cell_count=0, voltage_mv=13_200)
    assert made.cell_voltages_mv() == ()


@given(readings, readings, st.booleans())
def test_the_first_reading_may_be_anything(first, second, linear):
    """At a start: no limits, or limits within what is configured."""
    house = House(linear=linear)
    for reading in (first, second):
        answer(house, 0, reading)
        house.step(3)
        if house.limits is not None:
            assert 0 <= house.limits.charge.value <= 70_000
            assert 0 <= house.limits.discharge.value <= 90_000
            assert math.isfinite(house.limits.voltage.value)


good = st.fixed_dictionaries(
    {
        "cells_mv": st.tuples(*[st.integers(2600, 3650)] * 4),
        "soc_permille": st.integers(0, 1000),
        "temperatures_dc": st.tuples(st.integers(-200, 600), st.integers(-200, 600)),
    }
)
losses = st.sets(
    st.sampled_from(["all cells", "cell", "count", "soc", "absurd soc", "absurd sensor", "no sensors"]), min_size=1
)


def without(reading, lost):
    """*reading* with less in it."""
    worse = dict(reading, voltage_mv=sum(reading["cells_mv"]))
    if "all cells" in lost:
        worse["cells_mv"] = (0, 0, 0, 0)
    elif "cell" in lost:
        worse["cells_mv"] = (0, *reading["cells_mv"][1:])
    if "count" in lost:
        worse["cell_count"] = 5
    if "soc" in lost or "absurd soc" in lost:
        worse["soc_permille"] = None if "soc" in lost else 2550
    if "no sensors" in lost:
        worse["temperatures_dc"] = ()
    elif "absurd sensor" in lost:
        worse["temperatures_dc"] = (reading["temperatures_dc"][0], 62_804)
    return worse


@given(good, losses, st.booleans(), st.booleans())
def test_knowing_less_never_allows_more(reading, lost, charging, linear):
    """C1: whatever part of a reading is lost, its limit is no higher than with it, for the minute of its last value."""
    made = MadeBattery(known())
    made.answer(0, voltage_mv=sum(reading["cells_mv"]), **reading)
    limit = CurrentLimit(made, 1, cells=len(made.cell_voltages_mv()), charging=charging, linear=linear)
    before = limit.live(0).value
    made.answer(1, **without(reading, lost))
    for at_s in (1, 30, 59):
        assert limit.live(at_s * 1_000_000).value <= before


@given(good, losses, st.booleans(), st.booleans())
def test_what_stays_lost_is_never_the_maximum(reading, lost, charging, linear):
    """C1: after the minute less than everything is allowed, and 0 only where something that is known says so."""
    made = MadeBattery(known())
    made.answer(0, voltage_mv=sum(reading["cells_mv"]), **reading)
    limit = CurrentLimit(made, 1, cells=len(made.cell_voltages_mv()), charging=charging, linear=linear)
    limit.live(0)
    made.answer(1, **without(reading, lost))
    limit.live(1_000_000)
    after = limit.live(62_000_000)
    assert after.value <= 0.2 * limit.max_ma
    assert after.value > 0 or after.stops
