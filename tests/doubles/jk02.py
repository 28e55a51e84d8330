"""JK02, a BMS family that pushes: a double that proves the seam, not a driver. No change in the core was needed.

Layout and error bits: JK02 over Bluetooth LE, 24S (software before 11) and 32S. Which of the two a frame has is in
another frame, so it is decided here by what the values can be. Numbers are little-endian.
"""

import struct

from attrs import frozen

from core import protections as p
from core.protocols.base import NOISE, Assembler, Frame, Protocol, Rejected, Request, without_secrets
from core.readings import CellReading, Identity, PackReading, Sample

HEADER, SIZE = bytes.fromhex("55aaeb90"), 300
SETTINGS, CELL_INFORMATION, DEVICE_INFORMATION = 1, 2, 3
NAMES = slice(46, SIZE - 1)
"""Device name, pass codes, serial number and what else owners write; model and versions stand before it."""
MAX_CELL_MV, NO_SENSOR_DC = 5000, -2000
MOSFET_HOT, WIRE_RESISTANCE, CELL_COUNT_WRONG = "mosfet_hot", "wire_resistance", "cell_count_wrong"
ERRORS = {
    0: WIRE_RESISTANCE, 1: MOSFET_HOT, 2: CELL_COUNT_WRONG, 5: p.PACK_OVERVOLTAGE, 6: p.CHARGE_OVERCURRENT,
    7: p.SHORT_CIRCUIT, 8: p.CHARGE_OVERTEMPERATURE, 9: p.CHARGE_UNDERTEMPERATURE, 10: p.FRONTEND_IC_ERROR,
    11: p.CELL_UNDERVOLTAGE, 12: p.PACK_UNDERVOLTAGE, 13: p.DISCHARGE_OVERCURRENT, 14: p.SHORT_CIRCUIT,
    15: p.DISCHARGE_OVERTEMPERATURE, 16: p.CHARGE_MOS_BREAKDOWN, 17: p.DISCHARGE_MOS_BREAKDOWN,
    27: p.DISCHARGE_UNDERTEMPERATURE,
}  # fmt: skip
"""Bits 4 (fully charged), 18, 19 and 28 (GPS, factory password) are no protections."""


def checked(body):
    """*body* with its sum in the last byte."""
    return bytes(body[: SIZE - 1]) + bytes([sum(body[: SIZE - 1]) & 0xFF])


def request(command):
    """The 20 bytes that ask for something."""
    body = bytes.fromhex("aa5590eb") + bytes([command]) + bytes(14)
    return Request("0x{:02X}".format(command), body + bytes([sum(body) & 0xFF]))


@frozen
class Layout:
    """Where the fields are: *cells* words from 6 and from 64 or 80 on, the rest *shift* bytes further on in 32S."""

    cells: int
    shift: int
    mosfet_at: int
    errors: str

    def read(self, kind, at, frame):
        """One field whose offset in the 24S layout is *at*, behind the cells and their wires."""
        return struct.unpack_from("<" + kind, frame, at + self.shift)[0]

    def cells_mv(self, frame):
        """The enabled cells."""
        (enabled,) = struct.unpack_from("<I", frame, 6 + 2 * self.cells)
        words = struct.unpack_from("<{}H".format(self.cells), frame, 6)
        return tuple(mv for cell, mv in enumerate(words) if enabled >> cell & 1)

    def sample(self, frame):
        """The frame in the shared vocabulary."""
        cells_mv, errors = self.cells_mv(frame), self.read(self.errors, 136 if self.cells == 24 else 134, frame)
        (mosfet_dc,) = struct.unpack_from("<h", frame, self.mosfet_at)
        temperatures_dc = (self.read("h", 130, frame), self.read("h", 132, frame), mosfet_dc)
        pack = PackReading(
            voltage_mv=self.read("I", 118, frame),
            current_ma=self.read("i", 126, frame),
            cell_count=len(cells_mv),
            remaining_mah=self.read("I", 142, frame),
            full_charge_mah=self.read("I", 146, frame),
            soc_permille=self.read("B", 141, frame) * 10,
            soh_permille=self.read("B", 158, frame) * 10,
            cycles=self.read("I", 150, frame),
            charge_fet_on=bool(self.read("B", 166, frame)),
            discharge_fet_on=bool(self.read("B", 167, frame)),
            protections=tuple(name for bit, name in ERRORS.items() if errors >> bit & 1),
            temperatures_dc=tuple(None if t == NO_SENSOR_DC else t for t in temperatures_dc),
        )
        return Sample(pack=pack, cells=CellReading(cells_mv))


LAYOUTS = (Layout(24, 0, 134, "H"), Layout(32, 32, 144, "I"))


def plausible(sample):
    """Whether the values can be: cells below 5 V that add up to the battery, and at most 100 %."""
    pack, cells_mv = sample.pack, sample.cells.voltages_mv
    fits = abs(pack.voltage_mv - sum(cells_mv)) < 0.05 * pack.voltage_mv
    return fits and max(cells_mv, default=MAX_CELL_MV) < MAX_CELL_MV and pack.soc_permille <= 1000


class Jk02Assembler(Assembler):
    """Frames of 300 bytes; anything between them is junk, also right behind a frame in the same notification."""

    def __init__(self):
        self._buffer, self._junk = bytearray(), bytearray()

    def feed(self, notification):
        """See :class:`Assembler`."""
        self._buffer += notification
        return self._take(final=False)

    @property
    def is_waiting(self):
        """See :class:`Assembler`."""
        return bool(self._buffer)

    def flush(self):
        """See :class:`Assembler`."""
        return self._take(final=True) + self._take_junk()

    def _take(self, final):
        deliveries = []
        while self._buffer:
            if self._buffer[:4] == HEADER[: len(self._buffer)] and len(self._buffer) < SIZE and not final:
                break
            whole = bytes(self._buffer[:SIZE])
            if whole[:4] == HEADER and len(whole) == SIZE and whole == checked(whole):
                deliveries += [*self._take_junk(), Frame(whole)]
                del self._buffer[:SIZE]
            else:
                self._junk.append(self._buffer.pop(0))
        return deliveries + (self._take_junk() if len(self._junk) > 512 else [])

    def _take_junk(self):
        junk, self._junk = bytes(self._junk), bytearray()
        return [Rejected(NOISE, junk)] if junk else []


class Jk02(Protocol):
    """One request starts the stream, then cell information comes by itself."""

    name, label = "jk02", "JK"
    service_uuids = ("0000ffe0-0000-1000-8000-00805f9b34fb",)
    notify_uuids = write_uuids = ("0000ffe1-0000-1000-8000-00805f9b34fb",)
    poll_requests = (request(0x96),)
    once_requests = (request(0x97),)

    def assembler(self):
        """See :class:`Protocol`."""
        return Jk02Assembler()

    def answers(self, request, frame):
        """96 is answered with the settings, 97 with the device information."""
        return {0x96: SETTINGS, 0x97: DEVICE_INFORMATION}[request.data[4]] == frame[4]

    def accepts_unasked(self, frame):
        """See :class:`Protocol`."""
        return frame[4] == CELL_INFORMATION

    def decode(self, frame):
        """See :class:`Protocol`. JK04, whose frames differ in the body only, fits neither layout."""
        if frame[4] == DEVICE_INFORMATION:
            return Sample(identity=Identity(frame[6:22].split(b"\0")[0].decode("ascii", "replace")))
        if frame[4] != CELL_INFORMATION:
            return Sample()
        fitting = [sample for sample in (layout.sample(frame) for layout in LAYOUTS) if plausible(sample)]
        return fitting[0] if fitting else Sample(remarks=("cell information in an unknown layout ignored",))

    def describe(self, frame):
        """See :class:`Protocol`."""
        sample = self.decode(frame)
        described = {"type": frame[4]}
        if sample.identity:
            described["model"] = sample.identity.hardware_name
        if sample.pack:
            described.update(voltage_V=sample.pack.voltage_mv / 1000, current_A=sample.pack.current_ma / 1000)
        return described

    def redact(self, frame, secrets):
        """See :class:`Protocol`."""
        kept = bytearray(HEADER + without_secrets(frame[4:], secrets))
        if frame[4] == DEVICE_INFORMATION:
            kept[NAMES] = bytes(SIZE - 1 - NAMES.start)
        return frame if bytes(kept[:-1]) == frame[:-1] else checked(kept)

    def redact_rejected(self, data, secrets):
        """See :class:`Protocol`. A piece of device information holds pass codes in clear."""
        return bytes(len(data))

    def recognise(self, advertisement):
        """See :class:`Protocol`."""
        return "name" if (advertisement.name or "").upper().startswith("JK") else None


PROTOCOL = Jk02()
