"""From options to what the core reckons with, and what of it is shown on D-Bus."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.loader import load, load_battery
from config.options import OPTIONS
from config.translation import battery_configuration, charge_profile, published_options, run_configuration
from core.configuration import BatteryConfiguration, Configuration, configuration_from
from core.limits.curves import Curve
from core.limits.profile import ChargeProfile
from tests.config.test_loader import LFP_FILE

CONFIG_NAMES = """
    DRIVER_VERSION DRIVER_SUBVERSION LINEAR_LIMITATION_ENABLE MAX_BATTERY_CHARGE_CURRENT
    MAX_BATTERY_DISCHARGE_CURRENT SOC_IMBALANCE_DETECTION_ENABLE SOC_IMBALANCE_THRESHOLD CCCM_CV_ENABLE DCCM_CV_ENABLE
    CELL_VOLTAGES_WHILE_CHARGING MAX_CHARGE_CURRENT_CV CELL_VOLTAGES_WHILE_DISCHARGING MAX_DISCHARGE_CURRENT_CV
    CCCM_T_ENABLE DCCM_T_ENABLE TEMPERATURE_LIMITS_WHILE_CHARGING MAX_CHARGE_CURRENT_T
    TEMPERATURE_LIMITS_WHILE_DISCHARGING MAX_DISCHARGE_CURRENT_T PENALTY_AT_CELL_VOLTAGE PENALTY_BATTERY_VOLTAGE
    MIN_CELL_VOLTAGE MAX_CELL_VOLTAGE FLOAT_CELL_VOLTAGE MAX_VOLTAGE_TIME_SEC SOC_LEVEL_TO_RESET_VOLTAGE_LIMIT
    CCCM_SOC_ENABLE DCCM_SOC_ENABLE CC_SOC_LIMIT1 CC_SOC_LIMIT2 CC_SOC_LIMIT3 CC_CURRENT_LIMIT1 CC_CURRENT_LIMIT2
    CC_CURRENT_LIMIT3 DC_SOC_LIMIT1 DC_SOC_LIMIT2 DC_SOC_LIMIT3 DC_CURRENT_LIMIT1 DC_CURRENT_LIMIT2 DC_CURRENT_LIMIT3
    CVCM_ENABLE MIDPOINT_ENABLE SOC_LOW_WARNING SOC_LOW_ALARM BATTERY_CAPACITY INVERT_CURRENT_MEASUREMENT
    TIME_TO_SOC_POINTS TIME_TO_SOC_VALUE_TYPE TIME_TO_SOC_LOOP_CYCLES TIME_TO_SOC_INC_FROM BATTERY_CELL_DATA_FORMAT
    PUBLISH_CONFIG_VALUES BMS_TYPE
"""

KNOWN = BatteryConfiguration("ble_a4c137000001", "A4:C1:37:00:00:01", fallback_capacity_mah=50_000)


def values(*settings, owner_file=None):
    """All values with *settings*."""
    return load(owner_file, settings)[0]


def configuration(*settings, owner_file=None, published=None):
    """The configuration of one battery."""
    loaded = values(*settings, owner_file=owner_file)
    return run_configuration(loaded, [KNOWN], topology="single", device_instance=1, published=published or {})


def test_the_defaults_are_those_of_the_core():
    """An option that nobody touches changes nothing."""
    assert charge_profile(values()) == ChargeProfile()
    assert battery_configuration(values(), KNOWN.battery, KNOWN.address) == KNOWN
    assert configuration() == Configuration((KNOWN,), topology="single")


def test_the_lithium_profile():
    """Other points, other units, a factor switched off."""
    profile = charge_profile(values(owner_file=LFP_FILE))
    assert (profile.min_cell_mv, profile.max_cell_mv, profile.float_cell_mv) == (2500, 3560, 3450)
    assert (profile.max_charge_ma, profile.max_discharge_ma) == (50_000, 50_000)
    assert profile.discharge_by_cell_mv == Curve(((2500, 0.0), (2800, 0.1), (2900, 0.5), (3100, 1.0)))
    assert profile.charge_by_soc_permille == Curve(((800, 1.0), (900, 0.7), (950, 0.3), (1000, 0.1)))
    assert profile.discharge_by_soc_permille is None
    run = configuration(owner_file=LFP_FILE)
    assert (run.linear, run.float_switching, run.midpoint) == (True, True, True)
    assert (run.soc_low_warning_pct, run.soc_low_alarm_pct, run.soc_imbalance_pct) == (0, 0, 55)
    assert run.time_to_soc_points == (100, 90, 80, 50, 20, 10, 0)


@pytest.mark.parametrize(
    ("switch", "curve"),
    [
        ("CCCM_CV_ENABLE", "charge_by_cell_mv"),
        ("DCCM_CV_ENABLE", "discharge_by_cell_mv"),
        ("CCCM_T_ENABLE", "charge_by_temperature_dc"),
        ("DCCM_T_ENABLE", "discharge_by_temperature_dc"),
        ("CCCM_SOC_ENABLE", "charge_by_soc_permille"),
        ("DCCM_SOC_ENABLE", "discharge_by_soc_permille"),
    ],
)
def test_a_factor_that_is_switched_off(switch, curve):
    """Its table is gone, the others stay."""
    profile = charge_profile(values(switch + "=no"))
    curves = ("charge_by_cell_mv", "discharge_by_cell_mv", "charge_by_temperature_dc", "discharge_by_temperature_dc")
    for name in (*curves, "charge_by_soc_permille", "discharge_by_soc_permille"):
        assert (getattr(profile, name) is None) == (name == curve)


def test_tables_in_either_direction():
    """A table that was written falling is the same as one that was written rising."""
    rising = values("CELL_VOLTAGES_WHILE_CHARGING=3.3,3.45,3.5,3.55", "MAX_CHARGE_CURRENT_CV_FRACTION=1,.5,.05,0")
    assert charge_profile(rising) == ChargeProfile()


@pytest.mark.parametrize(
    ("settings", "points"),
    [
        (["CC_SOC_LIMIT1=100"], ((910, 1.0), (950, 0.5), (1000, 0.1))),
        (["CC_SOC_LIMIT1=100", "CC_CURRENT_LIMIT2_FRACTION=0"], ((910, 1.0), (950, 0.5), (1000, 0.0))),
        (["CC_SOC_LIMIT2=91.06"], ((910, 1.0), (911, 0.5), (980, 0.3), (1000, 0.1))),
        (["CC_SOC_LIMIT3=0"], ((0, 1.0), (950, 0.5), (980, 0.3), (1000, 0.1))),
    ],
)
def test_charging_by_state_of_charge(settings, points):
    """Two points at 100 % become one, with the stricter fraction."""
    assert charge_profile(values(*settings)).charge_by_soc_permille == Curve(points)


@pytest.mark.parametrize(
    ("limit3", "points"),
    [
        (30, ((100, 0.1), (200, 0.3), (300, 0.5), (350, 1.0))),
        (96, ((100, 0.1), (200, 0.3), (960, 0.5), (1000, 1.0))),
        (100, ((100, 0.1), (200, 0.3), (1000, 0.5))),
    ],
)
def test_discharging_by_state_of_charge(limit3, points):
    """The full current is reached 5 % above the last limit, at 100 % at the latest."""
    profile = charge_profile(values("DC_SOC_LIMIT3={}".format(limit3)))
    assert profile.discharge_by_soc_permille == Curve(points)


def test_a_table_of_the_battery_is_of_its_own_maximum(owner):
    """A fraction stays a fraction: half of a small battery's current is half of its own."""
    own = owner("MAX_BATTERY_CHARGE_CURRENT = 20\nCELL_VOLTAGES_WHILE_CHARGING = 3.4, 3.3\n"
                "MAX_CHARGE_CURRENT_CV_FRACTION = 0.5, 1\n", "own.ini")  # fmt: skip
    merged, _ = load_battery(values(), own)
    profile = charge_profile(merged)
    assert profile.charge_by_cell_mv == Curve(((3300, 1.0), (3400, 0.5)))
    assert profile.max_charge_ma * profile.charge_by_cell_mv.line(3400).fraction == 10_000
    assert published_options(merged, version="1")["MAX_CHARGE_CURRENT_CV"] == [10.0, 20.0]
    assert profile.discharge_by_cell_mv == ChargeProfile().discharge_by_cell_mv


def test_what_the_owner_knows_of_a_battery():
    """0 stands for what the BMS says."""
    settings = ["CAPACITY=12.5", "BATTERY_CAPACITY=280", "CELL_COUNT=16", "INVERT_CURRENT_MEASUREMENT=-1"]
    known = battery_configuration(values(*settings, "CURRENT_UNIT=X10", "BMS_TYPE=JBD"), "sim_a", "a", connection="C")
    assert (known.capacity_mah, known.fallback_capacity_mah, known.cell_count) == (12_500, 280_000, 16)
    assert (known.current_sign, known.current_unit, known.protocol, known.label) == (-1, "x10", "jbd", "JBD")
    assert (known.battery, known.address, known.connection) == ("sim_a", "a", "C")


def test_every_option_of_a_run():
    """Each reaches the field of its name, and survives the trip through a session."""
    settings = {
        "MONITOR_ONLY": "1", "PUBLISH_MEMBERS": "1", "PRODUCT_ID": "0xBA77", "POLL_SECONDS": "2.5",
        "HOLD_SECONDS": "300", "REMOVE_SECONDS": "60", "START_WAIT_SECONDS": "30", "BLOCK_DISCHARGE_ON_LOSS": "1",
        "ESTIMATE_LOST": "1", "LINEAR_LIMITATION_ENABLE": "1", "CVCM_ENABLE": "1", "ABSORPTION_MAX_SEC": "7200",
        "SOC_LEVEL_TO_RESET_VOLTAGE_LIMIT": "80", "SOC_LOW_WARNING": "15", "SOC_LOW_ALARM": "5",
        "SOC_IMBALANCE_THRESHOLD": "20", "MIDPOINT_ENABLE": "1", "BATTERY_CELL_DATA_FORMAT": "3",
        "TIME_TO_SOC_POINTS": "90, 10, 90", "TIME_TO_SOC_VALUE_TYPE": "1", "TIME_TO_SOC_LOOP_CYCLES": "7",
        "TIME_TO_SOC_INC_FROM": "1",
    }  # fmt: skip
    texts = ["{}={}".format(name, text) for name, text in settings.items()]
    shown = published_options(values(*texts), version="1.2.3", subversion="x")
    run = configuration(*texts, published=shown)
    assert run == Configuration(
        (KNOWN,), topology="single", monitor_only=True, publish_members=True, product_id=0xBA77, poll_seconds=2.5,
        hold_seconds=300, remove_seconds=60, start_wait_seconds=30, block_discharge_on_loss=True, estimate_lost=True,
        linear=True, float_switching=True, absorption_max_s=7200, rebulk_soc_pct=80, soc_low_warning_pct=15,
        soc_low_alarm_pct=5, soc_imbalance_pct=20, midpoint=True, cell_data_format=3, time_to_soc_points=(90, 10),
        time_to_soc_type=1, time_to_soc_cycles=7, time_to_soc_passed=True, published_options=shown,
    )  # fmt: skip
    assert configuration_from(json.loads(json.dumps(run.to_payload()))) == run


def test_no_detection_of_imbalance():
    """Switched off is not a threshold."""
    assert configuration("SOC_IMBALANCE_DETECTION_ENABLE=False").soc_imbalance_pct is None


def test_the_instance_may_come_later():
    """Venus OS assigns it."""
    run = run_configuration(values(), [KNOWN], topology="single", device_instance=None, published={})
    assert run.device_instance is None


def test_published_options():
    """The names of the first driver, numbers and lists of numbers, fractions as amperes."""
    shown = published_options(values(), version="1.2.3", subversion="beta")
    assert list(shown) == CONFIG_NAMES.split()
    assert (shown["DRIVER_VERSION"], shown["DRIVER_SUBVERSION"], shown["BMS_TYPE"]) == ("1.2.3", "beta", "")
    assert shown["MAX_CHARGE_CURRENT_CV"] == [0.0, 3.5, 35.0, 70.0]
    assert shown["MAX_DISCHARGE_CURRENT_T"] == [0.0, 18.0, 27.0, 36.0, 90.0, 90.0, 0.0]
    assert [shown["CC_CURRENT_LIMIT{}".format(n)] for n in (1, 2, 3)] == [7.0, 21.0, 35.0]
    assert [shown["DC_CURRENT_LIMIT{}".format(n)] for n in (1, 2, 3)] == [9.0, 27.0, 45.0]
    assert (shown["CVCM_ENABLE"], shown["CCCM_CV_ENABLE"], shown["PUBLISH_CONFIG_VALUES"]) == (0, 1, 1)
    assert shown["TIME_TO_SOC_POINTS"] == []
    for value in shown.values():
        assert type(value) in (int, float, str, list)
        assert not isinstance(value, list) or all(type(each) is float for each in value)


def test_options_are_not_published_when_the_owner_says_no():
    """PUBLISH_CONFIG_VALUES = 0 leaves nothing."""
    assert published_options(values("PUBLISH_CONFIG_VALUES=0"), version="1") == {}


def test_a_password_is_in_no_translation():
    """What is recorded and shown must never hold it."""
    loaded = values("PASSWORD=hush99")
    shown = published_options(loaded, version="1")
    known = battery_configuration(loaded, "sim_a", "a")
    run = run_configuration(loaded, [known], topology="single", device_instance=1, published=shown)
    assert "hush99" not in json.dumps(run.to_payload()) and "hush99" not in repr(run)


POINTS = st.lists(st.integers(1500, 4500).map(lambda mv: mv / 1000), min_size=1, max_size=8, unique=True)
LIMITS = st.lists(st.integers(0, 1000).map(lambda permille: permille / 10), min_size=3, max_size=3, unique=True)


@given(POINTS, st.data())
def test_any_table_becomes_a_curve(points, data):
    """With every point that was written."""
    fractions = data.draw(st.lists(st.floats(0, 1), min_size=len(points), max_size=len(points)))
    join = ",".join
    loaded = values(
        "CELL_VOLTAGES_WHILE_CHARGING=" + join(map(repr, sorted(points))),
        "MAX_CHARGE_CURRENT_CV_FRACTION=" + join(map(repr, fractions)),
        "PENALTY_AT_CELL_VOLTAGE=" + join(map(repr, sorted(points))),
        "PENALTY_BATTERY_VOLTAGE=" + join(map(repr, sorted(fractions))),
    )
    profile = charge_profile(loaded)
    assert len(profile.charge_by_cell_mv.points) == len(profile.penalty_mv.points) == len(points)
    assert [y for _, y in profile.charge_by_cell_mv.points] == fractions


@given(LIMITS, LIMITS, st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_any_taper_becomes_a_curve(charge_limits, discharge_limits, fractions):
    """Up to the very ends of the range."""
    texts = ["CC_SOC_LIMIT{}={!r}".format(n, limit) for n, limit in zip((3, 2, 1), sorted(charge_limits))]
    texts += ["DC_SOC_LIMIT{}={!r}".format(n, limit) for n, limit in zip((1, 2, 3), sorted(discharge_limits))]
    names = [name for name in OPTIONS if name.endswith(("LIMIT1_FRACTION", "LIMIT2_FRACTION", "LIMIT3_FRACTION"))]
    texts += ["{}={!r}".format(name, fraction) for name, fraction in zip(names, fractions)]
    profile = charge_profile(values(*texts))
    assert profile.charge_by_soc_permille.points[-1][0] == 1000
    assert profile.discharge_by_soc_permille.points[-1][0] <= 1000
