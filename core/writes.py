"""Which values may be written from the bus, and what a write means.

Return codes are those of Victron's services: 0 accepted (or equal to the present value), 1 not
writable or of the wrong type, 2 refused.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

from core.battery import CUSTOM_NAME, Battery
from core.events import SettingChanged

ACCEPTED = 0
NOT_WRITABLE = 1
REFUSED = 2

MAX_CUSTOM_NAME = 64

Verdict = Tuple[int, Optional[SettingChanged]]


def judge_write(battery: Battery, path: str, value: Any) -> Verdict:
    """What a client's SetValue of *value* on *path* is answered, and the fact it makes, if any."""
    if path == "/CustomName":
        return _custom_name(battery, value)
    if path == "/Battery/Request/Id":
        return (_selected(value), None)
    return NOT_WRITABLE, None


def _custom_name(battery: Battery, value: Any) -> Verdict:
    if not isinstance(value, str):
        return NOT_WRITABLE, None
    name = "".join(c for c in value if c.isprintable()).strip()
    if len(name) > MAX_CUSTOM_NAME:
        return REFUSED, None
    if name == battery.custom_name:
        return ACCEPTED, None
    return ACCEPTED, SettingChanged(battery.configuration.battery, CUSTOM_NAME, name)


def _selected(value: Any) -> int:
    """The battery that gui-v2's cell page shows: here there is only number 1. The GUI writes it as any number type."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return NOT_WRITABLE
    return ACCEPTED if value == 1 else REFUSED
