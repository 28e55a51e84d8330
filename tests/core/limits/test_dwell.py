"""Conditions that count only after they have lasted."""

from hypothesis import given
from hypothesis import strategies as st

from core.limits.dwell import Dwell, Flag


def test_fulfilled_at_the_exact_microsecond():
    """Not a microsecond before its time, and from then on for as long as the condition holds."""
    dwell = Dwell(60)
    assert [dwell.fulfilled(True, now_us) for now_us in (5, 60_000_004, 60_000_005, 99_000_000)] == [
        False, False, True, True,
    ]  # fmt: skip


def test_a_break_begins_anew():
    """One tick without the condition forgets all that came before."""
    dwell = Dwell(2)
    given_true = [True, True, False, True, True, True]
    assert [dwell.fulfilled(each, n * 1_000_000) for n, each in enumerate(given_true)] == [False] * 5 + [True]


def test_reset_begins_anew():
    """After a reset the whole time is needed again."""
    dwell = Dwell(1)
    dwell.fulfilled(True, 0)
    dwell.reset()
    assert not dwell.fulfilled(True, 1_000_000)
    assert dwell.fulfilled(True, 2_000_000)


def test_no_time_is_fulfilled_at_once():
    """A dwell of 0 s is the condition itself."""
    assert Dwell(0).fulfilled(True, 7)
    assert not Dwell(0).fulfilled(False, 8)


def test_flag_is_raised_and_taken_back_late():
    """A warning takes as long to go as to come."""
    flag = Flag(2)
    conditions = [True] * 4 + [False] * 4
    raised = [flag.update(each, n * 1_000_000) for n, each in enumerate(conditions)]
    assert raised == [False, False, True, True, True, True, False, False]


def test_flag_ignores_a_flicker():
    """A condition that comes and goes faster than the flag's time changes nothing."""
    flag = Flag(2)
    assert not any(flag.update(n % 2 == 0, n * 1_000_000) for n in range(50))


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 9))
def test_dwell_is_what_its_definition_says(conditions, seconds):
    """Fulfilled exactly when the last *seconds* + 1 ticks of a second were all true."""
    dwell = Dwell(seconds)
    for n, condition in enumerate(conditions):
        window = conditions[max(0, n - seconds) : n + 1]
        assert dwell.fulfilled(condition, n * 1_000_000) == (len(window) == seconds + 1 and all(window))
