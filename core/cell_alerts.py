"""Alerts about cells that do not keep together: what is open, and what was lately. A fold over recorded events.

Nothing is judged here. Whoever judges (:mod:`core.cell_monitor`) proposes facts; only a recorded one opens or closes an
alert, so that a replay shows what was shown then. One incident is one alert, and the newest comes first.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from attrs import asdict, evolve, frozen

from core.events import AlertClosed, AlertOpened, ClockStepped, Event

IMBALANCE = "imbalance"
MAX_CLOSED = 10
"""So many alerts that are over are kept; one that is open is kept as long as it is open."""
_LARGEST = 2**62
_NUMBERS = ("spread_mv", "threshold_mv", "lowest_cell", "lowest_mv", "highest_cell", "highest_mv")


@frozen
class Moment:
    """When something happened."""

    boot: int
    uptime_us: int
    wall_us: int
    """UTC since 1970, put right when the clock of that boot was set later."""

    def stepped(self, boot: int, step_us: int) -> Moment:
        """The same moment after the clock was set by *step_us* in *boot*."""
        return evolve(self, wall_us=self.wall_us + step_us) if self.boot == boot else self

    @property
    def unix_s(self) -> int:
        """Seconds since 1970."""
        return round(self.wall_us / 1e6)


@frozen
class Alert:
    """One incident."""

    fact: AlertOpened
    opened: Moment
    closed: Optional[Moment] = None

    @property
    def is_open(self) -> bool:
        """Whether it is not over."""
        return self.closed is None

    def stepped(self, boot: int, step_us: int) -> Alert:
        """The same alert after the clock was set by *step_us* in *boot*."""
        closed = None if self.closed is None else self.closed.stepped(boot, step_us)
        return evolve(self, opened=self.opened.stepped(boot, step_us), closed=closed)

    def to_payload(self) -> Dict[str, Any]:
        """Plain JSON values."""
        closed = None if self.closed is None else asdict(self.closed)
        return {**asdict(self.fact), "opened": asdict(self.opened), "closed": closed}


def alert_from(payload: Any) -> Alert:
    """The inverse of ``to_payload``; unknown keys of a later version are passed over. Raises :class:`ValueError`."""
    if not isinstance(payload, dict):
        raise ValueError("{!r} is no alert".format(payload))
    battery, kind = payload.get("battery"), payload.get("alert")
    if not isinstance(battery, str) or not isinstance(kind, str):
        raise ValueError("an alert does not say of which battery and what it is")
    fact = AlertOpened(battery, kind, **{key: _whole(payload, key) for key in _NUMBERS})
    closed = payload.get("closed")
    return Alert(fact, _moment(payload.get("opened")), None if closed is None else _moment(closed))


def _moment(payload: Any) -> Moment:
    if not isinstance(payload, dict):
        raise ValueError("an alert has no time")
    return Moment(**{key: _whole(payload, key) for key in ("boot", "uptime_us", "wall_us")})


def _whole(payload: Mapping[str, Any], key: str) -> int:
    value = payload.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not abs(value) < _LARGEST:
        raise ValueError("an alert has {} = {!r}".format(key, value))
    return value


def remembered_alerts(remembered: Mapping[str, Any]) -> Tuple[Alert, ...]:
    """What former runs left, newest first; what cannot be read is left out."""
    payloads = remembered.get("alerts")
    alerts: List[Alert] = []
    for payload in payloads if isinstance(payloads, list) else ():
        try:
            alerts.append(alert_from(payload))
        except ValueError:
            continue
    return tuple(alerts)


class CellAlerts:
    """Feed it every event of a session."""

    def __init__(self, alerts: Iterable[Alert] = ()) -> None:
        self.newest_first: Tuple[Alert, ...] = tuple(alerts)
        self.revision = 0
        """Grows with every change."""

    def is_open(self, battery: str) -> bool:
        """Whether *battery* has an alert that is not over."""
        return any(alert.is_open and alert.fact.battery == battery for alert in self.newest_first)

    def fold(self, event: Event) -> bool:
        """Take in *event*; whether it changed anything."""
        fact, before = event.fact, self.newest_first
        if isinstance(fact, AlertOpened):
            if not self.is_open(fact.battery):
                self.newest_first = _bounded((Alert(fact, _moment_of(event)), *before))
        elif isinstance(fact, AlertClosed):
            self.newest_first = _bounded(
                evolve(alert, closed=_moment_of(event))
                if alert.is_open and (alert.fact.battery, alert.fact.alert) == (fact.battery, fact.alert)
                else alert
                for alert in before
            )
        elif isinstance(fact, ClockStepped):
            self.newest_first = tuple(alert.stepped(event.boot, fact.step_us) for alert in before)
        changed = self.newest_first != before
        self.revision += changed
        return changed

    def to_payload(self) -> List[Dict[str, Any]]:
        """Plain JSON values."""
        return [alert.to_payload() for alert in self.newest_first]


def _moment_of(event: Event) -> Moment:
    return Moment(event.boot, event.uptime_us, event.wall_us)


def _bounded(alerts: Iterable[Alert]) -> Tuple[Alert, ...]:
    """All that are open, and the newest of the others."""
    kept: List[Alert] = []
    closed = 0
    for alert in alerts:
        closed += not alert.is_open
        if alert.is_open or closed <= MAX_CLOSED:
            kept.append(alert)
    return tuple(kept)


def opened_text(fact: AlertOpened, name: str) -> str:
    """One line about *fact* for the owner, who calls the battery *name*."""
    return "Battery {}: Imbalance {:.3f}V (min={:.3f}V C{}, max={:.3f}V C{})".format(
        name,
        fact.spread_mv / 1000,
        fact.lowest_mv / 1000,
        fact.lowest_cell,
        fact.highest_mv / 1000,
        fact.highest_cell,
    )


def closed_text(fact: AlertClosed, name: str) -> str:
    """One line that it is over."""
    return "Battery {}: Imbalance over, {:.3f}V now".format(name, fact.spread_mv / 1000)
