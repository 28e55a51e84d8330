"""Where publications go besides D-Bus: JSON lines, log lines, and the picture that the status screen draws."""

from __future__ import annotations

import logging
import os
import signal
from typing import Dict, Iterable, List, Protocol, TextIO

from attrs import define, field

from core.paths import Value, text_of
from core.service_view import JOINED, LEFT, Publication

log = logging.getLogger(__name__)

_LIMITS = ("ChargeVoltage", "ChargeCurrent", "DischargeCurrent")


class Output(Protocol):
    """Takes every publication, in order."""

    def publish(self, publication: Publication) -> None:
        """Must not wait."""


class Outputs:
    """Several outputs as one. One that fails (a full disk behind ``--print``) is given up, never the batteries."""

    def __init__(self, outputs: Iterable[Output]) -> None:
        self._outputs = list(outputs)

    def publish(self, publication: Publication) -> None:
        """See :class:`Output`."""
        for output in list(self._outputs):
            try:
                output.publish(publication)
            except OSError as error:
                log.error("the %s are given up: %s", type(output).__name__, error)
                self._outputs.remove(output)


class JsonLines:
    """One line per publication; what ``--print`` writes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._has_reader = True

    def publish(self, publication: Publication) -> None:
        """See :class:`Output`. When the reader has gone (``| head``), the program is asked to stop."""
        if not self._has_reader:
            return
        try:
            self._stream.write(publication.to_json() + "\n")
            self._stream.flush()
        except BrokenPipeError:
            self._has_reader = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            os.kill(os.getpid(), signal.SIGTERM)


@define
class ShownService:
    """What a service shows now."""

    name: str
    phase: str = "START"
    items: Dict[str, Value] = field(factory=dict)


class Picture:
    """The latest values of every service."""

    def __init__(self) -> None:
        self.services: Dict[str, ShownService] = {}

    def publish(self, publication: Publication) -> None:
        """See :class:`Output`."""
        shown = self.services.setdefault(publication.service, ShownService(publication.service))
        shown.phase = publication.phase.value
        if publication.change in (JOINED, LEFT):
            shown.items = {}
        shown.items.update(publication.items)


class LogLines:
    """One log line when a battery's phase, alarms or whole percent of charge change."""

    def __init__(self) -> None:
        self._picture = Picture()
        self._last: Dict[str, str] = {}

    def publish(self, publication: Publication) -> None:
        """See :class:`Output`."""
        self._picture.publish(publication)
        shown = self._picture.services[publication.service]
        soc = text_of("/State", _whole_soc(shown.items))
        key = "{} {} {} {}".format(shown.phase, raised_alarms(shown.items), soc, charge_mode(shown.items))
        if self._last.get(publication.service) != key:
            self._last[publication.service] = key
            log.info("%s %s", publication.service.rpartition(".")[2], summary(shown))


def _whole_soc(items: Dict[str, Value]) -> Value:
    soc = items.get("/Soc")
    return int(soc) if isinstance(soc, (int, float)) else None


def charge_mode(items: Dict[str, Value]) -> str:
    """Bulk, Absorption, Float; nothing for a monitor."""
    return str(items.get("/Info/ChargeMode") or "").partition(":")[0]


def raised_alarms(items: Dict[str, Value]) -> List[str]:
    """Alarms above 0, with their level where it is 2."""
    prefix = "/Alarms/"
    raised = [(path[len(prefix) :], level) for path, level in items.items() if path.startswith(prefix) and level]
    return [name + ("!" if level == 2 else "") for name, level in sorted(raised)]


def summary(shown: ShownService) -> str:
    """One line: phase, the main numbers, alarms."""
    if not shown.items:
        return shown.phase
    paths = ("/Dc/0/Voltage", "/Dc/0/Current", "/Soc")
    numbers = " ".join(text_of(path, shown.items.get(path)) for path in paths)
    if "/Info/MaxChargeVoltage" in shown.items:
        limits = [text_of("/Info/Max" + path, shown.items.get("/Info/Max" + path)) for path in _LIMITS]
        numbers += " {} CVL {} CCL {} DCL {}".format(charge_mode(shown.items), *limits)
    alarms = raised_alarms(shown.items)
    return "{} {}{}".format(shown.phase, numbers, " alarms: " + ", ".join(alarms) if alarms else "")
