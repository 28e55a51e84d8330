"""Reads ``default_config.ini``, over it the owner's ``config.ini``, and over both what the command line sets."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from config.checks import check
from config.option_types import HIDDEN, LONGEST_SHOWN
from config.options import IGNORED, OPTIONS, SUCCESSORS, ConfigError
from config.values import BATTERY_FILE, COMMAND_LINE, DEFAULTS, OWNER, Place, Values, defaults

DEFAULT_FILE = Path(__file__).resolve().parent / "default_config.ini"
OWNER_FILE = "config.ini"
LARGEST_FILE = 1_000_000
"""Characters. A device that never ends is no configuration."""

_SECTION = re.compile(r"\[[^\]]*\]$")
ALIKE_FROM = 8
"""So many characters an unknown name must share with the one that is suggested, from the beginning."""


def load(
    owner_file: Optional[Path], settings: Sequence[str] = (), topology: Optional[Tuple[str, str]] = None
) -> Tuple[Values, List[str]]:
    """Every option, and the warnings. *owner_file* ``None`` looks for ``config.ini`` beside the program.

    *settings* are ``NAME=VALUE`` of ``--set``; *topology* is the switch for it and what it says.
    Raises :class:`ConfigError`.
    """
    values, warnings = read_file(DEFAULT_FILE, DEFAULTS)
    values = defaults().under(values)
    if owner_file is None:
        beside = DEFAULT_FILE.parent.parent / OWNER_FILE
        owner_file = beside if beside.exists() else None
    if owner_file is not None:
        own, own_warnings = read_file(owner_file, OWNER)
        values = values.under(own)
        warnings += own_warnings
    typed, typed_warnings = _typed(settings, topology)
    values = values.under(typed)
    return values, warnings + typed_warnings + check(values)


def load_battery(values: Values, path: Path) -> Tuple[Values, List[str]]:
    """*values* with a battery's own file over them, and the warnings that this adds. Raises :class:`ConfigError`."""
    own, warnings = read_file(path, BATTERY_FILE)
    merged = values.under(own)
    known = check(values)
    return merged, warnings + [warning for warning in check(merged) if warning not in known]


def read_file(path: Path, layer: int) -> Tuple[Values, List[str]]:
    """The known options in *path*, and one warning per unknown name. Raises :class:`ConfigError`."""
    lines: List[Tuple[str, Place]] = []
    for number, line in enumerate(_text(path).split("\n"), 1):
        line = line.split(";")[0].strip()
        if line and not line.startswith("#") and not _SECTION.match(line):
            lines.append((line, Place(layer, number, path)))
    return _parsed(lines)


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError("cannot read {}: {}".format(path, error.strerror)) from None
    except UnicodeDecodeError:
        raise ConfigError("{} is not a text file".format(path)) from None
    except ValueError as error:
        raise ConfigError("{!r} is no path: {}".format(str(path), error)) from None
    if len(text) > LARGEST_FILE:
        raise ConfigError("{} is too large for a configuration".format(path))
    return text


def _typed(settings: Sequence[str], topology: Optional[Tuple[str, str]]) -> Tuple[Values, List[str]]:
    lines = [(text, Place(COMMAND_LINE, number, switch="--set")) for number, text in enumerate(settings, 1)]
    if topology is not None:
        switch, word = topology
        lines.append(("TOPOLOGY = " + word, Place(COMMAND_LINE, len(lines) + 1, switch=switch)))
    return _parsed(lines)


def _parsed(lines: Iterable[Tuple[str, Place]]) -> Tuple[Values, List[str]]:
    by_name: Dict[str, Any] = {}
    places: Dict[str, Place] = {}
    unknown: Dict[str, str] = {}
    for line, place in lines:
        written, equals, text = (part.strip() for part in line.partition("="))
        name = written.upper()
        if not equals or not name:
            raise ConfigError("{}: {} is no line NAME = VALUE".format(place, _without_password(line)))
        if name in OPTIONS:
            _refuse_global(name, place)
            by_name[name], places[name] = OPTIONS[name].parse(text, place), place
        elif name not in IGNORED:
            unknown.setdefault(name, "{}: {}".format(place, _unknown(written, place.layer)))
    return Values(by_name, places), list(unknown.values())


def _without_password(line: str) -> str:
    return HIDDEN if "PASSWORD" in line.upper() else repr(line[:LONGEST_SHOWN])


def _refuse_global(name: str, place: Place) -> None:
    if place.layer == BATTERY_FILE and not OPTIONS[name].per_battery:
        raise ConfigError("{}: {} is for all batteries together: it belongs into config.ini".format(place, name))


def _unknown(written: str, layer: int) -> str:
    name = written.upper()
    shown = written[:LONGEST_SHOWN] if written.isprintable() else repr(written[:LONGEST_SHOWN])
    candidates = [known for known, option in OPTIONS.items() if option.per_battery or layer != BATTERY_FILE]
    nearest = SUCCESSORS.get(name) or _nearest(name, candidates)
    if nearest not in candidates:
        return "unknown option {}".format(shown)
    return "unknown option {}, did you mean {}?".format(shown, nearest)


def _nearest(name: str, candidates: Sequence[str]) -> Optional[str]:
    """The only candidate that *name* begins, the one within so few edits as a slip makes, or one that begins alike."""
    begun = [known for known in candidates if known.startswith(name + "_")]
    if len(begun) == 1:
        return begun[0]
    most = max(2, len(name) // 3)
    near = [known for known in candidates if abs(len(known) - len(name)) <= most]
    best = min(near, key=lambda known: _distance(name, known), default=None)
    if best is not None and _distance(name, best) <= most:
        return best
    alike = max(candidates, key=lambda known: _shared(name, known))
    return alike if _shared(name, alike) >= ALIKE_FROM else None


def _shared(a: str, b: str) -> int:
    """How many characters *a* and *b* begin with together."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b)))


def _distance(a: str, b: str) -> int:
    """Edits from *a* to *b*. (difflib is not in the Python of Venus OS.)"""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]
