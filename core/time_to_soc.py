"""``/TimeToSoC/<percent>``: when a state of charge will be reached at the present current."""

from __future__ import annotations

from typing import Optional

from core.bank_values import BankValues
from core.configuration import Configuration
from core.paths import Value
from core.publication import Items

SECONDS, CLOCK = 1, 2


def time_to_soc_items(configuration: Configuration, values: BankValues) -> Items:
    """One path for each configured point; unknown where the current does not lead there."""
    points = configuration.time_to_soc_points
    return {"/TimeToSoC/{}".format(point): _time_to(configuration, values, point) for point in points}


def _time_to(configuration: Configuration, values: BankValues, point_pct: int) -> Value:
    seconds = _seconds_to(configuration, values, point_pct)
    if seconds is None:
        return None
    if configuration.time_to_soc_type == SECONDS:
        return seconds
    minutes, rest = divmod(abs(seconds), 60)
    clock = "{}{}:{:02d}:{:02d}".format("-" if seconds < 0 else "", minutes // 60, minutes % 60, rest)
    return clock if configuration.time_to_soc_type == CLOCK else "{} [{}]".format(seconds, clock)


def _seconds_to(configuration: Configuration, values: BankValues, point_pct: int) -> Optional[int]:
    if values.voltage_mv is None:  # nobody knows how it is now: the state of charge is only held
        return None
    if values.soc_permille is None or not values.installed_mah or not values.current_ma:
        return None
    missing_mah = (point_pct * 10 - values.soc_permille) * values.installed_mah / 1000
    seconds = int(missing_mah / values.current_ma * 3600)
    return seconds if seconds > 0 or configuration.time_to_soc_passed else None
