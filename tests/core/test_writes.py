"""What a client may write, and what it is answered."""

import pytest
from attrs import evolve

from core.configuration import PARALLEL, SERIES
from core.events import SettingChanged
from core.writes import ACCEPTED, NOT_WRITABLE, REFUSED, judge_write
from tests.core.made import BATTERY, CONFIGURATION, KNOWN, battery, service


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


@pytest.mark.parametrize("path", ["/Soc", "/Io/AllowToCharge", "/Nonsense", "", "CustomName"])
def test_everything_else_is_read_only(path):
    """No other path takes a value."""
    assert judge_write(service(battery()), path, 1) == (NOT_WRITABLE, None)
