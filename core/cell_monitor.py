"""The cell monitor of a service: every so often a sample of all cells, statistics of it, and alerts.

A sample is of LIVE batteries only, and what is shown between two samples is what the last one said, with its time.
Where the cells of a battery have come apart it proposes an alert; what is open and what was is told by recorded events
(:mod:`core.cell_alerts`). It never moves a limit. Names and units: venus-dbus C.9.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from attrs import frozen

from core.bank import Bank, Member
from core.battery import Battery
from core.cell_alerts import IMBALANCE, Alert, CellAlerts, opened_text
from core.events import AlertClosed, AlertOpened, SettingChanged
from core.paths import rounded
from core.publication import Items, per_thousand

SAMPLE_INTERVAL = "SampleInterval"
ALERT_THRESHOLD = "AlertThreshold"
SETTINGS_BELOW = "/Settings/CellMonitor/"

CLOSING_FRACTION = 0.8
"""An alert closes at this fraction of the threshold: a spread that flickers around the threshold is one incident."""
CLOSING_GAP_MV = 5
"""And at least so far below it: of a threshold of 10 mV a fifth is less than the scatter of a BMS's readings."""
DATA_US = 10_000_000
"""Between samples the JSON is written again only for an alert, and not sooner than this after the last time."""

AlertFact = Union[AlertOpened, AlertClosed]


@frozen
class MonitorSetting:
    """What may be written: a whole number, or one with thousandths."""

    low: float
    high: float
    default: float
    whole: bool = False


SETTINGS: Mapping[str, MonitorSetting] = {
    SAMPLE_INTERVAL: MonitorSetting(10, 3600, 60, whole=True),
    ALERT_THRESHOLD: MonitorSetting(0.01, 1.0, 0.2),
}
"""By name: seconds between samples, and the spread in V within a battery that is an alert."""


def setting_value(name: str, value: Any) -> Union[int, float, None]:
    """*value* as the setting *name* keeps it; ``None`` when it cannot be that."""
    setting = SETTINGS[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not setting.low <= value <= setting.high:
        return None
    if setting.whole:
        return int(value) if value == int(value) else None
    return round(float(value), 3)


@frozen
class CellSample:
    """The cells of one battery at the time of a sample, as far as they can be true."""

    battery: Battery
    cells_mv: Tuple[Tuple[int, int], ...]
    """1-based cell number, mV."""
    spread_mv: Optional[int]
    """Unknown unless every cell is known."""

    @property
    def mean_mv(self) -> Optional[float]:
        """Of the cells that are known."""
        return sum(mv for _, mv in self.cells_mv) / len(self.cells_mv) if self.cells_mv else None

    @property
    def lowest(self) -> Optional[Tuple[int, int]]:
        """Number and voltage in mV of the lowest cell."""
        return min(self.cells_mv, key=lambda cell: cell[1], default=None)

    @property
    def highest(self) -> Optional[Tuple[int, int]]:
        """Number and voltage in mV of the highest cell."""
        return max(self.cells_mv, key=lambda cell: cell[1], default=None)


@frozen
class Statistics:
    """Of all cells in a sample; everything is unknown when there are none."""

    min_mv: Optional[int] = None
    max_mv: Optional[int] = None
    mean_mv: Optional[float] = None
    max_spread_mv: Optional[int] = None
    """The largest of the spreads within one battery."""
    wall_us: Optional[int] = None
    """When the newest battery of the sample was read, as believed then."""


def sample_of(member: Member) -> CellSample:
    """The cells of *member*, which is LIVE."""
    battery = member.battery
    cells_mv = tuple(battery.plausible_cells_mv())
    voltages_mv = [mv for _, mv in cells_mv]
    return CellSample(battery, cells_mv, max(voltages_mv) - min(voltages_mv) if battery.cells_are_known else None)


def statistics_of(samples: List[CellSample]) -> Statistics:
    """Of every cell in *samples*."""
    voltages_mv = [mv for sample in samples for _, mv in sample.cells_mv]
    times_us = [sample.battery.read_wall_us for sample in samples if sample.battery.read_wall_us is not None]
    if not voltages_mv:
        return Statistics(wall_us=max(times_us, default=None))
    return Statistics(
        min(voltages_mv),
        max(voltages_mv),
        sum(voltages_mv) / len(voltages_mv),
        max((sample.spread_mv for sample in samples if sample.spread_mv is not None), default=None),
        max(times_us, default=None),
    )


class CellMonitor:
    """Ask it once per tick, after the bank has looked. *alerts* is fed by somebody else."""

    def __init__(self, bank: Bank, alerts: CellAlerts) -> None:
        self._bank = bank
        self._alerts = alerts
        self._values = {name: setting.default for name, setting in SETTINGS.items()}
        self._statistics = Statistics()
        self._sampled: Dict[str, Dict[str, Any]] = {}
        self._proposed: Dict[str, AlertFact] = {}
        self._due: Any = None
        self._data = ""
        self._data_us = 0
        self._alerts_in_data = 0
        self._samples = 0

    def setting(self, name: str) -> float:
        """The value in force: a whole number of seconds, or V."""
        return self._values[name]

    def fold(self, fact: SettingChanged) -> None:
        """Take in a setting; one that it does not have, or a value that cannot be, changes nothing."""
        value = setting_value(fact.setting, fact.value) if fact.setting in SETTINGS else None
        if value is not None:
            self._values[fact.setting] = value

    def look(self, now_us: int) -> None:
        """Take a sample if one is due: by the time, or because somebody came or went or a setting is another."""
        interval_us = round(self.setting(SAMPLE_INTERVAL) * 1e6)
        phases = [member.phase for member in self._bank.members]
        due = (now_us // interval_us, tuple(self._values.values()), phases, self._bank.beginnings)
        sampled = due != self._due
        if sampled:
            self._due = due
            self._sample()
        told_late = self._alerts_in_data != self._alerts.revision and now_us - self._data_us >= DATA_US
        if sampled or told_late:
            self._data, self._data_us, self._alerts_in_data = self._to_json(), now_us, self._alerts.revision

    @property
    def state(self) -> Any:
        """Equal as long as nothing that is shown can be another."""
        return self._samples, self._alerts.revision, self._data_us

    def take_proposals(self) -> List[AlertFact]:
        """What the last sample says should be recorded, and has not been taken yet."""
        proposals, self._proposed = list(self._proposed.values()), {}
        return proposals

    def settle(self, battery: str) -> None:
        """An alert of *battery* was recorded: what was proposed before that is out of date."""
        self._proposed.pop(battery, None)

    def _sample(self) -> None:
        self._samples += 1
        samples = [sample_of(member) for member in self._bank.live_members()]
        taken = {sample.battery.configuration.battery: sample for sample in samples}
        self._statistics = statistics_of(samples)
        batteries = [member.battery for member in self._bank.members]
        self._sampled = {_name(each): _battery_data(each, taken.get(each.configuration.battery)) for each in batteries}
        judged = ((sample, self._judged(sample)) for sample in samples)
        self._proposed = {sample.battery.configuration.battery: fact for sample, fact in judged if fact is not None}

    def _judged(self, sample: CellSample) -> Optional[AlertFact]:
        """The alert to be opened or closed by *sample*."""
        low, high, spread_mv = sample.lowest, sample.highest, sample.spread_mv
        if low is None or high is None or spread_mv is None:
            return None
        battery = sample.battery.configuration.battery
        threshold_mv = round(self.setting(ALERT_THRESHOLD) * 1000)
        if not self._alerts.is_open(battery):
            opens = spread_mv >= threshold_mv
            return AlertOpened(battery, IMBALANCE, spread_mv, threshold_mv, *low, *high) if opens else None
        closes = spread_mv <= min(threshold_mv * CLOSING_FRACTION, threshold_mv - CLOSING_GAP_MV)
        return AlertClosed(battery, IMBALANCE, spread_mv) if closes else None

    def _own_alerts(self) -> List[Tuple[Alert, str]]:
        """The alerts of the batteries that there are, newest first, each with what its battery is called."""
        names = {m.battery.configuration.battery: _name(m.battery) for m in self._bank.members}
        own = (alert for alert in self._alerts.newest_first if alert.fact.battery in names)
        return [(alert, names[alert.fact.battery]) for alert in own]

    def items(self) -> Items:
        """``/CellMonitor/…`` and the settings."""
        statistics, alerts = self._statistics, self._own_alerts()
        items: Items = {
            "/CellMonitor/Statistics/MinVoltage": per_thousand(statistics.min_mv),
            "/CellMonitor/Statistics/MaxVoltage": per_thousand(statistics.max_mv),
            "/CellMonitor/Statistics/AvgVoltage": per_thousand(statistics.mean_mv),
            "/CellMonitor/Statistics/MaxSpread": per_thousand(statistics.max_spread_mv),
            "/CellMonitor/Statistics/LastUpdate": per_thousand(statistics.wall_us, 1e6),
            "/CellMonitor/Alerts/Count": sum(alert.is_open for alert, _ in alerts),
            "/CellMonitor/Alerts/Latest": _text(*alerts[0]) if alerts else None,
            "/CellMonitor/BatteryCount": len(self._bank.live_members()),
            "/CellMonitor/Data": self._data,
            **{SETTINGS_BELOW + name: value for name, value in self._values.items()},
        }
        return {path: rounded(path, value) for path, value in items.items()}

    def _to_json(self) -> str:
        statistics = self._statistics
        data = {
            "timestamp": _unix_s(statistics.wall_us),
            "overall_stats": {
                "min_voltage": _volt(statistics.min_mv),
                "max_voltage": _volt(statistics.max_mv),
                "avg_voltage": _volt(statistics.mean_mv),
                "max_spread": _volt(statistics.max_spread_mv),
            },
            "batteries": self._sampled,
            "recent_alerts": [_alert_data(alert, name) for alert, name in self._own_alerts()],
        }
        return json.dumps(data, separators=(",", ":"))


def _battery_data(battery: Battery, sample: Optional[CellSample]) -> Dict[str, Any]:
    """A battery that was not LIVE has the same keys and cells, and knows nothing but how many."""
    cells_mv = dict(sample.cells_mv) if sample is not None else {}
    mean_mv = sample.mean_mv if sample is not None else None
    numbers = range(1, len(battery.cell_voltages_mv()) + 1)
    balancing = set(battery.pack.balancing_cells) if battery.pack is not None else set()
    return {
        "cell_count": len(numbers) or None,
        "min_voltage": _volt(min(cells_mv.values(), default=None)),
        "max_voltage": _volt(max(cells_mv.values(), default=None)),
        "avg_voltage": _volt(mean_mv),
        "voltage_spread": _volt(sample.spread_mv) if sample is not None else None,
        "last_update": _unix_s(battery.read_wall_us) if sample is not None else None,
        "cell_voltages": [_volt(cells_mv.get(n)) for n in numbers],
        "balancing": [n in balancing if sample is not None else None for n in numbers],
        "deviations": [
            _volt(cells_mv[n] - mean_mv) if n in cells_mv and mean_mv is not None else None for n in numbers
        ],
    }


def _alert_data(alert: Alert, name: str) -> Dict[str, Any]:
    fact = alert.fact
    return {
        "type": fact.alert,
        "battery_id": name,
        "spread": _volt(fact.spread_mv),
        "min": _volt(fact.lowest_mv),
        "max": _volt(fact.highest_mv),
        "timestamp": alert.opened.unix_s,
        "closed": None if alert.closed is None else alert.closed.unix_s,
    }


def _text(alert: Alert, name: str) -> str:
    return opened_text(alert.fact, name) + ("" if alert.is_open else ", over")


def _name(battery: Battery) -> str:
    return battery.configuration.address or battery.configuration.battery


def _volt(mv: Optional[float]) -> Optional[float]:
    return None if mv is None else round(mv / 1000, 3) + 0.0


def _unix_s(wall_us: Optional[int]) -> Optional[int]:
    return None if wall_us is None else round(wall_us / 1e6)
