"""Builds the bundled sessions in ``service/sessions``: of single batteries from captured frames, each line naming its
frame's source, and of banks from simulated batteries.

Run ``python -m tests.bundled_sessions`` after a change of the format; a test compares the files with what this builds.
"""

import json
from pathlib import Path

from adapters.simulated_battery import SimulatedBattery, SimulatedPack
from core.configuration import PARALLEL, SERIES, BatteryConfiguration, Configuration
from core.events import Event, LinkEstablished, LinkLost, ReadingTaken, SessionEnded, SessionStarted
from core.protocols.jbd.framing import read_request
from storage.session_file import SessionHeader, event_line, header_line
from tests.frames import real_frames

SESSIONS = Path(__file__).resolve().parent.parent / "service" / "sessions"
WALL_US = 1_767_225_600_000_000  # 2026-01-01
START_US = 100_000_000
CYCLE_US = 5_000_000
PROGRAM = "0.1.0"
BANK_PROGRAM = "0.2.0"
WRITER = "dbus-btbattery {}"

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

# Two simulated batteries; for so long, in seconds since the start, the second one is out of range.
AWAY_S = (60, 240)
END_S = 330
BANKS = {"series-2x4s.jsonl": SERIES, "parallel-2x4s.jsonl": PARALLEL}


def build(name):
    """The text of one bundled session."""
    return _bank(BANKS[name]) if name in BANKS else _single(*PLANS[name])


def _single(battery, cycles):
    frames = {frame["id"]: frame for frame in real_frames()}
    configuration = Configuration((battery,)).to_payload()
    facts = [(0, SessionStarted(PROGRAM, configuration), None), (1, LinkEstablished(battery.battery), None)]
    for cycle, ids in enumerate(cycles):
        for place, frame_id in enumerate(ids):
            frame = frames[frame_id]
            at_us = 600_000 + cycle * CYCLE_US + place * 100_000
            reading = ReadingTaken(battery.battery, "jbd", bytes.fromhex(frame["frame"]))
            facts.append((at_us, reading, "{}: {}".format(frame_id, frame["source"])))
    facts.append((600_000 + len(cycles) * CYCLE_US, SessionEnded("stopped"), None))
    return _text(PROGRAM, configuration, facts)


def _bank(topology):
    packs = [SimulatedPack("left", seed=3, soc_pct=62.0), SimulatedPack("right", seed=8, soc_pct=60.0)]
    names = ["sim_" + pack.name for pack in packs]
    batteries = tuple(BatteryConfiguration(name, name[4:], connection="Recorded session") for name in names)
    options = {"float_switching": True, "linear": True, "midpoint": True}
    configuration = Configuration(batteries, topology=topology, **options).to_payload()
    facts = [(0, SessionStarted(BANK_PROGRAM, configuration), None)]
    facts += [(1 + place, LinkEstablished(name), None) for place, name in enumerate(names)]
    simulated = [SimulatedBattery(pack) for pack in packs]
    gone_s, back_s = AWAY_S
    for at_s in range(1, END_S, CYCLE_US // 1_000_000):
        for place, (name, battery) in enumerate(zip(names, simulated)):
            if place and gone_s <= at_s < back_s:
                continue
            for turn, register in enumerate((0x03, 0x04)):
                at_us = at_s * 1_000_000 + place * 400_000 + turn * 100_000
                facts.append(
                    (at_us, ReadingTaken(name, "jbd", battery.respond(read_request(register).data, at_s)), None)
                )
    facts.append((gone_s * 1_000_000, LinkLost(names[1], "out of range"), None))
    facts.append((back_s * 1_000_000, LinkEstablished(names[1]), None))
    facts.append((END_S * 1_000_000, SessionEnded("stopped"), None))
    return _text(BANK_PROGRAM, configuration, sorted(facts, key=lambda fact: fact[0]))


def _text(program, configuration, facts):
    lines = [header_line(SessionHeader(WRITER.format(program), True, configuration))]
    for number, (at_us, fact, source) in enumerate(facts, 1):
        line = json.loads(event_line(Event(number, 1, START_US + at_us, WALL_US + at_us, fact)))
        if source:
            line["source"] = source
        lines.append(json.dumps(line, separators=(",", ":")) + "\n")
    return "".join(lines)


if __name__ == "__main__":
    for file_name in [*PLANS, *BANKS]:
        (SESSIONS / file_name).write_text(build(file_name), encoding="utf-8")
