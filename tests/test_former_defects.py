"""Defects of the program that this one succeeds, outside of charge control: each by the letter under which it is known
(charge-control 7.1). B4 to B7, B9 and B11 to B14 are named where batteries, banks and limits are tested, M2 to M4 where
the cell monitor and its alerts are tested.
"""

import ast
import re
import time

import pytest

from config.addresses import parse_address
from config.loader import load
from core.configuration import BatteryConfiguration, Configuration
from core.publication import BUS_NAME_PREFIX
from tests.core.physics import Pack, Site
from tests.programs import ROOT, running
from tests.test_house import PACKAGES

ELEMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@pytest.mark.parametrize("mac", ["70:3e:97:08:00:62", "00:00:00:00:00:00", "a4-c1-37-40-89-5e"])
def test_b1_a_bus_name_never_begins_with_a_digit(mac):
    """B1: every element of every bus name is one that D-Bus accepts, whatever the address begins with."""
    battery = BatteryConfiguration(parse_address(mac).battery, mac)
    for topology, count in (("single", 1), ("separate", 1), ("series", 2), ("parallel", 2)):
        batteries = (battery, BatteryConfiguration("ble_000000000001", ""))[:count]
        for service in Configuration(batteries, topology=topology, publish_members=True).services:
            assert all(ELEMENT.fullmatch(part) for part in (BUS_NAME_PREFIX + service.key).split("."))


def test_b2_a_service_joins_with_everything():
    """B2: the first publication has every path that the service will ever have, limits included."""
    site = Site([Pack("a", [60.0] * 4), Pack("b", [60.0] * 4)], topology="parallel")
    site.step(60)
    first = next(publication for publication in site.publications if publication.change == "joined")
    assert set(first.items) == set(site.items)
    assert {"/Info/MaxChargeVoltage", "/DeviceInstance", "/Mgmt/Connection"} <= set(first.items)


def test_b3_without_an_instance_of_its_own_nobody_joins():
    """B3: no number is invented, and two services never use one."""
    waiting = Site([Pack("a", [60.0] * 4)], device_instance=None)
    waiting.step(60)
    assert not waiting.on_bus
    both = Site([Pack("a", [60.0] * 4), Pack("b", [60.0] * 4)], topology="series", publish_members=True)
    both.step(60)
    joined = [publication for publication in both.publications if publication.change == "joined"]
    assert sorted(publication.items["/DeviceInstance"] for publication in joined) == [1, 2, 3]


def test_b8_nothing_here_reboots(tmp_path):
    """B8: BT_WATCHDOG_ACTION = reboot is accepted, explained, and no code could do it."""
    config = tmp_path / "config.ini"
    config.write_text("[DEFAULT]\nBT_WATCHDOG_ACTION = reboot\n", encoding="utf-8")
    _, warnings = load(config)
    assert len(warnings) == 1 and "never" in warnings[0]
    commands = ("shutdown", "systemctl", "/sbin/reboot", "hciconfig", "os.system")
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            assert not [word for word in commands if word in path.read_text(encoding="utf-8")], path


def test_b15_nothing_blocks_the_loop():
    """B15: no thread of ours and no blocking sleep; the wait of a start-up probe is asyncio's too."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    assert (node.value.id, node.attr) not in {("time", "sleep"), ("threading", "Thread")}, path


def test_b16_a_reading_is_no_log_line(tmp_path):
    """B16: hundreds of readings, and a handful of lines in the log."""
    arguments = ["run", "sim:a", "--bus", "none", "--accelerate", "100", "--database", tmp_path / "log.db", "--print"]
    with running(*arguments) as program:
        deadline = time.monotonic() + 30
        for count, _ in enumerate(program.stdout):
            if count > 200 or time.monotonic() > deadline:
                break
        program.terminate()
        _, log = program.communicate(timeout=20)
    assert count > 200
    assert len(log.splitlines()) < 15, log
