"""What an owner may write to name a battery, and what he is told when it is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.addresses import BluetoothAddress, RecordedAddress, SimulatedAddress, parse_address, split_file
from config.options import ConfigError


@pytest.mark.parametrize(
    "text", ["70:3e:97:08:00:62", "70:3E:97:08:00:62", "70-3e-97-08-00-62", "70-3E-97-08-00-62", "70:3e-97:08-00:62"]
)
def test_bluetooth_addresses(text):
    """Any case, colons or dashes: one battery with one name."""
    address = parse_address(text)
    assert address == BluetoothAddress("70:3E:97:08:00:62")
    assert address.battery == "ble_703e97080062"


@given(st.binary(min_size=6, max_size=6), st.sampled_from(":-"), st.booleans())
def test_any_six_bytes_are_an_address(raw, separator, upper):
    """The name on the bus has the same digits as the address."""
    text = separator.join("{:02x}".format(byte) for byte in raw)
    address = parse_address(text.upper() if upper else text)
    assert address.battery == "ble_" + raw.hex()
    assert parse_address(address.mac) == address


BAD = [
    "", " ", "70:3e:97:08:00", "70:3e:97:08:00:62:11", "70:3e:97:08:00:6g", "703e97080062", "70_3e_97_08_00_62",
    " 70:3e:97:08:00:62", "70:3e:97:08:00:62\n", "7:3e:97:08:00:62", "hci0", "ble_703e97080062", "session:",
    "SIM:a", "Sim:a", "simulated:a", "６0:3e:97:08:00:62",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_address(text):
    """The message repeats what was written and says what would be right."""
    with pytest.raises(ConfigError) as caught:
        parse_address(text)
    message = str(caught.value)
    assert message.startswith(repr(text) + " is no battery address: ")
    for hint in ("70:3e:97:08:00:62", "scan", "sim:NAME", "session:FILE"):
        assert hint in message


@given(st.text(max_size=40))
def test_nothing_is_a_traceback(text):
    """Any text is an address or a ConfigError of one line."""
    try:
        parse_address(text)
    except ConfigError as error:
        assert "\n" not in str(error)


@given(st.text(alphabet="=&?+.eE-0123456789 cellspaityodrfnb%", max_size=40))
def test_no_parameter_is_a_traceback(query):
    """Any parameters are accepted or a ConfigError of one line."""
    try:
        address = parse_address("sim:a?" + query)
    except ConfigError as error:
        assert "\n" not in str(error)
    else:
        assert address.name == "a"


def test_a_recorded_session():
    """The file is taken as written, colons and all."""
    assert parse_address("session:C:/a b.jsonl") == RecordedAddress("C:/a b.jsonl")


@pytest.mark.parametrize("name", ["a", "House", "a_1", "x" * 31])
def test_simulated_batteries(name):
    """A name of letters, digits and _ is enough."""
    address = parse_address("sim:" + name)
    assert address == SimulatedAddress(name)
    assert address.battery == "sim_" + name


@pytest.mark.parametrize("name", ["", "1a", "_a", "a-b", "a b", "ä", "x" * 32, "a/b", "a.b", "a\n"])
def test_bad_names_of_simulated_batteries(name):
    """What cannot be a part of a bus name is refused."""
    with pytest.raises(ConfigError, match="a simulated battery needs a name of letters, digits and _"):
        parse_address("sim:" + name)


def test_parameters_of_simulated_batteries():
    """Numbers and outages, in any order, with a plus that may have become a blank."""
    address = parse_address("sim:a?drop=60+45&cells=16&soc=12.5&drop=150.5%2B170&capacity=280&seed=0&drop=1 2")
    assert dict(address.parameters) == {"cells": 16, "soc": 12.5, "capacity": 280, "seed": 0}
    assert address.outages == ((60, 45), (150.5, 170), (1, 2))


BAD_PARAMETERS = [
    ("cells=0", "cells=0 is outside 1..32"),
    ("cells=33", "cells=33 is outside 1..32"),
    ("cells=4.5", "cells=4.5 is not a number"),
    ("cells=", "cells= is not a number"),
    ("capacity=656", "capacity=656 is outside 1..655"),
    ("soc=101", "soc=101 is outside 0..100"),
    ("soc=-0.1", "soc=-0.1 is outside 0..100"),
    ("soc=nan", "soc=nan is outside 0..100"),
    ("soc=inf", "soc=inf is outside 0..100"),
    ("soc=full", "soc=full is not a number"),
    ("seed=-1", "seed=-1 is outside 0..2.14748e+09"),
    ("drop=60", "drop=60 is not AT+FOR in seconds"),
    ("drop=a+b", "drop=a b is not AT+FOR in seconds"),
    ("drop=-1+2", "drop=-1 2 is not AT+FOR in seconds"),
    ("drop=", "drop= is not AT+FOR in seconds"),
    ("cell=4", "unknown parameter 'cell'; known: cells, capacity, seed, soc, drop"),
]


@pytest.mark.parametrize(("query", "message"), BAD_PARAMETERS)
def test_bad_parameters_of_simulated_batteries(query, message):
    """The message names the battery, the parameter and what would be right."""
    with pytest.raises(ConfigError) as caught:
        parse_address("sim:a?" + query)
    assert str(caught.value) == "'sim:a?{}': {}".format(query, message)


MAC = "70:3e:97:08:00:62"
WITH_FILE = [
    (MAC + ":/data/a.ini", MAC, "/data/a.ini"),
    (MAC + ":a.ini", MAC, "a.ini"),
    (MAC + ":C:/a b.ini", MAC, "C:/a b.ini"),
    (MAC + ":./11", MAC, "./11"),
    ("70-3E-97-08-00-62:/data/a.ini", "70-3E-97-08-00-62", "/data/a.ini"),
    ("sim:a:/data/a.ini", "sim:a", "/data/a.ini"),
    ("sim:a?cells=8&drop=120+60:/data/a:b.ini", "sim:a?cells=8&drop=120+60", "/data/a:b.ini"),
]
WITHOUT_FILE = [
    MAC, "70-3E-97-08-00-62", "sim:a", "sim:a?cells=8&drop=120+60", "session:a.jsonl", "session:C:/a b.jsonl",
    "session:/a:b:c.jsonl", MAC + ":11", "70:3e:97:08:00:/a.ini", "", "hci0:/a.ini",
]  # fmt: skip


@pytest.mark.parametrize(("text", "address", "file"), WITH_FILE)
def test_a_file_behind_an_address(text, address, file):
    """It begins behind the six pairs, or at the first colon behind a simulated battery."""
    assert split_file(text) == (address, file)
    parse_address(address)


@pytest.mark.parametrize("text", WITHOUT_FILE)
def test_no_file_behind_an_address(text):
    """A session's name keeps its colons; a pair too many is no file, but the mistake that it looks like."""
    assert split_file(text) == (text, None)


@pytest.mark.parametrize("text", [MAC + ":", "sim:a:"])
def test_a_colon_without_a_file(text):
    """Half of it is not guessed at."""
    with pytest.raises(ConfigError, match="behind the last colon the battery's own file is missing"):
        split_file(text)
