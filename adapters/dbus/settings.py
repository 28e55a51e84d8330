"""A client of ``com.victronenergy.settings``: there each of our services has its DeviceInstance and its CustomName.

That service makes every "class:number" unique on the device and remembers it for good, so an instance is asked for and
never invented, and nothing is ever removed there. It answers on the unique name of its connection: a call cannot reach
its successor, and of signals only those of the present owner count.

Order matters once. A change of a value is signalled before the call that caused it or came after it is answered, so the
answer is taken first and then the last signal that came meanwhile: what remains is what the service holds.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from attrs import define, field, frozen, validators
from dbus_next import Message, Variant

from adapters.dbus.address import BusUnavailable
from adapters.dbus.connection import CALL_S, DAEMON, BusConnection, CallFailed, ConnectionLost
from adapters.dbus.service import RECONNECT_S
from adapters.dbus.tree import BUS_ITEM, ServiceTree
from adapters.dbus.wire import clean, from_variant

log = logging.getLogger(__name__)

SETTINGS = "com.victronenergy.settings"
SETTINGS_INTERFACE = "com.victronenergy.Settings"
DEVICE_INSTANCE = "DeviceInstance"
CUSTOM_NAME = "CustomName"

_LONGEST_COMPLAINT = 300
_CLASS = "battery"
_INSTANCE = re.compile(_CLASS + ":(0|[1-9][0-9]{0,8})")
_OWNER_RULE = "type='signal',sender='{0}',interface='{0}',member='NameOwnerChanged',arg0='{1}'".format(DAEMON, SETTINGS)
# By the name of the service, not of its connection: the bus keeps such a rule true when the service restarts.
_CHANGE_RULE = "type='signal',sender='{}',interface='{}',member='PropertiesChanged',path_namespace='{{}}'".format(
    SETTINGS, BUS_ITEM
)
_ERRORS = {
    -1: "it failed",
    -2: "a part of the path begins with an underscore",
    -3: "it does not know the type",
    -4: "the path is not valid",
    -5: "it holds a value of another type there",
    -6: "the default is not valid",
    -7: "the default is out of range",
    -8: "the path is a group",
    -9: "the path is not below /Settings",
}

OnValue = Callable[[str, str, Any], None]
"""Takes service, ``DeviceInstance`` or ``CustomName``, and the value."""


@frozen
class SettingsEntry:
    """One service of ours. *service* is what it is called in :data:`OnValue`, *unique* its folder among the devices."""

    service: str
    unique: str = field(validator=validators.matches_re("[A-Za-z0-9][A-Za-z0-9_]*"))
    preferred_instance: int = field(default=1, validator=validators.ge(0))


@frozen
class Periods:
    """How long what is waited for, in seconds."""

    poll_s: float = 3.0
    """Between two looks whether the service has come; the bus tells it at once, this is for when it does not."""
    remind_s: float = 60.0
    """Between two lines in the log while an instance is waited for."""
    retry_s: float = 60.0
    """Until what was refused, not answered or of no use is asked for again."""
    call_s: float = CALL_S
    reconnect_s: Tuple[float, ...] = RECONNECT_S


def parse_instance(value: Any) -> Optional[int]:
    """The number of "battery:number"; ``None`` for anything else."""
    found = _INSTANCE.fullmatch(value) if isinstance(value, str) else None
    return int(found.group(1)) if found else None


def parse_name(value: Any) -> Optional[str]:
    """A text that we can show and send."""
    return clean(value) if isinstance(value, str) else None


@define
class _Setting:
    """One value: what the service holds and what our side was told or wants."""

    service: str
    kind: str
    path: str
    default: str
    parse: Callable[[Any], Any]
    value: Any = None
    told: Any = None
    wanted: Optional[str] = None
    """Written by us and not yet taken by the service."""
    added: bool = False
    """The present owner of the name has it, and refused nothing."""
    signalled: Optional[Variant] = None
    """The last value that was signalled and not yet looked at."""

    def take(self, value: Any) -> bool:
        """Hold what the service says; false when it is of no use. What we want to write is newer."""
        parsed = self.parse(from_variant(value))
        if parsed is not None and self.wanted is None:
            self.value = parsed
        return parsed is not None


def _settings_of(entry: SettingsEntry) -> List[_Setting]:
    """The name comes first: with its instance a service is ready to be published."""
    folder = "/Settings/Devices/{}".format(entry.unique)
    instance = "{}:{}".format(_CLASS, entry.preferred_instance)
    return [
        _Setting(entry.service, CUSTOM_NAME, folder + "/CustomName", "", parse_name),
        _Setting(entry.service, DEVICE_INSTANCE, folder + "/ClassAndVrmInstance", instance, parse_instance),
    ]


class SettingsClient:
    """Asks for the settings of *entries*, reports every value when it is first known and when it changes."""

    def __init__(
        self, address: str, entries: Sequence[SettingsEntry], on_value: OnValue, periods: Optional[Periods] = None
    ) -> None:
        self._address = address
        self._on_value = on_value
        self._periods = periods or Periods()
        self._settings = [setting for entry in entries for setting in _settings_of(entry)]
        self._by_path = {setting.path: setting for setting in self._settings}
        self._names = {setting.service: setting for setting in self._settings if setting.kind == CUSTOM_NAME}
        if not 2 * len(entries) == len(self._by_path) == 2 * len(self._names):
            raise ValueError("two entries with the same service or the same unique name")
        self._rules = [_OWNER_RULE] + [_CHANGE_RULE.format(s.path.rpartition("/")[0]) for s in self._names.values()]
        self._owner: Optional[str] = None
        self._owners = 0  # how often it changed
        self._was_there = False
        self._ask_at = self._remind_at = -math.inf
        self._news = asyncio.Event()

    def set_custom_name(self, service: str, name: str) -> None:
        """Have *name* stored, as soon as the service is there; the newest wins. It is not reported back."""
        setting = self._names[service]
        setting.value = setting.told = setting.wanted = clean(name)
        self._news.set()

    async def run(self) -> None:
        """Serve for ever: a bus or a service that is not there is waited for."""
        attempt = 0
        while True:
            try:
                await self._one_connection()
                attempt = 0
            except BusUnavailable as error:
                if attempt == 0:
                    log.warning("settings: %s; trying again", error)
            pauses_s = self._periods.reconnect_s
            await asyncio.sleep(pauses_s[min(attempt, len(pauses_s) - 1)])
            attempt += 1

    async def _one_connection(self) -> None:
        connection = await BusConnection.open(self._address, ServiceTree(lambda path, value: 1), self._on_signal)
        closed = asyncio.ensure_future(connection.closed())
        try:
            for rule in self._rules:
                await connection.add_match(rule)
            while not closed.done():
                self._news.clear()
                await self._step(connection)
                await self._wait(closed)
            log.warning("settings: the bus went away")
        except ConnectionLost as lost:
            log.warning("settings: %s", lost)
        finally:
            closed.cancel()
            self._forget_owner()
            await connection.close()

    async def _wait(self, closed: asyncio.Future[Any]) -> None:
        """Until there is news, the connection is gone, or it is time to ask again."""
        seconds = self._periods.poll_s if self._owner is None else max(self._ask_at - _now(), 0)
        news: asyncio.Future[Any] = asyncio.ensure_future(self._news.wait())
        try:
            timeout = None if seconds == math.inf else seconds
            await asyncio.wait({news, closed}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()

    async def _step(self, connection: BusConnection) -> None:
        if self._owner is None:
            await self._find_owner(connection)
        owner = self._owner
        if owner is None:
            return
        if _now() >= self._ask_at:
            await self._add_settings(connection, owner)
        self._take_signals()
        self._report()
        for setting in self._names.values():
            if setting.wanted is not None and setting.added:
                await self._write(connection, owner, setting)

    async def _find_owner(self, connection: BusConnection) -> None:
        """Ask who it is; an answer that a change overtook is not used, and the change is news."""
        owners = self._owners
        owner = await connection.owner(SETTINGS)
        if owners == self._owners:
            self._owner = owner
            self._tell_of_owner()

    def _tell_of_owner(self) -> None:
        if self._owner is not None:
            if not self._was_there:
                log.info("the settings service is there")
            self._was_there = True
            return
        if any(setting.kind == DEVICE_INSTANCE and setting.value is None for setting in self._settings):
            if _now() >= self._remind_at:
                log.warning(
                    "waiting for the settings service; batteries are not published before their DeviceInstance is known"
                )
                self._remind_at = _now() + self._periods.remind_s
        elif self._was_there:
            log.warning("the settings service went away; instances and names stay as they are")
        self._was_there = False

    def _forget_owner(self) -> None:
        """Nothing counts until the service is found again; what is known stays."""
        self._owner = None
        self._owners += 1
        self._ask_at = -math.inf
        for setting in self._settings:
            setting.added = False
            setting.signalled = None

    def _on_signal(self, message: Message) -> None:
        if message.sender == DAEMON:
            if message.member == "NameOwnerChanged" and message.body[0] == SETTINGS:
                self._forget_owner()
                self._news.set()
            return
        setting = self._by_path.get(message.path)
        if setting is None or message.sender != self._owner or message.signature != "a{sv}":
            return
        if message.interface == BUS_ITEM and message.member == "PropertiesChanged" and "Value" in message.body[0]:
            setting.signalled = message.body[0]["Value"]
            self._news.set()

    def _take_signals(self) -> None:
        for setting in self._settings:
            value, setting.signalled = setting.signalled, None
            if value is not None and not setting.take(value):
                self._complain("{} became {}, which is of no use".format(setting.path, _short(value)))

    def _report(self) -> None:
        for setting in self._settings:
            if setting.value is not None and setting.value != setting.told:
                setting.told = setting.value
                if setting.kind == DEVICE_INSTANCE:
                    log.info("%s has DeviceInstance %s", setting.service, setting.value)
                self._on_value(setting.service, setting.kind, setting.value)

    def _complain(self, text: str) -> None:
        line = " ".join(text.split())[:_LONGEST_COMPLAINT]
        log.warning("settings: %s; asking again in %.0f s", line, self._periods.retry_s)
        self._ask_at = min(self._ask_at, _now() + self._periods.retry_s)

    async def _add_settings(self, connection: BusConnection, owner: str) -> None:
        """Have every setting created that is not there; the answer tells the value of each."""
        definitions = [{"path": Variant("s", s.path), "default": Variant("s", s.default)} for s in self._settings]
        message = _call(owner, "/", SETTINGS_INTERFACE, "AddSettings", "aa{sv}", [definitions])
        try:
            reply = await connection.call(message, self._periods.call_s)
        except CallFailed as failed:
            if owner == self._owner:
                self._ask_at = math.inf
                self._complain(str(failed))
            return
        if owner != self._owner:
            return
        self._ask_at = math.inf
        results = _results(reply)
        for setting in self._settings:
            setting.added = self._take_result(setting, results.get(setting.path, {}))

    def _take_result(self, setting: _Setting, result: Mapping[str, Any]) -> bool:
        error = from_variant(result.get("error"))
        if error != 0:
            meaning = _ERRORS.get(error, "an answer without a meaning")
            self._complain("{} is refused with {}: {}".format(setting.path, _short(error), meaning))
        elif not setting.take(result.get("value")):
            self._complain("{} is {}, which is of no use".format(setting.path, _short(result.get("value"))))
        else:
            return True
        return False

    async def _write(self, connection: BusConnection, owner: str, setting: _Setting) -> None:
        name = setting.wanted
        message = _call(owner, setting.path, BUS_ITEM, "SetValue", "v", [Variant("s", name)])
        try:
            reply = await connection.call(message, self._periods.call_s)
            trouble = "" if reply.body and reply.body[0] == 0 else "the name is refused"
        except CallFailed as failed:
            trouble = str(failed)
        if owner != self._owner:
            return
        if trouble:
            setting.added = False
            self._complain("{}: {}".format(setting.path, trouble))
        elif setting.wanted == name:
            setting.wanted = None


def _now() -> float:
    return asyncio.get_event_loop().time()


def _call(owner: str, path: str, interface: str, member: str, signature: str, body: List[Any]) -> Message:
    return Message(destination=owner, path=path, interface=interface, member=member, signature=signature, body=body)


def _results(reply: Message) -> Dict[Any, Mapping[str, Any]]:
    """The answers to AddSettings by path; of an answer in another form, none."""
    if reply.signature != "aa{sv}" or not reply.body:
        return {}
    return {from_variant(result.get("path")): result for result in reply.body[0]}


def _short(value: Any) -> str:
    """For the log."""
    plain = value.value if isinstance(value, Variant) else value
    return repr(plain)[:60]
