"""The options of ``config.ini``: one definition each, with type, unit, default, range and meaning."""

from __future__ import annotations

from typing import Dict

from attrs import frozen


class ConfigError(Exception):
    """A wrong option, value or address: where it stands and what to do, in one line. Ends the program with 2."""


@frozen
class Option:
    """A numeric option."""

    name: str
    kind: type
    unit: str
    default: float
    lowest: float
    highest: float
    meaning: str

    def parse(self, text: str, where: str) -> float:
        """*text* as a number in range. Raises :class:`ConfigError`."""
        try:
            value = int(text, 0) if self.kind is int else float(text)
        except ValueError:
            raise ConfigError("{}: {} = {!r} is not a number".format(where, self.name, text)) from None
        if not self.lowest <= value <= self.highest:  # also refuses nan
            raise ConfigError(
                "{}: {} = {} is outside {:g}..{:g}{}".format(
                    where, self.name, text, self.lowest, self.highest, " " + self.unit if self.unit else ""
                )
            )
        return value


_DEFINITIONS = (
    Option("POLL_SECONDS", float, "s", 5, 1, 60, "How often each battery is asked."),
    Option(
        "HOLD_SECONDS", int, "s", 120, 15, 120, "How long a silent battery stays on the bus before it counts as lost."
    ),
    Option("REMOVE_SECONDS", int, "s", 240, 0, 3600, "How much longer before it leaves the bus."),
    Option("COMMIT_SECONDS", float, "s", 10, 1, 300, "How much history a power cut may cost."),
    Option("SOC_LOW_WARNING", float, "%", 20, 0, 100, "Below it: warning. Also what TimeToGo counts down to."),
    Option("SOC_LOW_ALARM", float, "%", 10, 0, 100, "Below it: alarm."),
    Option("PRODUCT_ID", int, "", 0xBAB7, 0, 0xFFFF, "Product number on Venus OS."),
)

OPTIONS: Dict[str, Option] = {option.name: option for option in _DEFINITIONS}
