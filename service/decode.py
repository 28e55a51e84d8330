"""The ``decode`` command: recorded bytes in, one JSON object per valid frame out."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import List, TextIO

from config.options import ConfigError
from core import protocols
from core.protocols import Protocol
from core.protocols.base import Frame


def decode_command(arguments: Namespace) -> int:
    """Exit code 0 when every line gave a frame."""
    protocol = protocols.find(arguments.protocol)
    if arguments.file == "-":
        return decode_lines(sys.stdin, protocol)
    try:
        with open(arguments.file, encoding="utf-8") as file:
            return decode_lines(file, protocol)
    except OSError as error:
        raise ConfigError("cannot read {}: {}".format(arguments.file, error.strerror)) from None
    except UnicodeDecodeError:
        raise ConfigError("{} is not a text file".format(arguments.file)) from None


def decode_lines(lines: TextIO, protocol: Protocol) -> int:
    """Every line is a stream of its own: hex, or a JSON object with a list ``notifications`` of hex."""
    good = True
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            notifications = _notifications(line)
        except ValueError as error:
            print("line {}: {}".format(number, error), file=sys.stderr)
            good = False
            continue
        good = _decode(number, notifications, protocol) and good
    return 0 if good else 1


def _notifications(line: str) -> List[bytes]:
    if not line.startswith("{"):
        return [_from_hex(line)]
    values = json.loads(line)
    parts = values.get("notifications")
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError("no list 'notifications' of hex")
    return [_from_hex(part) for part in parts]


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError("not hex: {}".format(text[:60])) from None


def _decode(number: int, notifications: List[bytes], protocol: Protocol) -> bool:
    assembler = protocol.assembler()
    deliveries = [delivery for part in notifications for delivery in assembler.feed(part)] + assembler.flush()
    frames = 0
    for delivery in deliveries:
        if isinstance(delivery, Frame):
            frames += 1
            print(json.dumps(protocol.describe(delivery.data)), flush=True)
        else:
            print("line {}: rejected ({}): {}".format(number, delivery.reason, delivery.data.hex()), file=sys.stderr)
    if not frames:
        print("line {}: no {} frame".format(number, protocol.label), file=sys.stderr)
    return frames > 0
