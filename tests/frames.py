"""The captured and the made frames of ``tests/data``."""

import json
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"


def _lines(name):
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def real_frames(bms="jbd"):
    """Captures of one BMS family."""
    return [frame for frame in _lines("frames.jsonl") if frame["bms"] == bms]


def special_streams(bms="jbd"):
    """Streams that must give exactly their ``expected_frames``."""
    return [stream for stream in _lines("frames-special.jsonl") if stream["bms"] == bms]


def reassembly_cases():
    """Requests with the notifications that follow, and what a correct client delivers."""
    return json.loads((DATA / "jbd-frame-cases.json").read_text(encoding="utf-8"))["cases"]


def frame(frame_id):
    """The bytes of one capture."""
    return next(bytes.fromhex(f["frame"]) for f in real_frames() if f["id"] == frame_id)
