"""The supervisor and its reader against batteries in the process, in time that passes only when told to."""

import asyncio
import contextlib
import itertools

import pytest

from adapters.in_process import InProcessRadio, Peripheral
from adapters.link_supervisor import JITTER, LinkSupervisor
from adapters.radio import Link, LinkDropped, Radio
from adapters.simulated_battery import SimulatedBattery, SimulatedPack
from adapters.unlocker import Unlocker
from core import protocols
from core.events import FrameRejected, LinkEstablished, LinkLost, ReadingTaken, RecoveryAttempted, RequestUnanswered
from core.protocols.jbd.framing import answer_frame
from core.recovery import BACKOFF_S, EARLY_US, LATE_BACKOFF_S
from tests.doubles.manual_clock import ManualClock
from tests.frames import frame

JBD = protocols.find("jbd")
BASIC, CELLS, NAME = frame("jbd-034"), frame("jbd-065"), frame("jbd-071")


class Scripted(Peripheral):
    """Answers each request with what *answer* gives for its register and count so far."""

    name = "scripted"

    def __init__(self, answer):
        self._answer = answer
        self.asked = []

    def respond(self, request, seconds):
        self.asked.append((round(seconds, 2), request[2]))
        return self._answer(request[2], len(self.asked))

    def next_outage_s(self, seconds):
        return None


def good(register, count):
    """What a healthy battery says."""
    return {3: BASIC, 4: CELLS, 5: NAME}[register]


def supervised(radio, clock, record, *, poll_s=5.0, watchdog_s=0, password="", allow=lambda rung: True):
    """A supervisor of the battery ``b``."""
    unlocker = Unlocker(JBD, "A4:C1:37:04:2D:BE", password, clock)
    return LinkSupervisor(
        "b", JBD, radio, clock=clock, record=record, allow=allow, unlocker=unlocker, poll_s=poll_s,
        watchdog_s=watchdog_s,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def reading(radio_or_peripheral, poll_s=5.0, **options):
    """(clock, timed facts) of a reader at work."""
    clock, facts = ManualClock(), []
    radio = radio_or_peripheral
    if isinstance(radio_or_peripheral, Peripheral):
        radio = InProcessRadio(radio_or_peripheral, clock)
    begun_us = clock.uptime_us()

    def record(fact):
        facts.append(((clock.uptime_us() - begun_us) / 1e6, fact))

    supervisor = supervised(radio, clock, record, poll_s=poll_s, **options)
    clock.supervisor = supervisor
    task = asyncio.ensure_future(supervisor.run())
    try:
        yield clock, facts
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def of(facts, kind):
    """The facts of one kind."""
    return [fact for _, fact in facts if isinstance(fact, kind)]


async def test_polls_one_request_at_a_time_at_the_poll_interval():
    """03, then 04 after its answer, the name once, and again 5 s after the cycle began."""
    battery = Scripted(good)
    async with reading(battery) as (clock, facts):
        await clock.run_for(16)
    assert [register for _, register in battery.asked] == [3, 4, 5, 3, 4, 3, 4, 3, 4]
    starts = [at for at, register in battery.asked if register == 3]
    assert [round(later - earlier, 1) for earlier, later in zip(starts, starts[1:])] == [5.0, 5.0, 5.0]
    assert facts[0][1] == LinkEstablished("b", "scripted")
    assert [fact.frame for fact in of(facts, ReadingTaken)][:3] == [BASIC, CELLS, NAME]


async def test_first_request_after_sleep_may_be_lost():
    """It is repeated after 2 s and nothing is made of it."""
    battery = Scripted(lambda register, count: b"" if count == 1 else good(register, count))
    async with reading(battery) as (clock, facts):
        await clock.run_for(4)
    assert [register for _, register in battery.asked][:3] == [3, 3, 4]
    assert battery.asked[1][0] - battery.asked[0][0] == pytest.approx(2.0, abs=0.1)
    assert not of(facts, RequestUnanswered) and not of(facts, LinkLost)


async def test_unsupported_register_does_not_stop_the_poll():
    """The Daren dialect refuses 05: recorded as the answer that it is, asked once."""
    battery = Scripted(lambda register, count: answer_frame(5, b"", 0x80) if register == 5 else good(register, count))
    async with reading(battery) as (clock, facts):
        await clock.run_for(12)
    assert [register for _, register in battery.asked].count(5) == 1
    assert len(of(facts, ReadingTaken)) == 7
    assert not of(facts, RequestUnanswered)


async def test_late_and_duplicate_answers_are_kept_apart():
    """An answer to another register, and a second copy, are evidence of their own and never a reading."""
    battery = Scripted(lambda register, count: good(register, count) + (BASIC if register == 4 else b""))
    async with reading(battery) as (clock, facts):
        await clock.run_for(4)
    assert [fact.frame[1] for fact in of(facts, ReadingTaken)] == [3, 4, 5]
    assert {(fact.reason, fact.data) for fact in of(facts, FrameRejected)} == {("not asked for", BASIC)}


async def test_silent_battery_is_hung_up_after_three_cycles():
    """A silent link is not a disconnect: after three cycles without an answer it is closed and made anew."""
    battery = Scripted(lambda register, count: good(register, count) if count <= 3 else b"")
    async with reading(battery) as (clock, facts):
        await clock.run_for(60)
    lost = of(facts, LinkLost)
    assert [fact.cause for fact in lost] == ["battery silent"]
    at_s = next(at for at, fact in facts if isinstance(fact, LinkLost))
    assert 25 < at_s < 35
    assert [fact.request for fact in of(facts, RequestUnanswered)][:4] == ["0x03", "0x04", "0x03", "0x03"]
    rungs = [(fact.rung, fact.cause) for fact in of(facts, RecoveryAttempted)]
    assert rungs[:2] == [("resync", "battery silent"), ("reconnect", "battery silent")]


async def test_out_of_range_and_back():
    """The loss and its cause are recorded once, attempts in between are not, the return is."""
    battery = SimulatedBattery(SimulatedPack("a", outages=((20.0, 100.0),)))
    async with reading(battery) as (clock, facts):
        await clock.run_for(200)
    links = [(type(fact).__name__, at) for at, fact in facts if isinstance(fact, (LinkLost, LinkEstablished))]
    assert [name for name, _ in links] == ["LinkEstablished", "LinkLost", "LinkEstablished"]
    assert links[1][1] == pytest.approx(20, abs=1)
    assert 120 <= links[2][1] < 120 + BACKOFF_S[-1] * (1 + JITTER) + 5


class Unreachable(Radio):
    """Never connects; remembers when it was asked to, and what else was asked of it."""

    def __init__(self, causes, choices=1):
        self.clock = None
        self.choices = choices
        self.attempts = []
        self.asked = []
        self._causes = itertools.chain(causes, itertools.repeat(causes[-1]))

    async def connect(self):
        self.attempts.append(self.clock.uptime_us() / 1e6)
        raise LinkDropped(next(self._causes))

    async def forget(self):
        self.asked.append("forget")

    def next_adapter(self):
        self.asked.append("next adapter")


async def test_backoff_grows_to_its_cap_with_jitter():
    """2, 5, 10, 20, 30, 60, 60 … s, each off by a quarter at most; only a new cause is recorded again."""
    radio = Unreachable(["not found"] * 4 + ["connect failed"])
    async with reading(radio) as (clock, facts):
        radio.clock = clock
        await clock.run_for(300)
    pauses = [later - earlier for earlier, later in zip(radio.attempts, radio.attempts[1:])]
    assert len(pauses) >= 7
    for pause, nominal in zip(pauses, [*BACKOFF_S, 60.0]):
        assert nominal * (1 - JITTER) <= pause <= nominal * (1 + JITTER)
    assert [fact.cause for fact in of(facts, LinkLost)] == ["not found", "connect failed"]


async def test_after_an_hour_of_darkness_it_is_tried_every_five_minutes():
    """And no log line, no event tells of each attempt."""
    radio = Unreachable(["not found"])
    async with reading(radio) as (clock, facts):
        radio.clock = clock
        await clock.run_for(8 * 3600)
    late = [at - radio.attempts[0] for at in radio.attempts if at - radio.attempts[0] > EARLY_US / 1e6]
    pauses = [later - earlier for earlier, later in zip(late, late[1:])]
    assert min(pauses) >= LATE_BACKOFF_S * (1 - JITTER) and max(pauses) <= LATE_BACKOFF_S * (1 + JITTER)
    assert 60 <= len(radio.attempts) - len(late) <= 100
    assert [type(fact).__name__ for _, fact in facts] == ["LinkLost", "RecoveryAttempted"]
    assert facts[1][1] == RecoveryAttempted("b", "tell the owner", "not found")


async def test_garbage_between_answers_is_rejected_or_ignored_by_what_it_is():
    """Line noise is no event; something that looked like a frame is."""
    broken = bytes([*BASIC[:-3], BASIC[-3] ^ 1, *BASIC[-2:]])
    battery = Scripted(lambda register, count: (b"\x00" if register == 4 else broken) + good(register, count))
    async with reading(battery) as (clock, facts):
        await clock.run_for(3)
    assert [fact.frame[1] for fact in of(facts, ReadingTaken)] == [3, 4, 5]
    assert [(fact.reason, fact.data) for fact in of(facts, FrameRejected)] == [("checksum wrong", broken)] * 2


async def test_cancelled_reader_has_hung_up():
    """The battery must be free for others when the program has stopped."""
    closed = []

    class Watched(Link):
        async def write(self, data):
            pass

        async def close(self):
            closed.append(True)

    class Reachable(Radio):
        async def connect(self):
            return Watched()

    async with reading(Reachable()) as (clock, _):
        await clock.run_for(1)
    assert closed == [True]


async def test_a_reader_that_fails_leaves_the_loss_on_record():
    """An unexpected error ends the reader, and the link that went with it is not shown as up."""
    battery = Scripted(good)
    facts, clock = [], ManualClock()
    task = asyncio.ensure_future(supervised(InProcessRadio(battery, clock), clock, facts.append).run())
    await clock.run_for(2)
    battery.respond = None
    await clock.run_for(10)
    with pytest.raises(TypeError):
        await task
    assert facts[-1] == LinkLost("b", "reader failed", "TypeError")


async def test_the_watchdog_ends_a_link_that_gives_nothing():
    """Whatever the reader believes: here it waits for a write that never ends."""

    class Stuck(Link):
        async def write(self, data):
            await asyncio.get_event_loop().create_future()

        async def close(self):
            pass

    class Reachable(Radio):
        async def connect(self):
            return Stuck()

    async with reading(Reachable(), watchdog_s=30) as (clock, facts):
        await clock.run_for(34)
        assert not facts
        await clock.run_for(2)
    assert of(facts, LinkLost) == [LinkLost("b", "no data", "for 35 s")], "never sooner than a silent link is found"


async def test_without_a_watchdog_the_reader_alone_finds_silence():
    """BT_WATCHDOG_TIMEOUT = 0."""
    async with reading(Scripted(lambda register, count: b""), watchdog_s=0) as (clock, facts):
        await clock.run_for(60)
    assert [fact.cause for fact in of(facts, LinkLost)] == ["battery silent"]


async def test_released_for_a_phone_and_back_by_itself():
    """Hangs up at once, stays away for so long whatever happens, and is there again."""
    battery = Scripted(good)
    async with reading(battery) as (clock, facts):
        await clock.run_for(10)
        clock.supervisor.release(5)
        await clock.run_for(1)
        assert facts[-1][1] == LinkLost("b", "released", "for 5 min")
        asked = len(battery.asked)
        await clock.run_for(298)
        assert len(battery.asked) == asked
        await clock.run_for(10)
        assert isinstance(of(facts, LinkEstablished)[-1], LinkEstablished) and len(of(facts, LinkEstablished)) == 2


async def test_a_release_ends_early_and_can_be_extended():
    """0 takes the battery back; another number begins anew."""
    async with reading(Scripted(good)) as (clock, facts):
        await clock.run_for(5)
        clock.supervisor.release(5)
        await clock.run_for(200)
        clock.supervisor.release(5)
        await clock.run_for(200)
        assert len(of(facts, LinkEstablished)) == 1
        clock.supervisor.release(0)
        await clock.run_for(5)
        assert len(of(facts, LinkEstablished)) == 2
    assert [fact.cause for fact in of(facts, LinkLost)] == ["released"]


async def test_a_release_also_ends_a_pause_and_an_attempt():
    """Nothing of ours may disturb the phone, and the battery is tried at once when it comes back."""
    radio = Unreachable(["not found"])
    async with reading(radio) as (clock, facts):
        radio.clock = clock
        await clock.run_for(120)
        attempts = len(radio.attempts)
        clock.supervisor.release(10)
        await clock.run_for(599)
        assert len(radio.attempts) == attempts
        await clock.run_for(2)
        assert len(radio.attempts) == attempts + 1
    assert [fact.cause for fact in of(facts, LinkLost)] == ["not found", "released", "not found"]


async def test_taking_back_what_was_not_released_disturbs_nothing():
    """The link stays up; to hang up would be a gap without a cause."""
    async with reading(Scripted(good)) as (clock, facts):
        await clock.run_for(10)
        clock.supervisor.release(0)
        await clock.run_for(10)
    assert len(of(facts, LinkEstablished)) == 1 and not of(facts, LinkLost)


async def test_the_cause_shown_after_a_release_is_the_present_one():
    """However often both were recorded before."""
    radio = Unreachable(["not found"])
    async with reading(radio) as (clock, facts):
        radio.clock = clock
        await clock.run_for(60)
        for _ in range(2):
            clock.supervisor.release(1)
            await clock.run_for(10)
            assert of(facts, LinkLost)[-1].cause == "released"
            await clock.run_for(55)
            assert of(facts, LinkLost)[-1].cause == "not found"


async def test_after_a_release_the_ladder_begins_at_the_bottom():
    """The link was up for hours, and the phone holds on a little longer: that is no long darkness."""

    battery = Scripted(good)
    async with reading(battery) as (clock, facts):
        await clock.run_for(2 * 3600)
        battery.next_outage_s = lambda seconds: 0.0
        clock.supervisor.release(15)
        await clock.run_for(15 * 60 + 20)
        battery.next_outage_s = lambda seconds: None
        await clock.run_for(40)
    assert [fact.cause for fact in of(facts, LinkLost)] == ["released", "out of range"]
    assert len(of(facts, LinkEstablished)) == 2 and not of(facts, RecoveryAttempted)


async def test_rungs_are_climbed_as_far_as_they_are_allowed():
    """Each one that is climbed is on record; one whose cap is reached is left out."""
    radio = Unreachable(["connect failed"], choices=2)
    async with reading(radio, allow=lambda rung: rung != "next adapter") as (clock, facts):
        radio.clock = clock
        await clock.run_for(600)
    rungs = [fact.rung for fact in of(facts, RecoveryAttempted)]
    assert set(rungs) == {"forget device", "tell the owner"}
    assert radio.asked == ["forget"] * rungs.count("forget device")


async def test_a_battery_that_hangs_again_and_again_is_hung_up_less_often():
    """After the daily cap of forced reconnects the pause is five minutes."""
    answers = iter([good] * 4 + [None] * 100)
    battery = Scripted(lambda register, count: b"" if next(answers) is None else good(register, count))
    async with reading(battery, allow=lambda rung: rung != "reconnect") as (clock, facts):
        await clock.run_for(60)
        at_s = next(at for at, fact in facts if isinstance(fact, LinkLost))
        asked = len(battery.asked)
        await clock.run_for(at_s + LATE_BACKOFF_S * (1 - JITTER) - 65)
        assert len(battery.asked) == asked
        await clock.run_for(LATE_BACKOFF_S * 2 * JITTER + 10)
        assert len(battery.asked) > asked


async def test_a_cause_that_comes_and_goes_is_not_recorded_every_time():
    """Two causes in turn for a day: the log stays readable, and what it says is at most ten minutes old."""
    radio = Unreachable(["not found", "connect timed out"] * 2000)
    async with reading(radio) as (clock, facts):
        radio.clock = clock
        await clock.run_for(86_400)
    assert 20 < len(of(facts, LinkLost)) <= 146


async def test_the_cause_is_what_the_radio_finds_out_afterwards():
    """A drop may be the end of the adapter."""

    class Knowing(Unreachable):
        async def diagnose(self, dropped):
            return LinkDropped("adapter gone", dropped.cause)

    radio = Knowing(["dropped"])
    async with reading(radio) as (clock, facts):
        radio.clock = clock
        await clock.run_for(1)
    assert of(facts, LinkLost) == [LinkLost("b", "adapter gone", "dropped")]
