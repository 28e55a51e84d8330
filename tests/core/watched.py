"""A story whose cell monitors are listened to, as the daemon does: what they propose is recorded at once."""

import json

from attrs import evolve

from core.configuration import PARALLEL
from core.events import AlertClosed, AlertOpened, ClockStepped
from core.live import LiveView, Remembered
from core.writes import ACCEPTED, judge_write
from tests.core.banks import Story, member
from tests.core.made import event, reading, started

EVEN = (3300, 3300, 3300, 3300)


def apart(spread_mv):
    """The frames of a battery whose cells 2 and 3 are so far apart."""
    return member((3300, 3300 - spread_mv // 2, 3300 + spread_mv - spread_mv // 2, 3300))


class Watched(Story):
    """Every event goes into ``events``; ``step_us`` is what the wall clock was set by so far."""

    def __init__(self, *members, remembered=None, **options):
        super().__init__(*members, remembered=remembered, **options)
        self.events = [event(started(self.configuration, **(remembered or {})), self.now_s)]
        self.memory = Remembered(remembered)
        self.step_us = 0

    def tell(self, fact, at_s=None):
        """*fact* happens."""
        happened = event(fact, self.now_s if at_s is None else at_s, number=len(self.events) + 1)
        happened = evolve(happened, wall_us=happened.wall_us + self.step_us)
        self.events.append(happened)
        self.memory.fold(happened)
        self.publications += self.view.fold(happened)

    def answer(self, *numbers):
        """See :class:`Story`."""
        for number in numbers:
            for frame in self.members[number - 1]:
                self.tell(reading(frame, self.configured[number - 1].battery), self.now_s + 0.5)

    def run(self, seconds, silent=()):
        """See :class:`Story`."""
        for _ in range(seconds):
            super().run(1, silent)
            for fact in self.view.take_proposals():
                self.tell(fact)
        return self

    def step_clock(self, seconds):
        """Somebody sets the wall clock."""
        self.step_us += seconds * 1_000_000
        self.tell(ClockStepped(seconds * 1_000_000))

    def alerts(self):
        """The facts about alerts that were recorded."""
        return [each.fact for each in self.events if isinstance(each.fact, (AlertOpened, AlertClosed))]

    def replayed(self):
        """What a replay of all of it publishes; it asks for no proposals."""
        view = LiveView()
        publications = [publication for each in self.events for publication in view.fold(each)]
        return publications + view.advance(self.now_s * 1_000_000)

    def data(self, service=None):
        """``/CellMonitor/Data``, read."""
        return json.loads(self.shown(service or self.services[0])["/CellMonitor/Data"])

    def left(self):
        """What a later run remembers of this one, after a file."""
        return json.loads(json.dumps({**self.memory.state, **self.view.remembered()}))


def both(*members, topology=PARALLEL, **options):
    """Two batteries that are all right unless it is said otherwise."""
    return Watched(*(members or (member(EVEN), member(EVEN))), topology=topology, **options)


def set_to(story, setting, value):
    """Somebody writes a setting over D-Bus."""
    below = "/Settings/CellMonitor/"
    code, fact = judge_write(story.view.service(story.services[0]), below + setting, value)
    assert code == ACCEPTED
    story.tell(fact)
