"""The grid: whole seconds of uptime, each event in the tick after it, and the same bytes however often one looks."""

import json
from itertools import accumulate

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from core import events as e
from core.configuration import BatteryConfiguration, Configuration
from core.live import LiveView, Remembered, remembered_settings
from core.presence import Phase
from core.service_view import CHANGED, JOINED, LEFT, Publication
from tests.core.made import BATTERY, CONFIGURATION, KNOWN, SERVICE, basic, cells, event, reading, started

OTHER = "sim_b"
TWO = Configuration((KNOWN, BatteryConfiguration(OTHER, "")))
ANSWERED = [(100.5, reading(basic())), (100.6, reading(cells()))]
"""One full answer, half a second after the start at 100.0."""


def published(*timed_facts, until_s=None, configuration=CONFIGURATION, view=None):
    """What a session that starts at 100.0 publishes."""
    view = LiveView() if view is None else view
    publications = []
    for number, (at_s, fact) in enumerate([(100.0, started(configuration)), *timed_facts], 1):
        publications += view.fold(event(fact, at_s, number=number))
    return publications + (view.advance(int(until_s * 1e6)) if until_s is not None else [])


def outline(publications):
    """When, in which phase, and what happened."""
    return [(p.uptime_s, p.phase.value, p.change) for p in publications]


def after_join(*timed_facts, until_s):
    """What is published after the join at 101 by a battery that answered once."""
    return published(*ANSWERED, *timed_facts, until_s=until_s)[1:]


@pytest.mark.parametrize(
    "facts",
    [
        [],
        ANSWERED[:1],
        ANSWERED[1:],
        [(100.5, e.LinkEstablished(BATTERY))],
        [(at_s, reading(fact.frame, battery=OTHER)) for at_s, fact in ANSWERED],
    ],
    ids=["silent", "pack only", "cells only", "link only", "somebody else"],
)
def test_nothing_before_the_first_full_answer(facts):
    """START: a battery that has not told pack and cells is not on the bus, however long one waits."""
    assert published(*facts, until_s=10_000) == []


def test_joins_at_the_tick_after_its_answer():
    """The first full answer puts the service on the bus with all its items, once."""
    (joined,) = published(*ANSWERED, until_s=115)
    assert (
        joined.boot,
        joined.uptime_s,
        joined.service,
        joined.phase,
        joined.change,
    ) == (1, 101, SERVICE, Phase.LIVE, JOINED)
    assert tuple(joined.items[p] for p in ("/Soc", "/Dc/0/Voltage", "/Mgmt/ProcessVersion")) == (50.0, 13.3, "0.1.0")


@pytest.mark.parametrize(("at_s", "tick_s"), [(101.000001, 102), (101.5, 102), (102.0, 103), (102.000001, 103)])
def test_an_event_belongs_to_the_tick_after_it(at_s, tick_s):
    """An event at a whole second has missed that second's tick."""
    (change,) = after_join((at_s, reading(basic(soc_pct=49))), until_s=110)
    assert (tick_s, {"/Soc": 49.0}) == (change.uptime_s, change.items)


def test_a_session_that_starts_on_a_tick_begins_with_the_next():
    """The start itself is an event too."""
    view = LiveView()
    for fact in (started(), reading(basic()), reading(cells())):
        assert view.fold(event(fact, 100.0)) == []
    assert view.advance(100_999_999) == []
    assert outline(view.advance(101_000_000)) == [(101, "LIVE", JOINED)]


def test_only_the_last_value_of_a_second_is_seen():
    """Several answers between two ticks are one change."""
    facts = [(101.1, reading(basic(soc_pct=48))), (101.9, reading(basic(soc_pct=49)))]
    assert [p.items for p in after_join(*facts, until_s=110)] == [{"/Soc": 49.0}]


def test_a_value_that_is_back_before_the_tick_was_never_there():
    """There and back between two ticks publishes nothing."""
    facts = [(101.1, reading(basic(soc_pct=48))), (101.9, reading(basic()))]
    assert after_join(*facts, until_s=110) == []


def test_a_repeated_answer_publishes_nothing():
    """The same values again are no news."""
    assert after_join((105.5, reading(basic())), (105.6, reading(cells())), until_s=115) == []


@pytest.mark.parametrize(
    "fact",
    [
        e.ClockStepped(-3_600_000_000),
        e.TaskFailed("publisher", "KeyError"),
        e.UnknownFact("CellReplaced", 2, {"battery": BATTERY}),
        e.FrameRejected(BATTERY, "jbd", "truncated", b"\xdd"),
        e.SettingChanged(OTHER, "CustomName", "Pantry"),
    ],
)
def test_other_events_publish_nothing(fact):
    """An event that changes no value makes no publication."""
    assert after_join((101.5, fact), until_s=115) == []


def test_a_new_name_is_published_at_the_tick():
    """A rename is seen at the tick after it."""
    renamed = (101.5, e.SettingChanged(BATTERY, "CustomName", "Pantry"))
    assert [(p.uptime_s, p.items) for p in after_join(renamed, until_s=110)] == [(102, {"/CustomName": "Pantry"})]


def test_a_remembered_name_is_there_from_the_start():
    """The name given in a former session comes with the start of this one."""
    view, fact = LiveView(), started(settings={BATTERY: {"CustomName": "Pantry"}})
    for at_s, known in [(100.0, fact), *ANSWERED]:
        view.fold(event(known, at_s))
    assert view.advance(101_000_000)[0].items["/CustomName"] == "Pantry"


def test_going_quiet():
    """The phases of a battery that answers once, at 100.5: stale, lost, alarm, gone, and nothing after."""
    publications = published(*ANSWERED, until_s=2000)
    phases = {p.uptime_s: (p.phase.value, p.change) for p in publications}
    assert [101, *range(116, 462)] == list(phases)
    assert [phases[s] for s in (116, 220, 221)] == [("STALE", CHANGED), ("STALE", CHANGED), ("LOST", CHANGED)]
    assert [phases[s] for s in (460, 461)] == [("LOST", CHANGED), ("GONE", LEFT)]
    cable = {p.uptime_s: p.items["/Alarms/BmsCable"] for p in publications if "/Alarms/BmsCable" in p.items}
    assert cable == {101: 0, 221: 1, 281: 2}


def test_stale_at_once_and_completely():
    """The first stale tick takes away every measurement; later ones only tell the age."""
    stale, later = after_join(until_s=117)
    assert {None} == {value for path, value in stale.items.items() if path.startswith(("/Dc", "/Voltages", "/Alarms"))}
    assert "/Soc" not in stale.items
    assert later.items == {"/ConnectionInformation": "Stale 00:00:16, held: Soc, Capacity, ConsumedAmphours"}


def test_back_from_stale():
    """A full answer makes it LIVE again, with all that was taken away."""
    back = [(117.5, reading(basic())), (117.6, reading(cells()))]
    last = after_join(*back, until_s=125)[-1]
    assert (last.uptime_s, last.phase) == (118, Phase.LIVE)
    assert {"/Dc/0/Voltage": 13.3, "/Voltages/Cell1": 3.325, "/Alarms/LowSoc": 0}.items() <= last.items.items()


def test_half_an_answer_is_not_back():
    """Pack without cells stays stale: the older half counts."""
    publications = after_join((117.5, reading(basic())), until_s=125)
    assert {Phase.STALE} == {p.phase for p in publications}


def test_back_from_gone():
    """After GONE the service joins anew, with all its items, and the link's alarm clears a minute later."""
    back = [(1000.5, reading(basic())), (1000.6, reading(cells()))]
    later = [(at_s + again, fact) for again in range(10, 70, 10) for at_s, fact in back]
    after = [p for p in after_join(*back, *later, until_s=1062) if p.uptime_s > 1000 and "/Alarms/BmsCable" in p.items]
    joined, cleared = after
    assert outline([joined, cleared]) == [(1001, "LIVE", JOINED), (1061, "LIVE", CHANGED)]
    assert joined.items["/Alarms/BmsCable"] == 2
    assert cleared.items == {"/Alarms/BmsCable": 0}


def test_cells_that_disappear_become_unknown():
    """A BMS that speaks of fewer cells: the paths stay, without value, and come back with it."""
    fewer = [(101.5, reading(basic(cell_count=3))), (102.5, reading(basic()))]
    gone, back = after_join(*fewer, until_s=110)
    paths = ["/Voltages/Cell4", "/Balances/Cell4", "/Battery/1/Cell/4/Voltage"]
    assert [gone.items[p] for p in [*paths, "/System/NrOfCellsPerBattery"]] == [None, None, None, None]
    assert [back.items[p] for p in [*paths, "/System/NrOfCellsPerBattery"]] == [3.325, 0, 3.325, 4]


def test_a_path_that_is_gone_is_told_once():
    """While the cells stay away nothing more is said of them."""
    fewer = [(101.5, reading(basic(cell_count=3))), (103.5, reading(basic(cell_count=3, soc_pct=49)))]
    assert after_join(*fewer, until_s=110)[-1].items == {"/Soc": 49.0}


def test_a_session_that_ends_leaves():
    """The end takes every service off the bus at once, after the ticks before it; then nothing more happens."""
    publications = after_join((103.5, reading(basic(soc_pct=49))), (104.7, e.SessionEnded("stopped")), until_s=9999)
    assert outline(publications) == [(104, "LIVE", CHANGED), (104, "GONE", LEFT)]


def test_the_end_of_a_silent_session():
    """What never joined does not leave."""
    assert published((104.7, e.SessionEnded("stopped")), until_s=9999) == []


def test_a_killed_session_leaves():
    """A start without an end before it: the names went with the process, at the last time that was known of it."""
    view = LiveView()
    published(*ANSWERED, (101.5, e.ClockStepped(5)), until_s=102, view=view)
    left = view.fold(event(started(), 3.0, boot=2))
    assert [Publication(1, 101, SERVICE, Phase.GONE, LEFT)] == left


def test_a_session_that_ended_has_left_already():
    """After an orderly end the next start takes nothing off the bus a second time."""
    view = LiveView()
    published(*ANSWERED, (104.7, e.SessionEnded("stopped")), view=view)
    assert view.fold(event(started(), 3.0, boot=2)) == []


def test_a_restart_begins_in_start():
    """A new session knows nothing of the old: not on the bus until the battery answers again, with the new boot."""
    view = LiveView()
    published(*ANSWERED, until_s=110, view=view)
    view.fold(event(started(), 5.0, boot=2))
    assert view.advance(200_000_000) == []
    for at_s, fact in ANSWERED:
        assert view.fold(event(fact, at_s + 100, boot=2)) == []
    (joined,) = view.advance(201_000_000)
    assert (joined.boot, joined.uptime_s, joined.change) == (2, 201, JOINED)


def test_before_the_first_session_nothing_happens():
    """Events and ticks without a start publish nothing."""
    view = LiveView()
    assert view.advance(10**12) == []
    assert view.fold(event(reading(basic()), 5.0)) == []


def test_batteries_are_independent():
    """Each battery has its service and its instance, and falls silent for itself."""
    facts = [(at_s, reading(fact.frame, battery=OTHER)) for at_s, fact in ANSWERED]
    publications = published(*ANSWERED, *facts, (110.5, reading(basic())), until_s=116, configuration=TWO)
    first, second, *stale = publications
    assert (first.service, first.items["/DeviceInstance"]) == (SERVICE, 1)
    assert (second.service, second.items["/DeviceInstance"]) == ("com.victronenergy.battery.sim_b", 2)
    assert len(stale) == 2


def test_the_battery_behind_a_service():
    """The bus asks by service name."""
    view = LiveView()
    published(*ANSWERED, view=view)
    (member,) = view.service(SERVICE).bank.members
    assert member.battery.pack.voltage_mv == 13_300
    assert view.service("com.victronenergy.battery.nobody") is None


def test_publication_as_a_line():
    """One line of JSON with sorted keys, ASCII only."""
    line = Publication(1, 101, SERVICE, Phase.LIVE, CHANGED, {"/Soc": 50.0, "/CustomName": "Küche"}).to_json()
    assert '{"boot":1,"change":"changed","items":{"/CustomName":"K\\u00fcche","/Soc":50.0},"phase":"LIVE",' in line
    assert {"service": SERVICE, "uptime_s": 101}.items() <= json.loads(line).items()


facts = st.one_of(
    st.builds(lambda soc_pct, fet: reading(basic(soc_pct=soc_pct, fet=fet)), st.integers(0, 120), st.integers(0, 3)),
    st.builds(lambda mv: reading(cells(mv, 3320, 3330, 3325)), st.integers(3000, 3400)),
    st.builds(lambda count: reading(basic(cell_count=count, protection=count & 1)), st.integers(2, 5)),
    st.sampled_from([reading(basic(), battery=OTHER), reading(cells(), battery=OTHER)]),
    st.sampled_from([e.LinkEstablished(BATTERY), e.LinkLost(BATTERY, "dropped"), e.ClockStepped(5), started(TWO)]),
)
gaps_us = st.one_of(st.integers(0, 3_000_000), st.sampled_from([1_000_000, 16_000_000, 125_000_000, 380_000_000]))
looks = st.lists(st.integers(0, 380_000_000), max_size=5)


@given(st.lists(st.tuples(gaps_us, facts, looks), max_size=15), st.sampled_from([0, 17_000_000, 500_000_000]))
@settings(max_examples=60)
def test_looking_more_often_changes_nothing(timed, rest_us):
    """Publications are the same whether one advances at any times between the events, or only with them."""
    lazy, eager, expected, found = LiveView(), LiveView(), [], []
    start = event(started(TWO), 50.0)
    lazy.fold(start), eager.fold(start)
    times_us = list(accumulate([50_000_000] + [gap for gap, _, _ in timed]))
    for before_us, now_us, (_, fact, looked) in zip(times_us, times_us[1:], timed):
        happened = evolve(event(fact), uptime_us=now_us)
        expected += lazy.fold(happened)
        # A session that was killed has no ticks after its last event: nobody was there to look.
        chances = [] if isinstance(fact, e.SessionStarted) else looked
        for look_us in sorted(before_us + after_us for after_us in chances if before_us + after_us <= now_us):
            found += eager.advance(look_us)
        found += eager.fold(happened)
    end_us = times_us[-1] + rest_us
    expected += lazy.advance(end_us)
    for look_us in range(times_us[-1], end_us, 700_000):
        found += eager.advance(look_us)
    found += eager.advance(end_us)
    assert [p.to_json() for p in expected] == [p.to_json() for p in found]
    _check_grid(expected)


def _check_grid(publications):
    """At most one publication of a service at a tick; it joins before it changes, and leaves once."""
    on_bus = set()
    for publication in publications:
        assert (publication.change == JOINED) == (publication.service not in on_bus)
        (on_bus.discard if publication.change == LEFT else on_bus.add)(publication.service)
        assert publication.items or publication.change == LEFT
        assert not publication.items.get("/Soc") or publication.items["/Soc"] <= 100


def test_the_replay_of_a_session_is_the_session():
    """The same events through their JSON give the same publications."""
    facts_live = [*ANSWERED, (103.5, e.LinkLost(BATTERY, "dropped")), (130.5, e.SessionEnded("stopped"))]
    made = [event(fact, at_s, number=n) for n, (at_s, fact) in enumerate([(100.0, started()), *facts_live], 1)]
    live, replay = LiveView(), LiveView()
    read = [
        e.event_from(
            number=m.number,
            boot=m.boot,
            uptime_us=m.uptime_us,
            wall_us=m.wall_us,
            kind=e.kind_of(m.fact),
            version=e.version_of(m.fact),
            payload=json.loads(json.dumps(e.payload_of(m))),
        )
        for m in made
    ]
    expected = [p.to_json() for m in made for p in live.fold(m)]
    assert expected == [p.to_json() for m in read for p in replay.fold(m)]
    assert len(expected) == 18


def test_remembered():
    """Settings are remembered by battery; a fold tells whether it changed anything, and the start is not shared."""
    before = {"settings": {BATTERY: {"CustomName": "Pantry"}}, "later": 1}
    remembered = Remembered(before)
    assert not remembered.fold(event(e.SettingChanged(BATTERY, "CustomName", "Pantry")))
    assert not remembered.fold(event(reading(basic())))
    assert remembered.fold(event(e.SettingChanged(BATTERY, "CustomName", "Shed")))
    assert remembered.fold(event(e.SettingChanged(OTHER, "Colour", "red")))
    assert remembered_settings(remembered.state, BATTERY) == {"CustomName": "Shed"}
    assert remembered_settings(remembered.state, OTHER) == {"Colour": "red"}
    assert remembered.state["later"] == 1
    assert before["settings"][BATTERY]["CustomName"] == "Pantry"


def test_nothing_remembered():
    """The first session remembers nothing."""
    assert Remembered().state == {}
    assert remembered_settings({}, BATTERY) == {}


@pytest.mark.parametrize("setting", ["DeviceInstance", "SelectedBattery"])
def test_what_holds_for_one_run_is_not_remembered(setting):
    """What Venus OS assigns anew and what a page has chosen is forgotten, also if a session file remembers it."""
    remembered = Remembered()
    assert not remembered.fold(event(e.SettingChanged(BATTERY, setting, 2)))
    assert remembered.state == {}
    assert remembered_settings({"settings": {BATTERY: {setting: 2, "CustomName": "x"}}}, BATTERY) == {"CustomName": "x"}
