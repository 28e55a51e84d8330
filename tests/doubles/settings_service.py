"""A small ``com.victronenergy.settings`` on a real bus, with what matters of Victron's.

"class:number" is unique and a taken number becomes the next free one; a value that is there is kept; every change is
signalled before the call is answered; a JSON file holds the settings over restarts. It runs in a thread, so that tests
with and without an event loop can use it, and on RawBus, so that it shares no code with the program it serves.
"""

import contextlib
import json
import struct
import threading
from pathlib import Path

from rawbus import ERROR, METHOD_CALL, METHOD_RETURN, SIGNAL, RawBus, Writer, marshal, py

from tests.programs import wait_until

NAME = "com.victronenergy.settings"
BUS_ITEM = "com.victronenergy.BusItem"
INTERFACE = "com.victronenergy.Settings"
DO_NOT_QUEUE = 4
NO_REPLY = 1
_TURN_S = 0.02

_UNDERSCORE, _UNKNOWN_TYPE, _INVALID_PATH, _TYPE_DIFFERS, _INVALID_DEFAULT = -2, -3, -4, -5, -6
_IS_GROUP, _NOT_IN_SETTINGS = -8, -9
_TYPES = {"i": "i", "x": "i", "d": "d", "s": "s"}


def instance_path(unique):
    """Where the instance of *unique* is."""
    return "/Settings/Devices/{}/ClassAndVrmInstance".format(unique)


def name_path(unique):
    """Where the name of *unique* is."""
    return "/Settings/Devices/{}/CustomName".format(unique)


def set_value(address, path, value):
    """Change a setting as a user does; the code of the service."""
    with contextlib.closing(RawBus(address)) as user:
        return py(user.call(NAME, path, BUS_ITEM, "SetValue", "v", [("s", value)]).args[0])


class _Refused(Exception):
    """A code of AddSettings."""


class _Bus(RawBus):
    def send_error(self, call, text):
        self.serial += 1
        writer = Writer()
        body = marshal("s", [text])
        writer.b += struct.pack("<BBBBII", 0x6C, ERROR, NO_REPLY, 1, len(body), self.serial)
        fields = [
            (4, ("s", "org.freedesktop.DBus.Error.Failed")),
            (5, ("u", call.serial)),
            (6, ("s", call.sender)),
            (8, ("g", "s")),
        ]
        writer.write("a(yv)", fields)
        writer.align(8)
        self.s.sendall(bytes(writer.b) + body)


class SettingsService:
    """Start and stop it as often as you like; what a test scripts is a plain attribute."""

    def __init__(self, address, file):
        self._address = address
        self._file = Path(file)
        self.values = {}
        """Path to signature and value."""
        self.errors = {}
        """Path to the code that AddSettings answers for it."""
        self.answers = {}
        """Member to what is answered instead: signature and arguments, ``error`` and a text, ``None`` for nothing."""
        self.before_answer = lambda member: None
        """Runs after a call was carried out and before it is answered, in the thread of the service."""
        self.refused = set()
        """Paths whose SetValue answers -1."""
        self.calls = []
        """Member and path of every call, in order."""
        self.callers = []
        """Unique name of the caller of each AddSettings."""
        self._sending = threading.Lock()
        self._ending = threading.Event()
        self._thread = None

    def start(self):
        """Claim the name."""
        held = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        self.values = {path: tuple(item) for path, item in held.items()}
        self._bus = wait_until(self._connected, what="the bus")
        self._ending.clear()
        assert self._bus.daemon("RequestName", "su", [NAME, DO_NOT_QUEUE]).args[0][1] == 1
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _connected(self):
        """A bus that has made its socket may not listen yet."""
        with contextlib.suppress(ConnectionRefusedError):
            return _Bus(self._address)

    def stop(self):
        """Let go of the name, as the end of the process does. It may have ended already, or never begun."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._bus.close()
            self._thread = None

    def restart(self):
        """Stop and start."""
        self.stop()
        self.start()

    def count(self, member):
        """How many calls of *member* came."""
        return sum(1 for called, _ in self.calls if called == member)

    def value(self, path):
        """What is held."""
        return self.values[path][1] if path in self.values else None

    def emit(self, path, signature, arguments, interface=BUS_ITEM, member="PropertiesChanged"):
        """Send any signal, true or not."""
        with self._sending:
            self._bus.send(SIGNAL, None, path, interface, member, signature, arguments, flags=NO_REPLY)

    def emit_value(self, path, signature, value):
        """Signal a value, whether it is held or not."""
        self.emit(path, "a{sv}", [[("Value", (signature, value)), ("Text", ("s", str(value)))]])

    def _serve(self):
        with contextlib.suppress(EOFError, OSError):
            while not self._ending.is_set():
                for message in self._bus.collect(_TURN_S, until=lambda m: True):
                    if message.type == METHOD_CALL:
                        self._answer(message)

    def _answer(self, call):
        if call.member == "AddSettings":
            self.callers.append(call.sender)
        scripted = call.member in self.answers
        answer = self.answers.get(call.member)
        self.calls.append((call.member, call.path))  # from here on a test may script the next one
        if not scripted:
            answer = self._handle(call)
        self.before_answer(call.member)
        if answer is None:
            return
        signature, arguments = answer
        with self._sending:
            if signature == "error":
                self._bus.send_error(call, arguments)
            else:
                self._bus.send(
                    METHOD_RETURN,
                    dest=call.sender,
                    sig=signature,
                    args=arguments,
                    flags=NO_REPLY,
                    reply_serial=call.serial,
                )

    def _handle(self, call):
        if call.interface == INTERFACE and call.member == "AddSettings":
            return "aa{sv}", [[self._added(definition) for definition in call.args[0][1]]]
        if call.interface == INTERFACE and call.member == "RemoveSettings":
            return "ai", [[self._remove(path) for path in py(call.args[0])]]
        if call.path in self.values and call.member == "GetValue":
            return "v", [self.values[call.path]]
        if call.path in self.values and call.member == "SetValue":
            return "i", [self._set(call.path, py(call.args[0]))]
        return "error", "there is no {} here".format(call.member)

    def _added(self, definition):
        """One result of AddSettings."""
        given = {key[1]: variant[1] for key, variant in definition[1]}
        path = py(given["path"]) if "path" in given else None
        result = [("path", ("s", path))] if path else []
        try:
            return result + [("error", ("i", 0)), ("value", self._add(path, *given.get("default", ("", None))))]
        except _Refused as refused:
            return result + [("error", ("i", refused.args[0]))]

    def _add(self, path, wire, default):
        if path in self.errors:
            raise _Refused(self.errors[path])
        if not path:
            raise _Refused(_INVALID_PATH)
        if wire not in _TYPES:
            raise _Refused(_UNKNOWN_TYPE)
        if "/_" in path:
            raise _Refused(_UNDERSCORE)
        if not path.startswith("/Settings/"):
            raise _Refused(_NOT_IN_SETTINGS)
        if path in self.values:
            if self.values[path][0] != _TYPES[wire]:
                raise _Refused(_TYPE_DIFFERS)
            return self.values[path]
        if any(other.startswith(path + "/") for other in self.values):
            raise _Refused(_IS_GROUP)
        if not self._hold(path, _TYPES[wire], default):
            raise _Refused(_INVALID_DEFAULT)
        return self.values[path]

    def _set(self, path, value):
        wire = self.values[path][0]
        if path in self.refused:
            return -1
        try:
            value = {"i": int, "d": float, "s": str}[wire](value)
        except (TypeError, ValueError):
            return -1
        return 0 if value == self.values[path][1] or self._hold(path, wire, value) else -1

    def _hold(self, path, wire, value):
        """Keep *value*, or the next free instance; tell everybody."""
        if path.endswith("/ClassAndVrmInstance"):
            value = self._free(path, value)
            if value is None:
                return False
        self.values[path] = (wire, value)
        self._save()
        self.emit_value(path, wire, value)
        return True

    def _free(self, path, value):
        kind, _, number = value.partition(":")
        try:
            number = int(number)
        except ValueError:
            return None
        taken = {v for p, (_, v) in self.values.items() if p != path and p.endswith("/ClassAndVrmInstance")}
        while "{}:{}".format(kind, number) in taken:
            number += 1
        return "{}:{}".format(kind, number)

    def _remove(self, path):
        if self.values.pop(path, None) is None:
            return -1
        self._save()
        self.emit_value(path, "ai", [])
        return 0

    def _save(self):
        self._file.write_text(json.dumps(self.values), encoding="utf-8")
