"""Bulk, absorption, float: every dwell at its exact second."""

import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from core.limits.phases import ChargePhase, PhaseInputs, PhaseMachine

BULK, ABSORPTION, FLOAT = ChargePhase.BULK, ChargePhase.ABSORPTION, ChargePhase.FLOAT
AT_TARGET = PhaseInputs(16, 55_200 - 320, 55_200, 53_600, None, 950, (("a", 900),))
"""Exactly 20 mV per cell below the target: the lowest voltage that counts as reached."""
BELOW = evolve(AT_TARGET, voltage_mv=55_200 - 321)
LEFT = evolve(AT_TARGET, voltage_mv=55_200 - 801)
RESTING = evolve(AT_TARGET, voltage_mv=53_600)
EMPTYING = evolve(AT_TARGET, voltage_mv=53_600 - 801, soc_permille=None)


class Machine:
    """A phase machine with a clock."""

    def __init__(self, state=None, **options):
        options = {"switching": True, "absorption_max_s": 14_400, "rebulk_permille": 900, **options}
        self.machine = PhaseMachine(state=state or {}, **options)
        self.now_s = 1000

    def run(self, inputs, seconds=1):
        """*seconds* ticks; the phase after the last one."""
        for _ in range(seconds):
            self.machine.tick(inputs, self.now_s * 1_000_000)
            self.now_s += 1
        return self.machine.phase

    def until_change(self, inputs, most=20_000):
        """How many ticks until the phase is another."""
        before = self.machine.phase
        return next((n for n in range(1, most) if self.run(inputs) is not before), None)


def floating(**options):
    """A machine that has just entered float."""
    made = Machine(**options)
    made.until_change(AT_TARGET)
    made.until_change(AT_TARGET)
    assert made.machine.phase is FLOAT
    return made


def absorbing(state=None, **options):
    """A machine that has just entered absorption."""
    made = Machine(state, **options)
    made.until_change(AT_TARGET)
    return made


def test_bulk_ends_after_60_s_at_the_target():
    """20 mV per cell below the target is reached; the 61st tick ends the 60 s that the first began."""
    assert Machine().until_change(AT_TARGET) == 61
    assert absorbing().machine.phase is ABSORPTION


def test_a_millivolt_less_is_not_reached():
    """Bulk does not end by patience."""
    assert Machine().until_change(BELOW) is None


def test_one_tick_below_begins_the_60_s_anew():
    """C5: the timer is cancelled when the voltage falls."""
    machine = Machine()
    machine.run(AT_TARGET, 60)
    machine.run(BELOW)
    assert machine.until_change(AT_TARGET) == 61


def test_absorption_lasts_as_long_as_configured():
    """The 900th second after its first tick ends it."""
    machine = absorbing()
    assert machine.until_change(AT_TARGET) == 900
    assert machine.machine.phase is FLOAT


@pytest.mark.parametrize(("needs", "ticks"), [((0, 0), 1), ((900, 1200), 1200), ((10,), 10)])
def test_absorption_waits_for_every_live_battery(needs, ticks):
    """It ends when the last battery that is live has had its own time."""
    inputs = evolve(AT_TARGET, live=tuple(("b{}".format(n), need) for n, need in enumerate(needs)))
    machine = Machine()
    machine.until_change(inputs)
    assert machine.until_change(inputs) == ticks


def test_absorption_is_left_after_30_s_far_below():
    """More than 50 mV per cell below the target for 30 s is bulk again; a shorter cloud is not."""
    machine = absorbing()
    assert machine.run(LEFT, 30) is ABSORPTION
    machine.run(AT_TARGET)
    assert machine.until_change(LEFT) == 31
    assert machine.machine.phase is BULK


def test_between_the_two_thresholds_absorption_goes_on():
    """Exactly 50 mV per cell below the target still absorbs."""
    machine = absorbing()
    assert machine.run(evolve(AT_TARGET, voltage_mv=55_200 - 800), 800) is ABSORPTION


def test_absorption_never_lasts_longer_than_its_maximum():
    """ABSORPTION_MAX_SEC ends it in any case, and returns to bulk do not begin it anew."""
    never = evolve(AT_TARGET, live=(("a", 86_400),))
    machine = Machine()
    machine.until_change(never)
    assert machine.until_change(never) == 14_400
    machine = Machine()
    machine.until_change(never)
    machine.run(never, 14_000)
    machine.run(evolve(never, voltage_mv=54_000), 31)
    assert machine.until_change(never) == 61
    assert machine.until_change(never) == 14_400 - 14_000 - 31


def test_a_short_return_to_bulk_keeps_the_accumulated_time():
    """Less than 10 minutes away, the seconds had before still count."""
    machine = absorbing()
    machine.run(AT_TARGET, 500)
    machine.run(LEFT, 31)
    assert machine.run(LEFT, 538) is BULK
    assert machine.until_change(AT_TARGET) == 61
    assert machine.until_change(AT_TARGET) == 900 - 500 - 31


def test_after_ten_minutes_in_bulk_absorption_begins_anew():
    """At 600 s away the accumulated time is forgotten."""
    machine = absorbing()
    machine.run(AT_TARGET, 500)
    machine.run(LEFT, 31)
    machine.run(LEFT, 539)
    assert machine.until_change(AT_TARGET) == 61
    assert machine.until_change(AT_TARGET) == 900


def test_a_high_cell_lets_absorption_begin_at_the_lowered_limit():
    """While the high-cell rule holds the limit down, reaching that is reaching the target."""
    held = evolve(AT_TARGET, limited_mv=54_000, voltage_mv=54_000 - 320)
    assert Machine().until_change(held) == 61
    assert Machine().until_change(evolve(held, voltage_mv=54_000 - 321)) is None
    machine = absorbing()
    assert machine.run(evolve(held, voltage_mv=54_000 - 800), 100) is ABSORPTION
    assert machine.until_change(evolve(held, voltage_mv=54_000 - 801)) == 31


def test_float_ends_when_the_state_of_charge_has_come_down():
    """At or above the level once since float began, and then below it: bulk at once."""
    machine = floating()
    assert machine.run(RESTING, 10) is FLOAT
    assert machine.run(evolve(RESTING, soc_permille=900), 10) is FLOAT
    assert machine.run(evolve(RESTING, soc_permille=899)) is BULK


@pytest.mark.parametrize("soc_permille", [0, 500, 899, None])
def test_a_gauge_that_is_stuck_low_or_silent_does_not_flap(soc_permille):
    """C2: a state of charge that never was high, or is unknown, ends no float."""
    machine = floating()
    assert machine.run(evolve(RESTING, soc_permille=soc_permille), 5_000) is FLOAT


def test_a_full_cycle_with_a_stuck_gauge_floats_once():
    """A gauge stuck at 50 % at full voltage: one absorption, then float for good."""
    machine, stuck = Machine(), evolve(AT_TARGET, soc_permille=500)
    phases = [machine.run(stuck) for _ in range(5_000)]
    assert (phases.count(BULK), phases.count(ABSORPTION)) == (60, 900)


@pytest.mark.parametrize("soc_permille", [None, 500])
def test_without_a_believable_gauge_the_voltage_ends_float(soc_permille):
    """More than 50 mV per cell below float for 10 minutes is bulk."""
    machine = floating()
    low = evolve(EMPTYING, soc_permille=soc_permille)
    machine.run(low, 600)
    machine.run(evolve(low, voltage_mv=53_600 - 800))
    assert machine.machine.phase is FLOAT
    assert machine.until_change(low) == 601


def test_float_forgets_the_absorption_that_led_to_it():
    """The next absorption has its whole time again."""
    machine = floating()
    machine.run(RESTING, 5)
    machine.run(evolve(RESTING, soc_permille=800))
    assert machine.until_change(AT_TARGET) == 61
    assert machine.until_change(AT_TARGET) == 900


def test_unknown_voltage_changes_no_phase():
    """C2, C9: neither an exception nor a phase follows from nothing."""
    unknown = evolve(AT_TARGET, voltage_mv=None, soc_permille=None)
    assert Machine().run(unknown, 2_000) is BULK
    assert floating().run(unknown, 2_000) is FLOAT
    assert absorbing().run(unknown, 100) is ABSORPTION


def test_no_time_passes_in_a_pause():
    """While nothing is known nothing accumulates, and dwells begin anew."""
    machine = absorbing()
    machine.run(AT_TARGET, 100)
    machine.machine.pause()
    machine.now_s += 5_000
    assert machine.until_change(AT_TARGET) == 801
    machine = Machine()
    machine.run(AT_TARGET, 60)
    machine.machine.pause()
    assert machine.until_change(AT_TARGET) == 61


def test_without_float_switching_it_is_always_bulk():
    """CVCM_ENABLE off: the target never leaves bulk, not even by a former run's state."""
    state = floating().machine.state()
    machine = Machine(state, switching=False)
    assert machine.run(AT_TARGET, 3_000) is BULK


@pytest.mark.parametrize(
    ("before", "then", "ticks", "after"),
    [
        ((AT_TARGET, 61 + 500), AT_TARGET, 401, FLOAT),
        ((AT_TARGET, 61 + 899), AT_TARGET, 2, FLOAT),
        ((AT_TARGET, 61 + 900), evolve(RESTING, soc_permille=899), None, FLOAT),
        ((AT_TARGET, 61 + 901), evolve(RESTING, soc_permille=899), 1, BULK),
        ((AT_TARGET, 30), AT_TARGET, 61, ABSORPTION),
    ],
)
def test_a_restart_goes_on_where_the_last_run_was(before, then, ticks, after):
    """state() through JSON keeps phase, elapsed time and whether the gauge was high; dwells begin anew."""
    first = Machine()
    first.run(*before)
    second = Machine(json.loads(json.dumps(first.machine.state())))
    assert second.machine.state() == first.machine.state()
    assert second.until_change(then, 3_000) == ticks
    assert second.machine.phase is after


def test_time_away_survives_a_restart():
    """The 10 minutes in bulk are those of both runs together."""
    first = absorbing()
    first.run(AT_TARGET, 500)
    first.run(LEFT, 331)
    second = Machine(json.loads(json.dumps(first.machine.state())))
    second.run(LEFT, 301)
    assert second.machine.state()["absorbing_s"] == 0


def test_no_instant_is_kept():
    """C5: nothing in the state depends on when it was taken."""
    early, late = absorbing(), Machine()
    late.now_s += 10**6
    late.until_change(AT_TARGET)
    assert early.machine.state() == late.machine.state()


GARBAGE = [
    {"phase": "Float"},
    {"phase": "float", "absorbed_s": {}},
    {"phase": None, "absorbed_s": {}},
    {"phase": "Absorption", "absorbed_s": {"a": float("nan")}},
    {"phase": "Absorption", "absorbed_s": {"a": -5}},
    {"phase": "Absorption", "absorbed_s": {"a": True}},
    {"phase": "Absorption", "absorbed_s": {"a": "9"}},
    {"phase": "Absorption", "absorbed_s": [900]},
    {"phase": "Absorption", "absorbed_s": {}, "absorbing_s": None},
    {"phase": "Absorption", "absorbed_s": {}, "away_s": 1e12},
    {"phase": "Absorption", "absorbed_s": {}, "away_s": float("inf")},
]


@pytest.mark.parametrize("state", GARBAGE)
def test_garbage_of_a_former_run_is_as_nothing(state):
    """What does not fit is as if it had not been kept."""
    assert Machine(state).machine.state() == Machine().machine.state()


@pytest.mark.parametrize("phase", [[], {}, ["Float"]])
def test_a_phase_that_is_no_word_is_as_nothing(phase):
    """No kept state may keep the program from starting."""
    assert Machine({"phase": phase, "absorbed_s": {}}).run(AT_TARGET) is BULK


inputs_of = st.builds(
    PhaseInputs,
    st.just(16),
    st.none() | st.integers(0, 90_000),
    st.just(55_200),
    st.just(53_600),
    st.none() | st.integers(50_000, 55_200),
    st.none() | st.integers(0, 1000),
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 900)), max_size=2, unique_by=lambda each: each[0]),
)


@given(st.lists(st.tuples(inputs_of, st.sampled_from([1, 31, 61, 601])), max_size=12))
def test_float_is_reached_only_through_absorption(steps):
    """Whatever is read, no phase is skipped, nothing is negative, and a JSON round trip changes nothing."""
    machine = Machine()
    before = machine.machine.phase
    for inputs, seconds in steps:
        for _ in range(seconds):
            after = machine.run(inputs)
            assert (before, after) not in {(BULK, FLOAT), (FLOAT, ABSORPTION)}
            before = after
        state = machine.machine.state()
        assert all(value >= 0 for value in (state["absorbing_s"], state["away_s"], *state["absorbed_s"].values()))
        assert Machine(json.loads(json.dumps(state))).machine.state() == state
