"""Values of the path table on the wire, and values from the wire, as Victron's libraries send them."""

from __future__ import annotations

from typing import Any, Dict

from dbus_next import Variant

from core.paths import Value, text_of, type_of

INT32_LIMIT = 2**31


def clean(text: str) -> str:
    """*text* as D-Bus can carry it: a NUL makes the daemon drop the connection, a lone surrogate cannot be encoded."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def wire_type(path: str, value: Value) -> str:
    """The signature of *path*; of a path that goes by its value, that of *value*."""
    wire = type_of(path).wire
    if wire != "v":
        return wire
    return (
        "ad"
        if isinstance(value, tuple)
        else "s"
        if isinstance(value, str)
        else "d"
        if isinstance(value, float)
        else "i"
    )


def to_variant(path: str, value: Value) -> Variant:
    """*value* in the one wire type of *path*; unknown is the empty array that Venus OS reads as invalid."""
    if value is None:
        return Variant("ai", [])
    wire = wire_type(path, value)
    if isinstance(value, tuple):
        return Variant(wire, [float(number) for number in value])
    if wire == "d":
        return Variant("d", float(value))
    if wire == "i":
        number = int(value)
        return Variant("i" if -INT32_LIMIT <= number < INT32_LIMIT else "x", number)
    return Variant("s", clean(str(value)))


def item(path: str, value: Value) -> Dict[str, Variant]:
    """One entry of GetItems and ItemsChanged."""
    return {"Value": to_variant(path, value), "Text": Variant("s", clean(text_of(path, value)))}


def from_variant(written: Any) -> Any:
    """What a client wrote, as a plain number, string or bool; ``None`` for anything that is no scalar."""
    if isinstance(written, Variant):
        return from_variant(written.value)
    return written if isinstance(written, (bool, int, float, str)) else None
