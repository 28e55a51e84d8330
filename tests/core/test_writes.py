"""What a client may write, and what it is answered."""

import pytest

from core.battery import Battery
from core.events import SettingChanged
from core.writes import ACCEPTED, NOT_WRITABLE, REFUSED, judge_write
from tests.core.made import BATTERY, KNOWN


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
    assert verdict == judge_write(Battery(KNOWN, "Pantry"), "/CustomName", value)


@pytest.mark.parametrize(
    ("value", "code"),
    [(1, ACCEPTED), (1.0, ACCEPTED), (2, REFUSED), (float("nan"), REFUSED), (True, NOT_WRITABLE), ("1", NOT_WRITABLE)],
)
def test_selected_battery(value, code):
    """The cell page may select battery 1, in any number type; it makes no fact."""
    assert (code, None) == judge_write(Battery(KNOWN), "/Battery/Request/Id", value)


@pytest.mark.parametrize("path", ["/Soc", "/Io/AllowToCharge", "/Nonsense", "", "CustomName"])
def test_everything_else_is_read_only(path):
    """No other path takes a value."""
    assert judge_write(Battery(KNOWN), path, 1) == (NOT_WRITABLE, None)
