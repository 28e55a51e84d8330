"""Batteries with files of their own: what may stand in them, and what counts in the end."""

import pytest

from config.addresses import BluetoothAddress, SimulatedAddress
from config.batteries import load_batteries
from config.loader import load
from config.options import OPTIONS, ConfigError

MACS = ["A4:C1:37:00:00:{:02X}".format(n) for n in range(16)]
GLOBAL = [name for name, option in OPTIONS.items() if not option.per_battery]


def loaded(texts, *settings, owner_file=None):
    """The batteries, and the warnings about their files."""
    return load_batteries(texts, load(owner_file, settings)[0])


def failure(texts, *settings, owner_file=None):
    """The one line with which *texts* are refused."""
    with pytest.raises(ConfigError) as caught:
        loaded(texts, *settings, owner_file=owner_file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("option", [option for option in OPTIONS.values() if option.per_battery], ids=lambda o: o.name)
def test_every_option_of_a_battery_may_stand_in_its_file(owner, option):
    """The battery that names the file has its value, its neighbour the common one."""
    text = option.type.show(option.default)
    path = owner("{} = {}\n".format(option.name, text), "own.ini")
    (first, second), warnings = loaded(["{}:{}".format(MACS[0], path), MACS[1]])
    assert warnings == []
    assert first.own_options == (option.show(option.default),)
    assert str(first.values.places[option.name]) == "{} line 1".format(path)
    assert second.own_options == ()
    assert dict(first.values.by_name) == dict(second.values.by_name)


@pytest.mark.parametrize("name", GLOBAL)
def test_a_common_option_in_a_battery_file_is_refused(owner, name):
    """What is for all batteries together cannot differ between them."""
    path = owner("; mine\n{} = 5\n".format(name), "own.ini")
    message = "{} line 2: {} is for all batteries together: it belongs into config.ini".format(path, name)
    assert failure(["{}:{}".format(MACS[0], path)]) == message


def test_what_wins(owner):
    """Defaults, config.ini, the battery's own file, the command line: the later one."""
    common = owner("MAX_BATTERY_CHARGE_CURRENT = 60\nMAX_BATTERY_DISCHARGE_CURRENT = 60\nMIN_CELL_VOLTAGE = 3\n")
    own = owner("MAX_BATTERY_CHARGE_CURRENT = 50\nMAX_BATTERY_DISCHARGE_CURRENT = 50\n", "own.ini")
    (battery,), _ = loaded(["sim:a:{}".format(own)], "MAX_BATTERY_DISCHARGE_CURRENT=40", owner_file=common)
    names = ("MAX_BATTERY_CHARGE_CURRENT", "MAX_BATTERY_DISCHARGE_CURRENT", "MIN_CELL_VOLTAGE", "MAX_CELL_VOLTAGE")
    assert [battery.values[name] for name in names] == [50, 40, 3, 3.45]
    assert battery.own_options == ("MAX_BATTERY_CHARGE_CURRENT = 50 A",)


def test_checks_run_on_the_merged_result(owner):
    """A file that fits by itself may contradict what is common to all, and the other way round."""
    own = owner("\nFLOAT_CELL_VOLTAGE = 3.5\n", "own.ini")
    message = "{} line 2: FLOAT_CELL_VOLTAGE = 3.5 is above MAX_CELL_VOLTAGE = 3.45".format(own)
    assert failure(["sim:a:{}".format(own)]) == message
    (battery,), _ = loaded(["sim:a:{}".format(own)], owner_file=owner("MAX_CELL_VOLTAGE = 3.6\n"))
    assert battery.values["FLOAT_CELL_VOLTAGE"] == 3.5
    own = owner("CELL_VOLTAGES_WHILE_CHARGING = 3.6, 3.5\n", "own.ini")
    assert "each needs its partner" in failure(["sim:a:{}".format(own)])


def test_errors_in_a_battery_file_have_its_name_and_line(owner, tmp_path):
    """The same messages as for the common file."""
    own = owner("\n\nCELL_COUNT = 40\n", "own.ini")
    assert failure(["sim:a:{}".format(own)]) == "{} line 3: CELL_COUNT = 40 is outside 0 or 1..32".format(own)
    assert failure(["sim:a:{}".format(tmp_path / "none.ini")]).startswith("cannot read ")
    assert failure(["sim:a:{}".format(tmp_path)]) == "cannot read {}: Is a directory".format(tmp_path)
    own = owner(b"\xff\xfe", "own.ini")
    assert failure(["sim:a:{}".format(own)]) == "{} is not a text file".format(own)


def test_warnings_of_a_battery_file_come_once(owner):
    """Also when two batteries share a file, and what config.ini said before is not said again."""
    common = owner("MAX_CELL_VOLTAGE = 3.7\nBT_WATCHDOG_ACTION = reboot\n")
    own = owner("CELL_CONT = 4\nGREENMETER_ADDRESS = 1\n", "own.ini")
    texts = ["sim:{}:{}".format(name, own) for name in "abc"]
    warnings = loaded(texts, owner_file=common)[1]
    assert warnings == ["{} line 1: unknown option CELL_CONT, did you mean CELL_COUNT?".format(own)]
    own = owner("MAX_CELL_VOLTAGE = 4.2\n", "own.ini")
    (warning,) = loaded(["sim:a:{}".format(own)], owner_file=common)[1]
    assert warning.startswith("{} line 1: MAX_CELL_VOLTAGE = 4.2".format(own))


def test_no_common_option_is_suggested_for_a_battery_file(owner):
    """What would be refused is not proposed."""
    own = owner("POLL_SECOND = 3\nPOLL_INTERVAL = 3\n", "own.ini")
    warnings = loaded(["sim:a:{}".format(own)])[1]
    assert [warning.partition(": ")[2] for warning in warnings] == [
        "unknown option POLL_SECOND",
        "unknown option POLL_INTERVAL",
    ]


def test_sixteen_batteries(owner):
    """In the order in which they were named, each with its own file or none."""
    files = [owner("MAX_BATTERY_CHARGE_CURRENT = {}\n".format(n + 1), "{}.ini".format(n)) for n in range(16)]
    texts = ["{}:{}".format(mac, file) if n % 2 else mac for n, (mac, file) in enumerate(zip(MACS, files))]
    batteries, _ = loaded(texts)
    assert [battery.address for battery in batteries] == [BluetoothAddress(mac) for mac in MACS]
    expected = [n + 1 if n % 2 else 70 for n in range(16)]
    assert [battery.values["MAX_BATTERY_CHARGE_CURRENT"] for battery in batteries] == expected


def test_batteries_of_the_configuration(owner):
    """They count when none is typed, and their files are looked for beside the file that names them."""
    own = owner("CELL_COUNT = 8\n", "own.ini")
    common = owner("BATTERIES = {}:own.ini, sim:b  sim:c:{}\n".format(MACS[0], own))
    batteries, _ = loaded([], owner_file=common)
    assert [battery.address for battery in batteries] == [
        BluetoothAddress(MACS[0]),
        SimulatedAddress("b"),
        SimulatedAddress("c"),
    ]
    assert [battery.values["CELL_COUNT"] for battery in batteries] == [8, 0, 8]
    (typed,), _ = loaded(["sim:d"], owner_file=common)
    assert typed.address == SimulatedAddress("d")


def test_wrong_addresses_of_the_configuration_name_the_place(owner):
    """A file and line, or the switch."""
    common = owner("\nBATTERIES = sim:a, acme\n")
    assert failure([], owner_file=common).startswith("{} line 2: BATTERIES: 'acme' is no battery".format(common))
    assert failure([], "BATTERIES=sim:a:").startswith("--set: BATTERIES: 'sim:a:': behind the last colon")
    assert loaded([]) == ([], [])


def test_a_password_shows_nowhere(owner):
    """Neither in what a battery's file decides nor in the repr."""
    own = owner("PASSWORD = 123456\n", "own.ini")
    (battery,), _ = loaded(["sim:a:{}".format(own)])
    assert battery.values["PASSWORD"] == "123456"
    assert battery.own_options == ("PASSWORD = (hidden)",)
    assert "123456" not in repr(battery)
