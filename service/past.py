"""What was known at an instant in the past: a fold over the log from the start of the session to that instant.

The fold is the one that ran then, tick by tick: limits remember, so nothing of the session may be left out.
"""

from __future__ import annotations

from typing import Dict, List, Optional

from attrs import define, field, frozen

from core.configuration import BatteryConfiguration, Configuration, configuration_from
from core.events import Event, LinkEstablished, LinkLost, ReadingTaken, SessionStarted
from core.link import LinkHealth
from core.live import LiveView
from core.presence import Phase
from core.publication import BUS_NAME_PREFIX
from core.service_view import TICK_US, Publication
from service.outputs import Picture, ShownService
from service.progress import progress_bar
from service.times import time_text
from storage.database import StorageError
from storage.event_reader import EventReader, RecordedSession


class NothingKnown(Exception):
    """Nothing ran at that time, or nothing is left of it: a line that says so."""


class ReadingsGone(NothingKnown):
    """Something ran at that time, and its raw readings were deleted."""

    def __init__(self, wall_us: int, boot: int, uptime_us: int) -> None:
        self.wall_us, self.boot, self.uptime_us = wall_us, boot, uptime_us
        super().__init__("the single readings of {} were deleted".format(time_text(wall_us)))


@define
class PastLink:
    """The connection to one battery, as it was. Times are UTC in µs, dated by the last setting of the clock."""

    battery: BatteryConfiguration
    health: LinkHealth = field(factory=LinkHealth)
    since_us: Optional[int] = None
    """Since when it had been up or lost; ``None``: it had never been up."""
    read_us: Optional[int] = None
    """When the battery last answered."""
    phase: Optional[Phase] = None

    def fold(self, event: Event, wall_us: int) -> None:
        """Take in one event about this battery."""
        fact = event.fact
        if isinstance(fact, ReadingTaken):
            self.read_us = wall_us
        elif isinstance(fact, (LinkEstablished, LinkLost)):
            was_up = self.health.up
            self.health.fold(event)
            if self.health.up or was_up or self.since_us is None:  # attempts that fail do not begin the loss anew
                self.since_us = wall_us

    @property
    def up(self) -> bool:
        """Whether the battery answered."""
        return self.health.up

    @property
    def cause(self) -> Optional[str]:
        """Why it was lost."""
        return self.health.cause


@frozen
class Past:
    """Everything at one instant. Services show what they had published by its tick, links are as of the instant."""

    wall_us: int
    boot: int
    uptime_us: int
    program: str
    configuration: Configuration
    services: Dict[str, ShownService]
    """By bus name, also those that were not on the bus."""
    awaited: Dict[str, str]
    """By bus name: what a service that had never joined was waiting for, or why it could not join."""
    links: Dict[str, PastLink]
    readings_since_us: Optional[int]
    """Set when older readings of the session were deleted: limits follow from those since then."""


async def past_at(reader: EventReader, wall_us: int, *, progress: bool = False) -> Past:
    """Everything as it was at *wall_us* (UTC).

    Raises :class:`NothingKnown`, a :class:`ReadingsGone` where the history may know more, and :class:`StorageError`.
    """
    session = await _session_at(reader, wall_us)
    uptime_us = wall_us - session.wall_offset_us
    stop = min(session.stop, await reader.number_at(session.boot, uptime_us + 1))
    below = await reader.readings_deleted_below()
    if stop <= below:
        raise ReadingsGone(wall_us, session.boot, uptime_us)
    fold = _Fold(session, deleted_below=below)
    with progress_bar("events", stop - session.start, shown=progress) as bar:
        async for event in reader.events(session.start, stop):
            fold.take(event)
            bar.update(1)
    return fold.result(wall_us)


async def _session_at(reader: EventReader, wall_us: int) -> RecordedSession:
    """The newest session that ran at *wall_us*. Raises :class:`NothingKnown`, naming the nearest times."""
    before: Optional[int] = None
    after: Optional[int] = None
    async for session in reader.sessions():
        if session.uptime_at(wall_us) is not None:
            return session
        first_us, last_us = (uptime_us + session.wall_offset_us for uptime_us in (session.first_us, session.last_us))
        if first_us > wall_us:
            after = first_us if after is None else min(first_us, after)
        else:
            before = last_us if before is None else max(last_us, before)
    if before is None and after is None:
        raise NothingKnown("nothing was ever recorded")
    raise NothingKnown(
        "nothing is known of {}; known last before: {}, first after: {}".format(
            time_text(wall_us), *("nothing" if each is None else time_text(each) for each in (before, after))
        )
    )


class _Fold:
    """The events of a session up to an instant."""

    def __init__(self, session: RecordedSession, *, deleted_below: int) -> None:
        self._session = session
        self._deleted_below = deleted_below
        self._view = LiveView()
        self._picture = Picture()
        self._program = ""
        self._configuration: Optional[Configuration] = None
        self._links: Dict[str, PastLink] = {}
        self._readings_since_us: Optional[int] = None

    def take(self, event: Event) -> None:
        """Take in the next one."""
        fact, wall_us = event.fact, event.uptime_us + self._session.wall_offset_us
        if isinstance(fact, SessionStarted):
            self._program, self._configuration = fact.program, configuration_from(dict(fact.configuration))
            self._links = {each.battery: PastLink(each) for each in self._configuration.batteries}
        self._show(self._view.fold(event))
        link = self._links.get(getattr(fact, "battery", ""))
        if link is not None:
            link.fold(event, wall_us)
        if self._readings_since_us is None and self._session.start < self._deleted_below <= event.number:
            self._readings_since_us = wall_us

    def result(self, wall_us: int) -> Past:
        """Everything at *wall_us*, at or after the last event taken."""
        uptime_us = wall_us - self._session.wall_offset_us
        self._show(self._view.advance(uptime_us // TICK_US * TICK_US))
        if self._configuration is None:
            raise StorageError("the log has no start of the session at {}".format(time_text(wall_us)))
        names = [BUS_NAME_PREFIX + service.key for service in self._configuration.services]
        for name in names:
            service = self._view.service(name)
            for member in service.bank.members if service is not None else ():
                self._links[member.battery.configuration.battery].phase = member.phase
        problems = self._view.problems
        joined = self._picture.services
        return Past(
            wall_us=wall_us,
            boot=self._session.boot,
            uptime_us=uptime_us,
            program=self._program,
            configuration=self._configuration,
            services={name: joined.get(name) or ShownService(name) for name in names},
            awaited={
                name: problems.get(name[len(BUS_NAME_PREFIX) :]) or "waiting for " + self._view.awaited(name)
                for name in names
                if name not in joined
            },
            links=self._links,
            readings_since_us=self._readings_since_us,
        )

    def _show(self, publications: List[Publication]) -> None:
        for publication in publications:
            self._picture.publish(publication)
