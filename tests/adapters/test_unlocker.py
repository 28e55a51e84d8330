"""The password of a Bluetooth module, told over links: when, how often, and what it is followed by."""

import asyncio

import pytest

from adapters.in_process import InProcessRadio, Peripheral
from adapters.link_supervisor import LinkSupervisor
from adapters.radio import Link, LinkDropped
from adapters.unlocker import Unlocker
from core import protocols
from core.events import FrameRejected, LinkEstablished, LinkLost, ReadingTaken
from core.protocols.jbd.framing import module_frame
from tests.doubles.bluez.jbd_model import JbdBms
from tests.doubles.manual_clock import ManualClock

JBD = protocols.find("jbd")
ADDRESS = "A4:C1:37:04:2D:BE"
PLAIN = "dda50300fffd77"


class Module(Peripheral):
    """A battery behind a radio module, which locks itself when its link drops: every *lives_s* seconds."""

    name = "JBD-LOCKED"

    def __init__(self, lives_s=None, **attributes):
        self.bms = JbdBms()
        self.bms.address = ADDRESS
        for name, value in attributes.items():
            setattr(self.bms, name, value)
        self._lives_s = lives_s
        self._link = 0

    def respond(self, request, seconds):
        link = int(seconds // self._lives_s) if self._lives_s else 0
        if link != self._link:
            self._link = link
            self.bms.reset()
        return b"".join(self.bms.handle(request))

    def next_outage_s(self, seconds):
        if self._lives_s is None:
            return None
        end = (int(seconds // self._lives_s) + 1) * self._lives_s
        return end - 1


async def lived(module, password, seconds=60):
    """(facts, requests as hex) of so many seconds with *module*."""
    clock, facts = ManualClock(), []
    supervisor = LinkSupervisor(
        "b", JBD, InProcessRadio(module, clock), clock=clock, record=facts.append, allow=lambda rung: True,
        unlocker=Unlocker(JBD, ADDRESS, password, clock), poll_s=5,
    )  # fmt: skip
    task = asyncio.ensure_future(supervisor.run())
    await clock.run_for(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return facts, [request.hex() for request in module.bms.requests]


def causes(facts):
    """Why links were lost."""
    return [fact.cause for fact in facts if isinstance(fact, LinkLost)]


def passwords(requests):
    """How often a password was told."""
    return sum(request.startswith("ffaa18") for request in requests)


@pytest.mark.parametrize("password", ["", "123123"])
async def test_an_open_battery_is_asked_for_nothing(password):
    """Most are: whatever is configured, not one byte of the exchange is sent."""
    facts, requests = await lived(Module(), password)
    assert isinstance(facts[0], LinkEstablished)
    assert not [request for request in requests if request.startswith("ffaa")]


async def test_after_plain_requests_stayed_silent():
    """Three of them; then app key, random byte, password, and the battery answers."""
    facts, requests = await lived(Module(app_key="000000", password="123123"), "123123")
    assert requests[:3] == [PLAIN] * 3
    assert [request[:6] for request in requests[3:6]] == ["ffaa15", "ffaa17", "ffaa18"]
    assert passwords(requests) == 1 and not causes(facts)
    assert sum(isinstance(fact, ReadingTaken) for fact in facts) > 10


async def test_on_the_next_link_it_comes_first():
    """What is known to be locked is not asked in vain again."""
    module = Module(lives_s=100, app_key="000000", password="123123")
    facts, requests = await lived(module, "123123", seconds=300)
    assert sum(isinstance(fact, LinkEstablished) for fact in facts) == 3
    second = next(n for n, request in enumerate(requests) if n > 10 and request.startswith("ffaa15"))
    assert requests[second - 1] != requests[second - 2], "no repetition before it"
    assert passwords(requests) == 3


async def test_a_password_that_nobody_configured_is_asked_for():
    """No attempt is spent; the owner is told what is missing."""
    facts, requests = await lived(Module(app_key="000000", password="123123"), "", seconds=3600)
    assert causes(facts) == ["password wanted"]
    assert passwords(requests) == 0


@pytest.mark.parametrize(
    "lock", [{"app_key": "000000", "password": "123123"}, {"app_key": "999999", "password": "123123"}]
)
async def test_one_refusal_is_the_end(lock):
    """Of the password or of the app key: nothing more is sent, for the module may lock itself."""
    facts, requests = await lived(Module(**lock), "654321", seconds=3600)
    assert causes(facts) == ["password refused"]
    assert passwords(requests) <= 1 and sum(request.startswith("ffaa15") for request in requests) == 1


async def test_a_password_without_an_answer_is_told_three_times_at_most():
    """Each time on another link, for the answer may have been lost; never twice on one."""
    module = Module(lives_s=120, app_key="000000", password="123123", unanswered=[0x18])
    module.bms.password = "other"
    facts, requests = await lived(module, "123123", seconds=3600)
    assert passwords(requests) == 3
    assert causes(facts)[-1] == "password refused"


async def test_a_battery_that_knows_no_lock_is_not_asked_for_ever():
    """Silence has other reasons; after three links the module is left alone."""
    module = Module(silent=True)
    facts, requests = await lived(module, "123123", seconds=1800)
    assert set(causes(facts)) == {"battery silent"}
    assert sum(request.startswith("ffaa15") for request in requests) == 9


async def test_frames_of_the_module_are_never_recorded():
    """An echo of the password with the random byte before it would give it away."""
    module = Module(app_key="000000", password="123123")
    handle = module.bms.handle
    module.bms.handle = lambda request: [*handle(request), module_frame(0x18, b"secret"), module_frame(0x17, b"\x61")]
    facts, _ = await lived(module, "123123")
    assert sum(isinstance(fact, ReadingTaken) for fact in facts) > 10
    assert not [fact for fact in facts if isinstance(fact, FrameRejected) and b"\xff\xaa" in fact.data]


class Lock(Link):
    """A module alone. What it makes of a password is *judge*."""

    def __init__(self, judge):
        super().__init__()
        self._judge = judge
        self.passwords = 0

    async def write(self, data):
        if data[2] == 0x18:
            self.passwords += 1
            self._judge(self)
        else:
            self.inbox.put(module_frame(data[2], b"\x00"))

    async def close(self):
        pass


async def refused(unlocker, link):
    """The cause with which an exchange over *link* ends."""
    with pytest.raises(LinkDropped) as dropped:
        await unlocker.run(link)
    return dropped.value.cause


async def test_a_module_that_hangs_up_at_a_password_is_told_it_three_times_at_most():
    """That may be its way to refuse."""
    unlocker = Unlocker(JBD, ADDRESS, "123123", ManualClock())
    links = [Lock(lambda link: link.inbox.fail(LinkDropped("dropped"))) for _ in range(5)]
    causes = [await refused(unlocker, link) for link in links]
    assert causes == ["dropped"] * 2 + ["password refused"] * 3
    assert [link.passwords for link in links] == [1, 1, 1, 0, 0]


async def test_a_refusal_is_remembered_whoever_asks_again():
    """A release, or a failure of the program, may begin a new link before the refusal has taken effect."""
    unlocker = Unlocker(JBD, ADDRESS, "123123", ManualClock())
    links = [Lock(lambda link: link.inbox.put(module_frame(0x18, b"\x01"))) for _ in range(2)]
    assert [await refused(unlocker, link) for link in links] == ["password refused"] * 2
    assert [link.passwords for link in links] == [1, 0]
