"""The types of options: how a text becomes a value, and what is said of a text that does not."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Optional, Tuple

from attrs import field, frozen

from core import protocols

LONGEST_SHOWN = 80
HIDDEN = "(hidden)"


class ConfigError(Exception):
    """A wrong option, value or address: where it stands and what to do, in one line. Ends the program with 2."""


class Refused(ValueError):
    """The reason, as it follows ``NAME = TEXT``. *plain*: the text is a number and needs no quotes."""

    def __init__(self, reason: str, *, plain: bool = False) -> None:
        self.plain = plain
        super().__init__(reason)


class OptionType:
    """How the text of an option becomes a value."""

    unit = ""

    def parse(self, text: str) -> Any:
        """The value of *text*, which has no blanks around it. Raises :class:`Refused`."""
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """*value* as an owner would write it."""
        return str(value)


def _read(kind: type, text: str) -> float:
    try:
        return int(text, 0) if kind is int else float(text)
    except ValueError:
        raise Refused("is not a number") from None


def _span(lowest: float, highest: float, unit: str) -> str:
    return "{:g}..{:g}{}".format(lowest, highest, " " + unit if unit else "")


@frozen
class Number(OptionType):
    """A number in a range whose ends belong to it. *or_zero*: 0 is allowed besides, and means something special."""

    kind: type
    lowest: float
    highest: float
    unit: str = ""
    or_zero: bool = False

    def parse(self, text: str) -> float:
        """See :class:`OptionType`."""
        value = _read(self.kind, text)
        if self.or_zero and value == 0:
            return value
        if not self.lowest <= value <= self.highest:  # also refuses nan
            zero = "0 or " if self.or_zero else ""
            raise Refused("is outside " + zero + _span(self.lowest, self.highest, self.unit), plain=True)
        return value

    def show(self, value: float) -> str:
        """See :class:`OptionType`."""
        return "{:g}".format(value)


@frozen
class NumberList(OptionType):
    """Numbers in a range, separated by commas. *step*: by which each is above the one before it, or each below."""

    lowest: float
    highest: float
    unit: str = ""
    kind: type = float
    step: Optional[float] = None
    fewest: int = 1
    most: int = 50

    def parse(self, text: str) -> Tuple[float, ...]:
        """See :class:`OptionType`."""
        values = tuple(_read(self.kind, part.strip()) for part in text.split(",")) if text else ()
        if not self.fewest <= len(values) <= self.most:
            raise Refused("has {} numbers instead of {}..{}".format(len(values), self.fewest, self.most))
        if not all(self.lowest <= value <= self.highest for value in values):
            raise Refused("has a number outside " + _span(self.lowest, self.highest, self.unit), plain=True)
        if self.step is not None:
            counts = [round(value / self.step) for value in values]
            if counts not in (sorted(set(counts)), sorted(set(counts), reverse=True)):
                least = "{:g} {}".format(self.step, self.unit)
                raise Refused("neither rises nor falls by {} from each number to the next".format(least), plain=True)
        return values

    def show(self, value: Tuple[float, ...]) -> str:
        """See :class:`OptionType`."""
        return ", ".join("{:g}".format(each) for each in value)


_FLAGS: Dict[str, bool] = {
    **dict.fromkeys(("true", "yes", "1", "on"), True),
    **dict.fromkeys(("false", "no", "0", "off"), False),
}


@frozen
class Flag(OptionType):
    """On or off."""

    def parse(self, text: str) -> bool:
        """See :class:`OptionType`."""
        if text.lower() not in _FLAGS:
            raise Refused("is neither True nor False")
        return _FLAGS[text.lower()]


@frozen
class Choice(OptionType):
    """One of a few words, in any case."""

    words: Tuple[str, ...]
    convert: Callable[[str], Any] = str

    def parse(self, text: str) -> Any:
        """See :class:`OptionType`."""
        if text.lower() not in self.words:
            raise Refused("is none of {}".format(", ".join(self.words)))
        return self.convert(text.lower())


@frozen
class Family(OptionType):
    """A BMS family that this program knows, in any case, or nothing."""

    def parse(self, text: str) -> str:
        """See :class:`OptionType`."""
        known = protocols.names()
        if text and text.lower() not in known:
            raise Refused("is no BMS family; known: {}".format(", ".join(known)))
        return text.lower()


@frozen
class Text(OptionType):
    """A few printable ASCII characters without a blank."""

    longest: int

    def parse(self, text: str) -> str:
        """See :class:`OptionType`."""
        if len(text) > self.longest or not re.fullmatch("[!-~]*", text):
            raise Refused("is longer than {} characters, or has others than ASCII".format(self.longest))
        return text


@frozen
class Words(OptionType):
    """Words separated by blanks or commas. *pattern* is what each has to be; *expected* says that to people."""

    pattern: str = ".+"
    expected: str = field(default="a word")

    def parse(self, text: str) -> Tuple[str, ...]:
        """See :class:`OptionType`."""
        words: List[str] = re.split(r"[,\s]+", text.strip(", \t"))
        for word in words:
            if word and not re.fullmatch(self.pattern, word):
                raise Refused("has {!r}, expected {}".format(word[:LONGEST_SHOWN], self.expected))
        return tuple(word for word in words if word)

    def show(self, value: Tuple[str, ...]) -> str:
        """See :class:`OptionType`."""
        return ", ".join(value)


@frozen
class Option:
    """One option. The default is the one of ``default_config.ini``; *meaning* is one sentence."""

    name: str
    type: OptionType
    default: Any
    meaning: str
    per_battery: bool = False
    secret: bool = False

    @property
    def unit(self) -> str:
        """Of the number, or of every number of the list."""
        return self.type.unit

    def parse(self, text: str, where: object) -> Any:
        """The value of *text*. Raises :class:`ConfigError` that begins with *where*."""
        try:
            return self.type.parse(text)
        except Refused as refused:
            plain = refused.plain and text.isprintable()
            cut = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
            shown = HIDDEN if self.secret else cut if plain else repr(cut)
            raise ConfigError("{}: {} = {} {}".format(where, self.name, shown, refused)) from None

    def show(self, value: Any) -> str:
        """``NAME = VALUE UNIT`` as an owner would write it; a secret stays one."""
        shown = HIDDEN if self.secret and value else self.type.show(value)
        return "{} = {} {}".format(self.name, shown, self.unit if shown else "").rstrip()
