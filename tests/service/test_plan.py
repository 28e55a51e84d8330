"""From what was typed and written to what runs: batteries, what they are together, and what is recorded of them."""

import json

import pytest
from attrs import evolve

from config.loader import load
from config.options import ConfigError
from core.configuration import BatteryConfiguration, Configuration, configuration_from
from core.events import Event, ReadingTaken, SessionStarted
from core.limits.profile import ChargeProfile
from service import VERSION
from service.plan import DEMO_SESSION, plan_batteries, plan_configuration
from storage.database import StorageError
from storage.session_file import SessionHeader, SessionWriter
from tests.frames import frame

MACS = ["A4:C1:37:00:00:{:02X}".format(n) for n in range(16)]
RECORDED = tuple(
    BatteryConfiguration(
        "ble_{}".format(n), MACS[n], profile=ChargeProfile(max_charge_ma=20_000 + n), capacity_mah=280_000,
        fallback_capacity_mah=7, cell_count=4, current_sign=-1, current_unit="x10",
    )
    for n in (1, 2)
)  # fmt: skip


@pytest.fixture
def own(tmp_path):
    """Writes the file of a battery."""

    def write(text, name="own.ini"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


@pytest.fixture
def recording(tmp_path):
    """Writes a session of *batteries* that were *topology*; gives its address."""

    def write(topology, batteries=RECORDED, name="s.jsonl"):
        payload = Configuration(tuple(batteries), topology=topology).to_payload()
        facts = [SessionStarted("0", payload)]
        facts += [ReadingTaken(battery.battery, "jbd", frame("jbd-034")) for battery in batteries]
        with SessionWriter(tmp_path / name, SessionHeader("test", False, payload)) as writer:
            for number, fact in enumerate(facts, 1):
                writer.write(Event(number, 1, number * 1_000_000, number, fact))
        return "session:{}".format(tmp_path / name)

    return write


def planned(texts, *settings, topology=None, owner_file=None):
    """The batteries and the configuration of a run."""
    values, _ = load(owner_file, settings, topology and ("--" + topology, topology))
    batteries = plan_batteries(texts, values)
    return batteries, plan_configuration(batteries, values, 5)


def topology(texts, *settings, switch=None):
    """What the batteries are together."""
    return planned(texts, *settings, topology=switch)[1].topology


@pytest.mark.parametrize(
    ("texts", "settings", "switch", "expected"),
    [
        (["sim:a"], [], None, "single"),
        (["sim:a"], ["TOPOLOGY=parallel"], None, "single"),
        (["sim:a"], [], "parallel", "single"),
        (["sim:a"], ["TOPOLOGY=separate"], None, "separate"),
        (["sim:a", "sim:b"], [], None, "series"),
        (["sim:a", "sim:b"], [], "parallel", "parallel"),
        (["sim:a", "sim:b"], ["TOPOLOGY=parallel"], "series", "series"),
        (["sim:a", "sim:b"], ["TOPOLOGY=separate"], None, "separate"),
    ],
)
def test_what_batteries_are_together(texts, settings, switch, expected):
    """One is one; several are in series unless the owner says otherwise; separate ones are monitors."""
    assert topology(texts, *settings, switch=switch) == expected


def test_sixteen_batteries(own):
    """Each is in the configuration with its own profile, in the order in which it was named."""
    texts = ["{}:{}".format(mac, own("MAX_BATTERY_CHARGE_CURRENT = {}\n".format(n + 1), "{}.ini".format(n)))
             for n, mac in enumerate(MACS)]  # fmt: skip
    batteries, configuration = planned(texts, topology="parallel")
    assert [battery.address for battery in configuration.batteries] == MACS
    assert [battery.profile.max_charge_ma for battery in configuration.batteries] == [1000 * n for n in range(1, 17)]
    assert all(battery.peripheral is None for battery in batteries)
    assert (configuration.topology, configuration.device_instance) == ("parallel", 5)


def test_a_simulated_battery_with_a_file(own):
    """The file counts for it as for a real one; the make of BMS does not, since it speaks as JBD."""
    texts = ["sim:a?cells=8:" + own("CAPACITY = 12\n"), "sim:b"]
    (first, second), _ = planned(texts)
    assert (first.configuration.capacity_mah, second.configuration.capacity_mah) == (12_000, None)
    assert first.own_options == ("CAPACITY = 12 Ah",)
    assert (first.configuration.battery, first.configuration.connection) == ("sim_a", "Simulated")
    assert first.peripheral is not None


def test_a_password_goes_to_the_battery_only(own):
    """Not into what is recorded, shown or printed."""
    (battery,), configuration = planned(["{}:{}".format(MACS[0], own("PASSWORD = hush99\n"))])
    assert battery.password == "hush99"
    assert "hush99" not in repr(battery)
    assert "hush99" not in json.dumps(configuration.to_payload())


def test_what_is_published_of_the_options():
    """The version of the program is part of it; nothing when the owner says no."""
    assert planned(["sim:a"])[1].published_options["DRIVER_VERSION"] == VERSION
    assert planned(["sim:a"], "PUBLISH_CONFIG_VALUES=0")[1].published_options == {}


def test_the_configuration_survives_a_session():
    """What is recorded is read back as the same."""
    configuration = planned(["sim:a", "sim:b"], "TIME_TO_SOC_POINTS=100,0")[1]
    assert configuration_from(json.loads(json.dumps(configuration.to_payload()))) == configuration


@pytest.mark.parametrize("kind", ["single", "series", "parallel"])
def test_a_recording_keeps_what_it_was(recording, kind):
    """Profiles, capacities, signs, units, cell counts and topology are those of the recording, not of today."""
    recorded = RECORDED[:1] if kind == "single" else RECORDED
    batteries, configuration = planned([recording(kind, recorded)], "MAX_BATTERY_CHARGE_CURRENT=99")
    assert configuration.topology == kind
    assert [battery.configuration for battery in batteries] == [
        evolve(battery, battery="sim_" + battery.battery[4:], connection="Recorded session") for battery in recorded
    ]


def test_the_command_line_decides_over_a_recording(recording):
    """A topology that was typed counts; one in config.ini does not. The batteries stay as recorded."""
    address = recording("series")
    assert topology([address], switch="parallel") == "parallel"
    assert topology([address], "TOPOLOGY=separate") == "separate"
    assert planned([address], topology="parallel")[0][0].configuration.current_sign == -1


def test_config_ini_does_not_decide_over_a_recording(recording, tmp_path):
    """What was recorded is nearer than what is configured for the batteries of today."""
    path = tmp_path / "config.ini"
    path.write_text("TOPOLOGY = parallel\n", encoding="utf-8")
    assert planned([recording("series")], owner_file=path)[1].topology == "series"


def test_several_recordings_are_what_is_configured(recording):
    """With other batteries beside it a recording cannot know what all of them are together."""
    texts = [recording("parallel"), "sim:a"]
    assert topology(texts) == "series"
    assert topology(texts, "TOPOLOGY=separate") == "separate"


def test_a_recording_of_monitors_takes_the_present_configuration(recording):
    """Version 0.1 knew no limits: there is nothing in it to go by."""
    (battery,), configuration = planned([recording("separate", RECORDED[:1])], "MAX_BATTERY_CHARGE_CURRENT=30")
    assert configuration.topology == "single"
    assert battery.configuration.profile.max_charge_ma == 30_000
    assert (battery.configuration.current_sign, battery.configuration.capacity_mah) == (1, None)
    assert battery.configuration.connection == "Recorded session"
    assert topology([recording("separate")]) == "series"
    assert topology([recording("separate")], "TOPOLOGY=separate") == "separate"
    assert topology(["session:{}".format(DEMO_SESSION)]) == "single"


def test_a_session_whose_first_line_names_no_batteries(tmp_path):
    """A damaged file, not a traceback."""
    path = tmp_path / "s.jsonl"
    with SessionWriter(path, SessionHeader("test", False, {})):
        pass
    with pytest.raises(StorageError, match="line 1: the configuration names no batteries"):
        plan_batteries(["session:{}".format(path)])


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ([], "no battery given"),
        (["sim:a", "sim:a"], "the battery a is named twice"),
        (["sim:a", "sim:a?cells=8"], "the battery a is named twice"),
        ([MACS[0], MACS[0].lower()], "the battery {} is named twice".format(MACS[0])),
        ([MACS[0], "sim:a"], "never share a run"),
    ],
)
def test_batteries_that_do_not_go_together(texts, says):
    """One line says why."""
    with pytest.raises(ConfigError, match=says):
        plan_batteries(texts)


def test_cell_counts_in_parallel(own):
    """Batteries in parallel that are said to have different cells would be destroyed; in series that is fine."""
    texts = ["sim:a:" + own("CELL_COUNT = 4\n"), "sim:b:" + own("CELL_COUNT = 8\n", "b.ini"), "sim:c"]
    with pytest.raises(ConfigError, match=r"batteries in parallel need the same CELL_COUNT, not \[4, 8\]"):
        planned(texts, topology="parallel")
    assert topology(texts) == "series"
    assert topology(texts[::2], switch="parallel") == "parallel"


def test_warnings_about_files_are_heard(own):
    """Whoever plans hears them, once each."""
    heard = []
    plan_batteries(["sim:a:" + own("GARDEN = 1\n"), "sim:b:" + own("GARDEN = 1\n")], None, heard.append)
    assert len(heard) == 1 and heard[0].endswith("own.ini line 1: unknown option GARDEN")
