"""Whatever is typed wrong or lies broken on the disk: one clear line, the right exit code, the data untouched."""

import json
import re
import sqlite3
import time

import pytest
from rawbus import RawBus

from config.options import OPTIONS
from service.cli import main
from tests.programs import ROOT, run, running, stop, wait_until

DEMO = ROOT / "service" / "sessions" / "demo-4s.jsonl"


def _fails(code, *arguments, says):
    done = run(*arguments)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == code, done.stderr
    assert says in lines[-1], done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in lines if not line.startswith(("usage:", " ", "INFO"))]) == 1, done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "70:3e:97:08:00"], "is no battery address"),
        (["70:3e:97:08:00:zz"], "is no battery address"),
        (["run", "sim:9"], "needs a name"),
        (["run", "sim:a?cells=99"], "cells=99 is outside 1..32"),
        (["run", "sim:a?voltage=3"], "unknown parameter 'voltage'"),
        (["run", "sim:a?drop=soon"], "is not AT+FOR"),
        (["run", "sim:a", "sim:a"], "named twice"),
        (["run"], "no battery given"),
        (["run", "sim:a", "--colour"], "unrecognized arguments: --colour"),
        (["run", "-p", "-s", "sim:a"], "not allowed with argument"),
        (["run", "sim:a", "--set", "POLL_SECONDS=0"], "--set: POLL_SECONDS = 0 is outside 1..60 s"),
        (["run", "sim:a", "--set", "POLL_SECONDS"], "--set: 'POLL_SECONDS' is no line NAME = VALUE"),
        (["run", "sim:a:no-such.ini"], "cannot read no-such.ini"),
        (["run", "70:3e:97:08:00:62:"], "the battery's own file is missing"),
        (["70:3e:97:08:00:62:11"], "is no battery address"),
        (["check", "--set", "BATTERIES=acme"], "--set: BATTERIES: 'acme' is no battery address"),
        (["check", "-p", "sim:a", "70:3e:97:08:00:62"], "never share a run"),
        (["run", "sim:a", "--instance", "-1"], "is no number from 0 to 65535"),
        (["run", "A4:C1:38:00:00:00", "--accelerate", "5", "--bus", "none"], "--accelerate is for simulated"),
        (["decode", "no-such-file"], "cannot read no-such-file"),
        (["decode", "--protocol", "acme", "-"], "unknown BMS protocol 'acme'; known: jbd"),
        (["session", "export", "x", "--since", "yesterday"], "is no time like"),
        (["check", "--config", "no-such.ini"], "cannot read no-such.ini"),
        (["replay", "x", "--speed", "fast"], "is no number from"),
    ],
)
def test_wrong_usage_ends_with_2(arguments, says):
    """The line says what, and where it helps, what to do."""
    _fails(2, *arguments, says=says)


def test_config_value_out_of_range_names_file_and_line(tmp_path):
    """File, line, reason, exit 2."""
    config = tmp_path / "config.ini"
    config.write_text("[DEFAULT]\nPOLL_SECONDS = 0.1\n")
    _fails(2, "check", "--config", config, says="config.ini line 2: POLL_SECONDS = 0.1 is outside 1..60 s")


def test_a_password_that_no_module_accepts_is_told_at_the_start(tmp_path, capsys):
    """File, line, reason, exit 2; the password itself nowhere."""
    own = tmp_path / "own.ini"
    own.write_text("[DEFAULT]\nPASSWORD = hush999\n")
    says = "own.ini line 2: PASSWORD = (hidden) is not the six ASCII characters that a JBD Bluetooth module wants"
    _fails(2, "check", "70:3e:97:08:00:62:{}".format(own), says=says)
    assert main(["check", "--set", "PASSWORD=hush999"]) == 2
    out, err = capsys.readouterr()
    assert "hush" not in out + err
    assert "--set: PASSWORD = (hidden) is not" in err


def test_a_battery_file_that_is_wrong_names_itself(tmp_path):
    """Common options do not belong there."""
    own = tmp_path / "own.ini"
    own.write_text("[DEFAULT]\nHOLD_SECONDS = 60\n")
    _fails(2, "run", "-p", "sim:a:{}".format(own), says="own.ini line 2: HOLD_SECONDS is for all batteries together")


def test_check_tells_what_it_understood(tmp_path, capsys):
    """Batteries with what is their own, what they are together, every option, no password; warnings apart."""
    own, common = tmp_path / "own.ini", tmp_path / "config.ini"
    own.write_text("MAX_BATTERY_CHARGE_CURRENT = 50\nPASSWORD = hush99\n")
    common.write_text("BATTERIES = 70:3e:97:08:00:62:own.ini, A4-C1-37-00-00-01\nPASSWORD = hush98\nGARDEN = 1\n")
    assert main(["check", "-p", "--config", str(common), "--set", "poll_seconds=2.5"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[:5] == [
        "parallel of 2",
        "ble_703e97080062 JBD over Bluetooth LE",
        "    PASSWORD = (hidden)",
        "    MAX_BATTERY_CHARGE_CURRENT = 50 A",
        "ble_a4c137000001 JBD over Bluetooth LE",
    ]
    assert "POLL_SECONDS = 2.5 s   How often each battery is asked." in out
    assert "PASSWORD = (hidden)   Password" in out
    assert "hush" not in out + err
    assert err == "{} line 3: unknown option GARDEN\n".format(common)
    assert [name for name in OPTIONS if not re.search("^{} =".format(name), out, re.MULTILINE)] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.ini", "own.ini"]


@pytest.mark.parametrize("switches", [["-s"], ["-p"], ["--series"], ["--parallel"], []])
def test_check_with_switches_before_the_addresses(switches, capsys):
    """As people have written it since the first program."""
    assert main(["check", *switches, "sim:a", "sim:b", "--set", "HOLD_SECONDS=30"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("parallel of 2\n" if "p" in "".join(switches)[:3] else "series of 2\n")
    assert "HOLD_SECONDS = 30 s" in out


def test_missing_bus(tmp_path):
    """A bus that was asked for and is not there: 1. On a bus of others the instance is never invented: 2."""
    database = tmp_path / "log.db"
    _fails(1, "run", "sim:a", "--bus", "unix:path=/no/bus", "--database", database, says="cannot connect to the D-Bus")
    _fails(1, "run", "sim:a", "--bus", "session", "--database", database, says="there is no session bus")
    _fails(1, "run", "sim:a", "--bus", "nonsense", "--database", database, says="cannot connect to the D-Bus")
    assert not database.exists()


def test_shared_bus_needs_an_instance(bus, tmp_path):
    """Nothing is published under an invented DeviceInstance: a replay is refused, a run waits until it has one."""
    _fails(2, "replay", DEMO, "--bus", bus.address, says="--instance N")
    arguments = ("run", "sim:a", "--bus", bus.address, "--database", tmp_path / "log.db", "--accelerate", "10")
    with running(*arguments) as program:
        wait_until(lambda: "before their DeviceInstance is known" in program.stderr.readline(), what="the explanation")
        wait_until(lambda: "link established" in program.stderr.readline(), what="the link")
        time.sleep(1)  # ten seconds of the battery: it has answered
        client = RawBus(bus.address)
        names = client.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ListNames").args[
            0
        ]
        client.close()
        assert "victronenergy" not in str(names)
        assert stop(program)[0] == 0
    with sqlite3.connect(str(tmp_path / "log.db")) as db:
        (readings,) = db.execute("SELECT count(*) FROM event WHERE kind = 1").fetchone()
    db.close()
    assert readings >= 2


def _newer(path):
    with sqlite3.connect(str(path)) as db:
        db.execute("PRAGMA application_id=0x62746274")
        db.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT, applied_wall_us INTEGER)")
        db.execute("INSERT INTO migration VALUES (999, 'future', 0)")
    db.close()


def _foreign(path):
    with sqlite3.connect(str(path)) as db:
        db.execute("CREATE TABLE letters (text TEXT)")
    db.close()


def _text(path):
    path.write_text("dear diary\n" * 10)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_newer, "install the newer program again"),
        (_foreign, "belongs to another program"),
        (_text, "is not a database of this program"),
        (lambda path: path.mkdir(), "is a directory"),
    ],
)
def test_database_that_is_not_ours_is_left_alone(tmp_path, make, says):
    """Refused with 1 by every command that would open it; not one byte changes."""
    path = tmp_path / "log.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    _fails(1, "run", "sim:a", "--bus", "none", "--database", path, says=says)
    _fails(1, "session", "export", tmp_path / "out", "--database", path, says=says)
    assert before is None or path.read_bytes() == before
    assert not (tmp_path / "out").exists()


def test_export_without_a_database(tmp_path):
    """Says which path it looked at."""
    _fails(1, "session", "export", tmp_path / "out", "--database", tmp_path / "none.db", says="does not exist")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[: len(text) // 2], "not JSON; the file is damaged or cut off here"),
        (lambda text: text.replace('"version":"1.2"', '"version":"2.0"', 1), "is newer than this program"),
        (lambda text: "hello\n", "line 1: not JSON"),
        (lambda text: "{}\n", "line 1: this is no session"),
        (lambda text: "", "line 1: the file is empty"),
        (lambda text: text.replace('"version":1', '"version":9', 1), "was written by a newer program"),
    ],
)
def test_damaged_or_newer_session(tmp_path, damage, says):
    """File, line and reason; exit 1."""
    path = tmp_path / "s.jsonl"
    path.write_text(damage(DEMO.read_text()))
    before = path.read_bytes()
    done = run("replay", path)
    assert done.returncode == 1
    assert says in done.stderr.splitlines()[-1]
    assert "s.jsonl line" in done.stderr.splitlines()[-1]
    assert path.read_bytes() == before


def test_decode_tells_good_from_bad():
    """One object per frame on stdout, the rest on stderr, 0 only if every line gave a frame."""
    good = "dd0400080d660d610d680d59fe3c77"
    done = run("decode", "-", stdin="{}\n# a comment\n".format(good))
    assert done.returncode == 0 and done.stderr == ""
    assert json.loads(done.stdout) == {
        "register": "0x04", "status": 0, "cell_count": 4, "cell_voltages_V": [3.43, 3.425, 3.432, 3.417],
    }  # fmt: skip
    done = run("decode", "-", stdin="{}00\n{}\nxyz\n".format(good, good[:-4]))
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert "line 1: rejected (not part of a frame): 00" in done.stderr
    assert "line 2: rejected (truncated)" in done.stderr
    assert "line 3: not hex" in done.stderr


def test_decode_reads_every_capture():
    """All real JBD captures of the test data through the command, every expected value on stdout."""
    lines = (ROOT / "tests" / "data" / "frames.jsonl").read_text().splitlines()
    captures = [json.loads(line) for line in lines if json.loads(line)["bms"] == "jbd"]
    done = run("decode", "-", stdin="\n".join(json.dumps(capture) for capture in captures))
    decoded = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert len(decoded) == len(captures) > 70
    for capture, shown in zip(captures, decoded):
        assert {key: shown[key] for key in capture["expected"]} == capture["expected"], capture["id"]


def test_version_and_check_and_help():
    """The harmless commands."""
    assert run("version").stdout.startswith("dbus-btbattery ")
    assert "ble_703e97080062" in run("check", "70:3e:97:08:00:62").stdout
    assert "COMMAND" in run("--help").stdout
