"""One wire type, one rounding and one text for every path."""

import pytest

from core.paths import rounded, text_of, type_of


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        ("/Soc", "d"),
        ("/Dc/0/Voltage", "d"),
        ("/Voltages/Cell16", "d"),
        ("/Battery/1/Cell/16/Voltage", "d"),
        ("/Balances/Cell1", "i"),
        ("/Alarms/LowSoc", "i"),
        ("/Alarms/OfALaterVersion", "i"),
        ("/DeviceInstance", "i"),
        ("/CustomName", "s"),
    ],
)
def test_wire_type(path, wire):
    """Numbers in a path do not matter for its type."""
    assert wire == type_of(path).wire


@pytest.mark.parametrize("path", ["/Nonsense", "/Info/MaxChargeVoltage", "Soc", ""])
def test_unknown_path(path):
    """A path outside of the table is an error, so that none is published by accident."""
    with pytest.raises(KeyError):
        type_of(path)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("/Soc", None, None),
        ("/CustomName", None, None),
        ("/Connected", None, None),
        ("/Soc", 50, 50.0),
        ("/Soc", 49.96, 50.0),
        ("/Dc/0/Voltage", 13.2749, 13.27),
        ("/Dc/0/Current", -4.999, -5.0),
        ("/Voltages/Cell1", 3.3254, 3.325),
        ("/Connected", True, 1),
        ("/TimeToGo", 21600.7, 21600),
        ("/CustomName", "Pantry", "Pantry"),
    ],
)
def test_rounded(path, value, expected):
    """A value has the decimals and the type of its path, and unknown stays unknown."""
    result = rounded(path, value)
    assert expected == result
    assert type(expected) is type(result)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("/Soc", None, "---"),
        ("/CustomName", None, "---"),
        ("/Soc", 50.0, "50.0%"),
        ("/Dc/0/Voltage", 13.3, "13.30V"),
        ("/Dc/0/Current", -5.0, "-5.00A"),
        ("/Dc/0/Power", -66.5, "-66W"),
        ("/Dc/0/Temperature", 25.5, "25.5C"),
        ("/Voltages/Cell4", 3.325, "3.325V"),
        ("/Capacity", 50.0, "50.00Ah"),
        ("/ProductId", 0xBAB7, "0xBAB7"),
        ("/TimeToGo", 21600, "21600"),
        ("/Connected", 1, "1"),
        ("/Alarms/LowSoc", 2, "2"),
        ("/CustomName", "Pantry", "Pantry"),
        ("/CustomName", "", ""),
    ],
)
def test_text(path, value, text):
    """What a screen shows."""
    assert text == text_of(path, value)


def test_zero_has_no_sign():
    """-0.03 degC is 0.0C on a screen: sensors of -0.1, 0.0 and 0.0 degC have that mean."""
    path = "/Dc/0/Temperature"
    assert text_of(path, rounded(path, -0.1 / 3)) == "0.0C"
