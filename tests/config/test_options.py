"""An option is a number in its range, or an error that says where and why."""

import pytest

from config.options import OPTIONS, ConfigError


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_a_definition_is_consistent(option):
    """The default lies in the range, and someone who reads it learns what it is for."""
    assert OPTIONS[option.name] is option
    assert option.name == option.name.upper()
    assert option.lowest <= option.default <= option.highest
    assert option.kind in (int, float)
    assert option.meaning.endswith(".")


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_both_ends_of_the_range_are_in_it(option):
    """The range is what the owner reads: its ends are allowed, what lies beyond is not."""
    assert option.parse(str(option.lowest), "here") == option.lowest
    assert option.parse(str(option.highest), "here") == option.highest
    for text in (str(option.lowest - 1), str(option.highest + 1)):
        with pytest.raises(ConfigError) as caught:
            option.parse(text, "here")
        assert str(caught.value).startswith("here: {} = {} is outside ".format(option.name, text))


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("text", ["", "five", "1,5", "5 s", "--5", "1e", "0xg", "5;", "[]", "None"])
def test_what_is_no_number(option, text):
    """The message has the place, the name and what was written."""
    with pytest.raises(ConfigError) as caught:
        option.parse(text, "config.ini line 3")
    assert str(caught.value) == "config.ini line 3: {} = {!r} is not a number".format(option.name, text)


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-inf", "1e999"])
def test_what_is_not_finite(text):
    """A number that compares with nothing is outside every range."""
    option = OPTIONS["POLL_SECONDS"]
    with pytest.raises(ConfigError, match=r"is outside 1\.\.60 s$"):
        option.parse(text, "here")


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
    with pytest.raises(ConfigError, match="is not a number"):
        OPTIONS["HOLD_SECONDS"].parse(text, "here")


def test_types_come_out_as_defined():
    """A whole number stays whole, a fraction is allowed where it makes sense."""
    assert type(OPTIONS["HOLD_SECONDS"].parse("20", "here")) is int
    assert type(OPTIONS["POLL_SECONDS"].parse("2", "here")) is float
    assert OPTIONS["POLL_SECONDS"].parse("2.5", "here") == 2.5


def test_a_range_without_a_unit_has_none():
    """A plain number is told without a trailing blank."""
    with pytest.raises(ConfigError, match=r"is outside 0\.\.65535$"):
        OPTIONS["PRODUCT_ID"].parse("0x10000", "here")


@pytest.mark.parametrize("digits", [30, 300, 5000])
@pytest.mark.parametrize("name", ["PRODUCT_ID", "POLL_SECONDS"])
def test_a_number_with_many_digits(name, digits):
    """A slip on the keyboard is an error like any other."""
    with pytest.raises(ConfigError):
        OPTIONS[name].parse("9" * digits, "here")


def test_a_whole_number_above_every_float():
    """More than 308 digits are out of range, not a traceback."""
    with pytest.raises(ConfigError):
        OPTIONS["PRODUCT_ID"].parse("9" * 400, "here")
