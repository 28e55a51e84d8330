"""A name given on the GX: shown, recorded, and still there after a restart or a kill."""

import asyncio
import subprocess

from rawbus import RawBus

from core.events import SessionStarted, SettingChanged
from storage.event_reader import EventReader
from tests.programs import command, environment, running, stop, wait_until

SERVICE = "com.victronenergy.battery.sim_a"
BUS_ITEM = "com.victronenergy.BusItem"


def _name(address):
    client = RawBus(address)
    try:
        if client.owner(SERVICE) is None:
            return None
        return client.call(SERVICE, "/CustomName", BUS_ITEM, "GetValue").args[0][1][1]
    finally:
        client.close()


def _rename(address, name):
    client = RawBus(address)
    wait_until(lambda: client.owner(SERVICE), what="the service")
    reply = client.call(SERVICE, "/CustomName", BUS_ITEM, "SetValue", "v", [("s", name)])
    client.close()
    assert reply.args[0][1] == 0
    wait_until(lambda: _name(address) == name, seconds=3, what="the new name")


def _facts(database, kind):
    async def read():
        async with await EventReader.open(database) as reader:
            return [event.fact async for event in reader.events(readings=False) if isinstance(event.fact, kind)]

    return asyncio.run(read())


def test_name_survives_a_stop_and_a_kill(bus, tmp_path):
    """The session's start says what was remembered then, and nothing that came later."""
    database, config = tmp_path / "log.db", tmp_path / "config.ini"
    config.write_text("[DEFAULT]\nCOMMIT_SECONDS = 1\n")
    options = ("--instance", "1", "--bus", bus.address, "--database", database, "--config", config)
    with running("run", "sim:a", *options) as program:
        _rename(bus.address, "Pantry")
        assert stop(program)[0] == 0
    with running("run", "sim:a", *options) as program:
        wait_until(lambda: _name(bus.address) == "Pantry", what="the remembered name")
        _rename(bus.address, "Garage")
        wait_until(lambda: len(_facts(database, SettingChanged)) == 2, what="the commit")
        program.kill()
        program.wait()
    with running("run", "sim:a", *options):
        wait_until(lambda: _name(bus.address) == "Garage", what="the name after a kill")
    starts = [dict(fact.remembered).get("settings", {}) for fact in _facts(database, SessionStarted)]
    pantry, garage = ({"sim_a": {"CustomName": name}} for name in ("Pantry", "Garage"))
    assert starts[:2] == [{}, pantry]
    assert all(later == garage for later in starts[2:])


def test_output_that_nobody_reads_any_more_ends_the_program(tmp_path):
    """``run --print | head``: an orderly stop, no traceback."""
    program = subprocess.Popen(
        command("run", "sim:a", "--bus", "none", "--print", "--accelerate", "20", "--database", tmp_path / "log.db"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    program.stdout.readline()
    program.stdout.close()
    stderr = program.stderr.read()
    program.stderr.close()
    assert program.wait(timeout=20) == 0
    assert "Traceback" not in stderr
