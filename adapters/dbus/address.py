"""Which bus: the one that every Victron program uses, unless told otherwise."""

from __future__ import annotations

import os
from typing import Mapping, Optional

SYSTEM_BUS = "unix:path=/var/run/dbus/system_bus_socket"


class BusUnavailable(Exception):
    """No connection to the bus: which one and why, in one line."""


def choose_address(option: Optional[str], environment: Mapping[str, str] = os.environ) -> str:
    """The address for ``--bus`` *option*: ``session``, ``system``, an address, or ``None`` for Victron's rule.

    Victron's rule: the session bus when ``DBUS_SESSION_BUS_ADDRESS`` is set, else the system bus.
    """
    session = environment.get("DBUS_SESSION_BUS_ADDRESS")
    system = environment.get("DBUS_SYSTEM_BUS_ADDRESS", SYSTEM_BUS)
    if option is None:
        return session or system
    if option == "session":
        if not session:
            raise BusUnavailable("there is no session bus: DBUS_SESSION_BUS_ADDRESS is not set")
        return session
    return system if option == "system" else option
