"""Who is answered when: one query at a time, a second apart, the newest request; the default when nobody asks."""

import asyncio
import json

import pytest

from core.configuration import PARALLEL, BatteryConfiguration, Configuration
from core.presence import Phase
from core.service_view import JOINED, LEFT, Publication
from core.trend import JSON_PATH, REQUEST_PATH, BadRequest
from service.trends import Trends, monitored
from storage.database import StorageError
from tests.doubles.manual_clock import ManualClock

BATTERIES = tuple(BatteryConfiguration("ble_{}".format(n), "00:0{}".format(n)) for n in (1, 2))
MONITORS = Configuration(BATTERIES)
BANK = Configuration(BATTERIES, topology=PARALLEL, publish_members=True)
ONE, TWO = ("com.victronenergy.battery.ble_{}".format(n) for n in (1, 2))
WHOLE = "com.victronenergy.battery.virtual_parallel"


class SlowQuery:
    """A query that takes as long as the test likes, and says who asked when."""

    def __init__(self, clock, seconds=0.0):
        self.seconds = seconds
        self.begun = []
        self.at_once = self.most_at_once = 0
        self.failure = None
        self.cancelled = False
        self._clock = clock

    async def answer(self, request):
        self.begun.append((self._clock.uptime_us() / 1e6 - 1000, request.id))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.seconds:
                await self._clock.sleep(self.seconds)
            if self.failure is not None:
                raise self.failure
        finally:
            self.at_once -= 1
        return '{{"of":{}}}'.format(json.dumps(request.question))

    def cancel(self):
        self.cancelled = True


class Bench:
    """Trends that run, their clock, and what each service shows."""

    def __init__(self, configuration):
        self.clock = ManualClock()
        self.query = SlowQuery(self.clock)
        self.shown = {}
        names = ["com.victronenergy.battery." + service.key for service in configuration.services]
        self.puts = {name: self.shown.setdefault(name, {}).update for name in names}
        self.trends = Trends(configuration, self.puts, self.query, self.clock)

    def change(self, name, change):
        self.trends.follow(Publication(1, 1, name, Phase.LIVE, change))

    async def joined(self, *names):
        """Their default answers are there, and a while is over."""
        for name in names:
            self.change(name, JOINED)
        await self.clock.run_for(10)
        self.query.begun.clear()

    def ask(self, id, name=ONE, **fields):
        return self.trends.write(name, json.dumps({"id": id, **fields}))

    def answer(self, name=ONE):
        text = self.shown[name][JSON_PATH]
        return None if text is None else json.loads(text)

    def begun(self):
        return [(round(at_s, 3), id) for at_s, id in self.query.begun]


@pytest.fixture
async def bench():
    """Two monitors, not on the bus yet."""
    made = Bench(MONITORS)
    task = asyncio.ensure_future(made.trends.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_paths_are_there_before_the_first_answer(bench):
    """Request is empty and Json unknown."""
    assert bench.shown == {name: {REQUEST_PATH: "", JSON_PATH: None} for name in (ONE, TWO)}


async def test_default_answer_when_a_service_joins(bench):
    """The spread of a day of all its batteries; not before it is on the bus."""
    await bench.clock.run_for(400)
    assert bench.query.begun == []
    bench.change(ONE, JOINED)
    await bench.clock.run_for(1)
    assert bench.answer() == {"id": "default", "of": '[["ble_1"], null, 24, "spread"]'}
    assert bench.answer(TWO) is None


async def test_default_answer_is_refreshed_every_five_minutes(bench):
    """At most; and not while the service is away."""
    bench.change(ONE, JOINED)
    await bench.clock.run_for(901)
    bench.change(ONE, LEFT)
    await bench.clock.run_for(2000)
    bench.change(ONE, JOINED)
    await bench.clock.run_for(10)
    assert bench.begun() == [(at_s, "default") for at_s in (0, 300, 600, 900, 2901)]


async def test_a_service_that_comes_back_soon_shows_what_it_showed(bench):
    """The last answer, no request, and no query before its time."""
    await bench.joined(ONE)
    bench.ask("a", hours=1)
    await bench.clock.run_for(1)
    bench.change(ONE, LEFT)
    bench.change(ONE, JOINED)
    await bench.clock.run_for(100)
    assert bench.answer()["id"] == "a"
    assert bench.shown[ONE][REQUEST_PATH] == ""
    assert bench.begun() == [(10, "a")]


async def test_an_answer_of_a_client_stays_five_minutes(bench):
    """Then the default takes its place, and goes on as before."""
    await bench.joined(ONE)
    bench.query.seconds = 2
    bench.ask("a", hours=1)
    assert bench.shown[ONE][REQUEST_PATH] == '{"id": "a", "hours": 1}'
    await bench.clock.run_for(2 + 299)
    assert bench.answer()["id"] == "a"
    await bench.clock.run_for(1 + 2 + 299)
    assert bench.answer()["id"] == "default"
    assert bench.begun() == [(10, "a"), (312, "default")]


@pytest.mark.parametrize("text", ["x", '{"id":"a","hours":-1}'])
async def test_a_bad_request_is_answered_at_once(bench, text):
    """With an error, without a query; it stays as long as any answer."""
    await bench.joined(ONE)
    assert bench.trends.write(ONE, text) == 0
    assert "error" in bench.answer()
    await bench.clock.run_for(299)
    assert "error" in bench.answer()
    assert bench.shown[ONE][REQUEST_PATH] == text
    assert bench.query.begun == []


@pytest.mark.parametrize(("value", "code"), [(7, 1), (True, 1), (None, 1), (1.5, 1), ("x" * 1025, 2), ("x" * 1024, 0)])
async def test_what_may_be_written(bench, value, code):
    """Any string of a decent length; what is refused changes nothing."""
    before = dict(bench.shown[ONE])
    assert bench.trends.write(ONE, value) == code
    assert (bench.shown[ONE] == before) == (code != 0)


async def test_a_service_without_a_cell_monitor_takes_none():
    """The members of a virtual battery that are published beside it."""
    bench = Bench(BANK)
    assert [service.key for service in monitored(BANK)] == ["virtual_parallel"]
    assert [service.key for service in monitored(MONITORS)] == ["ble_1", "ble_2"]
    assert bench.shown[WHOLE] != {} and bench.shown[ONE] == {}
    assert bench.ask("a", name=ONE) == 1
    assert bench.ask("a", name=WHOLE) == 0


async def test_the_newest_request_wins(bench):
    """Those that were overtaken are neither answered nor asked for."""
    await bench.joined(ONE)
    bench.query.seconds = 3
    for id in "abc":
        bench.ask(id, hours=ord(id))
    await bench.clock.run_for(1)
    for id in "def":
        bench.ask(id, hours=ord(id))
    await bench.clock.run_for(2.5)
    assert bench.answer()["id"] == "default"  # c was answered, and nobody waits for it any more
    await bench.clock.run_for(10)
    assert bench.answer()["id"] == "f"
    assert bench.begun() == [(10, "c"), (13, "f")]


async def test_an_error_is_not_replaced_by_an_older_answer(bench):
    """The bad request is the newest one."""
    await bench.joined(ONE)
    bench.query.seconds = 3
    bench.ask("a")
    await bench.clock.run_for(1)
    bench.ask("b", hours=-1)
    await bench.clock.run_for(10)
    assert bench.answer() == {"id": "b", "error": "hours has to be a number above 0 and up to 87600"}


async def test_queries_are_a_second_apart_and_one_at_a_time(bench):
    """Of all services together, and each gets its turn."""
    await bench.joined(ONE, TWO)
    for step in range(40):
        bench.ask(step, hours=step + 1)
        bench.ask(step, name=TWO, hours=step + 1)
        await bench.clock.run_for(0.1)
    begun = [at_s for at_s, _ in bench.begun()]
    assert begun == [10, 11, 12, 13, 14]
    bench.query.seconds = 1.5
    for name in (ONE, TWO):
        bench.ask("last", name=name, hours=77)
    await bench.clock.run_for(10)
    assert bench.query.most_at_once == 1
    assert [bench.answer(name)["id"] for name in (ONE, TWO)] == ["last", "last"]


async def test_an_eager_client_does_not_keep_others_waiting(bench):
    """Whoever had no query for longest is next."""
    await bench.joined(ONE, TWO)
    bench.ask("patient", name=TWO, hours=5)
    for step in range(25):
        bench.ask("eager", hours=step + 1)
        await bench.clock.run_for(0.1)
    assert bench.answer(TWO)["id"] == "patient"


async def test_the_same_question_within_five_seconds(bench):
    """Is answered at once as before, with the id of the one who asks; later, or of another service, it is new."""
    await bench.joined(ONE, TWO)
    bench.ask("a", hours=2)
    await bench.clock.run_for(5)
    bench.ask("b", hours=2)
    assert bench.answer()["id"] == "b"
    bench.ask("c", name=TWO, hours=2)
    await bench.clock.run_for(0.5)
    bench.ask("d", hours=2)
    await bench.clock.run_for(1)
    assert bench.begun() == [(10, "a"), (15, "c"), (16, "d")]
    assert bench.answer()["of"] == '[["ble_1"], null, 2, "spread"]'


async def test_one_query_serves_all_who_ask_the_same_meanwhile(bench):
    """Who asks while it runs gets its answer, too, with the own id."""
    await bench.joined(ONE)
    bench.query.seconds = 3
    bench.ask("a", hours=2)
    await bench.clock.run_for(1)
    bench.ask("b", hours=2)
    await bench.clock.run_for(3)
    assert bench.answer()["id"] == "b"
    assert bench.begun() == [(10, "a")]


async def test_an_answer_that_would_be_too_long(bench):
    """The query found no way to say it: an error that says what helps."""
    await bench.joined(ONE)
    bench.query.failure = BadRequest("a", "the answer is too long; ask for one battery")
    bench.ask("a")
    await bench.clock.run_for(2)
    assert bench.answer() == {"id": "a", "error": "the answer is too long; ask for one battery"}


async def test_who_leaves_is_not_asked_for(bench):
    """Nobody can read the answer."""
    await bench.joined(ONE)
    bench.ask("a", hours=2)
    bench.change(ONE, LEFT)
    await bench.clock.run_for(10)
    assert bench.query.begun == []


async def test_a_history_that_cannot_be_read(bench):
    """The error says so, is not kept for others, and the next query may be good again."""
    await bench.joined(ONE)
    bench.query.failure = StorageError("the database x is damaged")
    bench.ask("a")
    await bench.clock.run_for(2)
    assert bench.answer() == {"id": "a", "error": "the history cannot be read: the database x is damaged"}
    bench.query.failure = None
    bench.ask("b")
    await bench.clock.run_for(2)
    assert "of" in bench.answer()


async def test_stop_while_a_query_runs():
    """It is told to end, and has ended when run has."""
    bench = Bench(MONITORS)
    bench.query.seconds = 0.2
    task = asyncio.ensure_future(bench.trends.run())
    bench.change(ONE, JOINED)
    await bench.clock.run_for(0.1)
    task.cancel()
    await bench.clock.run_for(0.05)
    assert bench.query.cancelled and bench.query.at_once == 1 and not task.done()
    await bench.clock.run_for(1)
    assert task.cancelled() and bench.query.at_once == 0


async def test_an_unforeseen_failure_is_the_supervisors():
    """It gets out, and run can be called again."""
    bench = Bench(MONITORS)
    bench.query.failure = KeyError("x")
    bench.change(ONE, JOINED)
    with pytest.raises(KeyError):
        await bench.trends.run()
    bench.query.failure = None
    task = asyncio.ensure_future(bench.trends.run())
    bench.ask("a")
    await bench.clock.run_for(2)
    assert bench.answer()["id"] == "a"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
