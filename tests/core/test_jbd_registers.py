"""What a JBD answer means: every capture, every special stream, bits, sentinels, and no surprise from any payload."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import protections as p
from core import protocols
from core.protocols.jbd import registers as r
from core.readings import CellReading, Identity, PackReading, ProtectionCounters, Refusal, Sample
from tests.core.made import basic, cells, counters, frame, frames_in, name
from tests.core.strategies import nasty_data, registers, secrets, statuses
from tests.frames import frame as captured
from tests.frames import real_frames, special_streams

JBD = protocols.find("jbd")
DECODED_STREAMS = [stream for stream in special_streams() if "expected" in stream]
TENFOLD = {
    "current_A": -250.0,
    "remaining_Ah": 420.0,
    "nominal_Ah": 840.0,
}
"""sp-011 shows the plain decode; its note gives what the unit flag in the tail, which we honour, makes of it."""
NEVER_WIRED = {"note"}


def ids(item):
    """The name of a capture in the list of tests."""
    return item["id"]


def pack_of(data):
    """The pack reading of a frame."""
    return JBD.decode(data).pack


@pytest.mark.parametrize("capture", real_frames(), ids=ids)
def test_real_capture(capture):
    """Everything that is known of a capture is what describing it says."""
    described = JBD.describe(bytes.fromhex(capture["frame"]))
    assert capture["expected"] == {key: described.get(key) for key in capture["expected"]}


@pytest.mark.parametrize("stream", DECODED_STREAMS, ids=ids)
def test_special_stream(stream):
    """The values of a made frame are those it was made with."""
    expected = {key: value for key, value in stream["expected"].items() if key not in NEVER_WIRED}
    if stream["id"] == "sp-011":
        expected.update(TENFOLD)
    described = JBD.describe(bytes.fromhex(stream["expected_frames"][0]))
    assert expected == {key: described.get(key) for key in expected}


def test_pack_reading_of_a_capture():
    """One capture in the shared vocabulary, in whole numbers with their units."""
    expected = PackReading(
        voltage_mv=13_700,
        current_ma=0,
        cell_count=4,
        remaining_mah=279_980,
        nominal_mah=280_000,
        soc_permille=1000,
        cycles=0,
        charge_fet_on=True,
        discharge_fet_on=True,
        temperatures_dc=(195, 195, 191),
        firmware="8.0",
        production_date="2022-03-28",
    )
    data = bytes.fromhex("dd03001d055a00006d5e6d6000002c7c00000000000080640304030b6e0b6e0b6afaef77")
    assert Sample(pack=expected) == JBD.decode(data)


def test_cells_name_and_counters():
    """The other three registers in the shared vocabulary."""
    assert Sample(cells=CellReading((3331, 3329, 3331, 3330))) == JBD.decode(captured("jbd-065"))
    assert Sample(identity=Identity("JBD-SP04S034-L4S-200A-B-U")) == JBD.decode(captured("jbd-071"))
    counts = JBD.decode(captured("jbd-077")).counters.counts
    assert (counts["short_circuit"], counts["cell_overvoltage"], counts["system_restarts"]) == (1, 12115, 42)


@pytest.mark.parametrize(("status", "meaning"), [(0x80, "no such command"), (0x83, "password refused")])
def test_refusal(status, meaning):
    """An error status is a refusal with its meaning, whatever the register."""
    data = frame(0x03, status=status)
    assert Sample(refusal=Refusal(meaning)) == JBD.decode(data)
    assert {"status": status, "meaning": meaning, "payload_len": 0}.items() <= JBD.describe(data).items()


def test_refusal_with_an_unlisted_status():
    """A status that no document names is shown as a number."""
    data = frame(0x03, status=0x99)
    assert Refusal("status 0x99") == JBD.decode(data).refusal
    assert JBD.describe(data)["meaning"] == "unknown"


def test_unknown_register():
    """A register that nobody here reads is an empty sample, and is described by its bytes."""
    data = frame(0x2D, b"\0\x06")
    assert Sample() == JBD.decode(data)
    expected = {"register": "0x2D", "status": 0, "payload_hex": "0006", "payload_len": 2}
    assert expected == JBD.describe(data)


@pytest.mark.parametrize(
    ("data", "remark"),
    [
        (frame(0x03, bytes(22)), "basic information shorter than 23 bytes ignored"),
        (frame(0x04, bytes(7)), "cell voltages of odd length ignored"),
        (frame(0x04), "cell voltages of odd length ignored"),
    ],
)
def test_payload_that_cannot_be(data, remark):
    """A valid frame with an impossible payload gives no value, and says why."""
    assert Sample(remarks=(remark,)) == JBD.decode(data)
    assert data[4:-3].hex() == JBD.describe(data)["payload_hex"]


def test_too_few_counters():
    """Less than twelve counters are none."""
    assert Sample() == JBD.decode(frame(0xAA, bytes(22)))
    assert "payload_hex" in JBD.describe(frame(0xAA, bytes(22)))


def test_counters_in_order():
    """Twelve counters, short circuit first, restarts last."""
    found = JBD.decode(counters(*range(12))).counters
    assert isinstance(found, ProtectionCounters)
    assert list(range(12)) == list(found.counts.values())
    assert {"pack_overvoltage": 9, "pack_undervoltage": 10, "system_restarts": 11}.items() <= found.counts.items()


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"SP04S\0\0", "SP04S"), (b"  A\xffB ", "A B"), (b"\x07\x00", ""), (b"", "")],
)
def test_name_is_printable(raw, text):
    """A name holds printable ASCII only."""
    assert Identity(text) == JBD.decode(name(raw)).identity


PROTECTION_NAMES = [
    p.CELL_OVERVOLTAGE, p.CELL_UNDERVOLTAGE, p.PACK_OVERVOLTAGE, p.PACK_UNDERVOLTAGE, p.CHARGE_OVERTEMPERATURE,
    p.CHARGE_UNDERTEMPERATURE, p.DISCHARGE_OVERTEMPERATURE, p.DISCHARGE_UNDERTEMPERATURE, p.CHARGE_OVERCURRENT,
    p.DISCHARGE_OVERCURRENT, p.SHORT_CIRCUIT, p.FRONTEND_IC_ERROR, p.SOFTWARE_MOS_LOCK, p.CHARGE_MOS_BREAKDOWN,
    p.DISCHARGE_MOS_BREAKDOWN, "reserved15",
]  # fmt: skip


@pytest.mark.parametrize(("bit", "expected"), list(enumerate(PROTECTION_NAMES)))
def test_protection_bit(bit, expected):
    """Each protection bit is one name; a set bit 15 shifts none of them."""
    assert (expected,) == pack_of(basic(protection=1 << bit)).protections
    assert expected in pack_of(basic(protection=1 << bit | 0x8000)).protections


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (1 << 0, (p.CELL_OVERVOLTAGE,)),
        (1 << 9, (p.DISCHARGE_OVERCURRENT,)),
        (1 << 10, (p.CELL_SPREAD,)),
        (1 << 11, (p.CAPACITY_LOW,)),
        (1 << 12 | 1 << 15, ()),
    ],
)
def test_warning_bit(word, expected):
    """Pre-warnings come from the tail; reserved bits, one of which some boards always set, are none."""
    tail = b"\0" + word.to_bytes(2, "big") + bytes(6)
    assert expected == pack_of(basic(tail=tail)).warnings


@pytest.mark.parametrize(
    ("balance", "expected"),
    [((0, 0), ()), ((0x0282, 0), (2, 8, 10)), ((0x8000, 0x0001), (16, 17)), ((0, 0x8000), (32,))],
)
def test_balancing_cells(balance, expected):
    """Two unsigned words, cells 1 to 16 first."""
    assert expected == pack_of(basic(balance=balance)).balancing_cells


@pytest.mark.parametrize(
    ("raw", "expected"),
    [(0x2C7C, "2022-03-28"), (0x2078, "2016-03-24"), (0, None), (0x2C60, None), (0x2DBC, None)],
)
def test_production_date(raw, expected):
    """An impossible date is none."""
    assert expected == pack_of(basic(date=raw)).production_date


@pytest.mark.parametrize(("raw", "expected"), [(0x25, "2.5"), (0x80, "8.0"), (0, None)])
def test_firmware(raw, expected):
    """Two nibbles; 0 is not a version."""
    assert expected == pack_of(basic(version=raw)).firmware


@pytest.mark.parametrize(
    ("fet", "charge", "discharge"),
    [(0, False, False), (1, True, False), (2, False, True), (0x0B, True, True), (0xFC, False, False)],
)
def test_fets(fet, charge, discharge):
    """Bits 0 and 1 only, whatever the rest of the byte says."""
    pack = pack_of(basic(fet=fet))
    assert (charge, discharge) == (pack.charge_fet_on, pack.discharge_fet_on)


@pytest.mark.parametrize(
    ("temperatures_dc", "expected"),
    [
        ((250, 259), (250, 259)),
        ((-2731, 62804, 250), (None, None, 250)),
        ((-300, 250), (None, 250)),
        ((-300, 0), (-300, 0)),
        ((-300, -280), (-300, -280)),
        ((-300, 1201), (-300, None)),
        ((-400, 1200, -401), (-400, 1200, None)),
        ((), ()),
    ],
)
def test_fitted_temperatures(temperatures_dc, expected):
    """A sensor that is not there has no value; -30.0 degC is one only while nothing is warmer than 0 degC."""
    assert expected == pack_of(basic(temperatures_dc=temperatures_dc)).temperatures_dc


@pytest.mark.parametrize("how", [{"fet": 0x83}, {"tail": b"\x80" + bytes(8)}])
def test_unit_flag(how):
    """Either flag makes current and capacities tenfold, never the voltage, and is remarked on."""
    sample = JBD.decode(basic(**how))
    assert (
        sample.pack.current_ma,
        sample.pack.remaining_mah,
        sample.pack.nominal_mah,
    ) == (-50_000, 500_000, 1_000_000)
    assert sample.pack.voltage_mv == 13_300
    assert sample.remarks == ("current and capacities are in 100 mA units",)


@pytest.mark.parametrize(("full_charge", "expected"), [(10_100, 101_000), (0, None)])
def test_full_charge_capacity(full_charge, expected):
    """The learned capacity is in the tail; 0 means not learned."""
    tail = bytes(3) + full_charge.to_bytes(2, "big") + bytes(4)
    assert expected == pack_of(basic(tail=tail)).full_charge_mah


def test_daren_dialect():
    """The Daren capture: two more temperatures and the state of health in place of the tail."""
    pack = pack_of(captured("jbd-010"))
    assert pack.soh_permille == 1000
    assert (len(pack.temperatures_dc), len(pack.extra_temperatures_dc)) == (4, 2)
    assert (pack.full_charge_mah, pack.warnings) == (None, ())


@pytest.mark.parametrize("tail", ["0ba50bae64000000", "0b410c5900000000ffff"])
def test_daren_tail(tail):
    """Two temperatures, at most 100 %, three zeros: Daren."""
    assert pack_of(basic(tail=bytes.fromhex(tail))).soh_permille is not None


@pytest.mark.parametrize(
    "tail",
    [
        *("0ba50bae640000", "0aa00bae64000000", "0ba50aa064000000", "0ba50bae65000000", "0ba50bae64000001"),
        "1e000a0a1400000000",
    ],
    ids=["short", "first too cold", "second too cold", "above 100 %", "no zeros", "damp JBD board with warnings"],
)
def test_no_daren_tail(tail):
    """Anything less is not Daren."""
    assert pack_of(basic(tail=bytes.fromhex(tail))).soh_permille is None


any_answers = st.builds(frame, registers, nasty_data(max_size=128), statuses)


@given(any_answers, secrets)
@settings(max_examples=500)
def test_no_payload_is_too_odd(data, hidden):
    """Whatever a valid frame holds: it decodes, is described in JSON, and is redacted to a valid frame, once."""
    assert isinstance(JBD.decode(data), Sample)
    json.dumps(JBD.describe(data), allow_nan=False)
    redacted = JBD.redact(data, hidden)
    assert [redacted] == frames_in(JBD.assembler(), [redacted])
    assert redacted is JBD.redact(redacted, hidden)
    assert isinstance(JBD.decode(redacted), Sample)


@pytest.mark.parametrize("register", [0x03, 0x04, 0x05, 0xAA])
@pytest.mark.parametrize("fill", [0x00, 0x77, 0xDD, 0xFF])
def test_every_length_of_payload(register, fill):
    """A payload of any length from 0 to 128 decodes to something or nothing."""
    for size in range(129):
        data = frame(register, bytes([fill]) * size)
        assert isinstance(JBD.decode(data), Sample)
        json.dumps(JBD.describe(data), allow_nan=False)


@given(nasty_data(max_size=128))
def test_counts_inside_never_reach_beyond_the_payload(payload):
    """There are never more sensors or cells than bytes for them."""
    parsed = r.parse_basic_information(payload)
    assert (parsed is None) == (len(payload) < r.FIXED_SIZE)
    assert parsed is None or 2 * len(parsed.temperatures_dc) <= len(payload) - r.FIXED_SIZE
    reading = r.parse_cell_voltages(payload)
    assert reading is None or 2 * len(reading.voltages_mv) == len(payload)


def test_zero_cell_is_kept():
    """0 mV in a valid frame is real: a broken sense wire."""
    assert JBD.decode(cells(3300, 0, 3300, 3300)).cells.voltages_mv == (3300, 0, 3300, 3300)
