"""What an owner writes to name a battery: a Bluetooth address, or one that lives in the program.

Behind the address may stand ``:FILE``, the battery's own options. It begins at the first colon behind the six pairs of
a Bluetooth address, or behind the name and parameters of a simulated battery. A recorded session has none: all that
follows ``session:`` is the name of its file.
"""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple, Union
from urllib.parse import parse_qsl

from attrs import frozen

from config.options import ConfigError

_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
_WITH_FILE = re.compile("({}|sim:[^:]*):(.*)".format(_MAC.pattern), re.DOTALL)
_ONE_PAIR_MORE = re.compile(r"[0-9A-Fa-f]{2}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")
_NUMBERS: Dict[str, Tuple[type, float, float]] = {
    "cells": (int, 1, 32),
    "capacity": (int, 1, 655),
    "seed": (int, 0, 2**31),
    "soc": (float, 0, 100),
}
_OUTAGE = re.compile(r"(\d+(?:\.\d+)?)[+ ](\d+(?:\.\d+)?)")  # a "+" in a query may arrive as a blank


@frozen
class BluetoothAddress:
    """A battery over the air, upper case with colons."""

    mac: str

    @property
    def battery(self) -> str:
        """Its identity in events and on the bus."""
        return "ble_" + self.mac.replace(":", "").lower()


@frozen
class SimulatedAddress:
    """``sim:NAME?cells=8&capacity=100&seed=1&soc=60&drop=AT+FOR``; *drop* may come several times."""

    name: str
    parameters: Tuple[Tuple[str, float], ...] = ()
    outages: Tuple[Tuple[float, float], ...] = ()

    @property
    def battery(self) -> str:
        """Its identity in events and on the bus."""
        return "sim_" + self.name


@frozen
class RecordedAddress:
    """``session:FILE``: the batteries of a recorded session, played as if they stood here."""

    path: str


Address = Union[BluetoothAddress, SimulatedAddress, RecordedAddress]


def split_file(text: str) -> Tuple[str, Optional[str]]:
    """The address in *text*, and the file with the battery's own options. Raises :class:`ConfigError`."""
    match = _WITH_FILE.fullmatch(text)
    if match is None or _ONE_PAIR_MORE.fullmatch(match.group(3)):
        return text, None
    if not match.group(3):
        raise ConfigError("{!r}: behind the last colon the battery's own file is missing".format(text))
    return match.group(1), match.group(3)


def parse_address(text: str) -> Address:
    """Raises :class:`ConfigError`."""
    if text.startswith("sim:"):
        return _simulated(text)
    if text.startswith("session:") and len(text) > len("session:"):
        return RecordedAddress(text[len("session:") :])
    if _MAC.fullmatch(text):
        return BluetoothAddress(text.upper().replace("-", ":"))
    raise ConfigError(
        "{!r} is no battery address: expected six pairs like 70:3e:97:08:00:62 (`scan` lists them), "
        "sim:NAME or session:FILE".format(text)
    )


def _simulated(text: str) -> SimulatedAddress:
    name, _, query = text[len("sim:") :].partition("?")
    if not _NAME.fullmatch(name):
        raise ConfigError("{!r}: a simulated battery needs a name of letters, digits and _".format(text))
    parameters: List[Tuple[str, float]] = []
    outages: List[Tuple[float, float]] = []
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "drop":
            match = _OUTAGE.fullmatch(value)
            if match is None:
                raise ConfigError("{!r}: drop={} is not AT+FOR in seconds".format(text, value))
            outages.append((float(match.group(1)), float(match.group(2))))
        else:
            parameters.append((key, _number(text, key, value)))
    return SimulatedAddress(name, tuple(parameters), tuple(outages))


def _number(text: str, key: str, value: str) -> float:
    if key not in _NUMBERS:
        raise ConfigError("{!r}: unknown parameter {!r}; known: {}, drop".format(text, key, ", ".join(_NUMBERS)))
    kind, lowest, highest = _NUMBERS[key]
    try:
        number = kind(value)
    except ValueError:
        raise ConfigError("{!r}: {}={} is not a number".format(text, key, value)) from None
    if not lowest <= number <= highest:
        raise ConfigError("{!r}: {}={} is outside {:g}..{:g}".format(text, key, value, lowest, highest))
    return float(number)
