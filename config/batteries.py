"""The batteries of a run: what was typed or listed, each with its own file, as an address with values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from attrs import frozen

from config.addresses import Address, parse_address, split_file
from config.loader import load_battery
from config.options import OPTIONS, ConfigError
from config.values import BATTERY_FILE, Place, Values


@frozen
class NamedBattery:
    """An address and the values that count for it."""

    address: Address
    values: Values
    file: Optional[Path] = None

    @property
    def own_options(self) -> Tuple[str, ...]:
        """What the battery's own file decides, as text without secrets."""
        own = self.values.of_layer(BATTERY_FILE)
        return tuple(OPTIONS[name].show(value) for name, value in own.items())


def load_batteries(texts: Sequence[str], values: Values) -> Tuple[List[NamedBattery], List[str]]:
    """The batteries that *texts* name, or those of BATTERIES when it is empty, and warnings about their files.

    Raises :class:`ConfigError` for a wrong address or a wrong file.
    """
    place = None if texts else values.places["BATTERIES"]
    named: List[NamedBattery] = []
    warnings: Dict[str, None] = {}
    for text in texts or values["BATTERIES"]:
        battery, more = _load_battery(text, values, place)
        warnings.update(dict.fromkeys(more))
        named.append(battery)
    return named, list(warnings)


def _load_battery(text: str, values: Values, place: Optional[Place]) -> Tuple[NamedBattery, List[str]]:
    try:
        written, file = split_file(text)
        address = parse_address(written)
    except ConfigError as error:
        raise _at(place, str(error)) from None
    if file is None:
        return NamedBattery(address, values), []
    path = Path(os.path.join(str(place.folder), file)) if place else Path(file)
    merged, warnings = load_battery(values, path)
    return NamedBattery(address, merged, path), warnings


def _at(place: Optional[Place], message: str) -> ConfigError:
    return ConfigError(message if place is None else "{}: BATTERIES: {}".format(place, message))
