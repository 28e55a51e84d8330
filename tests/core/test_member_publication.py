"""What a service says of each of its batteries: the pages of gui-v2, and the families of the seed by exact name."""

import json
import re

import pytest

from core.configuration import PARALLEL, SERIES, SINGLE
from core.paths import type_of
from tests.core.banks import Story, member
from tests.core.made import basic, cells

ONE, TWO = "A4_C1_37_00_00_01", "A4_C1_37_00_00_02"
BELOW = "/Parallel/Battery/"
CELLS_OF_A_SEED = {"Cell/#/Volts": float, "Cell/#/Balancing": int}
FAMILY = {
    "CellCount": int, "Name": str, "MinVoltage": float, "MaxVoltage": float, "AvgVoltage": float,
    "VoltageSpread": float, "CellVoltages": str, "Balancing": str, "LastUpdate": float,
    **CELLS_OF_A_SEED,
}  # fmt: skip
"""C.9, below ``/Parallel/Battery/<ID>/``."""
OF_PARALLEL = ("VoltageImbalance", "CurrentImbalance", "SocImbalance", "TotalBatteries", "ActiveBatteries")


def bank_of_two(topology, **options):
    """Batteries of 4 and 4 cells; cell 3 of the second one balances."""
    return Story(member(), member((3300, 3310, 3320, 3331), balance=(4, 0)), topology=topology, **options)


def below(story, start):
    """The paths that begin so, without that beginning."""
    return {path[len(start) :]: value for path, value in story.items.items() if path.startswith(start)}


@pytest.mark.parametrize("topology", [SERIES, PARALLEL])
def test_the_family_of_a_battery(topology):
    """C.9: exact names, types on the wire, and values."""
    family = below(bank_of_two(topology).run(10), BELOW + TWO + "/")
    assert {re.sub(r"\d+", "#", name): type(value) for name, value in family.items()} == FAMILY
    assert {name: family[name] for name in ("CellCount", "Name", "MinVoltage", "MaxVoltage", "VoltageSpread")} == {
        "CellCount": 4, "Name": "Battery 0002", "MinVoltage": 3.3, "MaxVoltage": 3.331, "VoltageSpread": 0.031,
    }  # fmt: skip
    assert json.loads(family["CellVoltages"]) == [3.3, 3.31, 3.32, 3.331]
    assert json.loads(family["Balancing"]) == [False, False, True, False]
    assert [family["Cell/{}/Balancing".format(n)] for n in (1, 2, 3, 4)] == [0, 0, 1, 0]
    assert family["AvgVoltage"] == 3.315


def test_the_family_says_when():
    """C.9: LastUpdate, a number."""
    assert type(below(bank_of_two(PARALLEL).run(10), BELOW + ONE + "/")["LastUpdate"]) is float


def test_the_family_of_the_bank():
    """C.9: flags and counts of a parallel bank; of a series bank only how many batteries have cells."""
    parallel, series = bank_of_two(PARALLEL).run(10), bank_of_two(SERIES).run(10)
    assert {n: parallel.items["/Parallel/" + n] for n in OF_PARALLEL} == dict(zip(OF_PARALLEL, (0, 0, 0, 2, 2)))
    assert (parallel.items["/Parallel/BatteryCount"], series.items["/Parallel/BatteryCount"]) == (2, 2)
    assert not {"/Parallel/" + name for name in OF_PARALLEL} & series.items.keys()
    assert not below(Story(member(), topology=SINGLE).run(10), "/Parallel")


def test_the_flags_are_words_on_a_screen():
    """C.9: Yes and No."""
    for path in ("/Parallel/VoltageImbalance", BELOW + ONE + "/Cell/1/Balancing"):
        assert (type_of(path).wire, type_of(path).unit) == ("i", "yes")


def test_no_path_is_both_a_leaf_and_a_branch():
    """D-Bus could not show both; and each has a type."""
    for topology in (SERIES, PARALLEL):
        paths = sorted(bank_of_two(topology, cell_data_format=3, midpoint=True, time_to_soc_points=(5,)).run(10).items)
        for path in paths:
            assert not [other for other in paths if other.startswith(path + "/")], path
            assert type_of(path)


@pytest.mark.parametrize("formats", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("topology", "places"),
    [
        (SINGLE, ["1", "2", "3", "4"]),
        (SERIES, ["1", "2", "3", "4", "5", "6", "7", "8"]),
        (PARALLEL, ["1X1", "1X2", "1X3", "1X4", "2X1", "2X2", "2X3", "2X4"]),
    ],
)
def test_cell_data_formats(topology, places, formats):
    """BATTERY_CELL_DATA_FORMAT: bit 0 /Voltages/Cell# and /Balances, bit 1 /Cell/#/Volts; the page is always there."""
    members = [member(), member()][: len(places) // 4]
    story = Story(*members, topology=topology, cell_data_format=formats).run(10)
    voltages = {name for name in below(story, "/Voltages/") if name.startswith("Cell")}
    assert voltages == {"Cell" + place for place in places if formats & 1}
    assert set(below(story, "/Balances/")) == voltages
    seed = {place + "/Volts" for place in places} | {"Sum", "Diff"}
    assert set(below(story, "/Cell/")) == (seed if formats & 2 else set())
    assert {"Sum", "Diff"} <= set(below(story, "/Voltages/"))
    assert story.items["/Battery/{}/Cell/4/Voltage".format(len(members))] == 3.325


def test_cells_of_the_same_battery_have_one_value():
    """Whatever the name, it is the same cell."""
    story = bank_of_two(SERIES, cell_data_format=3).run(10)
    for n, mv in enumerate((3325, 3320, 3330, 3325, 3300, 3310, 3320, 3331), 1):
        page = "/Battery/{}/Cell/{}/Voltage".format(1 + n // 5, (n - 1) % 4 + 1)
        names = ("/Voltages/Cell{}".format(n), "/Cell/{}/Volts".format(n), page)
        assert [story.items[name] for name in names] == [mv / 1000] * 3
    assert [story.items["/Balances/Cell{}".format(n)] for n in range(1, 9)] == [0, 0, 0, 0, 0, 0, 1, 0]


def test_a_cell_too_many_is_not_taken_for_one_of_the_next_battery():
    """A battery that suddenly speaks of more cells keeps its own numbers: 5 is the first cell of the second one."""
    story = Story(member(), member(), topology=SERIES).run(30)
    story.members[0] = member((3325,) * 4 + (4000,))
    story.run(30)
    assert story.items["/Voltages/Cell5"] == 3.325
    assert (story.items["/Voltages/Sum"], story.items["/System/MaxCellVoltage"]) == (None, None)


def test_the_families_come_every_ten_seconds_at_most():
    """The page follows every answer, the family of the seed waits."""
    story = bank_of_two(PARALLEL, every_s=3).run(1)
    for n in range(60):
        story.members[0] = member((3300 + n,) * 4)
        story.run(1)
    seed = [at_s for at_s, _ in story.history(BELOW + ONE + "/MinVoltage")]
    page = [at_s for at_s, _ in story.history("/Battery/1/Cell/1/Voltage")]
    assert min(after - before for before, after in zip(seed[1:], seed[2:])) >= 10
    assert (len(seed), len(page)) == (7, 20)
    assert story.history(BELOW + ONE + "/CellVoltages")[-1][0] == seed[-1]


@pytest.mark.parametrize("topology", [SERIES, PARALLEL])
def test_the_families_go_at_once_on_a_loss(topology):
    """In the tick of the loss, not up to ten seconds later; what cells there are stays known."""
    story = bank_of_two(topology).run(33).run(40, silent={2})
    at_s, voltage_v = story.history("/Battery/2/Voltage")[-1]
    assert voltage_v is None
    family = below(story, BELOW + TWO + "/")
    held = {"CellCount": 4, "Name": "Battery 0002"}
    assert {name: value for name, value in family.items() if value is not None} == held
    for name in family.keys() - held.keys():
        assert story.history(BELOW + TWO + "/" + name)[-1] == (at_s, None)
    assert below(story, BELOW + ONE + "/")["MinVoltage"] == 3.32
    assert story.items["/Parallel/BatteryCount"] == 1


def test_a_battery_that_never_answered():
    """Its name and address are known, and nothing else."""
    story = Story(member(), None, topology=PARALLEL, start_wait_seconds=10).run(20)
    assert {name: value for name, value in below(story, BELOW + TWO + "/").items() if value is not None} == {
        "Name": "Battery 0002"
    }
    known = {name for name, value in below(story, "/Battery/2/").items() if value is not None}
    assert known == {"Serial", "ReleaseMinutes"}
    assert not [path for path in story.items if path.startswith(("/Voltages/Cell2X", "/Battery/2/Cell"))]


def test_the_page_of_a_silent_battery():
    """D.4: capacity and identity are held, everything measured is invalid."""
    story = bank_of_two(PARALLEL).run(20).run(40, silent={2})
    page = below(story, "/Battery/2/")
    assert {name: value for name, value in page.items() if value is not None} == {
        "Serial": "A4:C1:37:00:00:02", "ReleaseMinutes": 0, "FwVersion": 0x020500, "Capacity": 50.0,
    }  # fmt: skip


def test_v12_a_cell_that_is_not_told_any_more():
    """V12, B12: the paths of a cell that the BMS no longer speaks of are invalid, not what they were."""
    story = bank_of_two(PARALLEL).run(20)
    story.members[1] = (basic(cell_count=3), cells(3300, 3310, 3320))
    story.run(20)
    assert {story.items[p] for p in ("/Battery/2/Cell/4/Voltage", "/Voltages/Cell2X4", "/Balances/Cell2X4")} == {None}
    assert story.items[BELOW + TWO + "/Cell/4/Volts"] is None


def test_pages_are_of_every_member():
    """gui-v2: the page of the chosen battery finds all its rows."""
    story = bank_of_two(PARALLEL).run(10)
    for n in (1, 2):
        names = {"Serial", "ReleaseMinutes", "Capacity", "FwVersion", "Voltage", "Current", "Temperature"}
        names |= {"Cell/{}/Voltage".format(k) for k in (1, 2, 3, 4)}
        assert {name for name, value in below(story, "/Battery/{}/".format(n)).items() if value is not None} == names
    assert (story.items["/Battery/2/Voltage"], story.items["/Battery/2/Current"]) == (13.26, -5.0)
    assert story.items["/Battery/2/Temperature"] == 25.5
