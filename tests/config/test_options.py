"""An option is a value of its type in its range, or an error that says where and why."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.option_types import Choice, Family, Flag, Number, NumberList, Text, Words
from config.options import IGNORED, OPTIONS, SUCCESSORS, ConfigError

PER_BATTERY = """
    ADAPTERS BATTERY_CAPACITY BMS_TYPE CAPACITY CCCM_CV_ENABLE CCCM_SOC_ENABLE CCCM_T_ENABLE CC_CURRENT_LIMIT1_FRACTION
    CC_CURRENT_LIMIT2_FRACTION CC_CURRENT_LIMIT3_FRACTION CC_SOC_LIMIT1 CC_SOC_LIMIT2 CC_SOC_LIMIT3 CELL_COUNT
    CELL_VOLTAGES_WHILE_CHARGING CELL_VOLTAGES_WHILE_DISCHARGING CURRENT_UNIT DCCM_CV_ENABLE DCCM_SOC_ENABLE
    DCCM_T_ENABLE DC_CURRENT_LIMIT1_FRACTION DC_CURRENT_LIMIT2_FRACTION DC_CURRENT_LIMIT3_FRACTION DC_SOC_LIMIT1
    DC_SOC_LIMIT2 DC_SOC_LIMIT3 FLOAT_CELL_VOLTAGE INVERT_CURRENT_MEASUREMENT MAX_BATTERY_CHARGE_CURRENT
    MAX_BATTERY_DISCHARGE_CURRENT MAX_CELL_VOLTAGE MAX_CHARGE_CURRENT_CV_FRACTION MAX_CHARGE_CURRENT_T_FRACTION
    MAX_DISCHARGE_CURRENT_CV_FRACTION MAX_DISCHARGE_CURRENT_T_FRACTION MAX_VOLTAGE_TIME_SEC MIN_CELL_VOLTAGE PASSWORD
    PENALTY_AT_CELL_VOLTAGE PENALTY_BATTERY_VOLTAGE TEMPERATURE_LIMITS_WHILE_CHARGING
    TEMPERATURE_LIMITS_WHILE_DISCHARGING
"""

RANGES = {
    "ABSORPTION_MAX_SEC": (0, 86400), "BATTERY_CAPACITY": (0.1, 5000), "BATTERY_CELL_DATA_FORMAT": (0, 3),
    "BT_WATCHDOG_TIMEOUT": (10, 3600), "CAPACITY": (0.1, 5000), "CC_CURRENT_LIMIT1_FRACTION": (0, 1),
    "CC_CURRENT_LIMIT2_FRACTION": (0, 1), "CC_CURRENT_LIMIT3_FRACTION": (0, 1), "CC_SOC_LIMIT1": (0, 100),
    "CC_SOC_LIMIT2": (0, 100), "CC_SOC_LIMIT3": (0, 100), "CELL_COUNT": (1, 32), "COMMIT_SECONDS": (1, 300),
    "DATABASE_MAX_MB": (8, 65536), "DC_CURRENT_LIMIT1_FRACTION": (0, 1), "DC_CURRENT_LIMIT2_FRACTION": (0, 1),
    "DC_CURRENT_LIMIT3_FRACTION": (0, 1), "DC_SOC_LIMIT1": (0, 100), "DC_SOC_LIMIT2": (0, 100),
    "DC_SOC_LIMIT3": (0, 100), "FLOAT_CELL_VOLTAGE": (1.5, 4.35), "HOLD_SECONDS": (15, 1800),
    "MAX_BATTERY_CHARGE_CURRENT": (0, 1000), "MAX_BATTERY_DISCHARGE_CURRENT": (0, 1000),
    "MAX_CELL_VOLTAGE": (1.5, 4.35), "MAX_VOLTAGE_TIME_SEC": (0, 86400), "MIN_CELL_VOLTAGE": (1.5, 4.35),
    "POLL_SECONDS": (1, 60), "PRODUCT_ID": (0, 65535), "REMOVE_SECONDS": (0, 3600), "RETENTION_RAW_DAYS": (1, 3650),
    "RETENTION_MINUTE_HOURS": (1, 8760), "RETENTION_QUARTER_DAYS": (2, 3650),
    "SOC_IMBALANCE_THRESHOLD": (1, 100), "SOC_LEVEL_TO_RESET_VOLTAGE_LIMIT": (0, 99), "SOC_LOW_ALARM": (0, 100),
    "SOC_LOW_WARNING": (0, 100), "START_WAIT_SECONDS": (0, 3600), "TIME_TO_SOC_LOOP_CYCLES": (1, 3600),
    "TIME_TO_SOC_VALUE_TYPE": (1, 3),
}  # fmt: skip
OR_ZERO = {"BT_WATCHDOG_TIMEOUT", "CAPACITY", "CELL_COUNT", "DATABASE_MAX_MB"}
LISTS = {
    "CELL_VOLTAGES_WHILE_CHARGING": (1.5, 4.5), "CELL_VOLTAGES_WHILE_DISCHARGING": (1.5, 4.5),
    "MAX_CHARGE_CURRENT_CV_FRACTION": (0, 1), "MAX_CHARGE_CURRENT_T_FRACTION": (0, 1),
    "MAX_DISCHARGE_CURRENT_CV_FRACTION": (0, 1), "MAX_DISCHARGE_CURRENT_T_FRACTION": (0, 1),
    "PENALTY_AT_CELL_VOLTAGE": (1.5, 4.5), "PENALTY_BATTERY_VOLTAGE": (0, 10),
    "TEMPERATURE_LIMITS_WHILE_CHARGING": (-40, 100), "TEMPERATURE_LIMITS_WHILE_DISCHARGING": (-40, 100),
    "TIME_TO_SOC_POINTS": (0, 100),
}  # fmt: skip
WORDS = {
    "BMS_TYPE": ["jbd", ""], "BT_WATCHDOG_ACTION": ["log", "reboot"], "CURRENT_UNIT": ["auto", "x1", "x10"],
    "INVERT_CURRENT_MEASUREMENT": ["1", "-1"], "TOPOLOGY": ["series", "parallel", "separate"],
}  # fmt: skip


def of_type(kind):
    """The names of all options of one type."""
    return [name for name, option in OPTIONS.items() if isinstance(option.type, kind)]


def refused(name, text):
    """What is said of *text*."""
    with pytest.raises(ConfigError) as caught:
        OPTIONS[name].parse(text, "config.ini line 3")
    message = str(caught.value)
    assert message.startswith("config.ini line 3: {} = ".format(name))
    assert "\n" not in message
    return message[len("config.ini line 3: ") :]


def test_every_option_is_in_a_table_of_this_file():
    """An option that is added gets its range looked at here."""
    assert sorted(of_type(Number)) == sorted(RANGES)
    assert {name for name in of_type(Number) if OPTIONS[name].type.or_zero} == OR_ZERO
    assert sorted(of_type(NumberList)) == sorted(LISTS)
    assert sorted(of_type((Choice, Family))) == sorted(WORDS)
    others = {*of_type(Flag), *of_type(Text), *of_type(Words)}
    assert set(OPTIONS) == others | set(RANGES) | set(LISTS) | set(WORDS)
    assert {*of_type(Text), *of_type(Words)} == {"PASSWORD", "ADAPTERS", "BATTERIES"}


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_a_definition_is_consistent(option):
    """The default is a value of the type, and someone who reads the definition learns what it is for."""
    assert OPTIONS[option.name] is option
    assert option.name == option.name.upper()
    assert option.parse(option.type.show(option.default), "here") == option.default
    assert type(option.parse(option.type.show(option.default), "here")) is type(option.default)
    assert option.meaning.endswith(".")


def test_the_scope_of_every_option():
    """What a battery may have of its own is a closed list."""
    assert sorted(name for name, option in OPTIONS.items() if option.per_battery) == sorted(PER_BATTERY.split())


def test_names_of_other_drivers_are_none_of_ours():
    """A former name leads to an option that there is."""
    assert not set(OPTIONS) & (set(SUCCESSORS) | set(IGNORED))
    assert set(SUCCESSORS.values()) <= set(OPTIONS)


@pytest.mark.parametrize("name", RANGES)
def test_the_ends_of_a_range(name):
    """The ends are allowed, what lies beyond is not, and the message says the range."""
    lowest, highest = RANGES[name]
    option = OPTIONS[name]
    step = 1 if option.type.kind is int else 0.01
    assert option.parse(str(lowest), "here") == lowest
    assert option.parse(str(highest), "here") == highest
    zero, unit = "0 or " if name in OR_ZERO else "", " " + option.unit if option.unit else ""
    for text in (str(lowest - step), str(highest + step)):
        if float(text) == 0 and name in OR_ZERO:
            continue
        message = "{} = {} is outside {}{:g}..{:g}{}".format(name, text, zero, lowest, highest, unit)
        assert refused(name, text) == message


@pytest.mark.parametrize("name", sorted(OR_ZERO))
def test_zero_where_it_means_something(name):
    """0 is allowed although the range begins above it; less is not."""
    assert OPTIONS[name].parse("0", "here") == 0
    assert "is outside 0 or " in refused(name, "-1")


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("text", ["", "five", "1,5", "5 s", "--5", "1e", "0xg", "5;", "[]", "None", "True"])
def test_what_is_no_number(name, text):
    """The message has the place, the name and what was written."""
    assert refused(name, text) == "{} = {!r} is not a number".format(name, text)


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("name", [name for name in RANGES if OPTIONS[name].type.kind is float])
def test_what_is_not_finite(name, text):
    """A number that compares with nothing is outside every range."""
    assert " is outside " in refused(name, text)


@pytest.mark.parametrize(
    ("text", "value"), [("0xBAB7", 0xBAB7), ("47799", 47799), ("0b11", 3), ("0o17", 15), ("0XFF", 255)]
)
def test_whole_numbers_in_other_bases(text, value):
    """A product number is written in hex."""
    parsed = OPTIONS["PRODUCT_ID"].parse(text, "here")
    assert parsed == value
    assert type(parsed) is int


@pytest.mark.parametrize("text", ["15.5", "20.0", "2e1", "nan", "010"])
def test_whole_numbers_only(text):
    """Where the unit is a whole second a fraction is not rounded in silence."""
    assert refused("HOLD_SECONDS", text).endswith("is not a number")


def test_types_come_out_as_defined():
    """A whole number stays whole, a fraction is allowed where it makes sense."""
    assert type(OPTIONS["HOLD_SECONDS"].parse("20", "here")) is int
    assert type(OPTIONS["POLL_SECONDS"].parse("2", "here")) is float
    assert OPTIONS["POLL_SECONDS"].parse("2.5", "here") == 2.5


@pytest.mark.parametrize("digits", [30, 300, 400, 5000])
@pytest.mark.parametrize("name", ["PRODUCT_ID", "POLL_SECONDS", "TIME_TO_SOC_POINTS", "CELL_VOLTAGES_WHILE_CHARGING"])
def test_a_number_with_many_digits(name, digits):
    """A slip on the keyboard is an error like any other, and the line stays short."""
    assert len(refused(name, "9" * digits)) < 600


@pytest.mark.parametrize("name", of_type(Flag))
def test_switches(name):
    """True and False in the ways that people write them, nothing else."""
    parse = OPTIONS[name].parse
    for text in ("True", "true", "TRUE", "yes", "Yes", "1", "on", "ON"):
        assert parse(text, "here") is True
    for text in ("False", "false", "FALSE", "no", "No", "0", "off", "OFF"):
        assert parse(text, "here") is False
    for text in ("", "2", "-1", "y", "wahr", "None", "0.0", "True False"):
        assert refused(name, text) == "{} = {!r} is neither True nor False".format(name, text)


@pytest.mark.parametrize("name", WORDS)
def test_choices(name):
    """One of the words in any case; anything else is told with the words that would do."""
    for word in WORDS[name]:
        assert str(OPTIONS[name].parse(word.upper(), "here")) == word
    message = refused(name, "sideways")
    assert all(word in message for word in WORDS[name])
    assert "'sideways'" in message


def test_the_sign_of_the_current():
    """Exactly 1 or -1, as numbers."""
    assert [OPTIONS["INVERT_CURRENT_MEASUREMENT"].parse(text, "here") for text in ("1", "-1")] == [1, -1]
    for text in ("0", "2", "-2", "1.0", "+1", ""):
        assert refused("INVERT_CURRENT_MEASUREMENT", text).endswith("is none of 1, -1")


@pytest.mark.parametrize("name", LISTS)
def test_lists(name):
    """Numbers with commas, ends of the range included, blanks as one likes."""
    lowest, highest = LISTS[name]
    written = " {} ,{}".format(lowest, highest)
    assert OPTIONS[name].parse(written, "here") == (lowest, highest)
    for number in (lowest - 1, highest + 1):
        reason = "has a number outside {:g}..{:g}".format(lowest, highest)
        assert "{} = {} {}".format(name, number, reason) in refused(name, str(number))
    for text in ("a", "1,", ",1", "1,,2", "1;2", "1 2", "1,b"):
        assert refused(name, text) == "{} = {!r} is not a number".format(name, text)


@pytest.mark.parametrize("name", sorted(set(LISTS) - {"TIME_TO_SOC_POINTS"}))
def test_lists_that_are_too_short_or_too_long(name):
    """A table has a point at least."""
    lowest, highest = LISTS[name]
    assert "has 0 numbers instead of 1..50" in refused(name, "")
    points = [str(lowest + (highest - lowest) * n / 60) for n in range(51)]
    assert len(OPTIONS[name].parse(",".join(points[:50]), "here")) == 50
    assert "has 51 numbers instead of 1..50" in refused(name, ",".join(points))


@pytest.mark.parametrize("name", [name for name in LISTS if OPTIONS[name].type.step])
def test_points_rise_or_fall(name):
    """Either direction; a point twice, out of order, or too near to another is refused."""
    lowest, highest = LISTS[name]
    middle = (lowest + highest) / 2
    for values in ((lowest, middle, highest), (highest, middle, lowest)):
        assert OPTIONS[name].parse(",".join(map(str, values)), "here") == values
    near = lowest + OPTIONS[name].type.step / 3
    for values in ((lowest, highest, middle), (lowest, lowest, highest), (highest, middle, middle), (lowest, near)):
        assert "neither rises nor falls by " in refused(name, ",".join(map(str, values)))


def test_which_lists_are_ordered():
    """The points of the tables."""
    ordered = {name for name in LISTS if OPTIONS[name].type.step}
    assert ordered == {name for name in LISTS if "FRACTION" not in name} - {
        "PENALTY_BATTERY_VOLTAGE",
        "TIME_TO_SOC_POINTS",
    }


def test_time_to_soc_points():
    """None at all, or up to twenty whole percentages in any order."""
    parse = OPTIONS["TIME_TO_SOC_POINTS"].parse
    assert parse("", "here") == ()
    assert parse("100, 90,0", "here") == (100, 90, 0)
    assert len(parse(",".join(map(str, range(20))), "here")) == 20
    assert "has 21 numbers instead of 0..20" in refused("TIME_TO_SOC_POINTS", ",".join(map(str, range(21))))
    assert "is not a number" in refused("TIME_TO_SOC_POINTS", "99.5")


def test_a_password_is_never_repeated():
    """Neither an error nor what is shown holds it."""
    option = OPTIONS["PASSWORD"]
    assert option.parse("123456", "here") == "123456"
    assert option.show("123456") == "PASSWORD = (hidden)"
    assert option.show("") == "PASSWORD ="
    for text in ("123 456", "pass\u00e4", "x" * 33):
        message = refused("PASSWORD", text)
        assert text not in message and "(hidden)" in message


def test_adapters():
    """Names of adapters or addresses, with commas or blanks; anything else is refused."""
    parse = OPTIONS["ADAPTERS"].parse
    assert parse("", "here") == ()
    assert parse("hci0,  hci12 A4:C1:37:00:00:01", "here") == ("hci0", "hci12", "A4:C1:37:00:00:01")
    for text in ("usb0", "hci", "hci0, A4:C1:37:00:00"):
        assert refused("ADAPTERS", text).endswith("expected adapters like hci0 or their addresses")


def test_batteries_are_words():
    """Commas, blanks or both between them."""
    parse = OPTIONS["BATTERIES"].parse
    for text in ("a,b", "a b", " a , b ,", "a,\tb", ",a,,b"):
        assert parse(text, "here") == ("a", "b")
    for text in ("", " ", ","):
        assert parse(text, "here") == ()


@given(st.sampled_from(sorted(OPTIONS)), st.text(max_size=60))
def test_no_text_is_a_traceback(name, text):
    """Any text is a value or a ConfigError of one line."""
    try:
        value = OPTIONS[name].parse(text.strip(), "here")
    except ConfigError as error:
        assert str(error).startswith("here: {} = ".format(name))
        assert str(error).isprintable()
    else:
        assert not isinstance(value, float) or math.isfinite(value)
