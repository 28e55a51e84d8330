"""One service: what it is told, when it joins, and what a battery without topology promises."""

import pytest
from attrs import evolve

from core.configuration import SERIES
from core.events import SettingChanged
from core.presence import Phase
from core.service_view import CHANGED, JOINED
from tests.core.made import BATTERY, CONFIGURATION, KNOWN, basic, battery, cells, event, reading, service

LOW_CELLS = (2900, 2900, 2900, 2900)


def evaluated(view, *seconds):
    """(second, phase, change) of every publication at these seconds."""
    publications = [(at_s, view.evaluate(1, at_s * 1_000_000)) for at_s in seconds]
    return [(at_s, p.phase.value, p.change) for at_s, p in publications if p is not None]


def told(view, setting, value):
    """*view* after a setting."""
    view.fold(SettingChanged(view.key, setting, value))
    return view


def test_a_custom_name():
    """A rename is folded; a setting of another name is not one, and what is no text is no name."""
    view = service(battery())
    assert view.custom_name == ""
    assert told(told(view, "CustomName", "Pantry"), "Colour", "red").custom_name == "Pantry"
    assert told(view, "CustomName", 5).custom_name == "Pantry"


def test_settings_are_published_at_the_next_tick():
    """Name and selected battery are told as they change, and nothing else with them."""
    view = service(battery(basic(), cells()))
    view.evaluate(1, 1_000_000)
    for setting, path, value in (
        ("CustomName", "/CustomName", "Pantry"),
        ("SelectedBattery", "/Battery/Request/Id", 2),
    ):
        changed = told(view, setting, value).evaluate(1, 2_000_000)
        assert (changed.change, changed.items) == (CHANGED, {path: value})


def test_it_waits_for_its_instance():
    """Where Venus OS assigns the DeviceInstance there is no service before it has."""
    view = service(battery(basic(), cells()), configuration=evolve(CONFIGURATION, device_instance=None))
    assert evaluated(view, 1, 2) == []
    assert view.awaited == "its DeviceInstance"
    joined = told(view, "DeviceInstance", 0).evaluate(1, 3_000_000)
    assert (joined.change, joined.items["/DeviceInstance"]) == (JOINED, 0)


def test_what_it_waits_for():
    """Batteries that never answered are named."""
    view = service(
        battery(),
        battery(configuration=evolve(KNOWN, battery="sim_b")),
        configuration=evolve(CONFIGURATION, topology=SERIES),
    )
    view.evaluate(1, 1_000_000)
    assert view.awaited == "the first complete answer of {}, sim_b".format(BATTERY)


def halves(cells_at_s, configuration=CONFIGURATION):
    """A service whose battery told its pack at 0, and its cells later."""
    made = battery(basic())
    made.fold(event(reading(cells()), cells_at_s))
    return service(made, configuration=configuration)


@pytest.mark.parametrize(("cells_at_s", "phase"), [(1, "LIVE"), (20, "STALE"), (130, "LOST")])
def test_a_monitor_joins_with_its_first_full_answer(cells_at_s, phase):
    """However old the older half of it is: it is shown for what it is."""
    assert evaluated(halves(cells_at_s), cells_at_s + 1) == [(cells_at_s + 1, phase, JOINED)]


def test_what_controls_chargers_begins_live():
    """Limits are never made from an answer that was old when it was complete."""
    single = evolve(CONFIGURATION, topology="single")
    assert evaluated(halves(20, single), 21, 22) == []
    assert evaluated(halves(1, single), 2) == [(2, "LIVE", JOINED)]


@pytest.mark.parametrize(
    ("topology", "voltages_mv", "until_s"),
    [("separate", LOW_CELLS, 300), ("single", (), 300), ("single", LOW_CELLS, 120)],
)
def test_a_long_hold(topology, voltages_mv, until_s):
    """A monitor is held as long as configured; one that is charged by it only while its cells were in a safe window."""
    configuration = evolve(CONFIGURATION, topology=topology, hold_seconds=300)
    frames = basic(voltage_mv=sum(voltages_mv) or 13_300), cells(*voltages_mv)
    view = service(battery(*frames), configuration=configuration)
    phases = {at_s: view.evaluate(1, at_s * 1_000_000).phase for at_s in (1, *range(16, 350))}
    assert (phases[1], phases[16]) == (Phase.LIVE, Phase.STALE)
    assert min(at_s for at_s, phase in phases.items() if phase is Phase.LOST) == until_s + 1
