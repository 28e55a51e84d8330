"""Who is in a bank, how fresh the whole is, when it begins, and whom it does not take in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bank import most_silent
from core.configuration import PARALLEL, SERIES, SINGLE
from core.presence import Phase
from tests.core.banks import FOUR, NOW_S, Story, bank, member
from tests.core.made import basic, cells, event, reading

START, LIVE, STALE, LOST, GONE = Phase
ages = st.sampled_from([0, 15, 15.1, 120, 120.1, 360, 360.1, 2000])


def phases(made):
    return [each.phase for each in made.members]


@given(st.lists(ages, min_size=1, max_size=4))
@settings(max_examples=80)
def test_a_string_is_as_old_as_its_oldest(ages_s):
    """Series: the whole is in the phase of the member that is silent longest (D.4)."""
    made = bank(SERIES, *[member()] * len(ages_s), ages_s=ages_s)
    assert made.phase is phases(made)[ages_s.index(max(ages_s))]


@given(st.lists(ages, min_size=1, max_size=4))
@settings(max_examples=80)
def test_a_parallel_bank_is_as_young_as_its_youngest(ages_s):
    """Parallel: members drop out one by one, and the last one takes the whole along (D.4)."""
    made = bank(PARALLEL, *[member()] * len(ages_s), ages_s=ages_s)
    assert made.phase is phases(made)[ages_s.index(min(ages_s))]


@pytest.mark.parametrize("topology", [SINGLE, SERIES])
def test_a_string_waits_for_everybody(topology):
    """B9: with one battery that never answers there is no string, however long one waits."""
    members = [None] if topology == SINGLE else [member(), None]
    assert Story(*members, topology=topology).run(400).publications == []


@pytest.mark.parametrize(("late_s", "joined_s"), [(0, 101), (50, 151), (300, 220)])
def test_a_parallel_bank_waits_for_a_while(late_s, joined_s):
    """It joins when all are there, or after START_WAIT_SECONDS with those who are."""
    story = Story(member(), member(), topology=PARALLEL).run(late_s, silent={2}).run(200)
    assert (story.publications[0].uptime_s, story.publications[0].change) == (joined_s, "joined")


def test_unequal_batteries_are_not_put_in_parallel():
    """Different cell counts from the start: no service, ever, and the reason names both batteries (6.2)."""
    story = Story(member(), member((3300,) * 8), topology=PARALLEL).run(300)
    assert story.publications == []
    assert story.view.problems == {
        "virtual_parallel": "parallel batteries need equal cell counts: ble_1 has 4, ble_2 has 8"
    }


def unequal_latecomer():
    """A bank of one 4S battery, which a battery of 8S joins after the wait."""
    return Story(member(), member((3300,) * 8), topology=PARALLEL, start_wait_seconds=10).run(20, silent={2}).run(60)


def test_a_latecomer_with_another_cell_count_stays_out():
    """It counts as lost, shows nothing of its own, and the reason is told; the others go on."""
    story = unequal_latecomer()
    assert (story.items["/Dc/0/Voltage"], story.items["/System/MinVoltageCellId"]) == (13.3, "B1C2")
    assert (story.items["/System/NrOfModulesOnline"], story.items["/System/NrOfModulesOffline"]) == (1, 1)
    assert (story.items["/Alarms/BmsCable"], story.items["/Info/MaxChargeVoltage"]) == (1, 13.4)
    assert (story.items["/Battery/2/Voltage"], story.items["/Battery/2/Cell/1/Voltage"]) == (None, None)
    assert "ble_2 has 8" in story.view.problems["virtual_parallel"]


def test_a_latecomer_that_falls_silent_stays_out():
    """What may not be in parallel to the others does not come in by growing stale."""
    story = unequal_latecomer()
    allowed_a = story.items["/Info/MaxDischargeCurrent"]
    story.run(30, silent={2})
    assert "Battery 2: Has 8 cells" in story.items["/ConnectionInformation"]
    assert story.items["/Info/MaxDischargeCurrent"] == allowed_a == 90.0


def test_a_latecomer_does_not_change_the_cell_count():
    """The bank has as many cells as the batteries that are in it."""
    assert unequal_latecomer().items["/System/NrOfCellsPerBattery"] == 4


def test_a_latecomer_does_not_change_the_state_of_charge():
    """A battery that is not in the bank has no weight in it."""
    story = Story(member(), member((3300,) * 8, soc_pct=90), topology=PARALLEL, start_wait_seconds=10)
    assert story.run(20, silent={2}).run(60).items["/Soc"] == 50.0


@pytest.mark.parametrize("silent_s", [130, 400])
def test_a_string_does_not_begin_with_a_lost_member(silent_s):
    """One answered and fell silent before the other came: the string waits until both are there, and nothing breaks."""
    story = Story(member(), member(), topology=SERIES).run(10, silent={2}).run(silent_s, silent={1, 2})
    assert story.run(30, silent={1}).publications == []
    assert story.run(30).items["/Connected"] == 1


@pytest.mark.parametrize("topology", [SINGLE, SERIES])
def test_a_bank_does_not_begin_while_a_cell_count_is_in_doubt(topology):
    """START lasts until all cells were told (D.4): three cells of four would fix a limit for three, for good."""
    odd = (basic(), cells(3325, 3320, 3330))
    story = Story(*[odd] * (1 if topology == SINGLE else 2), topology=topology).run(20)
    assert "/Info/MaxChargeVoltage" not in (story.items or {})
    story.members = [member()] * len(story.members)
    assert story.run(300).items["/Info/MaxChargeVoltage"] == 13.8 * len(story.members)


def test_one_odd_answer_is_no_other_battery():
    """Charge-control 5, CVL 4: a count that contradicts its own cells is doubted; the battery is there all the same."""
    story = Story(member(), member(), topology=PARALLEL).run(20)
    story.members = [(basic(cell_count=3), cells())] * 2
    story.run(10).members = [member()] * 2
    story.run(20)
    assert [value for _, value in story.history("/Connected")] == [1]
    assert [value for _, value in story.history("/Alarms/BmsCable")] == [0]
    assert [value for _, value in story.history("/Alarms/InternalFailure")] == [0, 1, 0]
    assert min(value for _, value in story.history("/Info/MaxChargeVoltage")) == 13.4


def test_a_silent_member_is_the_one_that_never_answered():
    """Of those who are silent, the one of which least is known."""
    made = bank(PARALLEL, member(), member(), member(), None, ages_s=(200, 300, 20))
    assert most_silent(made.members[:3]).number == 2
    assert made.most_silent.number == 4


@pytest.mark.parametrize(
    ("frames", "age_s", "phase"),
    [
        (member(), 1000, STALE),
        (member((3200, 3400, 3300, 3300)), 1000, STALE),
        (member((3199, 3301, 3300, 3300)), 1000, GONE),
        (member((3300, 3401, 3299, 3300)), 200, LOST),
        (member(temperatures_dc=(250, 401)), 200, LOST),
        (member(temperatures_dc=(50, 400)), 200, STALE),
        (member(temperatures_dc=()), 200, STALE),
        (member(), 1801, LOST),
        (member(), 2041, GONE),
    ],
)
def test_a_long_hold_is_for_safe_cells_only(frames, age_s, phase):
    """HOLD_SECONDS above 120 is honoured only if all cells were inside 3.20-3.40 V and temperatures in range (D.4)."""
    assert bank(SINGLE, frames, ages_s=(age_s,), hold_seconds=1800).phase is phase


def test_cells_in_doubt_are_not_safe():
    """A last reading whose cell count contradicts itself earns no long hold."""
    made = bank(SINGLE, member(), hold_seconds=1800)
    made.members[0].battery.fold(event(reading(basic(cell_count=5)), NOW_S))
    assert made.look(round((NOW_S + 121) * 1e6)) is LOST


def test_a_short_hold_needs_no_safe_cells():
    """Up to 120 s the configured hold is meant."""
    assert bank(SINGLE, member((3500,) * 4), ages_s=(61,), hold_seconds=60).phase is LOST
    assert bank(SINGLE, member((3500,) * 4), ages_s=(60,), hold_seconds=60).phase is STALE


@pytest.mark.parametrize("topology", [SERIES, PARALLEL])
def test_sixteen_members(topology):
    """Sixteen batteries are one bank, with sixteen pages."""
    story = Story(*[member()] * 16, topology=topology, remove_seconds=60).run(30)
    times = 16 if topology == SERIES else 1
    assert (story.items["/Dc/0/Voltage"], story.items["/Battery/16/Cell/4/Voltage"]) == (13.3 * times, 3.325)
    assert story.items["/Info/MaxChargeVoltage"] == pytest.approx(13.8 * times)
    assert (story.items["/System/NrOfBatteries"], story.items["/System/NrOfModulesOnline"]) == (16, 16)


def test_cells_of_a_battery_that_never_answered():
    """A parallel bank takes it to be like the others."""
    made = bank(PARALLEL, member(), None)
    assert [made.cells_of(each) for each in made.members] == [len(FOUR), len(FOUR)]
