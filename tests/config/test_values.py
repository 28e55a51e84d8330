"""Layers of values, and the place that each comes from."""

from pathlib import Path

from config.options import OPTIONS
from config.values import BATTERY_FILE, COMMAND_LINE, DEFAULTS, OWNER, Place, Values, defaults


def one(layer, value, line=1):
    """One option as written in *layer*."""
    return Values({"POLL_SECONDS": value}, {"POLL_SECONDS": Place(layer, line, Path("f.ini"))})


def test_defaults_are_the_definitions():
    """Every option has a value before any file is read."""
    assert {name: defaults()[name] for name in OPTIONS} == {name: option.default for name, option in OPTIONS.items()}


def test_the_later_layer_wins():
    """Whatever the order in which they are laid over each other."""
    layers = [DEFAULTS, OWNER, BATTERY_FILE, COMMAND_LINE]
    for low in layers:
        for high in layers[low + 1 :]:
            assert one(low, 1).under(one(high, 2))["POLL_SECONDS"] == 2
            assert one(high, 2).under(one(low, 1))["POLL_SECONDS"] == 2
    assert one(OWNER, 1).under(one(OWNER, 2))["POLL_SECONDS"] == 2


def test_laying_over_changes_neither():
    """Values are values."""
    low, high = one(OWNER, 1), one(BATTERY_FILE, 2)
    low.under(high)
    assert (low["POLL_SECONDS"], high["POLL_SECONDS"]) == (1, 2)


def test_places():
    """A line of a file or a switch, and what a relative path is relative to."""
    assert str(Place(OWNER, 3, Path("a") / "b.ini")) == "{} line 3".format(Path("a") / "b.ini")
    assert str(Place(COMMAND_LINE, 1, switch="--set")) == "--set"
    assert Place(OWNER, 3, Path("a") / "b.ini").folder == Path("a")
    assert Place(COMMAND_LINE, 1, switch="--set").folder == Path()


def test_no_value_in_the_repr():
    """One of them may be a password."""
    values = Values({"PASSWORD": "123456"}, {"PASSWORD": Place(OWNER, 1, Path("f.ini"))})
    assert "123456" not in repr(values)
