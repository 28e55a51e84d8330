"""The one signal that is sent all the time, encoded by hand: what never changes about a path is encoded once.

dbus-next builds two Variants an item and walks their signatures: 1.1 ms for 45 items against 0.2 ms here. The layout is
that of the D-Bus specification, section "Marshaling", little-endian: every item is a dict entry and so begins at a
multiple of 8, which makes its bytes independent of where it stands.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Mapping

from dbus_next import Message, MessageFlag, MessageType

from adapters.dbus.tree import BUS_ITEM
from adapters.dbus.wire import INT32_LIMIT, clean, wire_type
from core.paths import Value, text_of

SIGNATURE = "a{sa{sv}}"
_EMPTY_BODY = struct.pack("<II", 0, 0)

_U32 = struct.Struct("<I")


def _padded(data: bytes, boundary: int) -> bytes:
    return data + bytes(-len(data) % boundary)


def _string(text: bytes) -> bytes:
    return _U32.pack(len(text)) + text + b"\x00"


def _variant_head(name: bytes, signature: bytes, boundary: int) -> bytes:
    """``name`` and the signature of its variant, up to where the value begins."""
    return _padded(_string(name) + bytes([len(signature)]) + signature + b"\x00", boundary)


_INVALID = _variant_head(b"Value", b"ai", 4) + _U32.pack(0)
_DOUBLE = _variant_head(b"Value", b"d", 8)
_INT32 = _variant_head(b"Value", b"i", 4)
_INT64 = _variant_head(b"Value", b"x", 8)
_STRING = _variant_head(b"Value", b"s", 4)
_ARRAY = _variant_head(b"Value", b"ad", 4)
_TEXT = _variant_head(b"Text", b"s", 4)


@lru_cache(maxsize=4096)
def _key(path: str) -> bytes:
    return _padded(_string(path.encode("ascii")), 4)


def _value(path: str, value: Value) -> bytes:
    if value is None:
        return _INVALID
    wire = wire_type(path, value)
    if isinstance(value, tuple):
        numbers = struct.pack("<{}d".format(len(value)), *value)
        # A variant begins at a multiple of 8 here, and so do the numbers: eight bytes after their length.
        return _padded(_ARRAY + _U32.pack(len(numbers)), 8) + numbers
    if wire == "d":
        return _DOUBLE + struct.pack("<d", value)
    if wire == "s":
        return _STRING + _string(clean(str(value)).encode("utf-8"))
    number = int(value)
    if -INT32_LIMIT <= number < INT32_LIMIT:
        return _INT32 + struct.pack("<i", number)
    return _INT64 + struct.pack("<q", number)


def encode_item(path: str, value: Value) -> bytes:
    """One dict entry ``{path: {"Value": v, "Text": v}}``, without padding behind it."""
    both = _padded(_value(path, value), 8) + _TEXT + _string(clean(text_of(path, value)).encode("utf-8"))
    return _padded(_key(path) + _U32.pack(len(both)), 8) + both


class ItemsChanged(Message):
    """The signal for *items*, ready to be sent."""

    def __init__(self, items: Mapping[str, Value]) -> None:
        super().__init__(
            message_type=MessageType.SIGNAL,
            flags=MessageFlag.NO_REPLY_EXPECTED,
            path="/",
            interface=BUS_ITEM,
            member="ItemsChanged",
            signature=SIGNATURE,
            body=[{}],
        )
        self._items = items

    def _marshall(self, negotiate_unix_fd: bool = False) -> bytes:
        """What dbus-next sends: its own header with our body and the length of it."""
        entries = bytearray()
        for path, value in self._items.items():
            entries += bytes(-len(entries) % 8)
            entries += encode_item(path, value)
        body = struct.pack("<II", len(entries), 0) + entries
        header = bytearray(super()._marshall(negotiate_unix_fd)[: -len(_EMPTY_BODY)])
        struct.pack_into("<I", header, 4, len(body))
        return bytes(header) + body
