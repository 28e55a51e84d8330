"""Which values may be written from the bus, and what a write means.

Return codes are those of Victron's services: 0 accepted (or equal to the present value), 1 not
writable or of the wrong type, 2 refused.
"""

from __future__ import annotations

import re
from typing import Any, Tuple, Union

from core.cell_monitor import SETTINGS, SETTINGS_BELOW, setting_value
from core.events import LinkReleased, SettingChanged
from core.member_publication import RELEASE_PATH
from core.service_view import CUSTOM_NAME, SELECTED_BATTERY, ServiceView

ACCEPTED = 0
NOT_WRITABLE = 1
REFUSED = 2

MAX_CUSTOM_NAME = 64
MAX_RELEASE_MIN = 1440
_RELEASE = re.compile(RELEASE_PATH.format("([1-9][0-9]*)"))

Verdict = Tuple[int, Union[LinkReleased, SettingChanged, None]]


def judge_write(service: ServiceView, path: str, value: Any) -> Verdict:
    """What a client's SetValue of *value* on *path* is answered, and the fact it makes, if any."""
    if path == "/CustomName":
        return _custom_name(service, value)
    if path == "/Battery/Request/Id":
        return _selected(service, value)
    released = _RELEASE.fullmatch(path)
    if released is not None:
        return _released(service, int(released.group(1)), value)
    if path.startswith(SETTINGS_BELOW):
        return _of_cell_monitor(service, path[len(SETTINGS_BELOW) :], value)
    return NOT_WRITABLE, None


def _custom_name(service: ServiceView, value: Any) -> Verdict:
    if not isinstance(value, str):
        return NOT_WRITABLE, None
    name = printable_name(value)
    if len(name) > MAX_CUSTOM_NAME:
        return REFUSED, None
    if name == service.custom_name:
        return ACCEPTED, None
    return ACCEPTED, SettingChanged(service.key, CUSTOM_NAME, name)


def printable_name(text: str) -> str:
    """*text* as a name that a screen can show."""
    return "".join(c for c in text if c.isprintable()).strip()


def _selected(service: ServiceView, value: Any) -> Verdict:
    """The battery that gui-v2's cell page shows. The GUI writes it as any number type."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return NOT_WRITABLE, None
    if value not in range(1, len(service.bank.members) + 1):
        return REFUSED, None
    if value == service.selected:
        return ACCEPTED, None
    return ACCEPTED, SettingChanged(service.key, SELECTED_BATTERY, int(value))


def _released(service: ServiceView, number: int, value: Any) -> Verdict:
    """Free a battery for a phone for so many minutes; 0 takes it back."""
    if number > len(service.bank.members) or isinstance(value, bool) or not isinstance(value, (int, float)):
        return NOT_WRITABLE, None
    if value not in range(MAX_RELEASE_MIN + 1):
        return REFUSED, None
    return ACCEPTED, LinkReleased(service.bank.members[number - 1].battery.configuration.battery, int(value))


def _of_cell_monitor(service: ServiceView, setting: str, value: Any) -> Verdict:
    if service.monitor is None or setting not in SETTINGS:
        return NOT_WRITABLE, None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return NOT_WRITABLE, None
    kept = setting_value(setting, value)
    if kept is None:
        return REFUSED, None
    if kept == service.monitor.setting(setting):
        return ACCEPTED, None
    return ACCEPTED, SettingChanged(service.key, setting, kept)
