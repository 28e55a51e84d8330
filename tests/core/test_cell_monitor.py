"""The cell monitor: samples, statistics and alerts of a service, and what of it survives."""

import json
import re

import pytest
from attrs import evolve

from core.cell_monitor import ALERT_THRESHOLD, SAMPLE_INTERVAL
from core.configuration import PARALLEL, SEPARATE, SERIES, SINGLE, BatteryConfiguration
from core.events import AlertClosed, SettingChanged
from core.paths import text_of, type_of
from tests.core.banks import TOPOLOGIES, member
from tests.core.made import WALL_US, cells
from tests.core.watched import EVEN, Watched, apart, both, set_to

STATISTICS = "/CellMonitor/Statistics/"
COUNT, LATEST, DATA = "/CellMonitor/Alerts/Count", "/CellMonitor/Alerts/Latest", "/CellMonitor/Data"
ONE, TWO = "A4:C1:37:00:00:01", "A4:C1:37:00:00:02"
OPENED = "Battery {}: Imbalance 0.210V (min=3.195V C2, max=3.405V C3)".format(TWO)
PATHS = {
    STATISTICS + "MinVoltage": "3.300V",
    STATISTICS + "MaxVoltage": "3.330V",
    STATISTICS + "AvgVoltage": "3.317V",
    STATISTICS + "MaxSpread": "0.020V",
    STATISTICS + "LastUpdate": "1767225700s",
    COUNT: "0",
    LATEST: "---",
    "/CellMonitor/BatteryCount": "2",
    "/Settings/CellMonitor/SampleInterval": "60s",
    "/Settings/CellMonitor/AlertThreshold": "0.200V",
}
EMPTY = {"min_voltage": None, "max_voltage": None, "avg_voltage": None}


@pytest.mark.parametrize("topology", [SERIES, PARALLEL])
def test_the_paths_of_a_virtual_battery(topology):
    """C.9: exact names, units and texts."""
    story = both(member(), member((3300, 3310, 3310, 3320)), topology=topology).run(10)
    shown = {path: text_of(path, value) for path, value in story.items.items() if "/CellMonitor/" in path}
    assert shown.keys() == {*PATHS, DATA}
    assert {path: text for path, text in shown.items() if path in PATHS} == PATHS
    assert story.items["/Parallel/BatteryCount"] == story.items["/CellMonitor/BatteryCount"]
    wires = [type_of("/Settings/CellMonitor/" + name).wire for name in (SAMPLE_INTERVAL, ALERT_THRESHOLD)]
    assert wires == ["i", "d"]


def test_the_data():
    """C.9: the keys of the seed, by address; deviations of each cell from its battery's mean; times in unix seconds."""
    data = both(member(), member((3300, 3310, 3320, 3331), balance=(4, 0))).run(10).data()
    assert list(data) == ["timestamp", "overall_stats", "batteries", "recent_alerts"]
    assert data["timestamp"] == round(WALL_US / 1e6) + 100
    assert data["overall_stats"] == {"min_voltage": 3.3, "max_voltage": 3.331, "avg_voltage": 3.32, "max_spread": 0.031}
    assert list(data["batteries"]) == [ONE, TWO]
    assert data["batteries"][TWO] == {
        "cell_count": 4,
        "min_voltage": 3.3,
        "max_voltage": 3.331,
        "avg_voltage": 3.315,
        "voltage_spread": 0.031,
        "last_update": round(WALL_US / 1e6) + 100,
        "cell_voltages": [3.3, 3.31, 3.32, 3.331],
        "balancing": [False, False, True, False],
        "deviations": [-0.015, -0.005, 0.005, 0.016],
    }
    assert data["recent_alerts"] == []


def test_who_has_a_cell_monitor():
    """Each battery is watched by exactly one service: the virtual one if there is one, else its own."""

    def watching(topology, count, **options):
        story = Watched(*[apart(300)] * count, topology=topology, **options).run(10)
        assert len(story.alerts()) == count
        return [name.rpartition(".")[2] for name in story.services if DATA in story.shown(name)]

    assert watching(SERIES, 2, publish_members=True) == ["virtual_series"]
    assert watching(PARALLEL, 2, publish_members=True) == ["virtual_parallel"]
    assert watching(SEPARATE, 2) == ["ble_1", "ble_2"]
    assert watching(SINGLE, 1) == ["ble_1"]


@pytest.mark.parametrize("topology", [SERIES, PARALLEL])
def test_m3_who_is_silent_is_not_counted(topology):
    """M3: from the tick of the loss on, neither in statistics nor in the JSON; its alert is kept as it was."""
    story = both(member(EVEN), apart(300), topology=topology).run(30)
    assert (story.items[STATISTICS + "MaxSpread"], story.items["/CellMonitor/BatteryCount"]) == (0.3, 2)
    story.run(40, silent={2})
    at_s = next(p.uptime_s for p in story.publications if p.items.get("/Battery/2/Voltage", 0) is None)
    assert [at for at, value in story.history(STATISTICS + "MaxSpread") if value == 0.0] == [at_s]
    assert [story.items[STATISTICS + each + "Voltage"] for each in ("Min", "Max", "Avg")] == [3.3] * 3
    gone = story.data()["batteries"][TWO]
    assert gone == {
        "cell_count": 4, **EMPTY, "voltage_spread": None, "last_update": None,
        **{key: [None] * 4 for key in ("cell_voltages", "balancing", "deviations")},
    }  # fmt: skip
    story.members[1] = member(EVEN)
    story.run(100, silent={2})
    assert (len(story.alerts()), story.items[COUNT]) == (1, 1)
    assert story.run(30).alerts()[1:] == [AlertClosed("ble_2", "imbalance", 0)]


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_m3_without_anybody_nothing_is_known(topology):
    """M3: every number goes, alerts and settings stay."""
    count = 1 if topology == SINGLE else 2
    story = Watched(*[apart(300)] * count, topology=topology).run(30).run(40, silent={1, 2})
    assert {value for path, value in story.items.items() if path.startswith(STATISTICS)} == {None}
    assert (story.items[COUNT], story.items["/CellMonitor/BatteryCount"]) == (count, 0)
    data = story.data()
    assert (data["timestamp"], set(data["overall_stats"].values())) == (None, {None})
    assert len(data["recent_alerts"]) == count


def test_m4_the_data_is_quiet():
    """M4: with cells that move all the time it is written once per sample, and at once when somebody goes."""
    story = both()
    set_to(story, SAMPLE_INTERVAL, 10)
    for mv in range(3300, 3390, 3):
        story.members[0] = member((mv, 3300, 3300, 3300))
        story.run(10)
    written_s = [at_s for at_s, _ in story.history(DATA)]
    assert len(written_s) > 20
    assert min(later - earlier for earlier, later in zip(written_s[2:], written_s[3:])) >= 10
    story.run(43, silent={2})
    lost_s = next(p.uptime_s for p in story.publications if p.items.get("/Battery/2/Voltage", 0) is None)
    assert lost_s % 10 and lost_s in [at_s for at_s, _ in story.history(DATA)]


def test_an_alert_is_in_the_data_before_the_next_sample():
    """With an hour between samples the list would be late: after ten seconds, and the numbers stay the sample's."""
    story = both(member(EVEN), apart(210))
    set_to(story, SAMPLE_INTERVAL, 3600)
    story.run(40)
    (first_s, _), *_, (told_s, _) = story.history(DATA)
    assert 10 <= told_s - first_s <= 12
    before, after = (json.loads(value) for _, value in (story.history(DATA)[-2], story.history(DATA)[-1]))
    assert (len(before.pop("recent_alerts")), len(after.pop("recent_alerts"))) == (0, 1)
    assert before == after


def test_between_samples_the_numbers_stay():
    """Those of LastUpdate: a grid of uptime, whatever the batteries answer in between."""
    story = both().run(5)
    story.members[0] = member((3390, 3300, 3300, 3300))
    story.run(300)
    assert [at_s for at_s, _ in story.history(STATISTICS + "LastUpdate")] == [101, 120, 180, 240, 300, 360]
    assert [value for _, value in story.history(STATISTICS + "MaxVoltage")] == [3.3, 3.39]
    assert [at_s for at_s, _ in story.history(STATISTICS + "MaxVoltage")] == [101, 120]


@pytest.mark.parametrize("interval_s", [10, 45, 3600])
def test_the_interval_is_honoured(interval_s):
    """A new one applies at once, then on its own grid."""
    story = both(every_s=1).run(25)
    set_to(story, SAMPLE_INTERVAL, interval_s)
    story.run(2 * interval_s + 30)
    sampled_s = [at_s for at_s, _ in story.history(STATISTICS + "LastUpdate") if at_s > 125]
    assert sampled_s[0] == 126
    assert sampled_s[1:] == [at_s for at_s in range(127, story.now_s + 1) if at_s % interval_s == 0]


def test_settings_are_remembered():
    """Through a restart and a file, with their types; what cannot be is passed over."""
    story = both().run(20)
    set_to(story, SAMPLE_INTERVAL, 30.0)
    set_to(story, ALERT_THRESHOLD, 1)
    kept = story.left()
    assert kept["settings"] == {"virtual_parallel": {SAMPLE_INTERVAL: 30, ALERT_THRESHOLD: 1.0}}
    again = both(remembered=kept).run(20)
    shown = [again.items["/Settings/CellMonitor/" + name] for name in (SAMPLE_INTERVAL, ALERT_THRESHOLD)]
    assert shown == [30, 1.0] and [type(value) for value in shown] == [int, float]
    for odd in (0, 9, 3601, True, "30", None, [], float("nan"), 10.5):
        kept["settings"]["virtual_parallel"][SAMPLE_INTERVAL] = odd
        assert both(remembered=kept).run(20).items["/Settings/CellMonitor/SampleInterval"] == 60


def test_a_setting_is_of_one_service():
    """One of somebody else, or of a member's monitor, changes nothing."""
    story = both(topology=SEPARATE).run(20)
    story.tell(SettingChanged("ble_2", SAMPLE_INTERVAL, 10))
    story.tell(SettingChanged("ble_2", "OfALaterVersion", 10))
    story.run(2)
    assert [story.shown(name)["/Settings/CellMonitor/SampleInterval"] for name in story.services] == [60, 10]
    members = both(publish_members=True).run(20)
    members.tell(SettingChanged("ble_2", SAMPLE_INTERVAL, 10))
    assert members.run(2).items["/Settings/CellMonitor/SampleInterval"] == 60


def test_times_are_those_that_were_believed():
    """LastUpdate is that of the newest reading in the sample, and does not move when the clock is set."""
    story = both().run(30)
    update_s = story.items[STATISTICS + "LastUpdate"]
    story.step_clock(3600)
    assert story.run(5).items[STATISTICS + "LastUpdate"] == update_s
    assert story.run(60).items[STATISTICS + "LastUpdate"] > update_s + 3600


def test_a_cell_that_cannot_be_true_is_not_counted():
    """A broken sense wire: no spread, no alert, no deviation of it; the other cells count."""
    wire = (member((3300, 0, 3310, 3320), voltage_mv=13_230, cell_count=4)[0], cells(3300, 0, 3310, 3320))
    story = both(member(EVEN), apart(300)).run(10)
    assert len(story.alerts()) == 1
    story.members[1] = wire
    story.run(60)
    battery = story.data()["batteries"][TWO]
    assert (battery["voltage_spread"], battery["min_voltage"], battery["avg_voltage"]) == (None, 3.3, 3.31)
    assert (battery["cell_voltages"], battery["deviations"]) == ([3.3, None, 3.31, 3.32], [-0.01, None, 0.0, 0.01])
    assert story.items[STATISTICS + "MaxSpread"] == 0.0
    assert (len(story.alerts()), story.items[COUNT]) == (1, 1)


def test_cells_that_are_all_in_doubt():
    """Nothing of them is shown, and the rest goes on."""
    story = both(member(EVEN), member(EVEN), topology=SEPARATE).run(10)
    story.members[1] = (story.members[1][0], cells(0, 0, 0, 0))
    shown = story.run(60).shown(story.services[1])
    assert [shown[STATISTICS + each] for each in ("MinVoltage", "MaxVoltage", "AvgVoltage", "MaxSpread")] == [None] * 4
    assert shown[STATISTICS + "LastUpdate"] is not None


def test_no_address_no_colons():
    """A battery without an address goes by its name."""
    story = Watched(apart(300), topology=SINGLE, configured=[BatteryConfiguration("sim_a", "")]).run(10)
    assert story.items[LATEST].startswith("Battery sim_a: ")


def test_whoever_begins_anew_is_sampled_anew():
    """A battery with other cells: the bank leaves, and comes back with what it has now."""
    story = Watched(member((3300,) * 4), topology=SINGLE).run(20)
    set_to(story, SAMPLE_INTERVAL, 3600)
    story.members[0] = member((3310,) * 8)
    story.run(100)
    assert [p.change for p in story.publications if p.change != "changed"] == ["joined", "left", "joined"]
    assert story.data()["batteries"][ONE]["cell_count"] == 8
    assert story.items[STATISTICS + "MaxVoltage"] == 3.31


def test_every_number_of_the_data_has_three_decimals():
    """Volts to the millivolt, times to the second, no -0."""
    text = both(member((3301, 3302, 3300, 3300)), member()).run(10).items[DATA]
    assert not re.search(r"\d\.\d{4}|-0\.0[,\]]|NaN", text)
    assert evolve(both().configuration).services[0].monitors_cells
