"""Frames on the wire: the assembler finds every whole frame, loses no byte, and never depends on the cut."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.protocols.base import MODULE_FRAME, NOISE, Frame, Rejected, frames_of
from core.protocols.jbd import framing
from core.protocols.jbd.framing import JbdAssembler
from tests.core.made import cut, deliveries_of, frame, frames_in
from tests.core.strategies import any_frames, is_module_frame, nasty_data, notification_sizes
from tests.frames import real_frames, special_streams

CELLS = bytes.fromhex("dd0400080d660d610d680d59fe3c77")
FRAGMENTED_IN_TWO_READINGS = "sp-045"
"""A module frame between the halves of an answer: no frame, or the answer after filtering."""


def ids(item):
    """The name of a capture in the list of tests."""
    return item["id"]


@pytest.mark.parametrize("capture", real_frames(), ids=ids)
def test_real_capture(capture):
    """A capture gives its one frame from the notifications as they came."""
    notifications = [bytes.fromhex(n) for n in capture["notifications"]]
    assert [bytes.fromhex(capture["frame"])] == frames_in(JbdAssembler(), notifications)


@pytest.mark.parametrize("stream", special_streams(), ids=ids)
def test_special_stream(stream):
    """A special stream gives exactly the frames that are in it."""
    notifications = [bytes.fromhex(n) for n in stream["notifications"]]
    expected = [bytes.fromhex(f) for f in stream["expected_frames"]]
    found = frames_in(JbdAssembler(), notifications)
    if stream["id"] == FRAGMENTED_IN_TWO_READINGS:
        expected = [b"".join(notifications[::2])]
    assert expected == found


@given(st.lists(any_frames, max_size=5), notification_sizes)
@settings(max_examples=300)
def test_the_cut_does_not_matter(frames, sizes):
    """Valid frames cut anywhere into notifications come out as they went in.

    Excluded: a cut that isolates a span which is itself a frame of the radio module (FF AA ... sum). Such a
    notification is filtered before the stream, see :func:`test_a_continuation_can_look_like_a_module_frame`.
    """
    notifications = cut(b"".join(frames), sizes)
    assume(not any(is_module_frame(n) for n in notifications))
    assert frames == frames_in(JbdAssembler(), notifications)


@given(st.lists(any_frames | nasty_data(max_size=30), max_size=6), notification_sizes)
@settings(max_examples=300)
def test_junk_cut_anywhere_gives_the_same_frames(pieces, sizes):
    """With junk between the frames the result is still that of the uncut stream."""
    stream = b"".join(pieces)
    notifications = cut(stream, sizes)
    assume(not any(is_module_frame(n) for n in [stream, *notifications]))
    assert frames_in(JbdAssembler(), [stream]) == frames_in(JbdAssembler(), notifications)


@given(st.lists(any_frames | nasty_data(max_size=200), max_size=8), notification_sizes)
def test_no_byte_vanishes(pieces, sizes):
    """Frames and rejected bytes, put together in order, are the stream."""
    notifications = cut(b"".join(pieces), sizes)
    assume(not any(is_module_frame(n) for n in notifications))
    delivered = deliveries_of(JbdAssembler(), notifications)
    assert b"".join(pieces) == b"".join(delivery.data for delivery in delivered)


@given(st.lists(nasty_data(max_size=60), min_size=20, max_size=60))
def test_what_is_held_back_is_bounded(notifications):
    """However long the line talks nonsense, the assembler holds less than 700 bytes."""
    assembler = JbdAssembler()
    for notification in notifications:
        assembler.feed(notification)
    assert sum(len(delivery.data) for delivery in assembler.flush()) < 700


def test_long_noise_is_handed_on_early():
    """Noise is handed on in portions, not kept until somebody asks."""
    assembler = JbdAssembler()
    assert assembler.feed(bytes(512)) == []
    assert [Rejected(NOISE, bytes(513))] == assembler.feed(b"\0")
    assert assembler.flush() == []


@pytest.mark.parametrize("size", [0, 1, 13, 0x7F, 0x80])
def test_every_legal_length(size):
    """A payload of up to 128 bytes makes a frame."""
    made = frame(0x03, bytes(size))
    assert [made] == frames_in(JbdAssembler(), [made])


def test_length_beyond_any_answer_is_not_waited_for():
    """A length byte above 128 is damage: the good frame behind it comes at once, without a flush."""
    deliveries = JbdAssembler().feed(frame(0x03, bytes(0x81))[:20] + CELLS)
    assert frames_of(deliveries) == [CELLS]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes(4), NOISE),
        (bytes.fromhex("dd040108"), NOISE),
        (CELLS[:-1], framing.TRUNCATED),
        (CELLS[:-1] + b"\x76", framing.END_MARK),
        (CELLS[:-2] + b"\x3d\x77", framing.CHECKSUM),
        (b"\0" + CELLS[:-2] + b"\x3d\x77\0", framing.CHECKSUM),
    ],
)
def test_reasons(data, reason):
    """What is no frame comes back whole, with the reason that matters most to a reader."""
    assert [Rejected(reason, data)] == deliveries_of(JbdAssembler(), [data])


def test_a_reason_does_not_stick():
    """Noise after a damaged frame is noise again."""
    assembler = JbdAssembler()
    assembler.feed(CELLS[:-1] + b"\x76" + CELLS)
    assert [Rejected(NOISE, b"\0")] == assembler.feed(b"\0") + assembler.flush()


def test_good_frame_inside_a_rejected_span():
    """Only one byte goes after a bad candidate, so a frame that began inside it is found."""
    assert frames_in(JbdAssembler(), [bytes.fromhex("dd030010") + CELLS + b"\0\0\0\0\0\0\0\0"]) == [CELLS]


def test_flush_empties():
    """After a flush nothing of the past can complete or disturb a frame."""
    assembler = JbdAssembler()
    assembler.feed(CELLS[:9])
    assembler.flush()
    assert assembler.flush() == []
    assert [Frame(CELLS)] == assembler.feed(CELLS)


@pytest.mark.parametrize(
    ("notification", "filtered"),
    [
        ("ffaa15010016", True),
        ("ffaa1806f65465917dedc8", True),
        ("ffaa070007", True),
        ("ffaa15010017", False),
        ("ffaa15020016", False),
        ("ffaa0007", False),
        ("feaa15010016", False),
    ],
)
def test_module_frames_never_enter_the_stream(notification, filtered):
    """Exactly one valid FF AA frame is set aside; anything less is part of the stream."""
    data = bytes.fromhex(notification)
    expected = [Rejected(MODULE_FRAME, data)] if filtered else []
    assert filtered is framing.is_module_frame(data)
    assert expected == JbdAssembler().feed(data)


def test_a_continuation_can_look_like_a_module_frame():
    """The price of the filter, and why it is paid: without it sp-045 loses a frame in every authentication.

    A payload that holds a valid FF AA frame exactly at the borders of a notification loses that piece. The answer
    is then missing, never wrong.
    """
    made = frame(0x04, bytes.fromhex("ffaa070007") + bytes(5))
    notifications = [made[:4], made[4:9], made[9:]]
    assert is_module_frame(notifications[1])
    assert frames_in(JbdAssembler(), notifications) == []


@pytest.mark.parametrize(
    ("register", "data"),
    [(0x03, "dda50300fffd77"), (0x04, "dda50400fffc77"), (0x05, "dda50500fffb77"), (0xAA, "dda5aa00ff5677")],
)
def test_ready_made_requests(register, data):
    """The requests are those of the document."""
    request = framing.read_request(register)
    assert ("0x{:02X}".format(register), bytes.fromhex(data)) == (request.name, request.data)


def test_checksum_of_nothing_is_zero():
    """A sum of 0 is 00 00, not 1 00 00 (sp-052)."""
    assert framing.checksum(b"\0\0") == b"\0\0"
    assert bytes.fromhex("dde10000000077") == framing.answer_frame(0xE1, b"")


@given(any_frames)
def test_answer_frame_is_split_again(made):
    """Building and splitting an answer are inverse."""
    register, status, payload = framing.split_answer(made)
    assert made == framing.answer_frame(register, payload, status)
