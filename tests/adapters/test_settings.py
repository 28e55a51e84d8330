"""The client of the settings service: instances and names, over every restart, and nothing believed too easily."""

import asyncio
import contextlib

import pytest
from rawbus import RawBus, py

from adapters.dbus import SettingsClient, SettingsEntry
from adapters.dbus import settings as module
from adapters.dbus.settings import Periods, parse_instance
from adapters.dbus.tree import ServiceTree
from tests.adapters.settings_client import PANTRY, PATIENT, SHELF, in_thread, running, until
from tests.doubles.settings_service import instance_path, name_path, set_value

INSTANCE, NAME = instance_path(SHELF.unique), name_path(SHELF.unique)
NEW = [(SHELF.service, "CustomName", ""), (SHELF.service, "DeviceInstance", 1)]


def _entry(service="a", unique="a", preferred=1):
    return SettingsEntry(service, unique, preferred)


@pytest.mark.parametrize(
    ("value", "instance"),
    [("battery:0", 0), ("battery:17", 17)]
    + [(text, None) for text in ("battery:", "battery:-1", "battery:01", "battery: 1", "battery:1\n", "battery:1:2")]
    + [(text, None) for text in ("battery:1.0", "battery:\u0663", "battery:9999999999", "tank:1", "Battery:1", "1", "")]
    + [(thing, None) for thing in (None, 1, 1.0, True, b"battery:1", ["battery:1"])],
)
def test_an_instance_is_read_strictly(value, instance):
    """The class battery and a plain number; nothing is guessed."""
    assert parse_instance(value) == instance


@pytest.mark.parametrize("unique", ["", "_a", "a/b", "a b", "a:b", "ä", "a\n"])
def test_a_folder_that_the_service_refuses_is_no_entry(unique):
    """A path that could never be added is found when the entry is made."""
    with pytest.raises(ValueError, match="unique"):
        _entry(unique=unique)


@pytest.mark.parametrize("entries", [(_entry(), _entry("b", "a")), (_entry(), _entry("a", "b"))])
async def test_entries_are_told_apart(entries):
    """Two services with one folder would share an instance, two folders with one service have no name."""
    with pytest.raises(ValueError, match="two entries"):
        SettingsClient("unix:path=/nowhere", entries, print)


async def test_first_start(bus, settings):
    """What is preferred and free is given; the name is known before the instance."""
    async with running(bus) as client:
        await client.instance(SHELF)
        assert client.reports == NEW
    assert settings.values == {INSTANCE: ("s", "battery:1"), NAME: ("s", "")}


async def test_taken_instance_becomes_the_next_free_one(bus, settings):
    """Another device has 1, our other battery has 2: nobody shares."""
    settings.values[instance_path("other")] = ("s", "battery:1")
    async with running(bus, SHELF, PANTRY) as client:
        assert await client.instance(SHELF) == 2
        assert await client.instance(PANTRY) == 3


async def test_two_programs_never_share_an_instance(bus, settings):
    """Two clients at the same time, each with a battery that would like to be 1."""
    async with running(bus, SHELF) as first, running(bus, PANTRY) as second:
        assert {await first.instance(SHELF), await second.instance(PANTRY)} == {1, 2}


async def test_instance_and_name_survive_restarts_of_both_sides(bus, settings):
    """They belong to the battery: after any restart, and in any order, it has its own again."""
    async with running(bus, SHELF, PANTRY) as client:
        client.client.set_custom_name(PANTRY.service, "Pantry")
        assert [await client.instance(SHELF), await client.instance(PANTRY)] == [1, 2]
        await until(lambda: settings.value(name_path(PANTRY.unique)) == "Pantry", "the name")
    await in_thread(settings.restart)
    async with running(bus, PANTRY, SHELF) as client:
        assert [await client.instance(SHELF), await client.instance(PANTRY)] == [1, 2]
        assert client.known(PANTRY, "CustomName") == "Pantry"


async def test_service_that_comes_late_is_found_at_once(bus, absent):
    """The bus says when it comes; no poll is needed."""
    async with running(bus, periods=PATIENT) as client:
        await in_thread(absent.start)
        await client.instance(SHELF)
        assert client.reports == NEW


async def test_service_that_nobody_announced_is_found_by_looking(bus, absent, monkeypatch, caplog):
    """The poll is a second way, for a signal that is lost."""
    monkeypatch.setattr(module, "_OWNER_RULE", "type='signal',interface='com.example.None'")
    async with running(bus) as client:
        await until(lambda: "waiting" in caplog.text, "the first look")
        await in_thread(absent.start)
        await client.instance(SHELF)


@pytest.mark.parametrize(("remind_s", "lines"), [(3600, range(1, 2)), (0, range(5, 1000))])
async def test_waiting_is_told_at_once_and_then_now_and_then(bus, absent, caplog, monkeypatch, remind_s, lines):
    """One line, and another one each time the period is over; never an instance of our own making."""
    looks = []
    asked = module.BusConnection.owner

    async def owner(connection, name):
        looks.append(name)
        return await asked(connection, name)

    monkeypatch.setattr(module.BusConnection, "owner", owner)
    async with running(bus, periods=Periods(poll_s=0.005, remind_s=remind_s)) as client:
        await until(lambda: len(looks) >= 8, "some looks")
        assert caplog.text.count("batteries are not published before their DeviceInstance is known") in lines
        assert client.reports == []


async def test_restart_of_the_service_changes_nothing(bus, settings, caplog):
    """Values stay, AddSettings is sent again, nothing is reported twice, and changes are heard as before."""
    async with running(bus, periods=PATIENT) as client:
        await client.instance(SHELF)
        await in_thread(settings.stop)
        await until(lambda: "went away" in caplog.text, "the line in the log")
        await in_thread(settings.start)
        await until(lambda: settings.count("AddSettings") == 2, "the second AddSettings")
        assert await in_thread(set_value, bus.address, INSTANCE, "battery:7") == 0
        await until(lambda: client.known(SHELF) == 7, "the change")
        assert client.reports == [*NEW, (SHELF.service, "DeviceInstance", 7)]
        assert caplog.text.count("went away") == 1
        assert "not published" not in caplog.text


@pytest.mark.parametrize("method", ["owner", "call"])
async def test_restart_between_a_question_and_its_answer(bus, settings, monkeypatch, method):
    """What the old service was or said is not used: the new one is asked, and heard."""
    asked = getattr(module.BusConnection, method)

    async def overtaken(connection, *arguments):
        monkeypatch.undo()
        answer = await asked(connection, *arguments)
        owners = client.client._owners
        await in_thread(settings.restart)
        await until(lambda: client.client._owners == owners + 2, "the new owner")
        return answer

    monkeypatch.setattr(module.BusConnection, method, overtaken)
    async with running(bus, periods=PATIENT) as client:
        await client.instance(SHELF)
        assert settings.count("AddSettings") == (1 if method == "owner" else 2)
        assert await in_thread(set_value, bus.address, INSTANCE, "battery:7") == 0
        await until(lambda: client.known(SHELF) == 7, "the change")


async def test_what_changed_while_the_service_was_away_is_reported(bus, settings):
    """Only that: the file was edited by hand."""
    async with running(bus, periods=PATIENT) as client:
        await client.instance(SHELF)
        await in_thread(settings.stop)
        settings._file.write_text(settings._file.read_text().replace("battery:1", "battery:5"))
        await in_thread(settings.start)
        await until(lambda: client.known(SHELF) == 5, "the change")
        assert client.reports == [*NEW, (SHELF.service, "DeviceInstance", 5)]


async def test_user_changes_instance_and_name(bus, settings):
    """Each change is reported once, as the service made it: a wish for a taken instance becomes the next free one."""
    async with running(bus, SHELF, PANTRY, periods=PATIENT) as client:
        await client.instance(PANTRY)
        assert await in_thread(set_value, bus.address, INSTANCE, "battery:2") == 0
        await until(lambda: client.known(SHELF) == 3, "the instance")
        assert await in_thread(set_value, bus.address, NAME, "Shelf") == 0
        await until(lambda: client.known(SHELF, "CustomName") == "Shelf", "the name")
        assert len(client.reports) == 6


async def test_name_is_written_and_not_reported_back(bus, settings):
    """Whoever gave it knows it; of two in a row the newest wins; what cannot be sent is cleaned."""
    async with running(bus, periods=PATIENT) as client:
        await client.instance(SHELF)
        client.client.set_custom_name(SHELF.service, "Hall")
        client.client.set_custom_name(SHELF.service, "Shelf\x00\ud800")
        await until(lambda: settings.value(NAME) == "Shelf?", "the name")
        assert await in_thread(set_value, bus.address, NAME, "Attic") == 0
        await until(lambda: client.known(SHELF, "CustomName") == "Attic", "the name of the user")
        client.client.set_custom_name(SHELF.service, "Hall")
        await until(lambda: settings.value(NAME) == "Hall", "the next name")
        assert client.reports == [*NEW, (SHELF.service, "CustomName", "Attic")]
        assert settings.count("SetValue") == 3


async def test_name_given_while_another_is_being_written(bus, settings):
    """It is written after that, and the echo of the first is not taken for a change."""
    loop = asyncio.get_event_loop()

    def rename(member):
        if member == "SetValue":
            settings.before_answer = lambda member: None
            done = asyncio.run_coroutine_threadsafe(second(), loop)
            done.result(10)

    async def second():
        client.client.set_custom_name(SHELF.service, "Second")

    async with running(bus, periods=PATIENT) as client:
        await client.instance(SHELF)
        settings.before_answer = rename
        client.client.set_custom_name(SHELF.service, "First")
        await until(lambda: settings.value(NAME) == "Second", "the second name")
        assert client.reports == NEW


async def test_name_given_while_the_service_is_away_is_newer_than_what_it_holds(bus, settings):
    """It is written on the return, and the old name is not shown in between."""
    async with running(bus, periods=PATIENT) as client:
        await client.instance(SHELF)
        assert await in_thread(set_value, bus.address, NAME, "Old") == 0
        await until(lambda: client.known(SHELF, "CustomName") == "Old", "the old name")
        await in_thread(settings.stop)
        client.client.set_custom_name(SHELF.service, "New")
        await in_thread(settings.start)
        await until(lambda: settings.value(NAME) == "New", "the new name")
        assert client.known(SHELF, "CustomName") == "Old", "nothing came back"


async def test_name_given_before_the_service_ever_was_there(bus, absent):
    """It waits for the service, and the empty name that is created is not reported."""
    async with running(bus) as client:
        client.client.set_custom_name(SHELF.service, "New")
        await in_thread(absent.start)
        await until(lambda: absent.value(NAME) == "New", "the name")
        assert client.reports == [(SHELF.service, "DeviceInstance", 1)]


async def test_setting_that_is_removed_is_made_again(bus, settings):
    """What was known stays until then; nothing is ever removed by us."""
    async with running(bus) as client:
        await client.instance(SHELF)
        with contextlib.closing(RawBus(bus.address)) as user:
            path = [[INSTANCE]]
            user.call("com.victronenergy.settings", "/", "com.victronenergy.Settings", "RemoveSettings", "as", path)
        await until(lambda: settings.value(INSTANCE) == "battery:1", "the setting")
        assert client.reports == NEW


async def test_bus_that_restarts(bus, settings, tmp_path):
    """Back by itself, with what it knew; a name given meanwhile is written; nothing is reported twice."""
    async with running(bus) as client:
        await client.instance(SHELF)
        await in_thread(bus.stop)
        await in_thread(settings.stop)
        client.client.set_custom_name(SHELF.service, "Shelf")
        await in_thread(bus.start)
        await in_thread(settings.start)
        await until(lambda: settings.value(NAME) == "Shelf", "the name")
        assert client.reports == NEW


async def test_bus_that_is_not_there_yet(bus, settings, caplog, monkeypatch):
    """It is waited for, with one line in the log."""
    opened = []
    monkeypatch.setattr(module, "ServiceTree", lambda write: opened.append(write) or ServiceTree(write))
    await in_thread(bus.stop)
    await in_thread(settings.stop)
    async with running(bus) as client:
        await until(lambda: len(opened) >= 4, "some attempts")
        await in_thread(bus.start)
        await in_thread(settings.start)
        await client.instance(SHELF)
    assert caplog.text.count("cannot connect") == 1


def _match_rules(address, unique):
    with contextlib.closing(RawBus(address)) as client:
        stats = "org.freedesktop.DBus.Debug.Stats"
        reply = client.call("org.freedesktop.DBus", "/org/freedesktop/DBus", stats, "GetConnectionStats", "s", [unique])
        return None if reply.error else py(reply.args[0])["MatchRules"]


async def test_restarts_add_no_match_rules(bus, settings):
    """One for the owner and one for each battery, after twenty restarts as at first, on the same connection."""
    async with running(bus, SHELF, PANTRY, periods=PATIENT) as client:
        await client.instance(PANTRY)
        for restart in range(20):
            await in_thread(settings.restart)
            await until(lambda restart=restart: len(settings.callers) == restart + 2, "AddSettings")
        assert len(set(settings.callers)) == 1
        rules = await in_thread(_match_rules, bus.address, settings.callers[0])
        if rules is None:
            pytest.skip("this dbus-daemon keeps no statistics")
        assert rules == 3
