"""The cell monitor of the running program: written over D-Bus, recorded, told, and still there after a kill."""

import asyncio
import io
import json

import pytest
from rawbus import RawBus

from core.events import AlertClosed, AlertOpened, SessionStarted, SettingChanged
from core.presence import Phase
from core.service_view import Publication
from service.outputs import Picture
from service.status_screen import StatusScreen
from storage.event_reader import EventReader
from tests.core.banks import member
from tests.core.watched import EVEN, apart, both
from tests.programs import running, stop, wait_until

SERVICE = "com.victronenergy.battery.virtual_parallel"
BUS_ITEM = "com.victronenergy.BusItem"
COUNT, LATEST = "/CellMonitor/Alerts/Count", "/CellMonitor/Alerts/Latest"
INTERVAL, THRESHOLD = "/Settings/CellMonitor/SampleInterval", "/Settings/CellMonitor/AlertThreshold"


@pytest.fixture
def client(bus):
    """Somebody on the bus."""
    connected = RawBus(bus.address)
    yield connected
    connected.close()


def shown(client, path):
    """The value of *path*; ``None`` while the service is not there."""
    if client.owner(SERVICE) is None:
        return None
    return client.call(SERVICE, path, BUS_ITEM, "GetValue").args[0][1][1]


def write(client, path, signature, value):
    """What SetValue answers."""
    return client.call(SERVICE, path, BUS_ITEM, "SetValue", "v", [(signature, value)]).args[0][1]


def facts(database, *kinds):
    """What is in the database of these kinds."""

    async def read():
        async with await EventReader.open(database) as reader:
            return [event.fact async for event in reader.events(readings=False) if isinstance(event.fact, kinds)]

    return asyncio.run(read())


def test_alerts_and_settings_over_d_bus(bus, client, tmp_path):
    """A written threshold opens an alert within seconds; a kill loses neither, opens nothing anew; then it is over."""
    database = tmp_path / "log.db"
    options = ["--instance", "1", "--bus", bus.address, "--database", database, "--set", "COMMIT_SECONDS=1"]
    batteries = ["-p", "sim:a?seed=4", "sim:b?seed=2"]  # of B the cells are 12 mV apart, of A 4 mV
    with running("run", *batteries, *options) as program:
        wait_until(lambda: shown(client, COUNT) == 0, what="the service")
        odd = ((THRESHOLD, "d", -1.0), (THRESHOLD, "s", "x"), (THRESHOLD, "b", True), (COUNT, "i", 5))
        assert [write(client, *each) for each in odd] == [2, 1, 1, 1]
        assert [write(client, THRESHOLD, "d", 0.01), write(client, INTERVAL, "u", 600)] == [0, 0]
        wait_until(lambda: shown(client, COUNT) == 1, seconds=5, what="the alert")
        latest = shown(client, LATEST)
        assert latest.startswith("Battery b: ") and shown(client, INTERVAL) == 600
        wait_until(lambda: facts(database, AlertOpened), what="the commit")
        program.kill()
        _, stderr = program.communicate()
        assert "WARNING" in stderr and latest in stderr
    with running("run", *batteries, *options) as program:
        wait_until(lambda: shown(client, COUNT), what="the alert after a kill")
        assert (shown(client, LATEST), shown(client, THRESHOLD)) == (latest, 0.01)
        assert write(client, THRESHOLD, "d", 0.5) == 0
        wait_until(lambda: shown(client, COUNT) == 0, seconds=5, what="the end of it")
        assert shown(client, LATEST) == latest + ", over"
        code, stderr, _ = stop(program)
        assert code == 0 and "Imbalance over, " in stderr
    assert [type(fact) for fact in facts(database, AlertOpened, AlertClosed)] == [AlertOpened, AlertClosed]
    written = [(fact.setting, fact.value) for fact in facts(database, SettingChanged)]
    assert written == [("AlertThreshold", 0.01), ("SampleInterval", 600), ("AlertThreshold", 0.5)]
    remembered = facts(database, SessionStarted)[1].remembered
    assert remembered["settings"] == {"virtual_parallel": {"AlertThreshold": 0.01, "SampleInterval": 600}}
    assert [(alert["battery"], alert["closed"]) for alert in remembered["alerts"]] == [("sim_b", None)]


def screen_of(story):
    """What the status screen shows of *story*."""
    picture = Picture()
    for publication in story.publications:
        picture.publish(publication)
    return StatusScreen(io.StringIO(), picture, list).lines()


def test_the_screen_shows_what_is_open():
    """One line for each alert that is open, none for one that is over."""
    story = both(member(EVEN), apart(210)).run(20)
    alert = "  ALERT  battery A4:C1:37:00:00:02: imbalance 0.210V (min 3.195V, max 3.405V)"
    assert [line for line in screen_of(story) if "ALERT" in line] == [alert]
    story.members[1] = member(EVEN)
    assert not [line for line in screen_of(story.run(80)) if "ALERT" in line]


def test_the_screen_of_a_service_without_a_cell_monitor():
    """As that of a member beside the virtual battery."""
    picture = Picture()
    items = {"/ConnectionInformation": "Connected", "/Soc": 50.0}
    paths = ("/Dc/0/Voltage", "/Dc/0/Current", "/Dc/0/Power", "/Capacity", "/InstalledCapacity", "/Dc/0/Temperature")
    items.update(dict.fromkeys(paths))
    picture.publish(Publication(1, 1, "s", Phase.LIVE, "joined", items))
    assert "ALERT" not in json.dumps(StatusScreen(io.StringIO(), picture, list).lines())
