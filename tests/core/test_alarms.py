"""Alarm levels over time: up at once, down after 10 s, and the link's own alarm."""

import pytest
from attrs import evolve

from core.alarms import Alarms, BankAlarms
from core.bank import Bank
from core.imbalance import Imbalances
from core.presence import Phase
from core.protections import ALARM_NAMES
from tests.core.made import CONFIGURATION, basic, battery, cells, in_phase

START, LIVE, STALE, LOST, GONE = Phase
CELL_HIGH, COLD = 1 << 0, 1 << 5


def live_battery(**changes):
    """A battery that has just answered."""
    return battery(basic(**changes), cells())


def history(name, steps, configuration=CONFIGURATION):
    """The level of one alarm after each (second, phase, battery)."""
    alarms = Alarms(configuration)
    return [alarms.levels(battery, phase, int(at_s * 1e6))[name] for at_s, phase, battery in steps]


def of_a_service(made, *steps):
    """All levels of the service of *made* after each (second, phase)."""
    bank = Bank([made], CONFIGURATION, 0)
    alarms = BankAlarms(bank, CONFIGURATION)
    levels = []
    for at_s, phase in steps:
        in_phase(bank, phase, at_s)
        levels.append(alarms.levels(Imbalances(), False, int(at_s * 1e6)))
    return levels


def cable(*steps):
    """BmsCable after each (second, phase)."""
    return [levels["BmsCable"] for levels in of_a_service(live_battery(), *steps)]


def test_a_healthy_battery_has_every_alarm_at_zero():
    """LIVE without a fault: all alarms are known and 0."""
    expected = dict.fromkeys([*ALARM_NAMES, "BmsCable"], 0)
    assert [expected] == of_a_service(live_battery(), (0, LIVE))


@pytest.mark.parametrize(("phase", "cable_level"), [(STALE, 0), (LOST, 1), (GONE, 1)])
def test_what_is_not_live_cannot_be_judged(phase, cable_level):
    """Out of LIVE no alarm of the BMS is known, not even one that is up; only the link's is."""
    expected = {**dict.fromkeys(ALARM_NAMES), "BmsCable": cable_level}
    assert [expected] == of_a_service(live_battery(protection=CELL_HIGH), (0, phase))


def test_a_battery_that_has_not_begun_cannot_be_judged():
    """In START no alarm of the BMS is known; that of the link is not asked for, as there is no service yet."""
    assert dict.fromkeys(ALARM_NAMES) == Alarms(CONFIGURATION).levels(live_battery(protection=CELL_HIGH), START, 0)


def test_no_pack_reading_no_judgement():
    """Cells alone raise nothing and clear nothing."""
    assert Alarms(CONFIGURATION).levels(battery(cells()), LIVE, 0)["HighCellVoltage"] is None


def test_an_alarm_stays_up_for_ten_seconds():
    """Raised at 0 and gone at 1: shown until 10 s after the rise, then 0."""
    fine, bad = live_battery(), live_battery(protection=CELL_HIGH)
    steps = [(0, LIVE, bad), (1, LIVE, fine), (9.999999, LIVE, fine), (10, LIVE, fine), (11, LIVE, fine)]
    assert history("HighCellVoltage", steps) == [2, 2, 2, 0, 0]


def test_an_alarm_that_lasts_goes_at_once_when_it_ends():
    """The ten seconds count from the rise, not from the end."""
    fine, bad = live_battery(), live_battery(protection=CELL_HIGH)
    assert history("HighCellVoltage", [(0, LIVE, bad), (30, LIVE, bad), (31, LIVE, fine)]) == [2, 2, 0]


def test_raised_again_latched_again():
    """A second rise is a new ten seconds."""
    fine, bad = live_battery(), live_battery(protection=CELL_HIGH)
    steps = [(0, LIVE, bad), (10, LIVE, fine), (11, LIVE, bad), (12, LIVE, fine), (21, LIVE, fine)]
    assert history("HighCellVoltage", steps) == [2, 0, 2, 2, 0]


def test_only_the_alarm_that_was_up_is_latched():
    """A new alarm does not prolong an old one."""
    bad, cold, fine = live_battery(protection=CELL_HIGH), live_battery(protection=COLD), live_battery()
    steps = [(0, LIVE, bad), (9, LIVE, cold), (10, LIVE, fine), (19, LIVE, fine)]
    assert history("HighCellVoltage", steps) == [2, 2, 0, 0]
    assert history("LowChargeTemperature", steps) == [0, 1, 1, 0]


def test_rising_is_immediate_and_sinking_waits():
    """Warning, alarm, warning, nothing: up without delay, down one latch after the other."""
    warning, alarm, fine = (live_battery(soc_pct=pct) for pct in (15, 5, 50))
    steps = [
        (0, warning),
        (1, alarm),
        (2, warning),
        (10.9, warning),
        (11, warning),
        (12, fine),
        (20.9, fine),
        (21, fine),
    ]
    assert history("LowSoc", [(at_s, LIVE, battery) for at_s, battery in steps]) == [1, 2, 2, 2, 1, 1, 1, 0]


def test_a_loss_forgets_what_was_up():
    """After a loss the alarms start anew from what the battery says."""
    fine, bad = live_battery(), live_battery(protection=CELL_HIGH)
    assert history("HighCellVoltage", [(0, LIVE, bad), (1, STALE, bad), (2, LIVE, fine)]) == [2, None, 0]


@pytest.mark.parametrize(("soc_pct", "level"), [(0, 2), (9, 2), (10, 1), (19, 1), (20, 0), (100, 0)])
def test_low_soc(soc_pct, level):
    """Below 20 % a warning, below 10 % an alarm."""
    assert [level] == history("LowSoc", [(0, LIVE, live_battery(soc_pct=soc_pct))])


def test_low_soc_levels_are_options():
    """The two levels are configured."""
    configuration = evolve(CONFIGURATION, soc_low_warning_pct=60.0, soc_low_alarm_pct=50.5)
    assert history("LowSoc", [(0, LIVE, live_battery(soc_pct=50))], configuration) == [2]


def test_unknown_soc_is_not_low():
    """A BMS that does not tell its SoC raises no alarm for it."""
    silent = live_battery()
    silent.pack = evolve(silent.pack, soc_permille=None)
    assert history("LowSoc", [(0, LIVE, silent)]) == [0]


def test_an_implausible_reading_is_a_warning():
    """A mark shows as an internal failure, and never lowers one."""
    assert history("InternalFailure", [(0, LIVE, battery(basic(), cells(3300, 0, 3300, 3300)))]) == [1]
    assert history("InternalFailure", [(0, LIVE, battery(basic(protection=1 << 11), cells(0, 0, 0, 0)))]) == [2]


def test_a_sensor_in_doubt_is_a_warning():
    """Temperatures that cannot be true warn of the sensor; other marks do not."""
    doubtful = live_battery(temperatures_dc=(250,) * 9)
    assert set(doubtful.marks) == {"temperature sensors"}
    assert history("BatteryTemperatureSensor", [(0, LIVE, doubtful)]) == [1]
    assert history("InternalFailure", [(0, LIVE, doubtful)]) == [1]
    assert history("BatteryTemperatureSensor", [(0, LIVE, live_battery(soc_pct=101))]) == [0]
    steps = [(0, LIVE, doubtful), (9.999999, LIVE, live_battery()), (10, LIVE, live_battery())]
    assert history("BatteryTemperatureSensor", steps) == [1, 1, 0]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(0, LIVE), (20, STALE), (121, LOST)], [0, 0, 1]),
        ([(0, LOST), (59.999999, LOST), (60, LOST), (300, GONE)], [1, 1, 2, 2]),
        ([(0, LOST), (5, LIVE), (64.999999, LIVE), (65, LIVE)], [1, 1, 1, 0]),
        ([(0, LOST), (60, LOST), (70, LIVE), (129, LIVE), (130, LIVE)], [1, 2, 2, 2, 0]),
        ([(0, LOST), (5, LIVE), (40, STALE), (41, LIVE), (100, LIVE), (101, LIVE)], [1, 1, 1, 1, 1, 0]),
        ([(0, LOST), (5, LIVE), (40, LOST), (60, LOST), (70, LIVE), (130, LIVE)], [1, 1, 1, 2, 2, 0]),
        ([(0, LOST), (5, LIVE), (65, LIVE), (66, LOST), (100, LOST), (126, LOST)], [1, 1, 0, 1, 1, 2]),
    ],
    ids=["lost", "a minute lost", "back", "back after alarm", "stale again", "lost again", "a second loss"],
)
def test_bms_cable(steps, expected):
    """1 when LOST, 2 a minute later, 0 after a minute of LIVE without a break."""
    assert expected == cable(*steps)
