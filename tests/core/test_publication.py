"""What the service of one battery shows in each phase: everything, what may be held, or what is safe."""

import math

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import LinkEstablished, LinkLost, SettingChanged
from core.paths import text_of, type_of
from core.presence import Phase
from core.protections import ALARM_NAMES
from core.service_view import LEFT
from tests.core.made import (
    ADDRESS,
    BATTERY,
    CONFIGURATION,
    basic,
    battery,
    cells,
    counters,
    event,
    frame,
    in_phase,
    name,
    service,
)
from tests.core.strategies import nasty_data

START, LIVE, STALE, LOST, GONE = Phase

IDENTITY = {
    "/Mgmt/ProcessName": "dbus-btbattery",
    "/Mgmt/ProcessVersion": "0.1.0",
    "/Mgmt/Connection": "Bluetooth LE " + ADDRESS,
    "/Mgmt/InsecureConnection": 1,
    "/DeviceInstance": 1,
    "/ProductId": 0xBAB7,
    "/ProductName": "BT Battery (JBD)",
    "/CustomName": "",
    "/DeviceName": "Shed",
    "/FirmwareVersion": "2.5",
    "/HardwareVersion": "SP04S034",
    "/Serial": ADDRESS,
    "/ErrorCode": 0,
    "/System/NrOfBatteries": 1,
    "/System/BatteriesParallel": 1,
    "/System/BatteriesSeries": 1,
    "/Battery/Request/Id": 1,
    "/Battery/1/Serial": ADDRESS,
    "/Battery/1/ReleaseMinutes": 0,
    "/Battery/1/FwVersion": 0x020500,
}
HELD = {
    "/Soc": 50.0,
    "/Capacity": 50.0,
    "/InstalledCapacity": 100.0,
    "/ConsumedAmphours": -50.0,
    "/System/NrOfCellsPerBattery": 4,
    "/History/ChargeCycles": 3,
    "/History/LowVoltageAlarms": 10,
    "/History/HighVoltageAlarms": 9,
    "/Battery/1/Capacity": 50.0,
}
CELLS = {
    "/Voltages/Cell1": 3.325,
    "/Voltages/Cell2": 3.32,
    "/Voltages/Cell3": 3.33,
    "/Voltages/Cell4": 3.325,
    "/Battery/1/Cell/1/Voltage": 3.325,
    "/Battery/1/Cell/2/Voltage": 3.32,
    "/Battery/1/Cell/3/Voltage": 3.33,
    "/Battery/1/Cell/4/Voltage": 3.325,
    "/Balances/Cell1": 0,
    "/Balances/Cell2": 0,
    "/Balances/Cell3": 1,
    "/Balances/Cell4": 0,
    "/System/MinCellVoltage": 3.32,
    "/System/MinVoltageCellId": "C2",
    "/System/MaxCellVoltage": 3.33,
    "/System/MaxVoltageCellId": "C3",
    "/Voltages/Sum": 13.3,
    "/Voltages/Diff": 0.01,
}
MEASURED = {
    "/Dc/0/Voltage": 13.3,
    "/Dc/0/Current": -5.0,
    "/Dc/0/Power": -66.5,
    "/Soh": 98.5,
    "/TimeToGo": 21600,
    "/Balancing": 1,
    "/Balancer/Status": 2,
    "/Battery/1/Voltage": 13.3,
    "/Battery/1/Current": -5.0,
    "/Dc/0/Temperature": 25.5,
    "/Battery/1/Temperature": 25.5,
    "/System/MinCellTemperature": 25.0,
    "/System/MinTemperatureCellId": "T1",
    "/System/MaxCellTemperature": 26.0,
    "/System/MaxTemperatureCellId": "T2",
    "/System/Temperature1": 25.0,
    "/System/Temperature2": 26.0,
    "/System/Temperature3": None,
    "/System/Temperature4": None,
    "/Io/AllowToCharge": 1,
    "/Io/AllowToDischarge": 1,
    "/System/NrOfModulesBlockingCharge": 0,
    "/System/NrOfModulesBlockingDischarge": 0,
    **CELLS,
    **{"/Alarms/" + alarm: 0 for alarm in ALARM_NAMES},
}


def full_battery():
    """A battery that has told everything it knows."""
    tail = bytes(3) + (9850).to_bytes(2, "big") + bytes(4)
    made = battery(basic(tail=tail, balance=(4, 0)), cells(), name(b"SP04S034"), counters(*range(12)))
    made.fold(event(LinkEstablished(BATTERY, "Shed")))
    return made


def shown(made, phase=LIVE, now_s=0.0, configuration=CONFIGURATION, index=0, settings=()):
    """The items with which the service of *made* joins in *phase*, but for its cell monitor (test_cell_monitor)."""
    view = service(made, configuration=configuration, index=index)
    for setting, value in settings:
        view.fold(SettingChanged(BATTERY, setting, value))
    in_phase(view.bank, phase)
    items = view.evaluate(1, int(now_s * 1e6)).items
    return {path: value for path, value in items.items() if "/CellMonitor/" not in path}


def live(connected, online, information, cable, state=9):
    """The items that tell of the link."""
    return {
        "/Connected": connected,
        "/State": state,
        "/ConnectionInformation": information,
        "/System/NrOfModulesOnline": online,
        "/System/NrOfModulesOffline": 1 - online,
        "/Alarms/BmsCable": cable,
    }


def test_live_shows_everything():
    """LIVE: every path with its value, and no path more."""
    assert {**IDENTITY, **HELD, **MEASURED, **live(1, 1, "Connected", 0)} == shown(full_battery())


@pytest.mark.parametrize(
    ("phase", "now_s", "link"),
    [
        (STALE, 16, live(1, 0, "Stale 00:00:16, held: Soc, Capacity, ConsumedAmphours", 0)),
        (LOST, 121, live(0, 0, "Lost 00:02:01, held: Soc, Capacity, ConsumedAmphours", 1, state=10)),
        (LOST, 3661, live(0, 0, "Lost 01:01:01, held: Soc, Capacity, ConsumedAmphours", 1, state=10)),
    ],
)
def test_exactly_the_held_values_outlive_their_reading(phase, now_s, link):
    """Out of LIVE: identity and held values with their age; every measurement is unknown, and LOST forbids charging."""
    measured = dict.fromkeys(MEASURED)
    if phase is not STALE:
        measured.update({"/Io/AllowToCharge": 0, "/System/NrOfModulesBlockingCharge": 1})
    assert {**IDENTITY, **HELD, **measured, **link} == shown(full_battery(), phase, now_s)


def test_a_battery_that_is_gone_shows_nothing():
    """GONE: the service leaves without a word; before it joined there is nothing to leave."""
    view = service(full_battery())
    in_phase(view.bank, GONE)
    assert view.evaluate(1, 500_000_000) is None
    in_phase(view.bank, LOST)
    view.evaluate(1, 501_000_000)
    in_phase(view.bank, GONE)
    left = view.evaluate(1, 502_000_000)
    assert (left.change, left.items, view.on_bus) == (LEFT, {}, False)


@pytest.mark.parametrize("phase", [LIVE, STALE, LOST])
def test_a_monitor_has_no_limits(phase):
    """No /Info path in any phase: one that merely exists makes the service control the chargers."""
    assert [path for path in shown(full_battery(), phase, 500) if path.startswith("/Info")] == []


@pytest.mark.parametrize(
    ("fact", "phase", "text"),
    [
        (None, LIVE, "Reconnecting: not connected yet"),
        (LinkLost(BATTERY, "dropped"), LIVE, "Reconnecting: dropped"),
        (LinkEstablished(BATTERY), LIVE, "Connected"),
        (LinkLost(BATTERY, "dropped"), STALE, "Stale 00:00:20, held: Soc, Capacity, ConsumedAmphours (dropped)"),
        (LinkLost(BATTERY, "dropped"), LOST, "Lost 00:00:20, held: Soc, Capacity, ConsumedAmphours (dropped)"),
    ],
)
def test_connection_information(fact, phase, text):
    """One line for the owner: connected, or what is held, how old it is, and why."""
    made = battery(basic(), cells())
    if fact is not None:
        made.fold(event(fact))
    assert text == shown(made, phase, 20)["/ConnectionInformation"]


def test_place_and_product_come_from_the_configuration():
    """The instance counts on by battery; product id, link and name are as configured."""
    configuration = evolve(CONFIGURATION, device_instance=20, product_id=0xBA77)
    made = full_battery()
    made.configuration = evolve(made.configuration, label="JK", connection="Simulation", insecure_connection=0)
    expected = {
        "/DeviceInstance": 22,
        "/ProductId": 0xBA77,
        "/ProductName": "BT Battery (JK)",
        "/Mgmt/Connection": "Simulation " + ADDRESS,
        "/Mgmt/InsecureConnection": 0,
        "/CustomName": "Pantry",
    }
    items = shown(made, configuration=configuration, index=2, settings=[("CustomName", "Pantry")])
    assert expected.items() <= items.items()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"soc_pct": 0, "remaining_mah": 0}, {"/Soc": 0.0, "/Capacity": 0.0, "/ConsumedAmphours": -100.0}),
        ({"soc_pct": 100}, {"/Soc": 100.0}),
        ({"soc_pct": 101}, {"/Soc": None}),
        ({"soc_pct": 255}, {"/Soc": None}),
        ({"remaining_mah": 105_790}, {"/Capacity": 105.79, "/ConsumedAmphours": 0.0, "/InstalledCapacity": 100.0}),
        ({"nominal_mah": 0}, {"/InstalledCapacity": None, "/ConsumedAmphours": None, "/Soh": None, "/TimeToGo": None}),
        ({"current_ma": 0}, {"/TimeToGo": None, "/Dc/0/Power": 0.0}),
        ({"current_ma": 5_000}, {"/TimeToGo": None, "/Dc/0/Current": 5.0, "/Dc/0/Power": 66.5}),
        ({"current_ma": -5_000, "remaining_mah": 15_000}, {"/TimeToGo": 0}),
        ({"current_ma": -10, "remaining_mah": 100_000}, {"/TimeToGo": 864_000}),
        ({"version": 0}, {"/FirmwareVersion": None, "/Battery/1/FwVersion": None}),
        ({"fet": 0}, {"/Io/AllowToCharge": 0, "/System/NrOfModulesBlockingCharge": 1, "/Io/AllowToDischarge": 0}),
        ({"fet": 1}, {"/Io/AllowToDischarge": 0, "/System/NrOfModulesBlockingDischarge": 1, "/Io/AllowToCharge": 1}),
        ({"temperatures_dc": ()}, {"/Dc/0/Temperature": None, "/System/MinTemperatureCellId": None}),
        ({"temperatures_dc": (-2731, -50)}, {"/System/Temperature1": None, "/System/Temperature2": -5.0}),
        ({"balance": (0, 0)}, {"/Balancing": 0, "/Balancer/Status": 0, "/Balances/Cell3": 0}),
        ({"cell_count": 3}, {"/System/NrOfCellsPerBattery": None, "/System/MaxVoltageCellId": None}),
        ({"cell_count": 5}, {"/System/MinCellVoltage": None, "/Voltages/Sum": None, "/Voltages/Diff": None}),
        ({"protection": 1}, {"/Alarms/HighCellVoltage": 2}),
    ],
)
def test_value(changes, expected):
    """One oddity of the answer and what is shown of it."""
    items = shown(battery(basic(**changes), cells()))
    assert expected == {path: items[path] for path in expected}


@pytest.mark.parametrize(
    ("full_charge_mah", "soh_permille", "soh"), [(98_500, None, 98.5), (312_470, None, 100.0), (98_500, 900, 90.0)]
)
def test_state_of_health(full_charge_mah, soh_permille, soh):
    """As the BMS says, else learned over design capacity, at most 100 %."""
    made = battery(basic(), cells())
    made.pack = evolve(made.pack, full_charge_mah=full_charge_mah, soh_permille=soh_permille)
    assert soh == shown(made)["/Soh"]


def test_an_impossible_current_is_not_shown():
    """A current that no battery has is unknown, and so is all that is made of it."""
    items = shown(battery(basic(current_ma=-150_000, fet=0x83), cells()))
    unknown = ["/Dc/0/Current", "/Dc/0/Power", "/Battery/1/Current", "/TimeToGo"]
    assert [items[path] for path in unknown] == [None] * 4
    assert items["/Dc/0/Voltage"] == 13.3


@pytest.mark.parametrize(
    ("unknown", "paths"),
    [
        ("remaining_mah", ["/Capacity", "/ConsumedAmphours", "/TimeToGo", "/Battery/1/Capacity"]),
        ("nominal_mah", ["/InstalledCapacity", "/ConsumedAmphours", "/TimeToGo", "/Soh"]),
        ("full_charge_mah", ["/Soh"]),
        ("soc_permille", ["/Soc"]),
        ("cycles", ["/History/ChargeCycles"]),
        ("charge_fet_on", ["/Io/AllowToCharge", "/System/NrOfModulesBlockingCharge"]),
        ("discharge_fet_on", ["/Io/AllowToDischarge", "/System/NrOfModulesBlockingDischarge"]),
        ("firmware", ["/FirmwareVersion", "/Battery/1/FwVersion"]),
        ("temperatures_dc", ["/Dc/0/Temperature", "/System/Temperature1", "/System/MinCellTemperature"]),
    ],
)
@pytest.mark.parametrize("phase", [LIVE, STALE, LOST])
def test_unknown_is_never_zero(unknown, paths, phase):
    """What a BMS does not tell is unknown in every phase, and nothing else becomes unknown with it."""
    made = full_battery()
    before = shown(made, phase)
    made.pack = evolve(made.pack, **{unknown: (None,) if unknown == "temperatures_dc" else None})
    items = shown(made, phase)
    lost = {path for path in items if items[path] is None and before[path] is not None}
    safe = {"/Io/AllowToCharge", "/System/NrOfModulesBlockingCharge"} if phase is LOST else set()
    assert [path for path in paths if items[path] is not None and path not in safe] == []
    assert phase is not LIVE or unknown == "temperatures_dc" or set(paths) == lost


def test_nothing_known_at_all():
    """A battery that never answered shows its identity and no number of its own."""
    items = shown(battery(), LOST)
    known = {path for path, value in items.items() if value is not None}
    firmware = {"/DeviceName", "/FirmwareVersion", "/HardwareVersion", "/Battery/1/FwVersion"}
    link = set(live(0, 0, "", 1)) | {"/Io/AllowToCharge", "/System/NrOfModulesBlockingCharge"}
    assert set(IDENTITY) - firmware | link == known


any_battery = st.builds(
    lambda payloads: battery(*[frame(register, payload) for register, payload in payloads]),
    st.lists(
        st.tuples(st.sampled_from([3, 3, 4, 4, 5, 0xAA]), nasty_data(min_size=20, max_size=64)),
        max_size=6,
    ),
)


@given(any_battery, st.sampled_from([LIVE, STALE, LOST]), st.integers(0, 2000))
@settings(max_examples=300)
def test_whatever_the_battery_says(made, phase, now_s):
    """Any answers at all: known paths with their wire type, finite numbers, and an SoC between 0 and 100 or none."""
    items = shown(made, phase, now_s)
    types = {"i": int, "d": float, "s": str}
    for path, value in items.items():
        assert value is None or type(value) is types[type_of(path).wire], path
        assert not isinstance(value, float) or math.isfinite(value), path
        assert isinstance(text_of(path, value), str)
    assert items["/Soc"] is None or 0 <= items["/Soc"] <= 100
    assert phase is LIVE or all(items[path] is None for path in items if path.startswith(("/Dc", "/Voltages", "/Bal")))


@pytest.mark.parametrize(("version", "number"), [(0x25, 0x020500), (0x80, 0x080000), (0x1F, 0x011500)])
def test_firmware_number(version, number):
    """A version as gui-v2 counts them: 65536 is v1.00."""
    assert number == shown(battery(basic(version=version), cells()))["/Battery/1/FwVersion"]


@pytest.mark.parametrize(
    ("firmware", "number"),
    [
        ("8.0.6G", 0x080000),
        ("19.27", 0x132700),
        ("7.1.0H", 0x070100),
        ("1.234", None),
        ("15", None),
        ("v2.5", None),
        ("10.XG", None),
        ("", None),
    ],
)
def test_firmware_of_another_family(firmware, number):
    """The firmware is text of the BMS's own choosing (these are JK's and worse): it must not stop the publishing."""
    made = full_battery()
    made.pack = evolve(made.pack, firmware=firmware)
    items = shown(made)
    assert (items["/FirmwareVersion"], items["/Battery/1/FwVersion"]) == (firmware, number)


def test_firmware_numbers_differ():
    """Two versions of JBD (0x21 and 0x2A) are two numbers."""
    first, second = (shown(battery(basic(version=raw), cells()))["/Battery/1/FwVersion"] for raw in (0x21, 0x2A))
    assert first != second
