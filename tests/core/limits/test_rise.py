"""Limits fall at once and rise with patience."""

from hypothesis import given
from hypothesis import strategies as st

from core.limits.limit import Limit, amperes
from core.limits.rise import Rise

targets = st.lists(st.integers(0, 100_000), min_size=1, max_size=80)


def charge():
    """A rise as that of the charge current limit."""
    return Rise(hold_s=30, rate=5000, show=amperes)


def followed(rise, values, start_s=1000):
    """The results for one target per second."""
    return [rise.follow(Limit(each, "{}", (each,)), (start_s + n) * 1_000_000).value for n, each in enumerate(values)]


def test_the_first_target_holds_as_it_is():
    """There is no ramp before there was a limit."""
    assert followed(charge(), [70_000]) == [70_000]


def test_falls_at_once():
    """A lower target holds in the very tick."""
    assert followed(charge(), [70_000, 69_900, 0]) == [70_000, 69_900, 0]


def test_rises_after_its_hold_along_its_ramp():
    """30 s held, counted from the tick before, then 5 A more per second, up to the target and no further."""
    results = followed(charge(), [10_000] + [23_000] * 40)
    assert results[:30] == [10_000] * 30
    assert results[30:35] == [10_000, 15_000, 20_000, 23_000, 23_000]


def test_without_a_hold_the_first_step_is_one_rate():
    """A ramp without a hold begins at the tick before."""
    assert followed(Rise(hold_s=0, rate=20_000, show=amperes), [0, 90_000, 90_000]) == [0, 20_000, 40_000]


def test_a_fall_during_the_ramp_begins_the_hold_anew():
    """Whoever was just lowered waits again."""
    results = followed(charge(), [0] + [50_000] * 33 + [5_000] + [50_000] * 32)
    assert results[33] == 15_000
    assert results[34:65] == [5_000] * 31
    assert results[65] == 10_000


def test_a_target_that_moves_above_does_not_disturb_the_ramp():
    """What happens above the present value is of no concern to the hold."""
    moving = [0] + [50_000 + n % 7 for n in range(40)]
    assert followed(charge(), moving)[30:34] == [0, 5_000, 10_000, 15_000]


def test_a_late_tick_does_not_jump_over_the_hold():
    """After a gap of an hour in the ticks a hold still begins now."""
    rise = charge()
    followed(rise, [0], start_s=10)
    assert followed(rise, [50_000] * 31, start_s=3610) == [0] * 30 + [5_000]


def test_begin_at_goes_on_from_there():
    """A value that was set is where the next hold begins."""
    rise = charge()
    followed(rise, [70_000])
    rise.begin_at(1_000)
    assert followed(rise, [70_000] * 31, start_s=2000) == [1_000] * 30 + [6_000]


def test_texts_tell_the_whole_ramp():
    """Hold and ramp name start, time and rate: enough to compute the limit again."""
    rise = charge()
    rise.follow(Limit(0, "nothing"), 100_000_000)
    texts = [rise.follow(Limit(9_000, "why"), (101 + n) * 1_000_000).text() for n in range(32)]
    assert texts[0] == "held at 0 A, may rise from 130 s of uptime (why)"
    assert texts[30] == "rising from 0 A at 130 s of uptime, 5 A a second (why)"
    assert texts[31] == "why"


@given(targets, st.sampled_from([0, 3, 30]), st.sampled_from([1.0, 5_000.0, 20_000.0]))
def test_never_above_the_target_and_never_faster_than_the_rate(values, hold_s, rate):
    """Whatever the targets do, no result exceeds its target, and none its predecessor by more than the rate."""
    results = followed(Rise(hold_s=hold_s, rate=rate, show=amperes), values)
    assert all(result <= value for result, value in zip(results, values))
    assert all(after <= before + rate * (1 + 1e-9) for before, after in zip(results, results[1:]))


@given(targets)
def test_a_lower_target_is_followed_exactly(values):
    """Whenever the target is not above what held before, it is the result."""
    results = followed(charge(), values)
    for before, value, result in zip(results, values[1:], results[1:]):
        assert value > before or result == value
