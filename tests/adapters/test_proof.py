"""Asking a device once whether it is a battery, over the reader of the daemon; here over a radio in the process."""

import pytest

from adapters.clock import AcceleratedClock
from adapters.in_process import InProcessRadio, Peripheral
from adapters.proof import prove
from adapters.radio import LinkDropped
from core import protocols
from tests.doubles.bluez.jbd_model import JbdBms, reply

JBD = protocols.find("jbd")
ADDRESS = "A4:C1:38:00:00:00"


class Modelled(Peripheral):
    """A BMS as the double of BlueZ has it; *deaf* to some registers."""

    name = "JBD"

    def __init__(self, deaf=(), **state):
        self.bms = JbdBms(name="JBD-SP04S034")
        self.deaf = deaf
        for name, value in state.items():
            setattr(self.bms, name, value)

    def respond(self, request, seconds):
        return b"" if request[2] in self.deaf else b"".join(self.bms.handle(request))

    def next_outage_s(self, seconds):
        return None


class Refusing(Modelled):
    """Answers every request with an error."""

    def respond(self, request, seconds):
        return reply(request[2], b"", 0x81)


async def _prove(peripheral):
    clock = AcceleratedClock(40)
    return await prove(ADDRESS, JBD, InProcessRadio(peripheral, clock), clock)


async def test_proof_is_a_complete_answer():
    """The pack, the cells, and what it calls itself."""
    proof = await _prove(Modelled())
    assert (proof.pack.voltage_mv, proof.pack.soc_permille) == (13280, 800)
    assert proof.cells.voltages_mv == (3320, 3321, 3319, 3320)
    assert proof.identity.hardware_name == "JBD-SP04S034"


@pytest.mark.parametrize("deaf", [(5,), (4, 5)])
async def test_the_pack_alone_is_proof(deaf):
    """A board that has no name, or tells no cells, is a battery all the same."""
    proof = await _prove(Modelled(deaf))
    assert proof.pack.cell_count == 4
    assert proof.identity is None


async def test_silence_is_no_proof():
    """It may be something else."""
    with pytest.raises(LinkDropped) as dropped:
        await _prove(Modelled(silent=True))
    assert dropped.value.cause == "battery silent"


async def test_a_locked_module_wants_its_password():
    """None is tried: it was asked for none."""
    locked = Modelled(app_key="000000", password="123456")
    with pytest.raises(LinkDropped) as dropped:
        await _prove(locked)
    assert dropped.value.cause == "password wanted"
    assert locked.bms.password_attempts == 0


async def test_refusals_are_no_proof():
    """What it said is told."""
    with pytest.raises(LinkDropped) as dropped:
        await _prove(Refusing())
    assert dropped.value.cause == "unknown"
    assert dropped.value.detail
