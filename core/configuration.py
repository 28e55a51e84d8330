"""Everything a projection needs to know that is not a reading. Recorded at the start of every session,
so that a replay decides as the live program did. Holds no password.
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

from attrs import asdict, fields, frozen

MIN_LIVE_S = 15
POLLS_PER_LIVE = 3
_LIMIT = 2**31


@frozen
class BatteryConfiguration:
    """One physical battery."""

    battery: str
    """Identity in events and last part of the bus name, e.g. ``ble_a4c1370420be``."""
    address: str
    protocol: str = "jbd"
    label: str = "JBD"
    connection: str = "Bluetooth LE"
    insecure_connection: int = 1
    """1: the voltage must not correct charger voltages (Venus OS 3.80 and later)."""


@frozen
class Configuration:
    """The effective configuration of one run. Times in seconds of uptime."""

    batteries: Tuple[BatteryConfiguration, ...]
    device_instance: int = 1
    """Of the first battery; the others count on from it."""
    product_id: int = 0xBAB7
    poll_seconds: float = 5.0
    hold_seconds: int = 120
    remove_seconds: int = 240
    soc_low_warning_pct: float = 20.0
    soc_low_alarm_pct: float = 10.0

    @property
    def live_s(self) -> float:
        """How old the older half of a reading may be to count as now (venus-dbus D.4)."""
        return max(POLLS_PER_LIVE * self.poll_seconds, MIN_LIVE_S)

    def to_payload(self) -> Dict[str, Any]:
        """Plain JSON values."""
        payload = asdict(self)
        payload["batteries"] = list(payload["batteries"])
        return payload


def _known(cls: Any, payload: Dict[str, Any]) -> Dict[str, Any]:
    names = {attribute.name for attribute in fields(cls)}
    return {key: value for key, value in payload.items() if key in names}


def configuration_from(payload: Dict[str, Any]) -> Configuration:
    """The inverse of ``to_payload``; unknown keys of a later version are passed over.

    Raises :class:`ValueError` when no battery is named or a value is of the wrong type.
    """
    known = _known(Configuration, payload)
    batteries = known.pop("batteries", None)
    if not batteries or not isinstance(batteries, (list, tuple)) or not all(isinstance(b, dict) for b in batteries):
        raise ValueError("the configuration names no batteries")
    for name, value in known.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LIMIT:
            raise ValueError("the configuration has {} = {!r}, which is no number".format(name, value))
    return Configuration(batteries=tuple(_battery_from(battery) for battery in batteries), **known)


def _battery_from(payload: Dict[str, Any]) -> BatteryConfiguration:
    known = {"address": "", **_known(BatteryConfiguration, payload)}
    for name, value in known.items():
        if not isinstance(value, int if name == "insecure_connection" else str):
            raise ValueError("a battery of the configuration has {} = {!r}".format(name, value))
    if not known.get("battery"):
        raise ValueError("the configuration names no batteries")
    return BatteryConfiguration(**known)
