"""What decides whether a run in tests/bluez_vm was good, over event logs made by hand."""

import pytest

from core.events import Event, FrameRejected, LinkEstablished, LinkLost, ReadingTaken, SessionEnded, SessionStarted
from tests.bluez_vm.verdict import BATTERY_AWAY, EXPECTED, Disturbance, Judge
from tests.core.made import ADDRESS, BATTERY, CONFIGURATION, frame

POLL_S = 5
END_S = 60
AWAY = Disturbance(BATTERY_AWAY, frozenset({ADDRESS}), 21_000_000, 30_000_000)
LATE_S = 30 + EXPECTED[BATTERY_AWAY].back_s + 1


def reading(register):
    return ReadingTaken(BATTERY, "jbd", frame(register))


def link(since_s, until_s):
    """An undisturbed link from its first reading on."""
    polls = [(at, reading(3)) for at in range(since_s, until_s, POLL_S)]
    return [(since_s, LinkEstablished(BATTERY)), *polls, *((at + 0.1, reading(4)) for at, _ in polls)]


def lost(at_s, cause):
    return at_s, LinkLost(BATTERY, cause)


def failures(timed, disturbances=(), end_s=END_S):
    whole = [(0, SessionStarted("0", CONFIGURATION.to_payload())), *timed, (end_s, SessionEnded("stopped"))]
    events = [
        Event(number, 1, int(at_s * 1e6), 0, fact)
        for number, (at_s, fact) in enumerate(sorted(whole, key=lambda each: each[0]))
    ]
    return Judge(events, {BATTERY: ADDRESS}, disturbances, 0, POLL_S).judge().failures


def without(timed, at_s):
    left = [each for each in timed if each[0] != at_s]
    assert len(left) < len(timed)
    return left


def test_a_link_that_answers_every_poll_is_good():
    assert failures(link(2, END_S)) == []


@pytest.mark.parametrize("missing", [[12], [12.1], [12, 12.1], [57.1], [52, 52.1, 57, 57.1]])
def test_a_poll_that_is_not_complete_is_not(missing):
    timed = link(2, END_S)
    for at_s in missing:
        timed = without(timed, at_s)
    assert "of 12 polls are complete" in failures(timed)[0]


def test_the_poll_that_the_end_cuts_off_is_not_counted():
    assert failures(without(link(2, END_S), 57.1), end_s=57.5) == []
    assert len(failures(without(link(2, END_S), 57.1), end_s=59)) == 1


def test_an_answer_that_came_twice_is_one_poll():
    assert failures([*link(2, END_S), (12.3, reading(3)), (12.4, reading(4))]) == []


def test_a_battery_that_never_answered():
    assert len(failures([lost(5, "not found")])) == 2  # no poll, and not there after the start


def test_a_loss_that_nothing_explains():
    assert "lost without a reason" in failures([*link(2, 21), lost(21, "dropped"), *link(24, END_S)])[0]


def test_a_disturbance_with_its_causes():
    timed = [*link(2, 21), lost(21, "dropped"), lost(29, "not found"), *link(33, END_S)]
    assert failures(timed, [AWAY]) == []


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param([], id="nothing recorded"),
        pytest.param([lost(21.1, "not found")], id="first cause is another"),
        pytest.param([lost(21.1, "dropped"), lost(29, "write failed")], id="later cause is another"),
    ],
)
def test_a_disturbance_with_other_causes(losses):
    assert len(failures([*link(2, 21), *losses, *link(33, END_S)], [AWAY])) == 1


def test_a_battery_that_comes_back_late_or_not_at_all():
    before = [*link(2, 21), lost(21, "dropped")]
    assert "are allowed" in failures([*before, *link(LATE_S, LATE_S + 20)], [AWAY], end_s=LATE_S + 20)[0]
    assert "did not come back" in failures(before, [AWAY])[0]


def test_a_rejected_frame_is_explained_by_a_disturbance_only():
    timed = [*link(2, 21), lost(21, "dropped"), *link(33, END_S)]
    assert failures([*timed, (32.9, FrameRejected(BATTERY, "jbd", "bad checksum", b""))], [AWAY]) == []
    assert len(failures([*timed, (40, FrameRejected(BATTERY, "jbd", "bad checksum", b""))], [AWAY])) == 1
