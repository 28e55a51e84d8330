"""The alarms of a bank: the worst of its live batteries, the link of the whole, and what only a bank can raise."""

import pytest

from core.alarms import CableAlarm
from core.configuration import PARALLEL, SERIES, SINGLE
from core.protections import ALARM_NAMES
from tests.core.banks import Story, known, member

CELL_HIGH, PACK_LOW, COLD = 1 << 0, 1 << 3, 1 << 5
QUICK = {"hold_seconds": 30, "remove_seconds": 600}
CABLE = "/Alarms/BmsCable"


def levels(story, *names):
    return [story.items["/Alarms/" + name] for name in names]


@pytest.mark.parametrize("topology", [SERIES, PARALLEL])
def test_the_worst_of_all(topology):
    """B11: whoever raises an alarm, it is raised; a warning and an alarm are an alarm."""
    story = Story(
        member(protection=CELL_HIGH),
        member(protection=PACK_LOW),
        member(soc_pct=15),
        member(soc_pct=5),
        topology=topology,
    ).run(20)
    assert levels(story, "HighCellVoltage", "LowVoltage", "LowSoc", "HighTemperature") == [2, 2, 2, 0]


def test_a_silent_battery_has_no_say():
    """Alarms are of live batteries: they go with the reading that raised them."""
    story = Story(member(protection=CELL_HIGH), member(soc_pct=15), topology=PARALLEL).run(20)
    assert levels(story.run(30, silent={1}), "HighCellVoltage", "LowSoc") == [0, 1]
    assert levels(story.run(30, silent={1, 2}), "HighCellVoltage", "LowSoc") == [None, None]


@pytest.mark.parametrize("topology", [SINGLE, SERIES, PARALLEL])
def test_nobody_there_nothing_judged(topology):
    """B6: with everybody lost all alarms are unknown, except that of the link."""
    story = Story(*[member()] * (1 if topology == SINGLE else 2), topology=topology, **QUICK).run(20)
    story.run(60, silent={1, 2})
    assert {story.items["/Alarms/" + name] for name in ALARM_NAMES} == {None}
    assert story.items[CABLE] == 1


def cable_story(topology):
    """Two members: the second, then both, then one, then none are silent, each for 200 s."""
    story = Story(member(), member(), topology=topology, every_s=5, **QUICK).run(20)
    return story.run(200, silent={2}).run(200, silent={1, 2}).run(200, silent={1}).run(200)


def test_the_link_of_a_parallel_bank():
    """1 when one is lost; 2 when all have been for a minute; 1 when one is back; 0 after a minute of all."""
    rows = cable_story(PARALLEL).history(CABLE)
    assert [level for _, level in rows] == [0, 1, 2, 1, 0]
    assert [at_s for at_s, _ in rows if at_s < 300 or at_s > 500] == [101, 146, 521, 781]


def test_the_link_of_a_string():
    """One lost is the whole lost: 1, a minute later 2, and back only with everybody."""
    assert cable_story(SERIES).history(CABLE) == [(101, 0), (146, 1), (206, 2), (781, 0)]


def test_a_member_that_never_answered_is_lost():
    """D.4: START_WAIT_SECONDS are over and it was never seen."""
    story = Story(member(), None, topology=PARALLEL, start_wait_seconds=20).run(30)
    assert story.history(CABLE) == [(120, 1)]


@pytest.mark.parametrize(
    ("spans", "changes"),
    [
        ([("some", 500)], [(0, 1)]),
        ([("all", 100)], [(0, 1), (60, 2)]),
        ([("some", 100), ("all", 100)], [(0, 1), (160, 2)]),
        ([("all", 70), ("good", 100)], [(0, 1), (60, 2), (130, 0)]),
        ([("some", 10), ("good", 50), ("stale", 5), ("good", 100)], [(0, 1), (125, 0)]),
        ([("all", 70), ("some", 100)], [(0, 1), (60, 2), (70, 1)]),
        ([("stale", 100), ("good", 100)], []),
    ],
)
def test_levels_of_the_link(spans, changes):
    """Up at once to 1, after a minute of all to 2; down only after a minute that was good without a break."""
    states = [state for state, seconds in spans for _ in range(seconds)]
    cable, before, found = CableAlarm(), 0, []
    for second, state in enumerate(states):
        level = cable.level(state in ("some", "all"), state == "all", state == "good", second * 1_000_000)
        found += [(second, level)] if level != before else []
        before = level
    assert found == changes


@pytest.mark.parametrize("fet", [0, 1, 2])
def test_an_open_switch_interrupts_a_string(fet):
    """6.3: in series an open FET sees the voltage of all: a warning; no charge, or no discharge."""
    story = Story(member(), member(fet=fet), topology=SERIES).run(20)
    assert levels(story, "InternalFailure") == [1]
    assert (story.items["/Io/AllowToCharge"], story.items["/Io/AllowToDischarge"]) == (fet & 1, fet >> 1)
    assert (story.items["/Info/MaxChargeCurrent"] > 0, story.items["/Info/MaxDischargeCurrent"] > 0) == (
        fet == 1,
        fet == 2,
    )
    assert story.items["/System/NrOfModulesBlockingCharge"] == 1 - (fet & 1)


@pytest.mark.parametrize("topology", [SINGLE, PARALLEL])
def test_an_open_switch_elsewhere_is_no_failure(topology):
    """One battery, or one of several side by side, may have its switch open."""
    story = Story(member(fet=0), *[member()] * (topology == PARALLEL), topology=topology).run(20)
    assert levels(story, "InternalFailure") == [0]
    assert story.items["/System/NrOfModulesBlockingCharge"] == 1


def test_v10_a_parallel_battery_with_an_open_switch():
    """V4, V10: it contributes nothing: the limits are those of the other alone, and charging goes on."""
    story = Story(member(fet=0), member(), topology=PARALLEL).run(20)
    assert (story.items["/Info/MaxChargeCurrent"], story.items["/Info/MaxDischargeCurrent"]) == (70.0, 90.0)
    assert (story.items["/Io/AllowToCharge"], story.items["/System/NrOfModulesBlockingDischarge"]) == (1, 1)


def test_an_open_switch_does_not_flap():
    """C.5: an alarm once raised stays up for 10 s: every rise is a notification."""
    story = Story(member(), member(), topology=SERIES, every_s=2).run(20)
    story.members[1] = member(fet=1)
    story.run(2)
    story.members[1] = member()
    (_, zero), (up_s, one), (down_s, end) = story.run(30).history("/Alarms/InternalFailure")
    assert (zero, one, end) == (0, 1, 0)
    assert down_s - up_s >= 10


@pytest.mark.parametrize(
    ("topology", "odd", "alarm"),
    [
        (PARALLEL, member(soc_pct=70), "CellImbalance"),
        (PARALLEL, member(current_ma=30_000), "CellImbalance"),
        (PARALLEL, member((3425,) * 4), "CellImbalance"),
        (SERIES, member(soc_pct=70), "CellImbalance"),
        (SERIES, member(current_ma=30_000), "InternalFailure"),
    ],
)
def test_batteries_that_do_not_pull_together(topology, odd, alarm):
    """6.2, 6.3: a warning after a minute, and nothing but the named alarm."""
    story = Story(member(), odd, topology=topology, every_s=5).run(100)
    assert [level for _, level in story.history("/Alarms/" + alarm)] == [0, 1]
    raised = {path for path, value in story.items.items() if path.startswith("/Alarms/") and value}
    assert raised == {"/Alarms/" + alarm}


def test_v7_an_imbalance_moves_no_limit():
    """V7: with the flag up the charge voltage is what it was, and the currents too."""
    story = Story(member(soc_pct=50), member(soc_pct=70), topology=PARALLEL, every_s=5).run(300)
    assert story.items["/Parallel/SocImbalance"] == 1
    for path in ("/Info/MaxChargeVoltage", "/Info/MaxChargeCurrent", "/Info/MaxDischargeCurrent"):
        assert len(story.history(path)) == 1


def test_no_limits_although_there_should_be():
    """A cell count that the owner contradicts: no limits, an alarm, and the reason."""
    story = Story(member(), topology=SINGLE, configured=[known(1, cell_count=8)]).run(20)
    assert levels(story, "InternalFailure") == [1]
    assert "/Info/MaxChargeVoltage" not in story.items
    assert "CELL_COUNT = 8" in story.view.problems["ble_1"]
