"""The objects of one service and the answers they give: everything but the bus.

Behaviour measured on Victron's velib_python; where that library and the D-Bus specification leave a choice, the one
that its consumers need. An unknown path or method is an error, a refused write is a number, and no answer ever
carries a traceback.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Set, Tuple
from xml.sax.saxutils import quoteattr

from attrs import frozen
from dbus_next import Variant

from adapters.dbus.wire import clean, from_variant, item, to_variant
from core.paths import Value, text_of

BUS_ITEM = "com.victronenergy.BusItem"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"

_ERROR = "org.freedesktop.DBus.Error."
_HEAD = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    '"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)


def _method(name: str, takes: str, gives: str) -> str:
    arguments = "".join('<arg type="{}" direction="in"/>'.format(t) for t in takes)
    return '<method name="{}">{}<arg type="{}" direction="out"/></method>'.format(name, arguments, gives)


_STANDARD = '<interface name="{}">{}</interface><interface name="{}"><method name="Ping"/></interface>'.format(
    INTROSPECTABLE, _method("Introspect", "", "s"), PEER
)
_LEAF = _method("GetValue", "", "v") + _method("GetText", "", "s") + _method("SetValue", "v", "i")
_LEAF += _method("GetDescription", "si", "s") + '<signal name="PropertiesChanged"><arg type="a{sv}"/></signal>'
_BRANCH = _method("GetValue", "", "v") + _method("GetText", "", "v") + _method("SetValue", "v", "i")
_ROOT = _BRANCH + _method("GetItems", "", "a{sa{sv}}")
_ROOT += '<signal name="ItemsChanged"><arg type="a{sa{sv}}"/></signal>'


class CallError(Exception):
    """A method call that cannot be answered: the D-Bus error name and a line for the caller."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = _ERROR + name, text
        super().__init__(text)


@frozen
class Call:
    """A method call as it came in."""

    path: str
    interface: Optional[str]
    member: str
    body: List[Any]


Answer = Tuple[str, List[Any]]
"""Signature and body of a reply."""

Write = Callable[[str, Any], int]
"""Takes a path and a plain value; returns the code of SetValue."""


class ServiceTree:
    """Leaves by path, and the inner nodes above them."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._values: Dict[str, Value] = {}
        self._children: Dict[str, Set[str]] = {"/": set()}

    def replace(self, items: Mapping[str, Value]) -> None:
        """Forget everything and hold *items*."""
        self._values.clear()
        self._children = {"/": set()}
        self.update(items)

    def update(self, items: Mapping[str, Value]) -> None:
        """Take new values; a path that is new gets its place in the tree."""
        for path in items.keys() - self._values.keys():
            self._grow(path)
        self._values.update(items)

    def _grow(self, path: str) -> None:
        while path != "/":
            parent, _, name = path.rpartition("/")
            self._children.setdefault(parent or "/", set()).add(name)
            path = parent or "/"

    def answer(self, call: Call) -> Answer:
        """The reply to *call*. Raises :class:`CallError`."""
        if call.interface == PEER and call.member == "Ping":
            return "", []
        if call.path not in self._values and call.path not in self._children:
            raise CallError("UnknownObject", "there is no object {}".format(call.path))
        if call.interface == INTROSPECTABLE and call.member == "Introspect":
            return "s", [self._introspect(call.path)]
        # Victron's own clients call without naming the interface.
        if call.interface in (BUS_ITEM, None):
            answer = self._leaf(call) if call.path in self._values else self._branch(call)
            if answer is not None:
                return answer
        raise CallError("UnknownMethod", "{} has no method {}".format(call.path, call.member))

    def _leaf(self, call: Call) -> Optional[Answer]:
        path, value = call.path, self._values[call.path]
        if call.member == "GetValue":
            return "v", [to_variant(path, value)]
        if call.member == "GetText":
            return "s", [clean(text_of(path, value))]
        if call.member == "SetValue":
            return "i", [self._set(call)]
        return ("s", [""]) if call.member == "GetDescription" else None

    def _set(self, call: Call) -> int:
        if len(call.body) != 1:
            raise CallError("InvalidArgs", "SetValue takes one value")
        return self._write(call.path, from_variant(call.body[0]))

    def _branch(self, call: Call) -> Optional[Answer]:
        if call.member == "GetItems" and call.path == "/":
            return "a{sa{sv}}", [{path: item(path, value) for path, value in self._values.items()}]
        prefix = call.path.rstrip("/") + "/"
        below = {path: value for path, value in self._values.items() if path.startswith(prefix)}
        if call.member == "GetValue":
            values = {path[len(prefix) :]: to_variant(path, value) for path, value in below.items()}
            return "v", [Variant("a{sv}", values)]
        if call.member == "GetText":
            texts = {path[len(prefix) :]: clean(text_of(path, value)) for path, value in below.items()}
            return "v", [Variant("a{ss}", texts)]
        return ("i", [1]) if call.member == "SetValue" else None

    def _introspect(self, path: str) -> str:
        methods = _LEAF if path in self._values else _ROOT if path == "/" else _BRANCH
        children = "".join("<node name={}/>".format(quoteattr(c)) for c in sorted(self._children.get(path, ())))
        return '{}<node>{}<interface name="{}">{}</interface>{}</node>'.format(
            _HEAD, _STANDARD, BUS_ITEM, methods, children
        )
