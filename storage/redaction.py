"""Takes out of a session what says whose battery it is, and leaves what says how it behaved.

Addresses, names and serial numbers are replaced by numbered stand-ins, the same one everywhere in the
file; inside frames they are blanked and the checksum is made right again, and such frames are marked
``altered``. Bytes that were no valid frame go unless they look like plain measurements, and frames of the
Bluetooth module (``FF AA``: passwords) always go.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional

from attrs import evolve

from core import protocols
from core.cell_alerts import Alert, remembered_alerts
from core.events import (
    AlertClosed,
    AlertOpened,
    Event,
    FrameRejected,
    HistoryPaused,
    LinkEstablished,
    LinkLost,
    LinkReleased,
    ReadingTaken,
    RecoveryAttempted,
    RequestUnanswered,
    SessionStarted,
    SettingChanged,
    TaskFailed,
    UnknownFact,
)
from core.recovery import Recoveries

_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_ADDRESSES = (
    r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{2}(?:[:_-][0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f])",
    r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f])",
    r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{12}(?![0-9A-Fa-f])",
)

VIRTUAL = "virtual_"


class Redaction:
    """Stand-ins for batteries, addresses and names; one object for one file."""

    def __init__(self) -> None:
        self._batteries: Dict[str, str] = {}
        self._addresses: Dict[str, str] = {}
        self._names: Dict[str, str] = {}
        self._secrets: List[bytes] = []

    def configuration(self, configuration: Mapping[str, Any]) -> Dict[str, Any]:
        """*configuration* with stand-ins; also learns which addresses to look for."""
        batteries = []
        for battery in configuration.get("batteries", []):
            self._learn(str(battery["battery"]), str(battery.get("address", "")))
            stand_in = dict(battery)
            stand_in["battery"] = self._batteries[battery["battery"]]
            stand_in["address"] = self._addresses.get(battery.get("address", ""), "")
            batteries.append(stand_in)
        return {**configuration, "batteries": batteries}

    def event(self, event: Event) -> Optional[Event]:
        """*event* without what identifies, or ``None`` when all of it has to go."""
        fact = self._fact(event.fact)
        return None if fact is None else evolve(event, fact=fact, unread={})

    def _learn(self, battery: str, address: str) -> None:
        if battery not in self._batteries:
            number = len(self._batteries) + 1
            family = battery.partition("_")[0]
            pattern = "{}_{:012x}" if family == "ble" else "{}_battery{}"
            self._batteries[battery] = pattern.format(family, number)
        if not address or address in self._addresses:
            return
        number = len(self._addresses) + 1
        mac = _MAC.fullmatch(address) is not None
        self._addresses[address] = "00:00:00:00:00:{:02X}".format(number) if mac else "battery{}".format(number)
        if mac:
            raw = bytes.fromhex(address.replace(":", ""))
            text = raw.hex()
            self._secrets += [raw, raw[::-1], text.encode(), text.upper().encode()]
            self._secrets += [address.encode(), address.lower().encode()]

    def _fact(self, fact: Any) -> Any:
        redact = _REDACTORS.get(type(fact))
        if redact is not None:
            return redact(self, fact)
        # A kind of a later version goes: nobody here knows what is in it. The rest names nobody.
        return None if isinstance(fact, UnknownFact) else fact

    def _session_started(self, fact: SessionStarted) -> SessionStarted:
        configuration = self.configuration(fact.configuration)
        return evolve(fact, configuration=configuration, remembered=self._remembered(fact.remembered))

    def _link_established(self, fact: LinkEstablished) -> LinkEstablished:
        adapter = None if fact.adapter is None else self._text(fact.adapter)
        return LinkEstablished(self._battery(fact.battery), self._name(fact.name), adapter)

    def _link_lost(self, fact: LinkLost) -> LinkLost:
        return evolve(fact, battery=self._battery(fact.battery), detail=self._text(fact.detail))

    def _setting_changed(self, fact: SettingChanged) -> SettingChanged:
        return evolve(fact, battery=self._battery(fact.battery), value=self._name(fact.value))

    def _only_battery(self, fact: Any) -> Any:
        return evolve(fact, battery=self._battery(fact.battery))

    def _history_paused(self, fact: HistoryPaused) -> HistoryPaused:
        return HistoryPaused(self._text(fact.problem))

    def _task_failed(self, fact: TaskFailed) -> TaskFailed:
        return TaskFailed(self._text(fact.task), self._text(fact.error))

    def _battery(self, battery: str) -> str:
        if battery.startswith(VIRTUAL):
            return battery  # a bank is called by its topology
        if battery not in self._batteries:
            self._learn(battery, "")
        return self._batteries[battery]

    def _remembered(self, remembered: Mapping[str, Any]) -> Dict[str, Any]:
        """What is known of its parts; a part of a later version goes."""
        kept: Dict[str, Any] = {
            "settings": {
                self._battery(battery): {key: self._name(value) for key, value in values.items()}
                for battery, values in remembered.get("settings", {}).items()
            }
        }
        capacities, charge = remembered.get("capacities_mah"), remembered.get("charge")
        if isinstance(capacities, dict):
            kept["capacities_mah"] = self._by_battery(capacities)
        if isinstance(charge, dict):
            kept["charge"] = {
                key: self._by_battery(value) if isinstance(value, dict) else value for key, value in charge.items()
            }
        alerts = remembered_alerts(remembered)
        if isinstance(remembered.get("recoveries"), dict):
            kept["recoveries"] = self._by_battery(Recoveries(remembered).to_payload())
        if alerts:
            kept["alerts"] = [self._alert(alert).to_payload() for alert in alerts]
        return kept

    def _alert(self, alert: Alert) -> Alert:
        return evolve(alert, fact=self._only_battery(alert.fact))

    def _by_battery(self, values: Mapping[str, Any]) -> Dict[str, Any]:
        """*values* of batteries, or of strings of them with a blank in between."""
        return {" ".join(map(self._battery, batteries.split())): value for batteries, value in values.items()}

    def _name(self, value: Any) -> Any:
        """A stand-in that is another one for another name, so that a change of name stays a change."""
        if not isinstance(value, str) or not value:
            return value
        return self._names.setdefault(value, "name {}".format(len(self._names) + 1))

    def _text(self, text: str) -> str:
        """One pass over the text, so that no stand-in is taken for something to replace; long names first."""
        known = {**self._names, **self._addresses, **self._batteries}
        whole = [r"(?<!\w){}(?!\w)".format(re.escape(word)) for word in sorted(known, key=len, reverse=True)]
        return re.sub("|".join([*whole, *_ADDRESSES]), lambda found: known.get(found.group(), "address"), text)

    def _reading(self, fact: ReadingTaken) -> Optional[ReadingTaken]:
        frame = protocols.find(fact.protocol).redact(fact.frame, self._secrets)
        if frame is None:
            return None
        altered = fact.altered or frame != fact.frame
        return ReadingTaken(self._battery(fact.battery), fact.protocol, frame, altered)

    def _rejected(self, fact: FrameRejected) -> Optional[FrameRejected]:
        data = protocols.find(fact.protocol).redact_rejected(fact.data, self._secrets)
        return None if data is None else evolve(fact, battery=self._battery(fact.battery), data=data)


_REDACTORS: Dict[type, Callable[[Redaction, Any], Any]] = {
    SessionStarted: Redaction._session_started,
    ReadingTaken: Redaction._reading,
    FrameRejected: Redaction._rejected,
    LinkEstablished: Redaction._link_established,
    LinkLost: Redaction._link_lost,
    LinkReleased: Redaction._only_battery,
    RecoveryAttempted: Redaction._only_battery,
    SettingChanged: Redaction._setting_changed,
    RequestUnanswered: Redaction._only_battery,
    AlertOpened: Redaction._only_battery,
    AlertClosed: Redaction._only_battery,
    HistoryPaused: Redaction._history_paused,
    TaskFailed: Redaction._task_failed,
}
