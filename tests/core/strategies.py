"""Hypothesis strategies for JBD bytes, rich in the bytes that mislead: DD, 77, FF, AA, small registers and zeros."""

from hypothesis import strategies as st

from tests.core.made import cut, frame

NASTY = bytes([0xDD, 0x77, 0xFF, 0xAA, 0x00, 0x03, 0x04, 0x80])
_MOSTLY_NASTY = bytes(NASTY[value % len(NASTY)] if value < 0xC0 else value for value in range(256))


def nasty_data(**sizes):
    """Bytes of any value, or mostly nasty ones."""
    return st.binary(**sizes) | st.binary(**sizes).map(lambda data: data.translate(_MOSTLY_NASTY))


nasty_bytes = st.sampled_from(NASTY) | st.integers(0, 255)
registers = st.sampled_from([0x03, 0x04, 0x05, 0xAA]) | st.integers(0, 255)
statuses = st.sampled_from([0x00, 0x00, 0x00, 0x80, 0x81, 0x82, 0x83])
payloads = nasty_data(max_size=128)
notification_sizes = st.lists(st.integers(1, 60), min_size=1, max_size=8)

answers = st.builds(frame, registers, payloads)
any_frames = st.builds(frame, registers, payloads, statuses)

macs = st.lists(st.integers(1, 255), min_size=6, max_size=6).map(bytes)
"""Without zero bytes, because secrets are blanked with zeros: see test_a_secret_with_zero_bytes_goes_too."""
secrets = st.lists(macs, max_size=2)


def is_module_frame(chunk):
    """Whether *chunk* is a frame of the radio module: ``FF AA command length data sum``."""
    return (
        len(chunk) >= 5
        and chunk[:2] == b"\xff\xaa"
        and len(chunk) == chunk[3] + 5
        and sum(chunk[2:-1]) % 256 == chunk[-1]
    )


def hidden_answers(stream, sent):
    """Spans of *stream* that are answers to the same register by every rule of the protocol, other than *sent*.

    No client can tell them from the true answer, so damage that makes one is outside of what can be promised.
    """
    spans = {stream[start : start + stream[start + 3] + 7] for start in range(len(stream) - 6)}
    return {span for span in spans - {sent} if _is_answer(span, sent[1])}


def _is_answer(span, register):
    known = len(span) > 6 and span[2] in (0, 0x80, 0x81, 0x82, 0x83) and len(span) == span[3] + 7 <= 135
    return known and span == frame(register, span[4:-3], span[2])


@st.composite
def damaged(draw, kind):
    """(frame as sent, notifications as received) with one fault of *kind*."""
    sent = draw(answers)
    if kind == "corrupted":
        index, flip = draw(st.integers(0, len(sent) - 1)), draw(st.integers(1, 255))
        return sent, cut(sent[:index] + bytes([sent[index] ^ flip]) + sent[index + 1 :], draw(notification_sizes))
    if kind == "truncated":
        return sent, cut(sent[: draw(st.integers(0, len(sent) - 1))], draw(notification_sizes))
    if kind == "inserted":
        index, byte = draw(st.integers(0, len(sent))), draw(nasty_bytes)
        return sent, cut(sent[:index] + bytes([byte]) + sent[index:], draw(notification_sizes))
    chunks = cut(sent, draw(notification_sizes))
    index = draw(st.integers(0, len(chunks) - 1))
    times = {"lost": 0, "repeated": 2}[kind]
    return sent, chunks[:index] + chunks[index : index + 1] * times + chunks[index + 1 :]
