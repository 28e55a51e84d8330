"""What happened, as immutable facts. Evidence, not conclusions: a reading carries the frame as the BMS sent it.

Every kind has a payload version of its own. A reader passes unknown kinds on untouched, keeps fields
it does not know, and refuses a payload version above its own. Passwords never enter a fact.
"""

from __future__ import annotations

from typing import Any, ClassVar, Dict, Mapping, Optional, Type, Union

from attrs import Attribute, field, fields, frozen


class EventError(ValueError):
    """A payload that cannot be read: what is wrong with it, in one line."""


@frozen
class SessionStarted:
    """The program started: first event of every session, and all a replay needs to know."""

    VERSION: ClassVar[int] = 1
    program: str
    configuration: Mapping[str, Any]
    remembered: Mapping[str, Any] = field(factory=dict)
    """What was carried over from former sessions, e.g. custom names by battery."""


@frozen
class SessionEnded:
    """The program stopped of its own will."""

    VERSION: ClassVar[int] = 1
    reason: str


@frozen
class ReadingTaken:
    """One complete, checksum-verified answer of a BMS, verbatim."""

    VERSION: ClassVar[int] = 1
    battery: str
    protocol: str
    frame: bytes
    altered: bool = False
    """The frame is not as the BMS sent it: names or serial numbers were redacted."""


@frozen
class FrameRejected:
    """Bytes that arrived and were not accepted as an answer."""

    VERSION: ClassVar[int] = 1
    battery: str
    protocol: str
    reason: str
    data: bytes


@frozen
class RequestUnanswered:
    """A request stayed without an answer after all its repetitions."""

    VERSION: ClassVar[int] = 1
    battery: str
    request: str
    attempts: int


@frozen
class LinkEstablished:
    """A battery answered for the first time on a new connection."""

    VERSION: ClassVar[int] = 1
    battery: str
    name: Optional[str] = None
    """The name that the device advertises."""
    adapter: Optional[str] = None
    """The Bluetooth adapter that reached it, by name and address."""


@frozen
class LinkLost:
    """A connection ended or could not be made."""

    VERSION: ClassVar[int] = 1
    battery: str
    cause: str
    """See :mod:`core.link_causes`."""
    detail: str = ""


@frozen
class LinkReleased:
    """Somebody wants the battery free for a phone for so many minutes; 0 ends it."""

    VERSION: ClassVar[int] = 1
    battery: str
    minutes: int


@frozen
class RecoveryAttempted:
    """The program did more about a link than to connect again. Rungs: :mod:`core.recovery`."""

    VERSION: ClassVar[int] = 1
    battery: str
    rung: str
    cause: str


@frozen
class ClockStepped:
    """The wall clock was set. Ages and timers never notice; histories map their times by it."""

    VERSION: ClassVar[int] = 1
    step_us: int


@frozen
class SettingChanged:
    """Somebody wrote a setting over D-Bus."""

    VERSION: ClassVar[int] = 1
    battery: str
    setting: str
    value: Any


@frozen
class TaskFailed:
    """A part of the program failed unexpectedly and was started again."""

    VERSION: ClassVar[int] = 1
    task: str
    error: str


@frozen
class AlertOpened:
    """The owner was told that something is wrong with the cells of a battery."""

    VERSION: ClassVar[int] = 1
    battery: str
    alert: str
    """What kind of alert: ``imbalance``."""
    spread_mv: int
    threshold_mv: int
    lowest_cell: int
    lowest_mv: int
    highest_cell: int
    highest_mv: int


@frozen
class AlertClosed:
    """What an alert told of was over."""

    VERSION: ClassVar[int] = 1
    battery: str
    alert: str
    spread_mv: int


@frozen
class HistoryPaused:
    """The disk had refused for a while: events wait in memory, and are lost beyond a bound."""

    VERSION: ClassVar[int] = 1
    problem: str


@frozen
class HistoryResumed:
    """The disk accepted events again. Tells how many had been lost, and between which uptimes of this boot."""

    VERSION: ClassVar[int] = 1
    lost: int
    first_uptime_us: Optional[int] = None
    last_uptime_us: Optional[int] = None


@frozen
class ReadingsDeleted:
    """Raw readings and rejected frames below an event number were deleted. What is left is kept as it is."""

    VERSION: ClassVar[int] = 1
    below_number: int
    count: int
    cause: str
    """``age`` or ``size``."""


@frozen
class UnknownFact:
    """A kind that a later version of the program wrote. Kept as it is."""

    kind: str
    version: int
    payload: Mapping[str, Any]


Fact = Union[
    SessionStarted, SessionEnded, ReadingTaken, FrameRejected, RequestUnanswered, LinkEstablished, LinkLost,
    LinkReleased, RecoveryAttempted, ClockStepped, SettingChanged, TaskFailed, AlertOpened, AlertClosed, HistoryPaused,
    HistoryResumed, ReadingsDeleted, UnknownFact,
]  # fmt: skip

KINDS: Dict[str, Type[Any]] = {
    cls.__name__: cls
    for cls in (
        SessionStarted, SessionEnded, ReadingTaken, FrameRejected, RequestUnanswered, LinkEstablished, LinkLost,
        LinkReleased, RecoveryAttempted, ClockStepped, SettingChanged, TaskFailed, AlertOpened, AlertClosed,
        HistoryPaused, HistoryResumed, ReadingsDeleted,
    )
}  # fmt: skip


@frozen
class Event:
    """A fact with its place in the log and in time."""

    number: int
    boot: int
    uptime_us: int
    """Since boot; what ages and timers use."""
    wall_us: int
    """UTC since 1970 as the device believed then."""
    fact: Fact
    unread: Mapping[str, Any] = field(factory=dict)
    """Fields of the payload that this version does not know."""


_SAID_ONLY_WHEN_TRUE = ("altered", "adapter")


def kind_of(fact: Fact) -> str:
    """The name under which *fact* is stored."""
    return fact.kind if isinstance(fact, UnknownFact) else type(fact).__name__


def version_of(fact: Fact) -> int:
    """The payload version of *fact*."""
    return fact.version if isinstance(fact, UnknownFact) else fact.VERSION


def payload_of(event: Event) -> Dict[str, Any]:
    """The fact of *event* in plain JSON values, bytes as hex; fields that were unread are in it again."""
    fact = event.fact
    if isinstance(fact, UnknownFact):
        return dict(fact.payload)
    payload = dict(event.unread)
    for attribute in fields(type(fact)):
        value = getattr(fact, attribute.name)
        if attribute.name in _SAID_ONLY_WHEN_TRUE and not value:
            continue
        payload[attribute.name] = value.hex() if isinstance(value, bytes) else value
    return payload


def event_from(
    *, number: int, boot: int, uptime_us: int, wall_us: int, kind: str, version: int, payload: Mapping[str, Any]
) -> Event:
    """The inverse of :func:`payload_of`. Raises :class:`EventError`."""
    cls = KINDS.get(kind)
    if cls is None:
        return Event(number, boot, uptime_us, wall_us, UnknownFact(kind, version, payload))
    if version > cls.VERSION:
        raise EventError(
            "event {}: {} of version {} was written by a newer program (this one reads up to {})".format(
                number, kind, version, cls.VERSION
            )
        )
    attributes = {attribute.name: attribute for attribute in fields(cls)}
    known = {key: _value(attributes[key], value, number) for key, value in payload.items() if key in attributes}
    unread = {key: value for key, value in payload.items() if key not in attributes}
    try:
        return Event(number, boot, uptime_us, wall_us, cls(**known), unread)
    except TypeError as error:
        raise EventError("event {}: {} is incomplete: {}".format(number, kind, error)) from None


_TYPES: Dict[str, Any] = {
    "str": str,
    "bytes": str,
    "int": int,
    "bool": bool,
    "Optional[str]": (str, type(None)),
    "Optional[int]": (int, type(None)),
    "Mapping[str, Any]": Mapping,
    "Any": object,
}
"""What the payload must hold for an attribute annotated so; bytes are hex text."""


def _value(attribute: Attribute[Any], value: Any, number: int) -> Any:
    expected = str(attribute.type)
    if not isinstance(value, _TYPES[expected]):
        raise EventError("event {}: {!r} is of the wrong type".format(number, attribute.name))
    if expected != "bytes":
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise EventError("event {}: {!r} is not hex".format(number, attribute.name)) from None
