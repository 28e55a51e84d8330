"""Sessions: a stretch of events in one file that can be carried away and replayed. Format: README.md here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any, Dict, Iterator, Mapping, Optional

from attrs import asdict, frozen

from core import protocols
from core.cell_alerts import alert_from
from core.cell_monitor import SETTINGS, setting_value
from core.configuration import configuration_from
from core.events import (
    AlertClosed,
    AlertOpened,
    ClockStepped,
    Event,
    EventError,
    Fact,
    ReadingTaken,
    SessionStarted,
    SettingChanged,
    event_from,
    kind_of,
    payload_of,
    version_of,
)
from core.protocols import UnknownProtocol
from core.protocols.base import frames_of
from core.service_view import CUSTOM_NAME
from storage.database import StorageError
from storage.whole_file import WholeFile

FORMAT = "dbus-btbattery session"
MAJOR = 1
MINOR = 2
_LONGEST_GAP_US = 366 * 86_400 * 1_000_000
_LARGEST = 2**62
_INTEGERS = ("number", "boot", "uptime_us", "wall_us", "version")


@frozen
class SessionHeader:
    """The first line of a session file."""

    writer: str
    redacted: bool
    configuration: Mapping[str, Any]


def header_line(header: SessionHeader) -> str:
    """The header as the first line of a file."""
    return _line(
        {
            "format": FORMAT,
            "version": "{}.{}".format(MAJOR, MINOR),
            "writer": header.writer,
            "redacted": header.redacted,
            "configuration": dict(header.configuration),
        }
    )


def event_line(event: Event) -> str:
    """One event as a line of a file."""
    return _line(
        {
            "number": event.number,
            "boot": event.boot,
            "uptime_us": event.uptime_us,
            "wall_us": event.wall_us,
            "kind": kind_of(event.fact),
            "version": version_of(event.fact),
            "payload": payload_of(event),
        }
    )


def _line(values: Dict[str, Any]) -> str:
    return json.dumps(values, separators=(",", ":")) + "\n"


class SessionReader:
    """Reads a session file line by line. Every error names the file and the line."""

    def __init__(self, path: Path) -> None:
        """Raises :class:`StorageError` when the file is missing, no session, or of a newer format."""
        self._path = path
        self._line_number = 0
        try:
            self._file: IO[bytes] = open(str(path), "rb")
        except OSError as error:
            raise StorageError("cannot read the session {}: {}".format(path, error.strerror)) from None
        try:
            self.header = self._read_header()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _fail(self, what: str) -> StorageError:
        return StorageError("session {} line {}: {}".format(self._path, self._line_number, what))

    def _next(self) -> Optional[Dict[str, Any]]:
        self._line_number += 1
        line = self._file.readline()
        if not line:
            return None
        try:
            values = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            raise self._fail("not text; the file is damaged or no session") from None
        except (ValueError, RecursionError):
            raise self._fail("not JSON; the file is damaged or cut off here") from None
        if not isinstance(values, dict):
            raise self._fail("not a JSON object")
        return values

    def _read_header(self) -> SessionHeader:
        values = self._next()
        if values is None:
            raise self._fail("the file is empty")
        if values.get("format") != FORMAT:
            raise self._fail("this is no session of dbus-btbattery")
        version = str(values.get("version", ""))
        major = version.partition(".")[0]
        if not major.isdecimal():
            raise self._fail("{!r} is no format version".format(version))
        if int(major) > MAJOR:
            raise self._fail(
                "format {} is newer than this program, which reads up to {}.x; update it".format(version, MAJOR)
            )
        configuration = values.get("configuration")
        if not isinstance(configuration, dict):
            raise self._fail("the configuration is missing")
        return SessionHeader(str(values.get("writer", "")), bool(values.get("redacted")), configuration)

    def events(self) -> Iterator[Event]:
        """The events in order. Raises :class:`StorageError` at the first line that is none."""
        last: Optional[Event] = None
        while True:
            values = self._next()
            if values is None:
                return
            event = self._event(values)
            if last is None and kind_of(event.fact) != "SessionStarted":
                raise self._fail("the first event must be SessionStarted, not {}".format(kind_of(event.fact)))
            if last is not None and (event.boot, event.uptime_us) < (last.boot, last.uptime_us):
                raise self._fail("event {} lies before event {} in time".format(event.number, last.number))
            if last is not None and event.boot == last.boot and event.uptime_us - last.uptime_us > _LONGEST_GAP_US:
                raise self._fail("event {} lies over a year after event {}".format(event.number, last.number))
            last = event
            yield event

    def _event(self, values: Dict[str, Any]) -> Event:
        for key in _INTEGERS:
            if not isinstance(values.get(key), int) or not abs(values[key]) < _LARGEST:
                raise self._fail("{!r} is missing or not a whole number".format(key))
        payload, kind = values.get("payload"), values.get("kind")
        if not isinstance(kind, str) or not isinstance(payload, dict):
            raise self._fail("'kind' or 'payload' is missing")
        try:
            event = event_from(kind=kind, payload=payload, **{key: values[key] for key in _INTEGERS})
            _check(event.fact)
        except (EventError, UnknownProtocol, ValueError) as error:
            raise self._fail(str(error)) from None
        return event


def _check(fact: Fact) -> None:
    """What the projections rely on, for a file that anybody may have edited. Raises :class:`ValueError`."""
    if isinstance(fact, SessionStarted):
        configuration_from(dict(fact.configuration))
        _check_remembered(fact.remembered)
    elif isinstance(fact, SettingChanged):
        _check_setting(fact.setting, fact.value)
    elif isinstance(fact, (AlertOpened, AlertClosed, ClockStepped)):
        for name, value in asdict(fact).items():
            if isinstance(value, int) and not abs(value) < _LARGEST:
                raise ValueError("{!r} is too large".format(name))
    elif isinstance(fact, ReadingTaken):
        assembler = protocols.find(fact.protocol).assembler()
        if frames_of(assembler.feed(fact.frame)) != [fact.frame]:
            raise ValueError("{} is no valid {} frame".format(fact.frame.hex() or "nothing", fact.protocol))


def _check_remembered(remembered: Mapping[str, Any]) -> None:
    for part, kind in (("settings", dict), ("capacities_mah", dict), ("charge", dict), ("alerts", list)):
        if not isinstance(remembered.get(part, kind()), kind):
            raise ValueError("what was remembered has {} of the wrong kind".format(part))
    for values in remembered.get("settings", {}).values():
        if not isinstance(values, dict):
            raise ValueError("what was remembered is not settings by battery")
        if not isinstance(values.get(CUSTOM_NAME, ""), str):
            raise ValueError("a remembered name is no text")
        for setting, value in values.items():
            _check_setting(setting, value)
    for alert in remembered.get("alerts", []):
        alert_from(alert)


def _check_setting(setting: str, value: Any) -> None:
    if setting in SETTINGS and setting_value(setting, value) is None:
        known = SETTINGS[setting]
        raise ValueError("{} = {!r} is not within {:g} to {:g}".format(setting, value, known.low, known.high))


class SessionWriter(WholeFile):
    """Writes a session file, which appears when it is complete. Use as a context manager."""

    def __init__(self, path: Path, header: SessionHeader) -> None:
        super().__init__(path)
        self.write_text(header_line(header))

    def __enter__(self) -> SessionWriter:
        return self

    def write(self, event: Event) -> None:
        """Add one event. Raises :class:`StorageError`."""
        self.write_text(event_line(event))
