"""The values of all options together, each with the place where it was written. A later layer wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Optional

from attrs import field, frozen

from config.options import OPTIONS

DEFAULTS, OWNER, BATTERY_FILE, COMMAND_LINE = range(4)
"""The layers. What a battery's own file says is nearer than ``config.ini``; what was typed just now wins over all."""


@frozen
class Place:
    """Where an option was written: a line of a file, or a switch of the command line."""

    layer: int
    line: int = 0
    file: Optional[Path] = None
    switch: str = ""

    def __str__(self) -> str:
        return self.switch if self.file is None else "{} line {}".format(self.file, self.line)

    @property
    def folder(self) -> Path:
        """What a relative path written here is relative to."""
        return self.file.parent if self.file else Path()


@frozen
class Values:
    """Values by option name. Reads like a dictionary; the repr holds no values, since one may be a password."""

    by_name: Mapping[str, Any] = field(repr=False)
    places: Mapping[str, Place] = field(repr=False)

    def __getitem__(self, name: str) -> Any:
        return self.by_name[name]

    def under(self, upper: Values) -> Values:
        """These with those of *upper* over them, except where these are of a later layer."""
        by_name, places = dict(self.by_name), dict(self.places)
        for name, place in upper.places.items():
            if name not in places or places[name].layer <= place.layer:
                by_name[name], places[name] = upper.by_name[name], place
        return Values(by_name, places)

    def latest(self, names: Iterable[str]) -> Place:
        """Where the last of *names* was written: the place to look at when they contradict each other."""
        return max((self.places[name] for name in names), key=lambda place: (place.layer, place.line))

    def typed(self, name: str) -> bool:
        """Whether the command line says *name*."""
        return self.places[name].layer == COMMAND_LINE

    def of_layer(self, layer: int) -> Dict[str, Any]:
        """The values that were written in *layer*."""
        return {name: self.by_name[name] for name, place in self.places.items() if place.layer == layer}


def defaults() -> Values:
    """Every option as defined."""
    place = Place(DEFAULTS, switch="the defaults")
    return Values({name: option.default for name, option in OPTIONS.items()}, dict.fromkeys(OPTIONS, place))
