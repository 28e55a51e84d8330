"""Numbers without gaps, uptime that never runs backwards, and the clock that somebody set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import ClockStepped, Event, SessionEnded
from core.sequencer import STEP_US, Sequencer

FACT = SessionEnded("stopped")
WALL_US = 1_700_000_000_000_000


def test_first_event_is_numbered_as_asked():
    """Numbers go on from where the log ended; the first event cannot tell of a step."""
    sequencer = Sequencer(boot=3, next_number=17)
    assert [Event(17, 3, 5, WALL_US, FACT)] == sequencer.number(FACT, 5, WALL_US)
    assert [Event(18, 3, 6, WALL_US + 1, FACT)] == sequencer.number(FACT, 6, WALL_US + 1)


@pytest.mark.parametrize(
    ("moved_us", "stepped"),
    [
        (0, False),
        (STEP_US - 1, False),
        (1 - STEP_US, False),
        (STEP_US, True),
        (-STEP_US, True),
        (-3600 * STEP_US, True),
    ],
)
def test_a_set_clock_is_an_event_of_its_own(moved_us, stepped):
    """A second or more against uptime is a step, told before the fact; less is NTP's slewing."""
    sequencer = Sequencer(boot=1, next_number=1)
    sequencer.number(FACT, 0, WALL_US)
    wall_us = WALL_US + 10 + moved_us
    told = [Event(2, 1, 10, wall_us, ClockStepped(moved_us))] if stepped else []
    assert [*told, Event(2 + stepped, 1, 10, wall_us, FACT)] == sequencer.number(FACT, 10, wall_us)


def test_a_step_is_told_once():
    """What follows a step is measured against the new time."""
    sequencer = Sequencer(boot=1, next_number=1)
    sequencer.number(FACT, 0, WALL_US)
    sequencer.number(FACT, 10, WALL_US + STEP_US * 5)
    assert len(sequencer.number(FACT, 20, WALL_US + STEP_US * 5 + 10)) == 1


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 2 * 10**15)), max_size=30))
def test_order(times):
    """Whatever the clocks say: numbers count on by one and uptime never falls."""
    sequencer = Sequencer(boot=1, next_number=1)
    made = [event for uptime_us, wall_us in times for event in sequencer.number(FACT, uptime_us, wall_us)]
    uptimes_us = [event.uptime_us for event in made]
    assert list(range(1, len(made) + 1)) == [event.number for event in made]
    assert sorted(uptimes_us) == uptimes_us
