"""Options that contradict each other, and what is allowed but worth a word."""

import pytest

import config.loader
from config.loader import DEFAULT_FILE, load
from config.options import ConfigError


def failure(path):
    """The one line with which *path* is refused."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


PARTNERS = [
    ("CELL_VOLTAGES_WHILE_CHARGING", "MAX_CHARGE_CURRENT_CV_FRACTION", 4),
    ("CELL_VOLTAGES_WHILE_DISCHARGING", "MAX_DISCHARGE_CURRENT_CV_FRACTION", 4),
    ("TEMPERATURE_LIMITS_WHILE_CHARGING", "MAX_CHARGE_CURRENT_T_FRACTION", 9),
    ("TEMPERATURE_LIMITS_WHILE_DISCHARGING", "MAX_DISCHARGE_CURRENT_T_FRACTION", 7),
    ("PENALTY_AT_CELL_VOLTAGE", "PENALTY_BATTERY_VOLTAGE", 3),
]


@pytest.mark.parametrize(("points", "results", "length"), PARTNERS)
def test_lists_that_belong_together_are_equally_long(owner, points, results, length):
    """Whichever of the two was changed, both are named, at the line that was written."""
    path = owner("\n{} = 2, 3\n".format(points))
    text = "{} has {} numbers and {} has {}: each needs its partner"
    assert failure(path) == "{} line 2: {}".format(path, text.format(points, 2, results, length))
    path = owner("; mine\n\n{} = 0, 0.5\n".format(results))
    assert failure(path) == "{} line 3: {}".format(path, text.format(points, length, results, 2))
    assert load(owner("{} = 2, 3\n{} = 0, 1\n".format(points, results)))[1] == []


CONTRADICTIONS = [
    ("SOC_LOW_ALARM = 30", "SOC_LOW_ALARM = 30 is above SOC_LOW_WARNING = 20"),
    ("SOC_LOW_WARNING = 9.5", "SOC_LOW_ALARM = 10 is above SOC_LOW_WARNING = 9.5"),
    ("MIN_CELL_VOLTAGE = 3.4", "MIN_CELL_VOLTAGE = 3.4 is above FLOAT_CELL_VOLTAGE = 3.35"),
    ("FLOAT_CELL_VOLTAGE = 3.5", "FLOAT_CELL_VOLTAGE = 3.5 is above MAX_CELL_VOLTAGE = 3.45"),
    ("FLOAT_CELL_VOLTAGE = 2.8", "MIN_CELL_VOLTAGE = 2.9 is above FLOAT_CELL_VOLTAGE = 2.8"),
    ("MAX_CELL_VOLTAGE = 3.3", "FLOAT_CELL_VOLTAGE = 3.35 is above MAX_CELL_VOLTAGE = 3.3"),
    ("CC_SOC_LIMIT1 = 95", "CC_SOC_LIMIT2 = 95 is not below CC_SOC_LIMIT1 = 95"),
    ("CC_SOC_LIMIT2 = 91", "CC_SOC_LIMIT3 = 91 is not below CC_SOC_LIMIT2 = 91"),
    ("CC_SOC_LIMIT2 = 91.01", "CC_SOC_LIMIT3 = 91 is not below CC_SOC_LIMIT2 = 91.01"),
    ("CC_SOC_LIMIT3 = 96", "CC_SOC_LIMIT3 = 96 is not below CC_SOC_LIMIT2 = 95"),
    ("DC_SOC_LIMIT1 = 20", "DC_SOC_LIMIT1 = 20 is not below DC_SOC_LIMIT2 = 20"),
    ("DC_SOC_LIMIT3 = 15", "DC_SOC_LIMIT2 = 20 is not below DC_SOC_LIMIT3 = 15"),
    ("PENALTY_BATTERY_VOLTAGE = 2, 1, 0", "PENALTY_BATTERY_VOLTAGE falls while PENALTY_AT_CELL_VOLTAGE rises"),
    ("PENALTY_BATTERY_VOLTAGE = 0, 2, 1", "PENALTY_BATTERY_VOLTAGE falls while PENALTY_AT_CELL_VOLTAGE rises"),
    ("PENALTY_AT_CELL_VOLTAGE = 3.6, 3.5, 3.4", "PENALTY_BATTERY_VOLTAGE falls while PENALTY_AT_CELL_VOLTAGE rises"),
]


@pytest.mark.parametrize(("line", "message"), CONTRADICTIONS)
def test_contradictions_are_told_together(owner, line, message):
    """Both options with their values, at the line that was written last."""
    path = owner("; mine\n" + line + "\n")
    assert failure(path) == "{} line 2: {}".format(path, message)


@pytest.mark.parametrize(
    "text",
    [
        "SOC_LOW_ALARM = 20",
        "SOC_LOW_WARNING = 10",
        "SOC_LOW_ALARM = 0",
        "SOC_LOW_ALARM = 0\nSOC_LOW_WARNING = 0",
        "MIN_CELL_VOLTAGE = 3.35",
        "FLOAT_CELL_VOLTAGE = 3.45",
        "MAX_CELL_VOLTAGE = 3.65",
        "DC_SOC_LIMIT1 = 0",
        "CC_SOC_LIMIT1 = 100",
        "PENALTY_BATTERY_VOLTAGE = 1, 1, 1",
        "PENALTY_AT_CELL_VOLTAGE = 3.6, 3.5, 3.4\nPENALTY_BATTERY_VOLTAGE = 2, 1, 0",
    ],
)
def test_what_is_just_allowed(owner, text):
    """Equal where that makes sense, either direction of a list."""
    assert load(owner(text))[1] == []


def test_defaults_that_contradict_each_other_are_told(tmp_path, monkeypatch):
    """Without an owner's file the shipped one is named."""
    default = tmp_path / "default_config.ini"
    text = DEFAULT_FILE.read_text(encoding="utf-8").replace("SOC_LOW_ALARM = 10", "SOC_LOW_ALARM = 50")
    default.write_text(text, encoding="utf-8")
    monkeypatch.setattr(config.loader, "DEFAULT_FILE", default)
    line = 1 + text.splitlines().index("SOC_LOW_ALARM = 50")
    assert failure(None).startswith("{} line {}: SOC_LOW_ALARM = 50".format(default, line))


def test_a_voltage_that_harms_lithium_iron_cells_is_told_once(owner):
    """Allowed for other chemistries, with one warning."""
    path = owner("MAX_CELL_VOLTAGE = 3.66\n")
    text = "{} line 1: MAX_CELL_VOLTAGE = 3.66 is more than a LiFePO4 cell stands (3.65 V)"
    assert load(path)[1] == [text.format(path)]


def test_a_reboot_is_never_done(owner):
    """The former option is accepted, and its owner told what happens instead."""
    path = owner("BT_WATCHDOG_ACTION = Reboot\n")
    values, (warning,) = load(path)
    assert values["BT_WATCHDOG_ACTION"] == "reboot"
    assert warning.startswith("{} line 1: ".format(path))
    assert "makes the link anew instead" in warning and "never reboots" in warning
    assert load(path, ["BT_WATCHDOG_ACTION=log"])[1] == []
