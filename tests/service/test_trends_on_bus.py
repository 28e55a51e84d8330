"""A trend as a GUI page gets it: a request written to a path, the answer read from another, on a real dbus-daemon."""

import json
import time

from rawbus import RawBus

from tests.programs import run, running, stop, wait_until

SERVICE = "com.victronenergy.battery.virtual_parallel"
BUS_ITEM = "com.victronenergy.BusItem"
REQUEST, JSON = "/CellMonitor/Trend/Request", "/CellMonitor/Trend/Json"


def _value(client, path):
    return client.call(SERVICE, path, BUS_ITEM, "GetValue").args[0][1][1]


def _answer(client):
    text = _value(client, JSON)
    return json.loads(text) if text else {}


def _ask(client, text, signature="s"):
    return client.call(SERVICE, REQUEST, BUS_ITEM, "SetValue", "v", [(signature, text)]).args[0][1]


def _listened(client, seconds):
    """When each ItemsChanged came, and the paths in it."""
    told, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        message = client._next(0.02)
        if message is not None and message.member == "ItemsChanged":
            told.append((time.monotonic(), [path for (_, path), _ in message.args[0][1]]))
    return told


def test_a_request_and_its_answer(bus, tmp_path):
    """Default first; then each request is answered, told with the ticks, and no part of what a replay publishes."""
    database = tmp_path / "log.db"
    options = ["-p", "sim:a", "sim:b?seed=2", "--instance", "1", "--bus", bus.address, "--database", database]
    with running("run", *options, "--print") as program:
        client = RawBus(bus.address)
        wait_until(lambda: client.owner(SERVICE), what="the service")
        assert _value(client, REQUEST) == ""
        default = wait_until(lambda: _answer(client), what="the default answer")
        assert (default["id"], default["series"], default["names"]) == ("default", "spread", ["1", "2"])

        request = '{"id":"p1","battery":2,"hours":1,"series":"cells"}'
        assert _ask(client, request) == 0
        assert _value(client, REQUEST) == request
        answer = wait_until(lambda: _answer(client).get("id") == "p1" and _answer(client), what="the answer")
        assert (answer["battery"], answer["unit"], answer["names"]) == (2, "mV", ["1", "2", "3", "4"])
        assert [line[-1] is not None or line[-2] is not None for line in answer["max"]] == [True] * 4

        assert _ask(client, 7, "i") == 1
        assert _ask(client, "x" * 1025) == 2
        assert _ask(client, "nonsense") == 0
        assert _answer(client) == {"id": "", "error": "the request is not JSON"}

        client.add_match("type='signal',sender='{}',member='ItemsChanged'".format(SERVICE))
        _ask(client, '{"id":1}')
        told = _listened(client, 4)
        times = [at for at, _ in told]
        assert all(later - earlier > 0.5 for earlier, later in zip(times, times[1:]))
        assert {REQUEST, JSON} <= {path for _, paths in told for path in paths}
        assert _answer(client)["id"] == 1
        client.close()
        program.send_signal(15)
        printed, _ = program.communicate(timeout=20)
        assert program.returncode == 0
    assert "/CellMonitor/Trend" not in printed
    assert run("session", "export", tmp_path / "s.jsonl", "--database", database).returncode == 0
    assert run("replay", tmp_path / "s.jsonl", "--print").stdout == printed


def test_no_member_beside_the_bank_has_trends(bus, tmp_path):
    """Only the virtual battery has a cell monitor; and a stop while it answers is an orderly one."""
    options = ["-p", "sim:a", "sim:b", "--instance", "1", "--bus", bus.address, "--database", tmp_path / "log.db"]
    with running("run", *options, "--set", "PUBLISH_MEMBERS=1") as program:
        client = RawBus(bus.address)
        member = "com.victronenergy.battery.sim_a"
        for name in (SERVICE, member):
            wait_until(lambda name=name: client.owner(name), what=name)
        items = client.call(member, "/", BUS_ITEM, "GetItems").args[0][1]
        assert "/Soc" in [key[1] for key, _ in items]
        assert not [key[1] for key, _ in items if "CellMonitor" in key[1]]
        for id in range(5):
            _ask(client, json.dumps({"id": id, "hours": 1 + id}))
        code, stderr, seconds = stop(program)
        client.close()
    assert code == 0, stderr
    assert seconds < 3 and "Traceback" not in stderr
