"""JBD as a family: its requests, what it recognises, and what it takes out of a frame before others see it."""

import pytest
from hypothesis import given

from core import protocols
from core.protocols.base import Advertisement
from tests.core.made import basic, cells, deliveries_of, frame, frames_in, name
from tests.core.strategies import macs, nasty_data, secrets
from tests.frames import frame as captured
from tests.frames import real_frames

JBD = protocols.find("jbd")
MAC = bytes.fromhex("a4c137042dbe")
SECRETS = [MAC, MAC[::-1]]
MEASUREMENTS = ("0x03", "0x04", "0xAA")


def test_only_reads_are_sent():
    """Every request is a read; nothing is ever written to a BMS."""
    requests = JBD.poll_requests + JBD.once_requests
    assert [request.name for request in requests] == ["0x03", "0x04", "0x05"]
    assert all(request.data[:2] == b"\xdd\xa5" for request in requests)


def test_characteristics():
    """The common module and the WattCycle variant, by their full UUIDs."""
    base = "-0000-1000-8000-00805f9b34fb"
    assert JBD.service_uuids == ("0000ff00" + base, "0000fff0" + base)
    assert JBD.notify_uuids == ("0000ff01" + base, "0000fff1" + base)
    assert JBD.write_uuids == ("0000ff02" + base, "0000fff2" + base)


def test_nothing_comes_unasked():
    """JBD answers and never pushes."""
    assert JBD.accepts_unasked(basic()) is False


@pytest.mark.parametrize(
    ("advertisement", "reason"),
    [
        (Advertisement("00:11:22:33:44:55", "Pantry"), None),
        (Advertisement("00:11:22:33:44:55"), None),
        (Advertisement("00:11:22:33:44:55", services=("0000FF00-0000-1000-8000-00805F9B34FB",)), "service ff00"),
        (Advertisement("00:11:22:33:44:55", services=("0000fff0-0000-1000-8000-00805f9b34fb",)), None),
        (Advertisement("00:11:22:33:44:55", "xiaoxiang BMS"), "name"),
        (Advertisement("00:11:22:33:44:55", "12100BL0001"), "name"),
        (Advertisement("a4:c1:37:00:00:01"), "address"),
        (
            Advertisement("A5:C2:37:00:00:01", "JBD-SP04S034", -60, ("0000ff00-0000-1000-8000-00805f9b34fb",)),
            "service ff00 + name + address",
        ),
    ],
)
def test_recognise(advertisement, reason):
    """A device is a candidate for the marks it bears, and each is named."""
    assert reason == JBD.recognise(advertisement)


@pytest.mark.parametrize("capture", real_frames(), ids=lambda capture: capture["id"])
def test_redacted_capture(capture):
    """Measurements stay the same object; whatever may name somebody is blanked; the frame stays valid."""
    data = bytes.fromhex(capture["frame"])
    redacted = JBD.redact(data, SECRETS)
    assert [redacted] == frames_in(JBD.assembler(), [redacted])
    if capture["command"] in MEASUREMENTS:
        assert data is redacted
    else:
        assert b"X" * data[3] == redacted[4:-3]
        assert (data[:4], len(data)) == (redacted[:4], len(redacted))


def test_blanked_name_has_a_right_checksum():
    """The name goes, the length stays, the sum is that of the blanks."""
    assert frame(0x05, b"XXXXXX") == JBD.redact(name(b"PANTRY"), [])


def test_blanking_needs_no_new_frame_when_nothing_is_there():
    """An acknowledge without payload is left as it is."""
    data = captured("jbd-073")
    assert data is JBD.redact(data, SECRETS)


@pytest.mark.parametrize("register", [0x03, 0x04, 0x05, 0x06, 0xA2, 0xAA])
@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_go(register, secret):
    """An address inside a payload goes, in whichever order its bytes stand."""
    data = frame(register, b"\x01" + secret + b"\x02\x03" + secret)
    redacted = JBD.redact(data, SECRETS)
    assert secret not in redacted
    assert [redacted] == frames_in(JBD.assembler(), [redacted])
    assert redacted is JBD.redact(redacted, SECRETS)


@given(macs, nasty_data(max_size=40), nasty_data(max_size=40))
def test_no_secret_survives(mac, before, after):
    """A MAC without zero bytes is in no redacted frame and in no redacted rejected bytes."""
    hidden = [mac, mac[::-1]]
    for payload in (before + mac + after, before + mac[::-1] + after):
        data = frame(0x04, payload)
        assert not any(secret in JBD.redact(data, hidden) for secret in hidden)
        rejected = JBD.redact_rejected(data[:-3], hidden)
        assert rejected is None or not any(secret in rejected for secret in hidden)


def test_a_secret_with_zero_bytes_goes_too():
    """A MAC that begins with 00 goes wherever it stands, also where its own end follows it."""
    mac = bytes.fromhex("00a4c137042d")
    redacted = JBD.redact(frame(0x04, mac + mac[1:] + b"\x05"), [mac])
    assert mac not in redacted


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (basic()[:20], basic()[:20]),
        (cells()[:-1] + b"\0", cells()[:-1] + b"\0"),
        (cells()[:4] + MAC, cells()[:4] + bytes(6)),
        (name(b"PANTRY")[:-1], bytes(12)),
        (cells()[:4] + b"PANTRY", cells()[:4] + bytes(6)),
        (cells()[:9] + cells(), cells()[:9] + bytes(len(cells()))),
        (b"PANTRY", bytes(6)),
        (b"\xdd", b"\0"),
        (b"\xdd\x03", b"\xdd\x03"),
        (b"", b""),
        (bytes.fromhex("ffaa1806f65465917dedc8"), None),
        (cells()[:9] + bytes.fromhex("ffaa1806f6"), None),
    ],
)
def test_redact_rejected(data, expected):
    """The beginning of plain measurements stays, other bytes are blanked, what may be a password goes altogether."""
    assert expected == JBD.redact_rejected(data, SECRETS)


def test_a_name_behind_a_damaged_measurement_goes_too():
    """Half a measurement followed by a damaged answer with the owner's name is one rejected span: the name must go."""
    (rejected,) = deliveries_of(JBD.assembler(), [cells()[:9], name(b"PANTRY")[:-1]])
    assert b"PANTRY" not in JBD.redact_rejected(rejected.data, SECRETS)


@given(nasty_data(max_size=150), secrets)
def test_redact_rejected_takes_any_bytes(data, hidden):
    """No bytes are too odd to be redacted; what is left has its length and redacts to itself."""
    redacted = JBD.redact_rejected(data, hidden)
    if redacted is not None:
        assert len(data) == len(redacted)
        assert redacted == JBD.redact_rejected(redacted, hidden)
