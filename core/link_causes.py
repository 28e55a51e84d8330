"""Why a link is down: short stable names for events, and for each what it means and what helps.

A cause is what was seen; :data:`BEAT` alone is concluded, from several losses, by :mod:`core.link`. Where nothing
is known the cause is :data:`UNKNOWN` and never a guess. Facts on Venus OS: venus-platform 6.2 and the issues there.
"""

from __future__ import annotations

from typing import Dict, NamedTuple

NOT_FOUND = "not found"
CONNECT_TIMEOUT = "connect timed out"
ABORTED = "connect aborted"
CONNECT_FAILED = "connect failed"
NOT_RESOLVED = "services not resolved"
NO_SERVICE = "no battery service"
PAIRING = "pairing wanted"
DROPPED = "dropped"
WRITE_FAILED = "write failed"
SILENT = "battery silent"
NO_DATA = "no data"
ADAPTER_GONE = "adapter gone"
ADAPTER_OFF = "adapter switched off"
BLUEZ_GONE = "bluetoothd gone"
BLUEZ_HANGS = "bluetoothd hangs"
RADIO_BUSY = "scan refused: in progress"
HELD = "held by another program"
BEAT = "dropped every 60 s"
PASSWORD_WANTED = "password wanted"  # noqa: S105 - what is wanted, not one
PASSWORD_REFUSED = "password refused"  # noqa: S105
RELEASED = "released"
READER_FAILED = "reader failed"
OUT_OF_RANGE = "out of range"
NOT_RUNNING = "program not running"
UNKNOWN = "unknown"


class Explanation(NamedTuple):
    """What a cause means, and what the owner can do about it."""

    meaning: str
    remedy: str


_RANGE = "Bring battery and adapter closer together, or use a USB adapter away from the Wi-Fi antenna."
_LATER = "It is tried again by itself."

_EXPLANATIONS: Dict[str, Explanation] = {
    NOT_FOUND: Explanation(
        "the battery does not advertise: it is off, out of range, or in use by a phone or another program",
        "Close the battery's app on every phone; bring the adapter closer.",
    ),
    CONNECT_TIMEOUT: Explanation("the battery was heard, and did not accept a connection in time", _RANGE),
    ABORTED: Explanation("the connection broke off while it was being made: a weak or disturbed radio link", _RANGE),
    CONNECT_FAILED: Explanation("BlueZ could not connect", _LATER),
    NOT_RESOLVED: Explanation("connected, and the battery never told its services", _LATER),
    NO_SERVICE: Explanation(
        "the device has none of the services of such a battery",
        "Check the address and BMS_TYPE.",
    ),
    PAIRING: Explanation(
        "the battery wants to be paired with a passkey",
        "Pair it once with bluetoothctl on this device, or switch pairing off in the battery's app.",
    ),
    DROPPED: Explanation("the link broke", _RANGE),
    WRITE_FAILED: Explanation("a request could not be sent", _LATER),
    SILENT: Explanation("connected, and the battery does not answer", _LATER),
    NO_DATA: Explanation("the watchdog found that no answer came for too long", _LATER),
    ADAPTER_GONE: Explanation("there is no such Bluetooth adapter", "Plug it in, or change ADAPTERS."),
    ADAPTER_OFF: Explanation("the Bluetooth adapter is switched off", "Switch Bluetooth on."),
    BLUEZ_GONE: Explanation("the Bluetooth service of the system (bluetoothd) is not running", _LATER),
    BLUEZ_HANGS: Explanation("the Bluetooth service of the system (bluetoothd) does not answer", _LATER),
    RADIO_BUSY: Explanation(
        "another program scans behind the back of BlueZ; on Venus OS that is dbus-ble-sensors",
        "Switch off Settings, Integrations, Bluetooth sensors, or use an adapter of its own for the batteries.",
    ),
    HELD: Explanation(
        "another program on this device holds the connection to the battery",
        "Stop the other battery driver.",
    ),
    BEAT: Explanation(
        "links are dropped every 60 seconds; on Venus OS vesmart-server does that",
        "Switch off Settings, Bluetooth, or use a USB adapter for the batteries.",
    ),
    PASSWORD_WANTED: Explanation("the Bluetooth module wants a password", "Set PASSWORD for this battery."),
    PASSWORD_REFUSED: Explanation(
        "the Bluetooth module refused the password; it is not tried again, for it may lock itself",
        "Correct PASSWORD for this battery and restart the program.",
    ),
    RELEASED: Explanation("the link was released for a phone", "It comes back by itself."),
    READER_FAILED: Explanation("a part of this program failed", "Please report it, with the log."),
    OUT_OF_RANGE: Explanation("the simulated battery is out of range", _LATER),
    NOT_RUNNING: Explanation("this program was not running", ""),
    UNKNOWN: Explanation("nothing is known of the reason", ""),
}


def explain(cause: str) -> Explanation:
    """What *cause* means; of one that a later version recorded, nothing is known."""
    return _EXPLANATIONS.get(cause, Explanation("", ""))
