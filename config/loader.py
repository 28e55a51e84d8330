"""Reads ``default_config.ini`` and, over it, the owner's ``config.ini``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from config.options import OPTIONS, ConfigError

DEFAULT_FILE = Path(__file__).resolve().parent / "default_config.ini"
OWNER_FILE = "config.ini"

_SECTION = re.compile(r"\[[^\]]*\]$")

Values = Dict[str, float]


def read_file(path: Path) -> Tuple[Values, List[str]]:
    """The known options in *path*, and one warning per unknown name. Raises :class:`ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError("cannot read {}: {}".format(path, error.strerror)) from None
    except UnicodeDecodeError:
        raise ConfigError("{} is not a text file".format(path)) from None
    values: Values = {}
    warnings: List[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split(";")[0].strip()
        if not line or line.startswith("#") or _SECTION.match(line):
            continue
        where = "{} line {}".format(path, number)
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise ConfigError("{}: {!r} is no line NAME = VALUE".format(where, line))
        option = OPTIONS.get(name.upper())
        if option is None:
            warnings.append("{}: {}".format(where, _unknown(name)))
        else:
            values[option.name] = option.parse(value, where)
    return values, warnings


def _unknown(name: str) -> str:
    nearest = min(OPTIONS, key=lambda known: _distance(name.upper(), known))
    near = _distance(name.upper(), nearest) <= max(2, len(name) // 3)
    return "unknown option {}{}".format(name, ", did you mean {}?".format(nearest) if near else "")


def _distance(a: str, b: str) -> int:
    """Edits from *a* to *b*. (difflib is not in the Python of Venus OS.)"""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def load(owner_file: Optional[Path]) -> Tuple[Values, List[str]]:
    """Every option, and the warnings. *owner_file* ``None`` looks for ``config.ini`` beside the program.

    Raises :class:`ConfigError`.
    """
    values, warnings = read_file(DEFAULT_FILE)
    if owner_file is None:
        beside = DEFAULT_FILE.parent.parent / OWNER_FILE
        owner_file = beside if beside.exists() else None
    if owner_file is not None:
        own, own_warnings = read_file(owner_file)
        values.update(own)
        warnings += own_warnings
    if values["SOC_LOW_ALARM"] > values["SOC_LOW_WARNING"]:
        raise ConfigError(
            "{}: SOC_LOW_ALARM = {:g} is above SOC_LOW_WARNING = {:g}".format(
                owner_file or DEFAULT_FILE, values["SOC_LOW_ALARM"], values["SOC_LOW_WARNING"]
            )
        )
    return values, warnings
