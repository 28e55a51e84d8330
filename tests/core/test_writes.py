"""What a client may write, and what it is answered."""

import pytest
from attrs import evolve

from core.configuration import PARALLEL, SERIES
from core.events import SettingChanged
from core.live import LiveView
from core.writes import ACCEPTED, NOT_WRITABLE, REFUSED, judge_write
from tests.core.made import BATTERY, CONFIGURATION, KNOWN, battery, event, service, started


def renamed(name):
    """The fact of a new custom name."""
    return SettingChanged(BATTERY, "CustomName", name)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("Cellar", (ACCEPTED, renamed("Cellar"))),
        ("  Cellar \n\x00", (ACCEPTED, renamed("Cellar"))),
        ("Küche 2", (ACCEPTED, renamed("Küche 2"))),
        ("", (ACCEPTED, renamed(""))),
        ("Pantry", (ACCEPTED, None)),
        ("x" * 64, (ACCEPTED, renamed("x" * 64))),
        ("x" * 65, (REFUSED, None)),
        (5, (NOT_WRITABLE, None)),
        (None, (NOT_WRITABLE, None)),
        (b"Cellar", (NOT_WRITABLE, None)),
    ],
)
def test_custom_name(value, verdict):
    """A name of up to 64 printable characters is a fact, unless it is the name already."""
    named = service(battery())
    named.fold(renamed("Pantry"))
    assert verdict == judge_write(named, "/CustomName", value)


@pytest.mark.parametrize(
    ("value", "code"),
    [(1, ACCEPTED), (1.0, ACCEPTED), (2, REFUSED), (float("nan"), REFUSED), (True, NOT_WRITABLE), ("1", NOT_WRITABLE)],
)
def test_selected_battery(value, code):
    """The cell page may select battery 1, in any number type; it makes no fact."""
    assert (code, None) == judge_write(service(battery()), "/Battery/Request/Id", value)


def bank_of_two(topology):
    """A service of two batteries."""
    second = battery(configuration=evolve(KNOWN, battery="sim_b"))
    return service(battery(), second, configuration=evolve(CONFIGURATION, topology=topology))


@pytest.mark.parametrize("topology", [SERIES, PARALLEL])
@pytest.mark.parametrize(
    ("value", "code", "selected"),
    [
        (1, ACCEPTED, None),
        (1.0, ACCEPTED, None),
        (2, ACCEPTED, 2),
        (2.0, ACCEPTED, 2),
        (0, REFUSED, None),
        (3, REFUSED, None),
        (-1, REFUSED, None),
        (1.5, REFUSED, None),
        (float("nan"), REFUSED, None),
        (float("inf"), REFUSED, None),
        (True, NOT_WRITABLE, None),
        ("2", NOT_WRITABLE, None),
        (None, NOT_WRITABLE, None),
    ],
)
def test_selected_battery_of_a_bank(topology, value, code, selected):
    """The cell page may select any battery that there is, by its number; another one than now is a fact."""
    fact = None if selected is None else SettingChanged("virtual_" + topology, "SelectedBattery", selected)
    verdict = judge_write(bank_of_two(topology), "/Battery/Request/Id", value)
    assert (code, fact) == verdict
    assert fact is None or type(verdict[1].value) is int


def test_the_selected_battery_is_selected():
    """After the fact the same choice is accepted and nothing new, and the first battery is another choice."""
    bank = bank_of_two(PARALLEL)
    bank.fold(judge_write(bank, "/Battery/Request/Id", 2)[1])
    assert judge_write(bank, "/Battery/Request/Id", 2.0) == (ACCEPTED, None)
    back = SettingChanged("virtual_parallel", "SelectedBattery", 1)
    assert judge_write(bank, "/Battery/Request/Id", 1) == (ACCEPTED, back)


def test_a_name_of_a_bank():
    """A bank has a name of its own, under its own identity."""
    expected = SettingChanged("virtual_series", "CustomName", "Cellar")
    assert judge_write(bank_of_two(SERIES), "/CustomName", "Cellar") == (ACCEPTED, expected)


INTERVAL, THRESHOLD = "/Settings/CellMonitor/SampleInterval", "/Settings/CellMonitor/AlertThreshold"


@pytest.mark.parametrize(
    ("path", "value", "code", "kept"),
    [
        (INTERVAL, 10, ACCEPTED, 10),
        (INTERVAL, 3600.0, ACCEPTED, 3600),
        (INTERVAL, 60, ACCEPTED, None),
        (INTERVAL, 60.0, ACCEPTED, None),
        (INTERVAL, 9, REFUSED, None),
        (INTERVAL, 3601, REFUSED, None),
        (INTERVAL, 30.5, REFUSED, None),
        (INTERVAL, float("nan"), REFUSED, None),
        (INTERVAL, float("inf"), REFUSED, None),
        (INTERVAL, True, NOT_WRITABLE, None),
        (INTERVAL, "30", NOT_WRITABLE, None),
        (INTERVAL, None, NOT_WRITABLE, None),
        (THRESHOLD, 0.01, ACCEPTED, 0.01),
        (THRESHOLD, 1, ACCEPTED, 1.0),
        (THRESHOLD, 0.12345, ACCEPTED, 0.123),
        (THRESHOLD, 0.2, ACCEPTED, None),
        (THRESHOLD, 0.20000000298023224, ACCEPTED, None),
        (THRESHOLD, 0, REFUSED, None),
        (THRESHOLD, -1.0, REFUSED, None),
        (THRESHOLD, 1.001, REFUSED, None),
        (THRESHOLD, float("nan"), REFUSED, None),
        (THRESHOLD, False, NOT_WRITABLE, None),
        (THRESHOLD, "0.1", NOT_WRITABLE, None),
        ("/Settings/CellMonitor/Nonsense", 60, NOT_WRITABLE, None),
        ("/Settings/CellMonitor/", 60, NOT_WRITABLE, None),
    ],
)
def test_settings_of_the_cell_monitor(path, value, code, kept):
    """Within their range, in any number type; the present value is accepted and nothing new."""
    fact = None if kept is None else SettingChanged("virtual_series", path.rpartition("/")[2], kept)
    verdict = judge_write(bank_of_two(SERIES), path, value)
    assert (code, fact) == verdict
    assert fact is None or type(verdict[1].value) is type(kept)


def test_a_monitor_beside_a_virtual_battery_has_no_cell_monitor():
    """Its batteries are watched by the virtual one: nothing to be set."""
    both = evolve(CONFIGURATION, topology=PARALLEL, publish_members=True, batteries=(KNOWN, evolve(KNOWN, battery="b")))
    assert [plan.monitors_cells for plan in both.services] == [True, False, False]
    view = LiveView()
    view.fold(event(started(both)))
    member = view.service("com.victronenergy.battery.b")
    assert judge_write(member, INTERVAL, 30) == (NOT_WRITABLE, None)


@pytest.mark.parametrize("path", ["/Soc", "/Io/AllowToCharge", "/Nonsense", "", "CustomName"])
def test_everything_else_is_read_only(path):
    """No other path takes a value."""
    assert judge_write(service(battery()), path, 1) == (NOT_WRITABLE, None)
