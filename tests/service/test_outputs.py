"""What people see: the status screen, the log lines, the JSON lines."""

import io
import json
import logging

from core.events import ReadingTaken, SessionStarted
from core.live import LiveView
from core.sequencer import Sequencer
from service.outputs import JsonLines, LogLines, Picture
from service.status_screen import StatusScreen
from storage.session_file import SessionReader
from tests.programs import ROOT

DEMO = ROOT / "service" / "sessions" / "demo-4s.jsonl"


def _publications(path=DEMO):
    reader, view = SessionReader(path), LiveView()
    try:
        return [publication for event in reader.events() for publication in view.fold(event)]
    finally:
        reader.close()


def _shown(publications):
    picture = Picture()
    for publication in publications:
        picture.publish(publication)
    return "\n".join(StatusScreen(io.StringIO(), picture, lambda: [("D-Bus", "somewhere")]).lines())


def test_screen_shows_the_battery():
    """Voltage, current, SoC, each cell with the extremes marked, switches, alarms, link."""
    joined = next(n for n, p in enumerate(_publications()) if p.change == "joined")
    text = _shown(_publications()[: joined + 1])
    for part in ("ble_sp04s034  LIVE", "13.32V", "0.00A", "96.0%", "268.25Ah of 280.00Ah", "C1 3.331^", "C2 3.329v"):
        assert part in text
    assert "charge on  discharge on  alarms: none" in text
    assert "JBD-SP04S034-L4S-200A-B-U  Connected" in text


def test_screen_shows_a_switched_off_fet():
    """OFF is loud."""
    off = next(n for n, p in enumerate(_publications()) if p.items.get("/Io/AllowToCharge") == 0)
    assert "charge OFF  discharge on" in _shown(_publications()[: off + 1])


def test_screen_before_and_after():
    """Nothing is invented before the first answer or after the battery is gone."""
    assert "waiting for the first complete answer" in _shown([])
    assert "ble_sp04s034  GONE  (not on the bus)" in _shown(_publications())


def test_screen_of_a_stale_battery_shows_dashes():
    """An old number is not drawn."""
    view, sequencer = LiveView(), Sequencer(boot=1, next_number=1)
    reader = SessionReader(DEMO)
    facts = [event.fact for event in reader.events()]
    reader.close()
    begun = next(fact for fact in facts if isinstance(fact, SessionStarted))
    readings = [fact for fact in facts if isinstance(fact, ReadingTaken)][1:3]
    publications = []
    for at_us, fact in [(0, begun), (1_000_000, readings[0]), (1_100_000, readings[1])]:
        for event in sequencer.number(fact, at_us, at_us):
            publications += view.fold(event)
    text = _shown(publications + view.advance(40_000_000))
    assert "STALE" in text and "Stale 00:00:39, held: Soc" in text
    assert "13.32V" not in text and "3.331" not in text and "96.0%" in text


def test_drawing_redraws_in_place():
    """Each picture begins at the top of a cleared screen."""
    stream = io.StringIO()
    StatusScreen(stream, Picture(), list).draw()
    assert stream.getvalue().startswith("\x1b[H\x1b[2J")


def test_log_lines_come_on_change_only(caplog):
    """One line when the phase, an alarm or the whole percent of charge changes, none for what moves all the time."""
    caplog.set_level(logging.INFO)
    lines = LogLines()
    for publication in _publications():
        lines.publish(publication)
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0].startswith("ble_sp04s034 LIVE 13.32V 0.00A 96.0%")
    assert messages[-1] == "ble_sp04s034 GONE"
    assert len(messages) == 2


def test_json_lines_are_the_publications():
    """One line each, with the same content."""
    stream = io.StringIO()
    for publication in _publications():
        JsonLines(stream).publish(publication)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["change"] for line in lines] == [p.change for p in _publications()]
    assert lines[0]["items"]["/Soc"] == 96.0
