"""Alerts of the cell monitor: one per incident, newest first, from recorded events alone, and over restarts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cell_alerts import MAX_CLOSED, alert_from, closed_text, remembered_alerts
from core.cell_monitor import ALERT_THRESHOLD, SAMPLE_INTERVAL
from core.configuration import PARALLEL, SEPARATE, SERIES, SINGLE
from core.events import AlertClosed, AlertOpened, LinkLost, SettingChanged
from tests.core.banks import member
from tests.core.watched import EVEN, Watched, apart, both, set_to

STATISTICS = "/CellMonitor/Statistics/"
COUNT, LATEST = "/CellMonitor/Alerts/Count", "/CellMonitor/Alerts/Latest"
ONE, TWO = "A4:C1:37:00:00:01", "A4:C1:37:00:00:02"
OPENED = "Battery {}: Imbalance 0.210V (min=3.195V C2, max=3.405V C3)".format(TWO)


def test_alerts_of_separate_batteries_stay_apart():
    """A monitor tells of its own battery only."""
    story = both(member(EVEN), apart(210), topology=SEPARATE).run(20)
    assert [story.shown(name)[COUNT] for name in story.services] == [0, 1]
    assert [story.shown(name)[LATEST] for name in story.services] == [None, OPENED]


def test_m2_thirty_samples_of_one_imbalance_are_one_alert():
    """M2: one per incident, however often it is seen."""
    story = both(member(EVEN), apart(210)).run(30 * 60)
    assert len(story.history(STATISTICS + "LastUpdate")) > 29
    assert story.alerts() == [AlertOpened("ble_2", "imbalance", 210, 200, 2, 3195, 3, 3405)]
    assert (story.items[COUNT], story.items[LATEST]) == (1, OPENED)


def test_m2_the_newest_comes_first():
    """M2: Latest is the newest, and recent_alerts goes back in time."""
    story = both(apart(300), member(EVEN)).run(70)
    story.members[1] = apart(210)
    story.run(70)
    assert (story.items[COUNT], story.items[LATEST]) == (2, OPENED)
    recent = story.data()["recent_alerts"]
    assert [alert["battery_id"] for alert in recent] == [TWO, ONE]
    assert recent[0]["timestamp"] > recent[1]["timestamp"]
    assert {key: recent[0][key] for key in ("type", "spread", "min", "max", "closed")} == {
        "type": "imbalance", "spread": 0.21, "min": 3.195, "max": 3.405, "closed": None,
    }  # fmt: skip


def test_m2_a_flicker_around_the_threshold_is_one_incident():
    """M2: below the threshold is not over; over is a fifth below it."""
    story = both()
    for spread_mv in (199, 200, 199, 201, 161, 230, 199, 161, 200):
        story.members[1] = apart(spread_mv)
        story.run(60)
    assert [type(fact) for fact in story.alerts()] == [AlertOpened]
    story.members[1] = apart(160)
    story.run(60)
    assert story.alerts()[1:] == [AlertClosed("ble_2", "imbalance", 160)]
    assert (story.items[COUNT], story.items[LATEST][-6:]) == (0, ", over")
    story.members[1] = apart(210)
    story.run(120)
    assert (len(story.alerts()), story.items[COUNT], story.items[LATEST]) == (3, 1, OPENED)
    newest, first = story.data()["recent_alerts"]
    assert (newest["closed"], first["closed"]) == (None, first["timestamp"] + 8 * 60)


def test_a_small_threshold_has_a_gap_too():
    """Of 10 mV a fifth would be within the scatter of the readings."""
    story = both()
    set_to(story, ALERT_THRESHOLD, 0.01)
    for spread_mv, open_then in ((10, 1), (8, 1), (6, 1), (5, 0)):
        story.members[1] = apart(spread_mv)
        assert story.run(70).items[COUNT] == open_then


def test_a_threshold_applies_to_the_very_next_sample():
    """Written now, judged at the next tick, shown at the one after it."""
    story = both(member(EVEN), apart(60)).run(25)
    assert story.alerts() == []
    set_to(story, ALERT_THRESHOLD, 0.05)
    story.run(1)
    assert story.alerts() == [AlertOpened("ble_2", "imbalance", 60, 50, 2, 3270, 3, 3330)]
    assert story.items["/Settings/CellMonitor/AlertThreshold"] == 0.05
    assert story.run(1).items[COUNT] == 1
    set_to(story, ALERT_THRESHOLD, 0.2)
    assert story.run(2).items[COUNT] == 0


def test_an_open_alert_survives_a_restart():
    """It is shown from the first tick on, not opened again, and closed by whoever sees that it is over."""
    story = both(member(EVEN), apart(210)).run(30)
    again = both(member(EVEN), apart(230), remembered=story.left()).run(200)
    assert again.alerts() == []
    assert [(at_s, value) for at_s, value in again.history(LATEST)] == [(101, OPENED)]
    assert again.data()["recent_alerts"] == story.data()["recent_alerts"]
    again.members[1] = member(EVEN)
    again.run(70)
    assert [type(fact) for fact in again.alerts()] == [AlertClosed]
    later = both(remembered=again.left()).run(70)
    assert (later.items[COUNT], later.items[LATEST]) == (0, OPENED + ", over")
    assert later.replayed() == later.publications


def test_an_alert_of_a_battery_that_is_gone_is_not_shown():
    """Who is not configured any more has no alert; back again it has."""
    left = both(member(EVEN), apart(210)).run(30).left()
    alone = Watched(member(EVEN), topology=SINGLE, remembered=left).run(100)
    assert (alone.items[COUNT], alone.items[LATEST], alone.data()["recent_alerts"]) == (0, None, [])
    assert both(remembered=alone.left()).run(1).items[COUNT] == 1


def test_only_so_many_are_kept():
    """All that are open, and the newest of those that are over."""
    story = both(apart(300), member(EVEN))
    for _ in range(MAX_CLOSED + 3):
        for spread_mv in (210, 0):
            story.members[1] = apart(spread_mv)
            story.run(60)
    recent = story.data()["recent_alerts"]
    assert len(recent) == 1 + MAX_CLOSED
    assert (recent[-1]["battery_id"], recent[-1]["closed"], story.items[COUNT]) == (ONE, None, 1)
    stamps = [alert["timestamp"] for alert in recent]
    assert stamps == sorted(stamps, reverse=True)
    assert len(story.left()["alerts"]) == 1 + MAX_CLOSED


def test_a_clock_that_is_set_moves_the_dates():
    """What happened before the clock was right is told with the right date; in another boot nothing moves."""
    story = both(member(EVEN), apart(210)).run(70)
    story.members[1] = member(EVEN)
    story.run(60)
    before = story.data()["recent_alerts"][0]
    story.step_clock(86_400)
    after = story.run(15).data()["recent_alerts"][0]
    assert (after["timestamp"], after["closed"]) == (before["timestamp"] + 86_400, before["closed"] + 86_400)
    assert story.replayed() == story.publications
    left = story.left()
    for alert in left["alerts"]:
        alert["opened"]["boot"] = 0
    later = both(remembered=left).run(10)
    later.step_clock(86_400)
    moved = later.run(15).data()["recent_alerts"][0]
    assert (moved["timestamp"], moved["closed"]) == (after["timestamp"], after["closed"] + 86_400)


def test_a_proposal_is_made_once():
    """Late ticks, several samples in one of them, alerts recorded later than the next sample: one fact each."""
    story = both(apart(300), apart(310))
    set_to(story, SAMPLE_INTERVAL, 10)
    story.answer(1, 2)
    story.view.advance(132_000_000)  # half a minute late: samples at 101, 110 and 120, stale later
    first = story.view.take_proposals()
    assert story.view.take_proposals() == []
    assert first == []  # nobody is live any more, so nobody is judged
    story.now_s = 133
    story.answer(1, 2)
    story.view.advance(141_000_000)
    opened = story.view.take_proposals()
    assert sorted(fact.battery for fact in opened) == ["ble_1", "ble_2"]
    for at_s, fact in zip((145, 151), opened):  # another sample lies between and would propose the second one again
        story.tell(fact, at_s)
    assert story.view.take_proposals() == []


def test_a_replay_piles_nothing_up():
    """Nobody asks for proposals there: at most one waits for each battery."""
    story = Watched(apart(300), topology=SINGLE)
    set_to(story, SAMPLE_INTERVAL, 10)
    for _ in range(50):
        story.answer(1)
        story.now_s += 10
        story.view.advance(story.now_s * 1_000_000)
    assert len(story.view.take_proposals()) == 1


def test_a_recorded_alert_is_what_is_shown():
    """Not what the present program would judge: a replay of an older recording shows what was shown then."""
    story = both().run(20)
    story.tell(AlertOpened("ble_1", "imbalance", 77, 50, 1, 3300, 2, 3377))
    story.tell(AlertOpened("ble_1", "imbalance", 88, 50, 1, 3300, 2, 3388))
    story.tell(AlertClosed("ble_2", "imbalance", 5))
    story.tell(AlertOpened("somebody", "imbalance", 77, 50, 1, 3300, 2, 3377))
    assert (story.run(1).items[COUNT], "0.077V" in story.items[LATEST]) == (1, True)


def test_alerts_change_no_limit():
    """A warning for people: every other path is as without it."""

    def rest(threshold_v):
        story = both(member(EVEN), apart(120))
        set_to(story, ALERT_THRESHOLD, threshold_v)
        items = story.run(200).items
        return bool(story.alerts()), {path: value for path, value in items.items() if "/CellMonitor/" not in path}

    (warned, limits), (quiet, others) = rest(0.1), rest(0.3)
    assert (warned, quiet) == (True, False)
    assert limits == others and "/Info/MaxChargeVoltage" in limits


MOMENT = {"boot": 1, "uptime_us": 5, "wall_us": 1_600_000}
ALERT = {
    "battery": "ble_1",
    "alert": "imbalance",
    "spread_mv": 210,
    "threshold_mv": 200,
    "lowest_cell": 1,
    "lowest_mv": 3200,
    "highest_cell": 2,
    "highest_mv": 3410,
    "opened": MOMENT,
    "closed": None,
}


def test_an_alert_and_its_payload():
    """There and back, open or over; a key of a later version is passed over."""
    for payload in (ALERT, {**ALERT, "closed": {**MOMENT, "boot": 2}}):
        assert alert_from({**payload, "later": 1}).to_payload() == payload
    assert closed_text(AlertClosed("ble_1", "imbalance", 12), "x") == "Battery x: Imbalance over, 0.012V now"


@pytest.mark.parametrize(
    "change",
    [
        {"battery": None}, {"alert": 5}, {"spread_mv": 0.2}, {"lowest_cell": True}, {"highest_mv": 2**62},
        {"opened": None}, {"opened": {}}, {"closed": 5}, {"closed": {**MOMENT, "wall_us": "5"}},
    ],
)  # fmt: skip
def test_what_is_no_alert(change):
    """It is said what is wrong; of what was remembered the others are kept."""
    with pytest.raises(ValueError, match=r" is no |an alert (has|does not)"):
        alert_from({**ALERT, **change})
    assert remembered_alerts({"alerts": [{**ALERT, **change}, 5, ALERT]}) == (alert_from(ALERT),)
    assert remembered_alerts({"alerts": 5}) == remembered_alerts({}) == ()


moves = st.lists(
    st.tuples(
        st.sampled_from(["answer", "drop", "interval", "threshold", "clock"]),
        st.integers(0, 300),
        st.sampled_from([1, 9, 17, 60]),
    ),
    max_size=12,
)


@given(st.sampled_from([SEPARATE, SERIES, PARALLEL]), moves)
@settings(max_examples=40)
def test_live_equals_replay(topology, steps):
    """Whatever happens: a replay publishes the same, alerts alternate by battery, and a restart loses none."""
    story = both(topology=topology, hold_seconds=30, remove_seconds=30).run(5)
    silent = set()
    for move, number, seconds in steps:
        silent = {2} if move == "drop" else set()
        if move == "answer":
            story.members[1] = apart(number)
        elif move == "interval":
            story.tell(SettingChanged(story.configuration.services[0].key, SAMPLE_INTERVAL, number))
        elif move == "threshold":
            story.tell(SettingChanged(story.configuration.services[-1].key, ALERT_THRESHOLD, number / 1000))
        elif move == "clock":
            story.step_clock(number - 150)
        else:
            story.tell(LinkLost("ble_2", "dropped"))
        story.run(seconds, silent)
    assert [p.to_json() for p in story.replayed()] == [p.to_json() for p in story.publications]
    for name in ("ble_1", "ble_2"):
        kinds = [type(fact) for fact in story.alerts() if fact.battery == name]
        assert kinds == [(AlertOpened, AlertClosed)[n % 2] for n in range(len(kinds))]
    alerts = remembered_alerts(story.left())
    opened = [fact for fact in story.alerts() if isinstance(fact, AlertOpened)]
    assert sum(alert.is_open for alert in alerts) == len(opened) * 2 - len(story.alerts())
