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
from core.events import (
    Event,
    FrameRejected,
    LinkEstablished,
    LinkLost,
    ReadingTaken,
    RequestUnanswered,
    SessionStarted,
    SettingChanged,
    TaskFailed,
    UnknownFact,
)

_ADDRESS = re.compile(
    r"\b[0-9A-Fa-f]{2}(?:[:_-][0-9A-Fa-f]{2}){5}\b|\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b"
)
_BARE_ADDRESS = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{12}(?![0-9A-Fa-f])")


class Redaction:
    """Stand-ins for the batteries of *configurations*; one object for one file."""

    def __init__(self) -> None:
        self._batteries: Dict[str, str] = {}
        self._addresses: Dict[str, str] = {}
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
        if battery in self._batteries:
            return
        number = len(self._batteries) + 1
        prefix = battery.split("_", maxsplit=1)[0]
        mac = _ADDRESS.fullmatch(address) is not None
        self._batteries[battery] = "{}_{:012x}".format(prefix, number) if mac else "{}_battery{}".format(prefix, number)
        self._addresses[address] = "00:00:00:00:00:{:02X}".format(number) if mac else "battery{}".format(number)
        if mac and address.count(":") == 5:
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
        return LinkEstablished(self._battery(fact.battery), "name" if fact.name else None)

    def _link_lost(self, fact: LinkLost) -> LinkLost:
        return evolve(fact, battery=self._battery(fact.battery), detail=self._text(fact.detail))

    def _setting_changed(self, fact: SettingChanged) -> SettingChanged:
        return evolve(fact, battery=self._battery(fact.battery), value=self._setting(fact.value))

    def _request_unanswered(self, fact: RequestUnanswered) -> RequestUnanswered:
        return evolve(fact, battery=self._battery(fact.battery))

    def _task_failed(self, fact: TaskFailed) -> TaskFailed:
        return TaskFailed(self._text(fact.task), self._text(fact.error))

    def _battery(self, battery: str) -> str:
        if battery not in self._batteries:
            self._learn(battery, "")
        return self._batteries[battery]

    def _remembered(self, remembered: Mapping[str, Any]) -> Dict[str, Any]:
        settings = remembered.get("settings", {})
        return {
            "settings": {
                self._battery(battery): {key: self._setting(value) for key, value in values.items()}
                for battery, values in settings.items()
            }
        }

    @staticmethod
    def _setting(value: Any) -> Any:
        return "name" if isinstance(value, str) and value else value

    def _text(self, text: str) -> str:
        for battery, stand_in in self._batteries.items():
            text = text.replace(battery, stand_in)
        return _BARE_ADDRESS.sub("address", _ADDRESS.sub("address", text))

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
    SettingChanged: Redaction._setting_changed,
    RequestUnanswered: Redaction._request_unanswered,
    TaskFailed: Redaction._task_failed,
}
