"""A limit is a number with its reason: the rule, the battery, the cell and the input that made it so.

The text of a reason names every number that goes into the limit, so that it can be computed again from the text alone.
"""

from __future__ import annotations

from typing import Any, Tuple

from attrs import evolve, frozen


@frozen
class Limit:
    """A voltage limit in mV or a current limit in mA. *template* and *inputs* make the text, when somebody reads it."""

    value: float
    template: str
    inputs: Tuple[Any, ...] = ()
    stops: bool = False
    """It is 0 for a protective cause: what may switch a house off."""

    def text(self) -> str:
        """Why the limit is what it is."""
        return self.template.format(*(each.text() if isinstance(each, Limit) else each for each in self.inputs))

    def times(self, factor: float, template: str, *inputs: Any) -> Limit:
        """The same limit scaled; its own text stands in *template* as ``{0}``."""
        return Limit(self.value * factor, template, (self, *inputs), self.stops)

    def because(self, value: float, template: str, *inputs: Any) -> Limit:
        """Another value that follows from this one."""
        return evolve(self, value=value, template=template, inputs=(self, *inputs))


def amperes(current_ma: float) -> str:
    """``12.5 A``"""
    return "{:.7g} A".format(current_ma / 1000)


def volts(voltage_mv: float) -> str:
    """``3.312 V``"""
    return "{:.7g} V".format(voltage_mv / 1000)


def seconds(uptime_us: float) -> str:
    """``1234 s``"""
    return "{:.9g} s".format(uptime_us / 1e6)


def smallest(first: Limit, *others: Limit) -> Limit:
    """The strictest of several limits; the first one of equals."""
    return min((first, *others), key=lambda limit: limit.value)
