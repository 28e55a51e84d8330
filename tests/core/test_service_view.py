"""A service over time: who joins and when, who carries limits, and that nothing outlives its reading but what may."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.configuration import PARALLEL, SEPARATE, SERIES, SINGLE
from core.events import LinkEstablished, LinkLost, SettingChanged
from tests.core.banks import TOPOLOGIES, Story, member
from tests.core.made import basic, name

CVL = "/Info/MaxChargeVoltage"
MEMBERS = ((3325, 3320, 3330, 3325), (3310, 3311, 3312, 3317), (3340, 3341, 3342, 3347), (3300, 3300, 3300, 3300))


def several(topology):
    return [member()] * (1 if topology == SINGLE else 2)


@pytest.mark.parametrize("publish_members", [False, True])
@pytest.mark.parametrize("monitor_only", [False, True])
@pytest.mark.parametrize("topology", [SEPARATE, SINGLE, SERIES, PARALLEL])
def test_who_carries_the_limits(topology, monitor_only, publish_members):
    """D.1: exactly one service has /Info/MaxChargeVoltage; monitors, and all in monitor_only, have no limit path."""
    options = {"monitor_only": monitor_only, "publish_members": publish_members}
    story = Story(*several(topology), topology=topology, **options).run(30).run(50, silent={2}).run(200, silent={1, 2})
    ever = {service: set() for service in story.services}
    for publication in story.publications:
        ever[publication.service] |= publication.items.keys()
    assert all(ever.values())
    carrying = [service for service in story.services if CVL in ever[service]]
    assert carrying == ([] if monitor_only or topology == SEPARATE else story.services[:1])
    for service, paths in ever.items():
        limits = {"/Info/MaxChargeCurrent", "/Info/MaxDischargeCurrent", "/Info/BatteryLowVoltage"}
        assert paths & limits == (limits if service in carrying else set())


def test_limits_are_valid_as_long_as_the_service_is_there():
    """D.4: never invalid while on the bus; automatic selection would take another BMS."""
    for topology in TOPOLOGIES:
        story = Story(*several(topology), topology=topology).run(30).run(345, silent={1, 2})
        assert story.items["/Connected"] == 0
        for path in (CVL, "/Info/MaxChargeCurrent", "/Info/MaxDischargeCurrent"):
            assert None not in [value for _, value in story.history(path)]


def test_services_and_their_members():
    """The virtual one first, then with PUBLISH_MEMBERS a monitor for each; instances count on."""
    story = Story(member(), member(), topology=SERIES, publish_members=True, device_instance=5).run(20)
    assert story.services == ["com.victronenergy.battery." + key for key in ("virtual_series", "ble_1", "ble_2")]
    assert [story.shown(service)["/DeviceInstance"] for service in story.services] == [5, 6, 7]
    assert [story.shown(service)["/Dc/0/Voltage"] for service in story.services] == [26.6, 13.3, 13.3]
    assert story.shown(story.services[2])["/Voltages/Cell1"] == 3.325


@pytest.mark.parametrize("topology", [SERIES, PARALLEL])
def test_a_virtual_battery_says_what_it_is(topology):
    """Identity of the whole, and which way its batteries are joined."""
    items = Story(member(), member(), topology=topology).run(10).items
    assert items["/ProductName"] == "BT Battery ({})".format(topology)
    assert (items["/Mgmt/Connection"], items["/Serial"]) == ("Bluetooth LE, 2 batteries", "virtual_" + topology)
    counts = [items["/System/" + name] for name in ("NrOfBatteries", "BatteriesSeries", "BatteriesParallel")]
    assert counts == ([2, 2, 1] if topology == SERIES else [2, 1, 2])


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_b5_a_single_battery_is_no_virtual_one(topology):
    """B5: one battery is called by its own BMS, whatever topology was asked for, under its own name."""
    story = Story((*member(), name()), topology=topology).run(10)
    assert story.services == ["com.victronenergy.battery.ble_1"]
    own = [story.items["/" + path] for path in ("ProductName", "HardwareVersion", "Serial", "System/MinVoltageCellId")]
    assert own == ["BT Battery (JBD)", "JBD-SP04S034", "A4:C1:37:00:00:01", "C2"]
    assert story.items[CVL] == 13.8


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_b6_a_battery_that_goes_silent(topology):
    """B6, B7: not only /Connected: values go, limits get safe, the service leaves; back it joins with everything."""
    members = several(topology)
    story = Story(*members, topology=topology).run(30).run(150, silent={1, 2})
    shown = [story.items[p] for p in ("/Connected", "/Dc/0/Voltage", "/Info/MaxChargeCurrent", "/Io/AllowToCharge")]
    assert shown == [0, None, 0.0, 0]
    assert story.items[CVL] == 13.4 * (2 if topology == SERIES else 1)
    assert story.items["/Info/MaxDischargeCurrent"] > 0
    story.run(300, silent={1, 2})
    assert (story.items, story.publications[-1].change, story.publications[-1].items) == (None, "left", {})
    story.run(20)
    again = [p for p in story.publications if p.change == "joined"]
    assert len(again) == 2
    assert again[0].items.keys() == again[1].items.keys()


def test_no_instance_no_service():
    """DeviceInstance comes from Venus OS: before it is known nothing is published, and then everything."""
    story = Story(member(), member(), topology=SERIES, device_instance=None, publish_members=True).run(50)
    assert story.publications == []
    story.tell(SettingChanged("virtual_series", "DeviceInstance", 7))
    story.run(1)
    (joined,) = story.publications
    assert (joined.service, joined.change, joined.items["/DeviceInstance"]) == (story.services[0], "joined", 7)


def test_another_instance_is_another_registration():
    """Venus OS reads the instance when a service joins and never again: it leaves, and joins anew with all items."""
    story = Story(member(), member(), topology=SERIES, device_instance=None)
    story.tell(SettingChanged("virtual_series", "DeviceInstance", 7))
    before = dict(story.run(30).items)
    story.tell(SettingChanged("virtual_series", "DeviceInstance", 7))
    story.tell(SettingChanged("virtual_series", "DeviceInstance", 9))
    story.run(2)
    assert [p.change for p in story.publications if p.change != "changed"] == ["joined", "left", "joined"]
    joined = story.publications[-1]
    assert joined.items["/DeviceInstance"] == 9
    assert joined.items.keys() == before.keys()


def test_an_instance_of_a_former_run_is_not_taken():
    """Venus OS assigns it anew; the name stays."""
    remembered = {"settings": {"ble_1": {"DeviceInstance": 4, "CustomName": "Shed"}}}
    story = Story(member(), topology=SINGLE, device_instance=None, remembered=remembered).run(20)
    assert story.publications == []
    story.tell(SettingChanged("ble_1", "DeviceInstance", 1))
    assert story.run(1).items["/CustomName"] == "Shed"


def test_settings_belong_to_their_service():
    """A name for the bank is not one for its members."""
    story = Story(member(), member(), topology=PARALLEL, publish_members=True).run(20)
    story.tell(SettingChanged("virtual_parallel", "CustomName", "House"))
    story.tell(SettingChanged("ble_2", "CustomName", "Left"))
    story.run(1)
    assert [story.shown(service)["/CustomName"] for service in story.services] == ["House", "", "Left"]


def test_the_link_of_each_member_is_told():
    """/ConnectionInformation names who is not there, why, what is held, and its age; all well is one word."""
    story = Story(member(), member(), topology=PARALLEL, estimate_lost=True)
    for n in (1, 2):
        story.tell(LinkEstablished("ble_{}".format(n)))
    text = "/ConnectionInformation"
    assert story.run(20).items[text] == "Connected"
    story.tell(LinkLost("ble_2", "dropped"))
    assert story.run(2, silent={2}).items[text] == "Battery 2: Reconnecting: dropped"
    stale = story.run(18, silent={2}).items[text]
    held = "held: Soc, Capacity, ConsumedAmphours, limits"
    assert stale == "Battery 2: Stale 00:00:29, {} (dropped) (current estimated)".format(held)
    monitor = Story(member(), topology=SEPARATE).run(20).run(20, silent={1}).items[text]
    assert monitor == "Stale 00:00:29, held: Soc, Capacity, ConsumedAmphours"


@pytest.mark.parametrize("silent", [set(), {2}])
def test_a_watched_string_with_an_open_switch(silent):
    """6.3: switches of a string are AND-ed, with limits or without: one open or not known is not allowed."""
    story = (
        Story(member(), member(fet=2), topology=SERIES, monitor_only=True).run(20).run(20 * len(silent), silent=silent)
    )
    assert story.items["/Io/AllowToCharge"] != 1


def test_a_watched_parallel_bank_with_an_open_switch():
    """6.2: one that can charge is enough."""
    story = Story(member(), member(fet=2), topology=PARALLEL, monitor_only=True).run(20)
    assert (story.items["/Io/AllowToCharge"], story.items["/System/NrOfModulesBlockingCharge"]) == (1, 1)


def test_v11_what_nobody_counts_is_not_zero():
    """V11: no TotalAhDrawn of 0, no alarm counts without counters, cycles of the oldest."""
    items = Story(member(cycles=3), member(cycles=9), topology=PARALLEL).run(10).items
    assert "/History/TotalAhDrawn" not in items
    assert items["/History/ChargeCycles"] == 9
    assert (items["/History/LowVoltageAlarms"], items["/History/HighVoltageAlarms"]) == (None, None)


def test_what_is_invalid_is_said_once():
    """A silent battery costs the bus one line a second, its age, and nothing else."""
    story = Story(member(), member(), topology=PARALLEL).run(20).run(25, silent={2})
    before = len(story.publications)
    story.run(4, silent={2})
    told = [set(p.items) - {CVL, "/Info/ChargeMode", "/Info/DischargeLimitation"} for p in story.publications[before:]]
    assert told == [{"/ConnectionInformation"}] * 4


HELD = re.compile(
    "/(Soc|Capacity|ConsumedAmphours|InstalledCapacity|History/.*|System/NrOfCellsPerBattery|Battery/[0-9]+/Capacity"
    "|Parallel/Battery/[^/]+/CellCount|Info/.*)$"
)
"""design.md, Honest numbers: what may outlive its reading."""
IDENTITY = re.compile(
    "/(Mgmt/.*|DeviceInstance|Product(Id|Name)|(Custom|Device)Name|(Firmware|Hardware)Version|Serial|ErrorCode"
    "|System/NrOfBatteries|System/Batteries(Series|Parallel)|Battery/Request/Id|Battery/[0-9]+/(Serial|FwVersion|ReleaseMinutes)"
    "|Parallel/Battery/[^/]+/Name|Parallel/TotalBatteries|Settings/CellMonitor/.*)$"
)
PRESENCE = re.compile(
    "/(Connected|State|ConnectionInformation|System/NrOfModules.*|Io/.*|Alarms/BmsCable"
    "|Parallel/(ActiveBatteries|BatteryCount)|CellMonitor/(BatteryCount|Data|Alerts/.*))$"
)
"""Who is there: true of silence itself; and alerts, which are open until a live battery says otherwise."""
WHOLE = ("/Dc/0/Voltage", "/Dc/0/Power", "/Voltages/Sum", "/Voltages/Diff", "/System/MinCellVoltage")


def measured_text(data):
    """What is measured in ``/CellMonitor/Data``, without names and counts."""
    return json.dumps([{**each, "cell_count": None} for each in json.loads(data)["batteries"].values()])


def check_nothing_outlives(story, topology, live):
    """*live*: whether each member is LIVE now, by the test's own count."""
    items = story.items
    if items is None:
        return
    for number, is_live in enumerate(live, 1):
        for path, value in items.items():
            if "/Battery/{}/".format(number) in path and not is_live and value is not None:
                assert HELD.match(path) or IDENTITY.match(path), path
    if not any(live):
        for path, value in items.items():
            assert value is None or any(kind.match(path) for kind in (HELD, IDENTITY, PRESENCE)), (path, value)
        assert not re.search("[0-9]", measured_text(items["/CellMonitor/Data"]))
    volts = [sum(mvs) / 1000 for mvs in MEMBERS[: len(live)]]
    voltage_v, sum_v = items["/Dc/0/Voltage"], items["/Voltages/Sum"]
    if topology != PARALLEL and not all(live):
        assert [path for path in WHOLE if items[path] is not None] == []
    elif topology != PARALLEL:
        assert voltage_v == pytest.approx(sum(volts))
        assert sum_v in (None, pytest.approx(sum(volts)))
    elif any(live):
        lives = [each for each, is_live in zip(volts, live) if is_live]
        assert min(lives) - 0.01 <= voltage_v <= max(lives) + 0.01
        assert (items["/Dc/0/Current"] is None) == (not all(live))
    assert items["/Soc"] != 0


QUICK = {"hold_seconds": 30, "remove_seconds": 30}
moves = st.tuples(
    st.sampled_from(["all", "some", "pack", "odd", "drop"]), st.integers(0, 15), st.sampled_from([1, 7, 14, 16, 30, 80])
)


@given(st.sampled_from(TOPOLOGIES), st.integers(1, 4), st.lists(moves, max_size=10))
@settings(max_examples=60)
def test_nothing_outlives_its_reading(topology, count, steps):
    """Whatever answers, answers by halves, oddly, or not at all: no number without LIVE members, no partial sum."""
    count = 1 if topology == SINGLE else count
    whole = [member(mvs) for mvs in MEMBERS[:count]]
    story = Story(*whole, topology=topology, cell_data_format=3, midpoint=True, **QUICK)
    story.answer(*range(1, count + 1))
    answered_s = [(100.5, 100.5)] * count
    story.run(1, silent=set(range(1, count + 1)))
    for move, who, wait_s in steps:
        chosen = [n for n in range(1, count + 1) if move == "all" or who >> (n - 1) & 1]
        for n in () if move == "drop" else chosen:
            _, cells_s = answered_s[n - 1]
            now_s = story.now_s + 0.5
            odd = basic(cell_count=4, soc_pct=110, voltage_mv=sum(MEMBERS[n - 1]), temperatures_dc=())
            story.members[n - 1] = {"pack": whole[n - 1][:1], "odd": (odd,)}.get(move, whole[n - 1])
            story.answer(n)
            answered_s[n - 1] = now_s, cells_s if move in ("pack", "odd") else now_s
        for n in chosen if move == "drop" else ():
            story.tell(LinkLost("ble_{}".format(n), "dropped"))
        for _ in range(wait_s):
            story.now_s += 1
            story.publications += story.view.advance(story.now_s * 1_000_000)
            if story.now_s % 5 == 0 or wait_s < 20:
                check_nothing_outlives(story, topology, [story.now_s - min(halves) <= 15 for halves in answered_s])
