"""What cannot be true is marked with its reason, never dropped."""

import pytest

from core import plausibility as pl
from core.readings import CellReading, PackReading


def pack(**changes):
    """A plausible 4S pack."""
    values = {"voltage_mv": 13_200, "current_ma": 0, "cell_count": 4, "soc_permille": 500}
    values.update(changes)
    return PackReading(**values)


def cells(*voltages_mv):
    """Four cells of 3.3 V if none are named."""
    return CellReading(voltages_mv or (3300, 3300, 3300, 3300))


@pytest.mark.parametrize(
    ("changes", "marked"),
    [
        ({}, None),
        ({"current_ma": 999_999}, None),
        ({"current_ma": 1_000_000}, pl.CURRENT),
        ({"current_ma": -1_000_000}, pl.CURRENT),
        ({"soc_permille": 1000}, None),
        ({"soc_permille": 1010}, pl.SOC),
        ({"soc_permille": None}, None),
        ({"cell_count": 32}, None),
        ({"cell_count": 33}, pl.CELL_COUNT),
        ({"temperatures_dc": (250,) * 8}, None),
        ({"temperatures_dc": (250,) * 9}, pl.SENSORS),
        ({"temperatures_dc": (-400, 1200, None)}, None),
        ({"temperatures_dc": (-401, 250)}, "sensor 1"),
        ({"temperatures_dc": (None, 250, 1201)}, "sensor 3"),
    ],
)
def test_pack(changes, marked):
    """Each limit of a pack reading, at its border."""
    assert ([marked] if marked else []) == list(pl.implausible_pack(pack(**changes)))


def test_reasons_are_readable():
    """A mark tells the number."""
    marks = pl.implausible_pack(pack(current_ma=-2_000_000, soc_permille=1270))
    assert marks == {"current": "-2000 A is beyond any battery of this kind", "soc": "127.0 % is above 100 %"}
    assert pl.implausible_pack(pack(temperatures_dc=(-401,))) == {
        "sensor 1": "-40.1 degC is no temperature of a battery"
    }


@pytest.mark.parametrize(
    ("mark", "of_cells", "of_sensors"),
    [
        (pl.cell_key(16), True, False),
        (pl.CELL_COUNT, True, False),
        (pl.sensor_key(4), False, True),
        (pl.SENSORS, False, True),
        (pl.VOLTAGE, False, False),
        (pl.CURRENT, False, False),
        (pl.SOC, False, False),
    ],
)
def test_what_a_mark_is_about(mark, of_cells, of_sensors):
    """A mark tells whether cell voltages or temperatures are in doubt; those of the pack are neither."""
    assert (pl.any_cell({mark: ""}), pl.any_sensor({mark: ""})) == (of_cells, of_sensors)
    assert not pl.any_cell({})
    assert not pl.any_sensor({})


@pytest.mark.parametrize(
    ("changes", "voltages_mv", "apart_us", "marked"),
    [
        ({}, (), 0, []),
        ({}, (), None, []),
        ({"voltage_mv": 12_000}, (), 0, []),
        ({"voltage_mv": 11_879}, (), 0, ["voltage"]),
        ({"voltage_mv": 14_666}, (), 0, []),
        ({"voltage_mv": 14_667}, (), 0, ["voltage"]),
        ({"voltage_mv": 20_000}, (), 4_999_999, ["voltage"]),
        ({"voltage_mv": 20_000}, (), -4_999_999, ["voltage"]),
        ({"voltage_mv": 20_000}, (), 5_000_000, []),
        ({"voltage_mv": 20_000}, (), None, []),
        ({"voltage_mv": 0}, (0, 0, 0, 0), 0, ["cell 1", "cell 2", "cell 3", "cell 4"]),
        ({}, (3300, 0, 3300, 3300), 0, ["cell 2", "voltage"]),
        ({}, (3300, 3300, 3300, 5300), 0, ["cell 4", "voltage"]),
        ({}, (3300, 3300, 3300, 3800), 0, []),
        ({"voltage_mv": 20_000}, (3300, 3300, 3300, 3800), 0, ["voltage"]),
        ({"voltage_mv": 20_000}, (3300, 3300, 3300, 3801), 0, ["cell 4", "voltage"]),
        ({}, (2000, 2000, 3300, 3300), 0, ["cell 1", "cell 2", "voltage"]),
        ({"cell_count": 5}, (), 0, ["cell_count"]),
        ({"cell_count": 5}, (3300, 0, 3300, 3300), 0, ["cell 2", "cell_count"]),
        ({"cell_count": 0}, (), 0, []),
    ],
)
def test_pack_against_cells(changes, voltages_mv, apart_us, marked):
    """Pack and cells must agree within 10 % when taken together; who is to blame is marked."""
    assert marked == sorted(pl.implausible_cells(pack(**changes), cells(*voltages_mv), apart_us))


def test_a_zero_cell_keeps_its_own_reason():
    """0 mV is a broken wire, also where it is far from its siblings."""
    marks = pl.implausible_cells(pack(), cells(3300, 0, 3300, 3300), 0)
    assert marks["cell 2"] == "0 mV: broken sense wire or cell not fitted"
