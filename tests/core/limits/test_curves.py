"""Look-up tables: steps, lines, and their repaired ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.limits.curves import Curve, Step

ASCENDING = Curve(((10, 0.1), (20, 0.3), (30, 1.0)))
HILL = Curve(((0, 0.0), (20, 0.1), (200, 1.0), (350, 1.0), (400, 0.4), (550, 0.0)))


@st.composite
def curves(draw):
    """Any table that a configuration may hold."""
    inputs = sorted(draw(st.sets(st.integers(-1000, 5000), min_size=1, max_size=8)))
    fractions = st.floats(0, 1) | st.sampled_from([0.0, 1.0])
    return Curve(tuple((each, draw(fractions)) for each in inputs))


values = st.integers(-70_000, 70_000) | st.floats(-2000, 6000)


@pytest.mark.parametrize("points", [(), ((1, 0.5), (1, 1.0)), ((2, 0.5), (1, 1.0))])
def test_points_must_ascend(points):
    """A table without points, or with two at one place, or backwards, is refused."""
    with pytest.raises(ValueError, match="do not ascend"):
        Curve(points)


@pytest.mark.parametrize(
    ("value", "left", "right", "line"),
    [
        (-5, 0.1, 0.1, 0.1),
        (10, 0.1, 0.1, 0.1),
        (10.5, 0.1, 0.3, 0.11),
        (15, 0.1, 0.3, 0.2),
        (20, 0.3, 1.0, 0.3),
        (25, 0.3, 1.0, 0.65),
        (30, 1.0, 1.0, 1.0),
        (99, 1.0, 1.0, 1.0),
    ],
)
def test_neighbours(value, left, right, line):
    """A right bisect chooses the neighbours, and outside of the table its ends hold."""
    assert ASCENDING.step(value, Step.LEFT).fraction == left
    assert ASCENDING.step(value, Step.RIGHT).fraction == right
    assert ASCENDING.line(value).fraction == pytest.approx(line)


@pytest.mark.parametrize(
    ("value", "fraction"),
    [(-1, 0), (0, 0), (10, 0.05), (20, 0.1), (150, 0.1), (200, 1), (300, 1), (350, 1), (351, 0.4), (370, 0.4),
     (400, 0.4), (475, 0.2), (549, 0.4 / 150), (550, 0), (900, 0)],
)  # fmt: skip
def test_stricter_step(value, fraction):
    """The stricter neighbour, and towards 0 a straight line: 0 only at the zero point itself."""
    assert HILL.step(value, Step.STRICTER).fraction == pytest.approx(fraction)


def test_smallest_is_the_smallest_that_is_not_zero():
    """What holds while an input is missing is little, but neither nothing nor everything."""
    assert (HILL.smallest, ASCENDING.smallest, Curve(((0, 0.0),)).smallest) == (0.1, 0.1, 0.0)


def test_looked_names_its_two_points():
    """A result says between which points it stands, and whether on their line or on the level of one."""
    looked = HILL.line(110)
    assert (looked.low, looked.high, looked.on_line) == ((20, 0.1), (200, 1.0), True)
    looked = HILL.step(110, Step.STRICTER)
    assert (looked.low, looked.high, looked.on_line) == ((20, 0.1), (200, 1.0), False)


@given(curves(), values)
def test_every_result_lies_between_its_neighbours(curve, value):
    """No look-up gives more than the larger or less than the smaller of its two neighbours."""
    for looked in (curve.line(value), *(curve.step(value, step) for step in Step)):
        low, high = sorted((looked.low[1], looked.high[1]))
        assert low - 1e-12 <= looked.fraction <= high + 1e-12
        assert curve.points[0][0] >= value or looked.low[0] <= value


@given(curves(), values)
def test_the_stricter_step_never_allows_more_than_the_line(curve, value):
    """The repair of defect C10: in steps a temperature table is nowhere laxer than in lines."""
    assert curve.step(value, Step.STRICTER).fraction <= curve.line(value).fraction + 1e-12


@given(curves(), values)
def test_the_stricter_step_is_zero_only_where_the_line_is(curve, value):
    """The other half of C10: no table jumps to 0 before its own zero point."""
    if curve.line(value).fraction > 0:
        assert curve.step(value, Step.STRICTER).fraction > 0
