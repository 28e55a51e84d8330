"""A battery as the world sees it: its model, the faults it is told to have, its one link, what it delivered.

Python 3.8.
"""

from tests.doubles.bluez.jbd_model import JbdBms


class Battery:
    """The faults are plain attributes; see the verbs in control.py for what they do."""

    def __init__(self, index, name=None, address=None):
        self.index = index
        self.bms = JbdBms(name=name or "JBD-SP04S-{}".format(index))
        self.address = self.bms.address = address or "A4:C1:38:00:00:{:02X}".format(index)
        self.address_type = "public"
        self.advertise = True
        self.deaf_adapters = set()  # indices of adapters that do not hear it
        self.mtu = 517
        self.write_flags = ["read", "write-without-response", "write"]

        self.connect_delay = self.discover_delay = self.disconnect_delay = 0.05
        self.notify_delay = 0.005
        self.connect_timeout = 40.0  # until a Connect to a battery that is not heard fails
        self.connected_late = 0.0
        self.connect_error = None  # (name, text)
        self.connect_errors_left = None  # None: every attempt fails
        self.flicker = 0  # 1: Connected is false again after the error, 2: before it
        self.phantom = False
        self.resolves = True
        self.beat = None
        self.held_by = None  # the Device over which another program holds it

        self.lose = 0
        self.late = 0.0
        self.double = False
        self.linked_by = None  # the Device that has the link
        self.delivered = []  # hex of whole frames

    def heard_by(self, adapter_index):
        """Whether that adapter can hear it now: a battery with a link does not advertise."""
        return self.advertise and self.linked_by is None and adapter_index not in self.deaf_adapters

    def set_connect_error(self, name=None, text="", count=None):
        """Let the next *count* attempts to connect fail (all without one), or none without a name."""
        self.connect_error = None if name is None else (name, text)
        self.connect_errors_left = count

    def take_connect_error(self):
        """What this attempt fails with, or None."""
        error = self.connect_error
        if error is not None and self.connect_errors_left is not None:
            self.connect_errors_left -= 1
            if self.connect_errors_left <= 0:
                self.set_connect_error()
        return error

    def answer(self, request):
        """What a request makes it send: a list of :class:`Answer`."""
        chunks = self.bms.handle(request)
        if not chunks or self.phantom:
            return []
        return [Answer(chunks) for _ in range(2 if self.double else 1)]

    def takes(self):
        """Whether the next notification gets through."""
        if self.lose > 0:
            self.lose -= 1
            return False
        return not self.phantom


class Answer:
    """The notifications of one answer, and which of them reached a subscriber."""

    def __init__(self, chunks):
        self.chunks = [bytes(chunk) for chunk in chunks]
        self.reached = [False] * len(self.chunks)

    def whole_frames(self):
        """Hex of every JBD frame of which all bytes reached a subscriber and whose checksum is right."""
        data = b"".join(self.chunks)
        arrived = [came for chunk, came in zip(self.chunks, self.reached) for _ in chunk]
        frames, start = [], 0
        while start + 7 <= len(data):
            end = start + 7 + data[start + 3]
            if data[start] != 0xDD or not _is_frame(data[start:end]):
                start += 1
                continue
            if all(arrived[start:end]):
                frames.append(data[start:end].hex())
            start = end
        return frames


def _is_frame(data):
    """Whether *data* is DD command status length payload checksum 77, and nothing else."""
    if len(data) != 7 + data[3] or data[-1] != 0x77:
        return False
    return (sum(data[2:-3]) + int.from_bytes(data[-3:-1], "big")) & 0xFFFF == 0
