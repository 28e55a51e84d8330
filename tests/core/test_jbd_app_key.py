"""The lock of a JBD Bluetooth module: what is sent, what an answer means, and that a password is sent once or never."""

import traceback

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core import protocols
from core.conversation import Conversation
from core.protocols.base import MODULE_FRAME, NOISE, Rejected, Verdict
from core.protocols.jbd import app_key
from core.protocols.jbd.framing import module_frame
from tests.core.made import basic, cells, cut
from tests.core.strategies import any_frames, macs, nasty_data, notification_sizes
from tests.doubles import jk02
from tests.doubles.bluez.jbd_model import REQ_BASIC, REQ_CELLS, JbdBms

JBD = protocols.find("jbd")
ADDRESS = "A4:C1:37:04:2D:BE"
SECRET = "123412"
KEY, RANDOM, PASSWORD = 0x15, 0x17, 0x18
NAMES = {KEY: "FF AA 15", RANDOM: "FF AA 17", PASSWORD: "FF AA 18"}

VECTORS = [
    (0x61, "123412", "ffaa1806f65465917dedc8", "ffaa18010019", Verdict.OPEN),
    (0x37, "123123", "ffaa1806cc2a3b6c56c4d5", "ffaa18010019", Verdict.OPEN),
    (0x62, "000000", "ffaa1806f65369967ff0d5", "ffaa1801011a", Verdict.REFUSED),
]
"""Random byte, password, what is written, the answer, and what it means: of captures, except the answer to the second
and the check byte of the third."""

SEQUENCES = [
    ([(KEY, 2)], Verdict.OPEN),
    ([(KEY, 1)], Verdict.REFUSED),
    ([(KEY, 3)], Verdict.REFUSED),
    ([(KEY, None)], Verdict.NOT_SPOKEN),
    ([(KEY, 0), (RANDOM, None)], Verdict.NOT_SPOKEN),
    ([(KEY, 0), (RANDOM, 0), (PASSWORD, 0)], Verdict.OPEN),
    ([(KEY, 0), (RANDOM, 255), (PASSWORD, 1)], Verdict.REFUSED),
    ([(KEY, 0), (RANDOM, 0x61), (PASSWORD, 2)], Verdict.REFUSED),
    ([(KEY, 0), (RANDOM, 0x61), (PASSWORD, None)], Verdict.UNKNOWN),
]
"""The answers to each request, ``None`` for silence, and the verdict."""


def new(password=SECRET, address=ADDRESS):
    """An exchange that has just begun."""
    return JBD.unlock(address, password)


def answer(command, value):
    """The module's answer of one byte."""
    return module_frame(command, bytes([value]))


def asking(command, random=0x61):
    """An exchange whose present request is *command*."""
    unlock = new()
    for earlier, value in ((KEY, 0), (RANDOM, random)):
        if earlier < command:
            assert unlock.hear(answer(earlier, value)) is True
    assert unlock.request.name == NAMES[command]
    return unlock


def drive(unlock, exchange, attempts=3):
    """Write what is asked for as the program does; what was written. *exchange* gives the notifications it causes."""
    written = []
    while unlock.request is not None:
        for _ in range(attempts if unlock.repeatable else 1):
            written.append(unlock.request.data)
            moved = [unlock.hear(notification) for notification in exchange(unlock.request.data)]
            if any(moved):
                break
        else:
            unlock.silent()
    return written


@pytest.mark.parametrize(("random", "password", "frame", "reply", "verdict"), VECTORS)
def test_captured_exchange(random, password, frame, reply, verdict):
    """App key, random byte, password: the bytes of the captures, and the verdict of the module."""
    unlock = new(password)
    assert unlock.request.data == bytes.fromhex("ffaa15063030303030303b")
    assert unlock.hear(bytes.fromhex("ffaa15010016")) is True
    assert unlock.request.data == bytes.fromhex("ffaa170017")
    assert unlock.hear(answer(RANDOM, random)) is True
    assert (unlock.request.name, unlock.request.data) == ("FF AA 18", bytes.fromhex(frame))
    assert unlock.verdict is None
    assert unlock.hear(bytes.fromhex(reply)) is True
    assert (unlock.request, unlock.verdict) == (None, verdict)


@pytest.mark.parametrize(("steps", "verdict"), SEQUENCES)
def test_sequence(steps, verdict):
    """Every way through the exchange has one end; after it nothing is asked, repeated or heard."""
    unlock = new()
    for command, value in steps:
        assert (unlock.request.name, unlock.verdict) == (NAMES[command], None)
        assert unlock.repeatable is (command == app_key.APP_KEY)
        if value is None:
            unlock.silent()
        else:
            assert unlock.hear(answer(command, value)) is True
    for _ in range(2):
        assert (unlock.request, unlock.repeatable, unlock.verdict) == (None, False, verdict)
        assert not any(unlock.hear(answer(command, value)) for command in NAMES for value in range(3))
        unlock.silent()


def test_wanted_but_not_configured():
    """Without a password nothing more is sent than the app key."""
    unlock = new("")
    assert drive(unlock, lambda _: [answer(KEY, 0)]) == [module_frame(KEY, b"000000")]
    assert unlock.verdict is Verdict.WANTED


@pytest.mark.parametrize(("value", "verdict"), [(1, Verdict.REFUSED), (2, Verdict.OPEN)])
def test_not_wanted_and_not_configured(value, verdict):
    """Without a password a module without a lock is still open, one with another app key still refuses."""
    unlock = new("")
    assert unlock.hear(answer(KEY, value)) is True
    assert (unlock.request, unlock.verdict) == (None, verdict)


@pytest.mark.parametrize("command", NAMES)
@pytest.mark.parametrize(
    "notification",
    [
        "",
        "ffaa",
        "ffaa07{:02x}",
        "ffaa{:02x}0100",
        "ffaa{:02x}010000",
        "ffaa{:02x}020000{:02x}",
        "feaa{:02x}0100{:02x}",
    ],
)
def test_no_answer(command, notification):
    """A wrong check byte, another length, another start: as if nothing had come."""
    unlock = asking(command)
    data = bytes.fromhex(notification.format(command, (command + 2) & 0xFF))
    request = unlock.request
    assert unlock.hear(data) is False
    assert unlock.request is request
    assert unlock.hear(answer(command, 1)) is True


@pytest.mark.parametrize("command", NAMES)
def test_answers_to_other_requests(command):
    """A late answer, one to a request that was not made yet, and an echo are none."""
    unlock = asking(command)
    for other in (set(NAMES) - {command}) | {0x07, 0x16, 0x1D}:
        assert unlock.hear(answer(other, 0)) is False
    assert unlock.hear(unlock.request.data) is False
    assert unlock.request.name == NAMES[command]


def test_what_trails_an_answer_answers_nothing():
    """An acceptance that was there before the password was sent accepts nothing."""
    unlock = asking(RANDOM)
    assert unlock.hear(answer(RANDOM, 0x61) + answer(PASSWORD, 0)[:4]) is True
    assert unlock.hear(answer(PASSWORD, 0)[4:]) is False
    unlock = asking(RANDOM)
    assert unlock.hear(answer(RANDOM, 0x61) + answer(PASSWORD, 0)) is True
    assert unlock.verdict is None


def test_two_random_bytes_at_once():
    """Asked twice and answered twice in one notification: the module reckons with the newer one."""
    unlock = asking(RANDOM)
    assert unlock.hear(answer(RANDOM, 0x37) + answer(RANDOM, 0x61)) is True
    assert unlock.request.data == bytes.fromhex(VECTORS[0][2])


def without_answers(frames):
    """Whether no piece of *frames* can be taken for the beginning of a module's frame."""
    return b"\xff\xaa" not in b"".join(frames) + b"\xaa" and not b"".join(frames).endswith(b"\xff")


@given(st.sampled_from(sorted(NAMES)), st.lists(any_frames, max_size=4), st.lists(any_frames, max_size=2), st.data())
@settings(max_examples=300)
def test_any_cut(command, before, after, data):
    """Between answers of the BMS, cut anywhere, the one answer is heard, and heard once."""
    assume(without_answers(before))
    value = data.draw(st.integers(0, 255))
    stream = b"".join([*before, answer(command, value), *after])
    unlock = asking(command)
    moved = []
    for notification in cut(stream, data.draw(notification_sizes)):
        moved.append(unlock.hear(notification))
        if moved[-1]:
            break
    assert moved.count(True) == 1
    expected = asking(command)
    expected.hear(answer(command, value))
    assert (expected.request, expected.verdict) == (unlock.request, unlock.verdict)


@given(st.lists(nasty_data(max_size=60), max_size=30), st.sampled_from(sorted(NAMES)))
def test_any_bytes(notifications, command):
    """No bytes disturb it, however many: a request that was not answered stays, and is answered later."""
    unlock = asking(command)
    moved = [unlock.hear(notification) for notification in notifications]
    assume(not any(moved))
    assert unlock.request.name == NAMES[command]
    assert len(unlock._heard) < 6
    assert unlock.hear(answer(command, 1)) is True


def test_readings_in_between():
    """Answers of the BMS between those of the module are not its business."""
    unlock = new()
    for command, value in ((KEY, 0), (RANDOM, 0x61), (PASSWORD, 0)):
        assert [unlock.hear(data) for data in (basic()[:20], basic()[20:], cells())] == [False] * 3
        assert unlock.hear(answer(command, value)) is True
    assert unlock.verdict is Verdict.OPEN


@given(st.data())
def test_never_two_passwords(data):
    """Whatever the module answers or swallows, the password is written at most once."""
    answers = st.builds(answer, st.sampled_from(sorted(NAMES)), st.integers(0, 3))
    notifications = st.lists(answers | nasty_data(max_size=20), max_size=4)
    unlock = new()
    written = drive(unlock, lambda _: data.draw(notifications))
    assert sum(frame[2] == PASSWORD for frame in written) <= 1
    assert [frame[2] for frame in written] == sorted(frame[2] for frame in written)
    assert unlock.verdict is not None


@given(macs, st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=6, max_size=6), st.integers(0, 255))
def test_cipher(mac, password, random):
    """The module, which knows its MAC and the random byte, reads the password again."""
    enciphered = app_key.encipher(password.encode(), mac, random)
    assert len(enciphered) == 6
    assert bytes((((e - random) & 0xFF) ^ m) for e, m in zip(enciphered, mac)).decode() == password


@pytest.mark.parametrize("password", ["12345", "1234567", "12345\u00e4", "\uff11\uff12\uff13\uff14\uff15\uff16", " "])
def test_no_password_of_a_module(password):
    """Six ASCII characters or nothing; the refusal does not repeat what was written."""
    with pytest.raises(ValueError, match="the password is not the six ASCII characters that a JBD") as refused:
        new(password)
    told = "".join(traceback.format_exception_only(refused.type, refused.value))
    assert password == " " or password not in told
    assert JBD.password_problem(password).startswith("is not the six ASCII characters")


@pytest.mark.parametrize("password", ["", "000000", "aB 9~!"])
def test_a_password_that_may_be(password):
    """Nothing is wrong with it."""
    assert JBD.password_problem(password) is None
    assert new(password) is not None


@pytest.mark.parametrize("address", ["", "shed", "A4:C1:37:04:2D", "A4:C1:37:04:2D:BE:00", "A4-C1-37-04-2D-BE"])
def test_what_has_no_mac_has_no_lock(address):
    """A simulated battery is called by its name, which is no part of any cipher."""
    assert new(address=address) is None
    with pytest.raises(ValueError, match="six ASCII"):
        new("12345", address)


def test_the_case_of_the_address_does_not_matter():
    """The cipher takes the bytes of the MAC, in the order in which it is displayed."""
    unlock = new(address=ADDRESS.lower())
    unlock.hear(answer(KEY, 0))
    unlock.hear(answer(RANDOM, 0x61))
    assert unlock.request.data == bytes.fromhex(VECTORS[0][2])


def test_a_family_without_passwords():
    """The default of the interface: any password is as good as none."""
    assert jk02.Jk02().unlock(ADDRESS, "12345") is None
    assert jk02.Jk02().password_problem("12345") is None


@pytest.mark.parametrize("command", NAMES)
def test_a_password_shows_nowhere(command):
    """Neither as it was written nor enciphered, in whatever text is made of these objects."""
    unlock = asking(command)
    request = unlock.request
    shown = "{0!r} {0!s} {1!r} {1!s} {1.name} {2!r}".format(unlock, request, Conversation(JBD).ask(request))
    for secret in (SECRET, request.data[4:-1].hex(), repr(request.data[4:-1])[2:-1], "000000"):
        assert not secret or secret not in shown
    assert NAMES[command] in shown


def test_module_frames_are_dropped():
    """None of the exchange enters the stream of readings, and all of it goes when a session is given away."""
    exchange = [asking(command).request.data for command in NAMES] + [answer(command, 0) for command in NAMES]
    for data in exchange:
        assert [Rejected(MODULE_FRAME, data)] == JBD.assembler().feed(data)
        assert JBD.redact_rejected(data, []) is None
        assembler = JBD.assembler()
        assert assembler.feed(data[:3]) == []
        assert [Rejected(NOISE, data)] == assembler.feed(data[3:]) + assembler.flush()


def bms(**attributes):
    """The double of a battery with a lock."""
    model = JbdBms()
    for name, value in {"app_key": "000000", "password": SECRET, **attributes}.items():
        setattr(model, name, value)
    return model


def answers_readings(model):
    """Whether the BMS answers what is polled."""
    return bool(model.handle(REQ_BASIC)) and bool(model.handle(REQ_CELLS))


DOUBLES = [
    ({}, Verdict.OPEN, 1, True),
    ({"password": "123123"}, Verdict.REFUSED, 1, False),
    ({"address": "A4:C1:37:04:2D:BF"}, Verdict.REFUSED, 1, False),
    ({"password": None}, Verdict.OPEN, 0, True),
    ({"password": None, "app_key": None}, Verdict.NOT_SPOKEN, 0, True),
    ({"app_key": "314159"}, Verdict.REFUSED, 0, False),
    ({"app_key": None}, Verdict.NOT_SPOKEN, 0, False),
    ({"silent": True}, Verdict.NOT_SPOKEN, 0, False),
    ({"unanswered": [KEY]}, Verdict.NOT_SPOKEN, 0, False),
    ({"unanswered": [RANDOM]}, Verdict.NOT_SPOKEN, 0, False),
    ({"unanswered": [PASSWORD]}, Verdict.UNKNOWN, 1, True),
]
"""What is special about the double, the verdict, how often it was given a password, and whether it is open then."""


@pytest.mark.parametrize(("attributes", "verdict", "attempts", "open_then"), DOUBLES)
def test_against_the_double(attributes, verdict, attempts, open_then):
    """The exchange opens the double that it should, and the double counts what it was given."""
    model = bms(**attributes)
    assert answers_readings(model) is (model.password is None and not model.silent)
    unlock = new()
    drive(unlock, model.handle)
    assert (verdict, attempts) == (unlock.verdict, model.password_attempts)
    assert answers_readings(model) is open_then


def test_the_double_closes_with_the_connection():
    """A lock that was opened is closed on the next connection, and opens with another random byte."""
    model = bms()
    first = drive(new(), model.handle)
    model.reset()
    assert not answers_readings(model)
    second = drive(new(), model.handle)
    assert (first[:2], model.password_attempts) == (second[:2], 2)
    assert first[2] != second[2]
    assert answers_readings(model)


def test_the_double_wants_its_sequence():
    """No password without the random byte of this connection, and no random byte without the app key."""
    model = bms()
    assert model.handle(module_frame(RANDOM)) == []
    assert model.handle(module_frame(PASSWORD, bytes(6))) == [answer(PASSWORD, 1)]
    first = drive(new(), model.handle)
    model.reset()
    model.handle(first[0])
    assert model.handle(first[2]) == [answer(PASSWORD, 1)]
    assert not answers_readings(model)


@given(notification_sizes)
def test_the_double_hears_requests_in_pieces(sizes):
    """Writes cut anywhere, one of the BMS between those of the module."""
    model = bms(password=None)
    stream = module_frame(KEY, b"000000") + REQ_BASIC + module_frame(RANDOM)
    heard = [chunk for piece in cut(stream, sizes) for chunk in model.handle(piece)]
    assert heard[0] == answer(KEY, 2)
    assert heard[-1] == answer(RANDOM, 0x61)
    assert heard[1][:2] == b"\xdd\x03"
