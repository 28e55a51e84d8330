"""Answers what pages ask of the history over D-Bus: one query at a time, beside the grid and never in its way.

Nothing here is an event, and nothing is part of a publication: a replay has no trends and publishes the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Awaitable, Callable, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

from attrs import define, field

from adapters.clock import Clock
from core.configuration import BatteryConfiguration, Configuration, PlannedService
from core.paths import Value
from core.publication import BUS_NAME_PREFIX
from core.service_view import JOINED, LEFT, Publication
from core.trend import (
    JSON_PATH,
    REQUEST_PATH,
    BadRequest,
    TrendRequest,
    answer_with,
    default_request,
    error_answer,
    parse_request,
)
from core.writes import ACCEPTED, NOT_WRITABLE, REFUSED
from storage.database import StorageError

log = logging.getLogger(__name__)

MAX_REQUEST = 1024
"""Characters of a request."""
SPACING_US = 1_000_000
"""Between the starts of two queries, whoever asks."""
CACHED_US = 5_000_000
"""For so long the same question has the same answer."""
DEFAULT_US = 300_000_000
"""How old the default answer gets, and how long a client's answer is left in place."""

Put = Callable[[Mapping[str, Value]], None]
"""Takes values that are not the grid's, see BusService."""


class Query(Protocol):
    """What reads the history, see TrendQuery."""

    async def answer(self, request: TrendRequest) -> str:
        """The body of the answer."""

    def cancel(self) -> None:
        """Let what is under way end soon."""


def monitored(configuration: Configuration) -> List[PlannedService]:
    """The services with a cell monitor: the virtual one, or every single battery's; not its members beside it."""
    return [service for service in configuration.services if service.monitors_cells]


@define
class _Asked:
    """One service and what is wanted of it."""

    batteries: Sequence[BatteryConfiguration]
    put: Put
    on_bus: bool = False
    waiting: Optional[TrendRequest] = None
    queried_us: int = -1
    """When its last query began: whoever had none for longest is next."""
    turn: int = 0
    """Rises with every request: an answer to an older one is of no use."""
    default_from_us: Optional[int] = None
    """From then on the default answer may take the place of what is shown; ``None``: at once."""
    cached: Dict[str, Tuple[int, str]] = field(factory=dict)
    """By question: when it was answered, and how."""


class Trends:
    """The trends of all services of one run. :meth:`run` answers; everything else only takes note."""

    def __init__(self, configuration: Configuration, puts: Mapping[str, Put], query: Query, clock: Clock) -> None:
        """*puts*: what shows values, by bus name; a service that is missing there is not on any bus."""
        self._query = query
        self._clock = clock
        self._news = asyncio.Event()
        self._queried_us: Optional[int] = None
        self._services: Dict[str, _Asked] = {}
        for planned in monitored(configuration):
            name = BUS_NAME_PREFIX + planned.key
            if name in puts:
                batteries = [configuration.batteries[place] for place in planned.batteries]
                self._services[name] = _Asked(batteries, puts[name])
                puts[name]({REQUEST_PATH: "", JSON_PATH: None})

    def follow(self, publication: Publication) -> None:
        """Know who is on the bus. To be called before the bus hears of it."""
        service = self._services.get(publication.service)
        if service is None or publication.change not in (JOINED, LEFT):
            return
        service.on_bus = publication.change == JOINED
        if service.on_bus:
            service.put({REQUEST_PATH: ""})
            self._news.set()
        else:
            service.waiting = None  # nobody can read the answer

    def write(self, name: str, value: Any) -> int:
        """A client wrote *value* as the request to the service *name*: the code of SetValue."""
        service = self._services.get(name)
        if service is None or not isinstance(value, str):
            return NOT_WRITABLE
        if len(value) > MAX_REQUEST:
            return REFUSED
        service.put({REQUEST_PATH: value})
        service.turn += 1
        service.waiting = None
        service.default_from_us = self._clock.uptime_us() + DEFAULT_US
        try:
            request = parse_request(value, service.batteries)
        except BadRequest as bad:
            self._show(service, error_answer(bad.id, bad.reason))
            return ACCEPTED
        if not self._answer_from_cache(service, request):
            service.waiting = request
            self._news.set()
        return ACCEPTED

    async def run(self) -> None:
        """Answer for ever."""
        while True:
            self._news.clear()
            wait_s = self._ask_what_is_due()
            waiting = [service for service in self._services.values() if service.waiting is not None]
            if waiting and wait_s <= 0:
                await self._answer(min(waiting, key=lambda service: service.queried_us))
                continue
            with contextlib.suppress(asyncio.TimeoutError):
                await self._clock.wait_for(self._news.wait(), wait_s)

    def _ask_what_is_due(self) -> float:
        """Ask for default answers; how long, in s, until the next query may or has to begin."""
        now_us = self._clock.uptime_us()
        next_us = now_us + DEFAULT_US
        for service in self._services.values():
            if service.waiting is None and service.on_bus:
                due_us = now_us if service.default_from_us is None else service.default_from_us
                if due_us <= now_us:
                    service.waiting = default_request(service.batteries)
                next_us = min(next_us, due_us)
        if any(service.waiting is not None for service in self._services.values()):
            next_us = now_us if self._queried_us is None else self._queried_us + SPACING_US
        return (next_us - now_us) / 1e6

    async def _answer(self, service: _Asked) -> None:
        request, turn = service.waiting, service.turn
        assert request is not None
        service.waiting = None
        if self._answer_from_cache(service, request):
            return
        now_us = self._queried_us = service.queried_us = self._clock.uptime_us()
        # First, so that a query that fails in an unforeseen way is not asked again and again.
        service.default_from_us = now_us + DEFAULT_US
        try:
            body = await self._to_the_end(self._query.answer(request))
        except BadRequest as bad:
            answer = error_answer(request.id, bad.reason)
        except StorageError as error:
            answer = error_answer(request.id, "the history cannot be read: {}".format(error))
        else:
            answer = answer_with(request.id, body)
            service.cached[request.question] = (self._clock.uptime_us(), body)
        if service.turn == turn:
            self._show(service, answer)

    async def _to_the_end(self, answered: Awaitable[str]) -> str:
        """A query that is cancelled half-way would leave the thread of its connection behind."""
        task = asyncio.ensure_future(answered)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._query.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    def _answer_from_cache(self, service: _Asked, request: TrendRequest) -> bool:
        now_us = self._clock.uptime_us()
        service.cached = {key: kept for key, kept in service.cached.items() if now_us - kept[0] <= CACHED_US}
        if request.question not in service.cached:
            return False
        self._show(service, answer_with(request.id, service.cached[request.question][1]))
        return True

    def _show(self, service: _Asked, answer: str) -> None:
        service.default_from_us = self._clock.uptime_us() + DEFAULT_US
        service.put({JSON_PATH: answer})
