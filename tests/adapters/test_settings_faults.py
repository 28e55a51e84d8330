"""The settings client and a settings service that refuses, lies or says nothing."""

import contextlib
import logging

import pytest
from rawbus import SIGNAL, RawBus

from adapters.dbus import SettingsClient
from adapters.dbus.settings import _ERRORS, Periods
from tests.adapters.settings_client import PANTRY, PATIENT, QUICK, SHELF, in_thread, running, until
from tests.doubles.settings_service import BUS_ITEM, instance_path, name_path, set_value

INSTANCE, NAME = instance_path(SHELF.unique), name_path(SHELF.unique)
NEW = [(SHELF.service, "CustomName", ""), (SHELF.service, "DeviceInstance", 1)]


async def test_refused_name_is_tried_again(bus, settings, caplog):
    """The instance is not held up by it, and the newest name is written when the service takes it."""
    settings.refused.add(NAME)
    async with running(bus) as client:
        client.client.set_custom_name(SHELF.service, "No")
        assert await client.instance(SHELF) == 1
        await until(lambda: settings.count("SetValue") >= 3, "the retries")
        assert "the name is refused" in caplog.text
        client.client.set_custom_name(SHELF.service, "Yes")
        settings.refused.clear()
        await until(lambda: settings.value(NAME) == "Yes", "the name")


@pytest.mark.parametrize("code", range(-9, 0))
async def test_an_error_code_is_told_with_its_meaning_and_asked_again(bus, settings, caplog, code):
    """One setting that is refused holds up no other; when it is taken, all is well."""
    settings.errors[INSTANCE] = code
    async with running(bus, SHELF, PANTRY) as client:
        assert await client.instance(PANTRY) == 1
        await until(lambda: settings.count("AddSettings") >= 3, "the retries")
        assert "{} is refused with {}: {}".format(INSTANCE, code, _ERRORS[code]) in caplog.text
        assert client.known(SHELF) is None
        settings.errors.clear()
        assert await client.instance(SHELF) == 2


async def test_refusals_are_asked_again_once_a_period_and_not_faster(bus, settings):
    """News from elsewhere makes it neither ask nor write again."""
    settings.errors[INSTANCE] = -6
    settings.refused.add(name_path(PANTRY.unique))
    async with running(bus, SHELF, PANTRY, periods=PATIENT) as client:
        client.client.set_custom_name(PANTRY.service, "No")
        await client.instance(PANTRY)
        for name in ("a", "b", "c"):
            await in_thread(set_value, bus.address, NAME, name)
            await until(lambda name=name: client.known(SHELF, "CustomName") == name, "the name")
        assert settings.count("AddSettings") == 1
        assert settings.calls.count(("SetValue", name_path(PANTRY.unique))) == 1


def _result(*items):
    return ("aa{sv}", [[list(items), [("path", ("s", NAME)), ("error", ("i", 0)), ("value", ("s", ""))]]])


PATH, FINE = ("path", ("s", INSTANCE)), ("error", ("i", 0))
GARBAGE = {
    "an error": ("error", "go away"),
    "nothing": ("", []),
    "a text": ("s", ["battery:1"]),
    "no results": ("aa{sv}", [[]]),
    "an empty result": _result(),
    "no path": _result(FINE, ("value", ("s", "battery:1"))),
    "a path that is none": _result(("path", ("ai", [1])), FINE, ("value", ("s", "battery:1"))),
    "no value": _result(PATH, FINE),
    "a number": _result(PATH, FINE, ("value", ("i", 1))),
    "an empty array": _result(PATH, FINE, ("value", ("ai", []))),
    "a dictionary": _result(PATH, FINE, ("value", ("a{sv}", [("battery", ("i", 1))]))),
    "another class": _result(PATH, FINE, ("value", ("s", "tank:1"))),
    "an error that is a text": _result(PATH, ("error", ("s", "0")), ("value", ("s", "battery:1"))),
    "an error that is a list": _result(PATH, ("error", ("ai", [0])), ("value", ("s", "battery:1"))),
}


@pytest.mark.parametrize("garbage", list(GARBAGE))
async def test_no_answer_makes_it_stumble_or_invent(bus, settings, caplog, garbage):
    """Whatever AddSettings answers: a line in the log, no instance, and all is well when the answer is."""
    settings.answers["AddSettings"] = GARBAGE[garbage]
    async with running(bus) as client:
        await until(lambda: settings.count("AddSettings") >= 3, "the retries")
        assert client.known(SHELF) is None
        assert "asking again in" in caplog.text
        assert "Traceback" not in caplog.text
        settings.answers.clear()
        assert await client.instance(SHELF) == 1


async def test_service_that_does_not_answer_is_asked_again(bus, settings, caplog):
    """Every call has a deadline, and a name that got no answer is still written."""
    settings.answers.update(AddSettings=None, SetValue=None)
    async with running(bus, periods=Periods(call_s=0.05, retry_s=0.02)) as client:
        client.client.set_custom_name(SHELF.service, "Shelf")
        await until(lambda: settings.count("AddSettings") >= 2, "the retries")
        assert "no answer to AddSettings" in caplog.text
        del settings.answers["AddSettings"]
        await until(lambda: settings.count("SetValue") >= 2, "the retries")
        assert client.known(SHELF) == 1
        settings.answers.clear()
        await until(lambda: settings.value(NAME) == "Shelf", "the name")


async def test_service_that_dies_while_it_is_asked(bus, settings):
    """Its successor is asked at once, not when the period is over."""
    settings.answers["AddSettings"] = None
    async with running(bus, periods=PATIENT) as client:
        await until(lambda: settings.count("AddSettings") == 1, "the question")
        settings.answers.clear()
        await in_thread(settings.restart)
        await client.instance(SHELF)


async def test_last_words_of_a_service_are_not_news_of_its_successor(bus, settings):
    """A signal that was not yet looked at goes with the service that sent it."""
    async with running(bus, periods=PATIENT) as client:
        await client.instance(SHELF)
        settings.answers["SetValue"] = None
        client.client.set_custom_name(SHELF.service, "Shelf")
        await until(lambda: settings.count("SetValue") == 1, "the write")
        settings.emit_value(INSTANCE, "s", "battery:9")
        settings.answers.clear()
        await in_thread(settings.restart)
        await until(lambda: settings.value(NAME) == "Shelf", "the name")
        assert await in_thread(set_value, bus.address, NAME, "Attic") == 0
        await until(lambda: client.known(SHELF, "CustomName") == "Attic", "the next change")
        assert client.known(SHELF) == 1
        assert len(client.reports) == len(NEW) + 1


async def test_name_is_not_written_before_its_setting_was_added(bus, settings):
    """A service that came back without knowing the setting would refuse it."""
    async with running(bus) as client:
        await client.instance(SHELF)
        await in_thread(settings.stop)
        settings.answers["AddSettings"] = ("error", "not yet")
        client.client.set_custom_name(SHELF.service, "Shelf")
        await in_thread(settings.start)
        await until(lambda: settings.count("AddSettings") >= 4, "the retries")
        assert settings.count("SetValue") == 0
        settings.answers.clear()
        await until(lambda: settings.value(NAME) == "Shelf", "the name")


THREE = [("Value", ("s", "battery:3"))]
OF_NO_USE = [
    (INSTANCE, "a{sv}", [[("Value", ("i", 3))]]),
    (INSTANCE, "a{sv}", [[("Value", ("ai", []))]]),
    (INSTANCE, "a{sv}", [[("Value", ("s", "tank:3"))]]),
    (INSTANCE, "a{sv}", [[("Value", ("s", "battery:-3"))]]),
    (INSTANCE, "a{sv}", [[("Value", ("v", ("d", 3.0)))]]),
    (INSTANCE, "a{sv}", [[("Text", ("s", "battery:3"))]]),
    (INSTANCE, "a{sv}", [[]]),
    (INSTANCE, "a{si}", [[("Value", 3)]]),
    (INSTANCE, "s", ["battery:3"]),
    (INSTANCE, "", []),
    (INSTANCE, "a{sv}", [THREE], BUS_ITEM, "OtherChanged"),
    (INSTANCE, "a{sv}", [THREE], "com.example.BusItem"),
    ("/Settings/Devices/btbattery_shelf/Other", "a{sv}", [THREE]),
    (NAME, "a{sv}", [[("Value", ("i", 3))]]),
]


async def test_signals_of_no_use_change_nothing(bus, settings, caplog):
    """Wrong types, paths and shapes: what is known stays, and the next true change is heard."""
    async with running(bus, periods=PATIENT) as client:
        await client.instance(SHELF)
        for number, signal in enumerate(OF_NO_USE):
            settings.emit(*signal)
            name = "name {}".format(number)
            assert await in_thread(set_value, bus.address, NAME, name) == 0
            await until(lambda name=name: client.known(SHELF, "CustomName") == name, "the true change")
        assert client.known(SHELF) == 1
        assert len(client.reports) == len(NEW) + len(OF_NO_USE)
        assert caplog.text.count("which is of no use") in (5, 6)  # the last one may be overtaken by the true change
        assert "Traceback" not in caplog.text


async def test_signals_of_others_do_not_count(bus, settings):
    """Anybody can send us a signal; only the owner of the name is believed."""
    async with running(bus, periods=PATIENT) as client:
        await client.instance(SHELF)
        with contextlib.closing(RawBus(bus.address)) as liar:
            change = [[("Value", ("s", "battery:66"))]]
            liar.send(SIGNAL, settings.callers[0], INSTANCE, BUS_ITEM, "PropertiesChanged", "a{sv}", change)
            liar.daemon("GetId")  # the bus has passed the signal on
        assert await in_thread(set_value, bus.address, NAME, "Shelf") == 0
        await until(lambda: client.known(SHELF, "CustomName") == "Shelf", "the true change")
        assert client.known(SHELF) == 1


async def test_an_exception_of_ours_ends_it_loudly(bus, settings):
    """A fault in the program is not hidden behind the care for faults of others."""

    def fail(*report):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await SettingsClient(bus.address, [SHELF], fail, QUICK).run()


async def test_log_has_no_line_of_somebody_else(bus, settings, caplog):
    """A text from outside stays on one line and is cut."""
    caplog.set_level(logging.INFO)
    text = "x\nERROR fire" + "y" * 5000
    settings.answers["AddSettings"] = _result(PATH, FINE, ("value", ("s", text)))
    async with running(bus):
        await until(lambda: "asking again" in caplog.text, "the complaint")
        settings.answers["AddSettings"] = ("error", text)
        await until(lambda: "AddSettings failed" in caplog.text, "the other complaint")
    assert all("\n" not in record.getMessage() for record in caplog.records)
    assert max(len(record.getMessage()) for record in caplog.records) < 400
