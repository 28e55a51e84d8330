"""Builds the bundled sessions in ``service/sessions`` from captured frames, each line naming its frame's source.

Run ``python -m tests.bundled_sessions`` after a change of the format; a test compares the files with what this builds.
"""

import json
from pathlib import Path

from core.configuration import BatteryConfiguration, Configuration
from core.events import Event, LinkEstablished, ReadingTaken, SessionEnded, SessionStarted
from storage.session_file import SessionHeader, event_line, header_line
from tests.frames import real_frames

SESSIONS = Path(__file__).resolve().parent.parent / "service" / "sessions"
WALL_US = 1_767_225_600_000_000  # 2026-01-01
START_US = 100_000_000
CYCLE_US = 5_000_000
WRITER = "dbus-btbattery 0.1.0"

# battery, address shown, and per poll cycle the captured frames to answer with
PLANS = {
    # A 4S board while its owner switches the FETs in the vendor's app: both on, charge off, discharge off, both on.
    "demo-4s.jsonl": (
        BatteryConfiguration("ble_sp04s034", "JBD-SP04S034", connection="Recorded session"),
        [["jbd-071"]]
        + [["jbd-034", "jbd-065"]] * 3
        + [["jbd-035", "jbd-065"]] * 2
        + [["jbd-036", "jbd-065"]] * 2
        + [["jbd-034", "jbd-065"]] * 3,
    ),
    # A 16S battery of the Daren dialect under a load of 25 A; its name was not recorded.
    "daren-16s.jsonl": (
        BatteryConfiguration("ble_daren16s", "DWF (Daren)", connection="Recorded session"),
        [["jbd-010", "jbd-046"]] * 6,
    ),
}


def build(name):
    """The text of one bundled session."""
    battery, cycles = PLANS[name]
    frames = {frame["id"]: frame for frame in real_frames()}
    configuration = Configuration((battery,)).to_payload()
    facts = [(0, SessionStarted("0.1.0", configuration), None), (1, LinkEstablished(battery.battery), None)]
    for cycle, ids in enumerate(cycles):
        for place, frame_id in enumerate(ids):
            frame = frames[frame_id]
            at_us = 600_000 + cycle * CYCLE_US + place * 100_000
            reading = ReadingTaken(battery.battery, "jbd", bytes.fromhex(frame["frame"]))
            facts.append((at_us, reading, "{}: {}".format(frame_id, frame["source"])))
    facts.append((600_000 + len(cycles) * CYCLE_US, SessionEnded("stopped"), None))
    lines = [header_line(SessionHeader(WRITER, True, configuration))]
    for number, (at_us, fact, source) in enumerate(facts, 1):
        line = json.loads(event_line(Event(number, 1, START_US + at_us, WALL_US + at_us, fact)))
        if source:
            line["source"] = source
        lines.append(json.dumps(line, separators=(",", ":")) + "\n")
    return "".join(lines)


if __name__ == "__main__":
    for file_name in PLANS:
        (SESSIONS / file_name).write_text(build(file_name), encoding="utf-8")
