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
        ("/Info/MaxChargeVoltage", "d"),
        ("/Voltages/Cell2X16", "d"),
        ("/Balances/Cell2X16", "i"),
        ("/Parallel/Battery/A4_C1_37_00_00_01/Cell/16/Volts", "d"),
        ("/Parallel/Battery/A4_C1_37_00_00_01/CellVoltages", "s"),
        ("/Parallel/SocImbalance", "i"),
        ("/Info/Config/ANY_OPTION", "v"),
        ("/TimeToSoC/100", "v"),
        ("/CellMonitor/Trend/Request", "s"),
        ("/CellMonitor/Trend/Json", "s"),
    ],
)
def test_wire_type(path, wire):
    """Numbers in a path do not matter for its type."""
    assert wire == type_of(path).wire


@pytest.mark.parametrize(
    "path",
    [
        "/Nonsense",
        "/Info/MaxChargePower",
        "/Parallel/Nonsense",
        "/Parallel/Battery/A4_C1",
        "/Parallel/Battery/A4_C1/Nonsense",
        "Soc",
        "",
    ],
)
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
        ("/Info/MaxChargeCurrent", 69.96, 70.0),
        ("/Parallel/SocImbalance", True, 1),
        ("/Info/Config/ANY_OPTION", 0.12345, 0.12345),
        ("/Info/Config/ANY_OPTION", 5, 5),
        ("/Info/Config/ANY_OPTION", (3.45, 0.123456), (3.45, 0.123456)),
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
        ("/Info/MaxChargeCurrent", 70.0, "70.0A"),
        ("/Parallel/VoltageImbalance", 1, "Yes"),
        ("/Parallel/CurrentImbalance", 0, "No"),
        ("/Parallel/SocImbalance", None, "---"),
        ("/Parallel/Battery/A4_C1/Cell/3/Balancing", 1, "Yes"),
        ("/Balances/Cell3", 1, "1"),
        ("/Info/Config/CELL_VOLTAGES", (3.45, 3.5, 0.0), "3.45, 3.5, 0"),
        ("/Info/Config/CELL_VOLTAGES", (), ""),
        ("/Info/Config/CELL_VOLTAGES", None, "---"),
        ("/Info/Config/MAX_CURRENT", 70, "70"),
        ("/Info/Config/MAX_CURRENT", 0.5, "0.5"),
        ("/Info/Config/TOPOLOGY", "series", "series"),
        ("/TimeToSoC/80", 3600, "3600"),
        ("/TimeToSoC/80", "01:00:00", "01:00:00"),
    ],
)
def test_text(path, value, text):
    """What a screen shows."""
    assert text == text_of(path, value)


def test_zero_has_no_sign():
    """-0.03 degC is 0.0C on a screen: sensors of -0.1, 0.0 and 0.0 degC have that mean."""
    path = "/Dc/0/Temperature"
    assert text_of(path, rounded(path, -0.1 / 3)) == "0.0C"
