"""/TimeToSoC and /TimeToGo: seconds, a clock, or both; unknown where the current does not lead there."""

import pytest

from core.configuration import PARALLEL, SERIES, SINGLE
from tests.core.banks import Story, member

POINTS = (0, 50, 100)
DOWN = {"current_ma": -10_000, "soc_pct": 60, "remaining_mah": 60_000}
UP = {**DOWN, "current_ma": 10_000}


def times(frames, **options):
    """The value at each point of a 100 Ah battery at 60 %."""
    options.setdefault("time_to_soc_points", POINTS)
    story = Story(frames, topology=SINGLE, **options).run(10)
    return [story.items["/TimeToSoC/{}".format(point)] for point in options["time_to_soc_points"]]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(1, [21_600, 3600, None]), (2, ["6:00:00", "1:00:00", None]), (3, ["21600 [6:00:00]", "3600 [1:00:00]", None])],
)
def test_the_three_ways_to_say_it(kind, expected):
    """C.7: TIME_TO_SOC_VALUE_TYPE 1 is whole seconds, 2 a clock, 3 both; what lies behind is unknown."""
    found = times(member(**DOWN), time_to_soc_type=kind)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_charging_leads_up():
    """40 % of 100 Ah at 10 A."""
    assert times(member(**UP), time_to_soc_type=1) == [None, None, 14_400]


def test_points_that_were_passed():
    """TIME_TO_SOC_INC_FROM: how long ago, negative."""
    assert times(member(**UP), time_to_soc_type=1, time_to_soc_passed=True) == [-21_600, -3600, 14_400]
    assert times(member(**UP), time_to_soc_type=2, time_to_soc_passed=True)[1] == "-1:00:00"


@pytest.mark.parametrize("changes", [{"current_ma": 0}, {"soc_pct": 101}, {"nominal_mah": 0}])
def test_what_cannot_be_computed_is_unknown(changes):
    """V12: no current, no state of charge, no capacity."""
    assert times(member(**{**DOWN, **changes})) == [None] * 3


def test_no_points_no_paths():
    """agi made two paths that it never filled."""
    story = Story(member(**DOWN), topology=SINGLE).run(10)
    assert not [path for path in story.items if path.startswith("/TimeToSoC")]


def test_refreshed_by_cycles_and_invalid_at_once():
    """Every TIME_TO_SOC_LOOP_CYCLES polls, at least 10 s apart; with the reading it is gone in the same tick."""
    options = {"time_to_soc_points": (0,), "time_to_soc_cycles": 4, "time_to_soc_type": 1}
    story = Story(member(**DOWN), topology=SINGLE, **options).run(1)
    for minute in range(12):
        story.members[0] = member(**{**DOWN, "current_ma": -10_000 - 100 * minute})
        story.run(10)
    told = [at_s for at_s, _ in story.history("/TimeToSoC/0")]
    assert told == [101, 140, 160, 180, 200, 220]
    story.run(30, silent={1})
    assert story.history("/TimeToSoC/0")[-1] == (story.history("/Dc/0/Voltage")[-1][0], None)


def test_time_to_go_is_seconds_to_the_warning():
    """C.2: a number; until SOC_LOW_WARNING at the present current; unknown unless discharging."""
    assert Story(member(**DOWN), topology=SINGLE).run(10).items["/TimeToGo"] == 14_400
    assert Story(member(**UP), topology=SINGLE).run(10).items["/TimeToGo"] is None
    assert Story(member(**{**DOWN, "current_ma": -10}), topology=SINGLE).run(10).items["/TimeToGo"] == 864_000


def test_no_time_to_go_while_a_string_is_not_whole():
    """The current of a STALE string is known and its SoC is held: that makes no time."""
    story = Story(member(**DOWN), member(**DOWN), topology=SERIES).run(10).run(30, silent={2})
    assert (story.items["/Dc/0/Current"], story.items["/Soc"], story.items["/TimeToGo"]) == (-10.0, 60.0, None)


@pytest.mark.parametrize(("topology", "seconds"), [(SERIES, 14_400), (PARALLEL, 14_400)])
def test_of_a_bank(topology, seconds):
    """Two equal batteries last as long as one, in a row and side by side, each with its own current."""
    story = Story(member(**DOWN), member(**DOWN), topology=topology, time_to_soc_points=(20,), time_to_soc_type=1).run(
        10
    )
    assert (story.items["/TimeToGo"], story.items["/TimeToSoC/20"]) == (seconds, seconds)


@pytest.mark.parametrize(
    "topology",
    [
        SERIES,
        PARALLEL,
    ],
)
def test_no_time_from_a_held_state_of_charge(topology):
    """A time to a state of charge is not on the list of what may outlive its reading: it goes as TimeToGo does."""
    story = Story(member(**DOWN), member(**DOWN), topology=topology, time_to_soc_points=(20,)).run(10)
    story.run(40, silent={2})
    assert (story.items["/TimeToGo"], story.items["/TimeToSoC/20"]) == (None, None)
