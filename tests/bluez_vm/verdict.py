"""Judges a run by its event log: was every poll of an undisturbed link answered, and was every loss one we caused?"""

from attrs import Factory, define, frozen

from core.events import FrameRejected, LinkEstablished, LinkLost, ReadingTaken, RequestUnanswered, TaskFailed
from core.link_causes import (
    ABORTED,
    ADAPTER_GONE,
    ADAPTER_OFF,
    BLUEZ_GONE,
    CONNECT_FAILED,
    CONNECT_TIMEOUT,
    DROPPED,
    NOT_FOUND,
    NOT_RESOLVED,
)

START = "start"
BATTERY_AWAY = "battery away"
BLUETOOTHD_KILLED = "bluetoothd killed"


@frozen
class Expectation:
    """What a disturbance may do. Adapt this table, and nothing else, when causes are renamed."""

    first: frozenset
    """The causes one of which must be recorded first; empty: none has to be."""
    then: frozenset
    """The causes that attempts may fail with until the battery is back."""
    back_s: float
    """How long after the disturbance is over its first reading may take."""


EXPECTED = {
    START: Expectation(
        first=frozenset(),
        then=frozenset({ABORTED, CONNECT_FAILED, CONNECT_TIMEOUT, NOT_FOUND, NOT_RESOLVED}),
        back_s=60,
    ),
    BATTERY_AWAY: Expectation(
        first=frozenset({DROPPED}),
        then=frozenset({CONNECT_TIMEOUT, NOT_FOUND}),
        back_s=45,
    ),
    BLUETOOTHD_KILLED: Expectation(
        first=frozenset({BLUEZ_GONE}),
        then=frozenset({ABORTED, ADAPTER_GONE, ADAPTER_OFF, CONNECT_FAILED, CONNECT_TIMEOUT, NOT_FOUND, NOT_RESOLVED}),
        back_s=45,
    ),
}

BASIC, CELLS = 3, 4
LAST_CYCLE_US = 1_500_000
"""A cycle that began so shortly before the end of its stretch may be incomplete, or not have begun."""


@frozen
class Disturbance:
    """Something that was done to *batteries*; it began and was over at these uptimes."""

    name: str
    batteries: frozenset
    begin_us: int
    over_us: int


@define
class Polls:
    """The poll cycles of one battery while nothing disturbed its links."""

    links: int = 0
    complete: int = 0
    expected: int = 0
    longest_us: int = 0
    """From the beginning of one cycle to that of the next."""

    def add(self, readings, until_us, poll_us):
        """Count one undisturbed stretch of a link: its *readings* as (uptime, register), until *until_us*."""
        cycles = _cycles(readings, poll_us)
        self.links += 1
        if not cycles:
            return
        last_us, last_complete = cycles[-1]
        if not last_complete and until_us - last_us < LAST_CYCLE_US:
            cycles.pop()
        steps_us = [after - before for (before, _), (after, _) in zip(cycles, cycles[1:])]
        self.longest_us = max([self.longest_us, *steps_us])
        self.complete += sum(complete for _, complete in cycles)
        missing = sum(max(0, round(step / poll_us) - 1) for step in steps_us)
        self.expected += len(cycles) + missing + max(0, int((until_us - last_us - LAST_CYCLE_US) / poll_us))


def _cycles(readings, poll_us):
    """Readings as [beginning, complete] of each cycle; an answer that came twice is one."""
    cycles = []
    for at_us, register in readings:
        same = bool(cycles) and at_us - cycles[-1][0] < poll_us / 2
        if same and register == CELLS:
            cycles[-1][1] = True
        elif not same and register in (BASIC, CELLS):
            cycles.append([at_us, False])
    return cycles


@define
class Verdict:
    """What was found: lines for people, and what must not be."""

    lines: list = Factory(list)
    failures: list = Factory(list)

    def fail(self, text, *values):
        self.failures.append(text.format(*values))


class Judge:
    """Over the *events* of one run with *addresses* by battery. *zero_us* is the 0 of the times in the report."""

    def __init__(self, events, addresses, disturbances, zero_us, poll_s):
        self._events = events
        self._addresses = addresses
        self._zero_us = zero_us
        self._end_us = events[-1].uptime_us
        self._poll_us = int(poll_s * 1e6)
        started = Disturbance(START, frozenset(addresses.values()), events[0].uptime_us, events[0].uptime_us)
        self._disturbances = [started, *disturbances]
        self._verdict = Verdict()

    def judge(self):
        """The :class:`Verdict`."""
        say = self._verdict.lines.append
        say("battery            links  polls due  complete  longest step  unanswered  rejected")
        for battery, address in sorted(self._addresses.items(), key=lambda item: item[1]):
            say(self._battery_line(battery, address))
        say("\nlosses")
        self._judge_losses()
        say("\nfirst reading after")
        self._judge_recoveries()
        for event in self._events:
            if isinstance(event.fact, TaskFailed):
                self._verdict.fail("at {}: {} failed: {}", self._time(event), event.fact.task, event.fact.error)
        return self._verdict

    def _time(self, event):
        return "{:.1f} s".format((event.uptime_us - self._zero_us) / 1e6)

    def _readings(self, battery, since_us=0, until_us=None):
        return [
            (event.uptime_us, event.fact.frame[1])
            for event in self._events
            if isinstance(event.fact, ReadingTaken)
            and event.fact.battery == battery
            and event.uptime_us >= since_us
            and (until_us is None or event.uptime_us < until_us)
        ]

    def _battery_line(self, battery, address):
        polls = Polls()
        for since_us, until_us in self._stretches(battery):
            polls.add(self._readings(battery, since_us, until_us), until_us, self._poll_us)
        if not polls.expected or polls.complete != polls.expected:
            self._verdict.fail("{}: {} of {} polls are complete", address, polls.complete, polls.expected)
        of = [event for event in self._events if getattr(event.fact, "battery", None) == battery]
        unanswered = [event for event in of if isinstance(event.fact, RequestUnanswered)]
        rejected = [event for event in of if isinstance(event.fact, FrameRejected)]
        for event in unanswered + rejected:
            if self._disturbed(battery, event.uptime_us) is None:
                self._verdict.fail("{}: {} at {}", address, event.fact, self._time(event))
        return "{}  {:>5}  {:>9}  {:>8}  {:>10.1f} s  {:>10}  {:>8}".format(
            address, polls.links, polls.expected, polls.complete, polls.longest_us / 1e6, len(unanswered), len(rejected)
        )

    def _stretches(self, battery):
        """[since, until) of every link up to its loss, or to what disturbed it before that was noticed."""
        address = self._addresses[battery]
        found, since_us = [], None
        for event in self._events:
            if getattr(event.fact, "battery", None) != battery:
                continue
            if isinstance(event.fact, LinkEstablished):
                since_us = event.uptime_us
            elif isinstance(event.fact, LinkLost) and since_us is not None:
                found.append((since_us, event.uptime_us))
                since_us = None
        if since_us is not None:
            found.append((since_us, self._end_us))
        begins = [each.begin_us for each in self._disturbances if address in each.batteries]
        return [(since, min([until, *(at for at in begins if since < at < until)])) for since, until in found]

    def _back_us(self, battery, disturbance):
        """When *battery* had its first reading after *disturbance* was over."""
        readings = self._readings(battery, disturbance.over_us)
        return readings[0][0] if readings else None

    def _disturbed(self, battery, at_us):
        """The disturbance that *battery* suffered from at *at_us*, the newest of several."""
        address = self._addresses[battery]
        for disturbance in reversed(self._disturbances):
            back_us = self._back_us(battery, disturbance)
            lasts = disturbance.begin_us <= at_us and (back_us is None or at_us <= back_us)
            if lasts and address in disturbance.batteries:
                return disturbance
        return None

    def _judge_losses(self):
        seen = set()
        for event in self._events:
            fact = event.fact
            if not isinstance(fact, LinkLost):
                continue
            address, disturbance = self._addresses[fact.battery], self._disturbed(fact.battery, event.uptime_us)
            during = disturbance.name if disturbance else "nothing"
            told = "{}: {}".format(fact.cause, " ".join(fact.detail.split())) if fact.detail else fact.cause
            self._verdict.lines.append("{:>8}  {}  during {}: {}".format(self._time(event), address, during, told))
            if disturbance is None:
                self._verdict.fail("{}: lost without a reason at {}: {}", address, self._time(event), fact.cause)
                continue
            expected = EXPECTED[disturbance.name]
            is_first = bool(expected.first) and (address, disturbance) not in seen
            seen.add((address, disturbance))
            if fact.cause not in (expected.first if is_first else expected.then):
                self._verdict.fail("{}: unexpected cause {!r} during {}", address, fact.cause, disturbance.name)
        for disturbance in self._disturbances:
            for address in sorted(disturbance.batteries) if EXPECTED[disturbance.name].first else ():
                if (address, disturbance) not in seen:
                    self._verdict.fail("{}: {} left no LinkLost", address, disturbance.name)

    def _judge_recoveries(self):
        batteries = {address: battery for battery, address in self._addresses.items()}
        for disturbance in self._disturbances:
            expected = EXPECTED[disturbance.name]
            for address in sorted(disturbance.batteries):
                back_us = self._back_us(batteries[address], disturbance)
                if back_us is None:
                    self._verdict.fail("{}: did not come back after {}", address, disturbance.name)
                    continue
                back_s = (back_us - disturbance.over_us) / 1e6
                text = "{:<18} {}  {:>5.1f} s after it was over, {:>5.1f} s after it began"
                since_s = (back_us - disturbance.begin_us) / 1e6
                self._verdict.lines.append(text.format(disturbance.name, address, back_s, since_s))
                if back_s > expected.back_s:
                    text = "{}: read only {:.1f} s after {}, {} s are allowed"
                    self._verdict.fail(text, address, back_s, disturbance.name, expected.back_s)
