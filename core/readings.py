"""What an answer of a BMS means, in one vocabulary for every BMS family.

A protocol decodes a frame into a :class:`Sample`; projections read only these classes and never a
frame. Numbers are integers with their unit in the name. ``None`` means that the BMS did not say.
"""

from __future__ import annotations

from typing import Mapping, Optional, Tuple

from attrs import field, frozen


@frozen
class PackReading:
    """The battery as a whole, from one answer. Current is positive while charging."""

    voltage_mv: int
    current_ma: int
    cell_count: int
    remaining_mah: Optional[int] = None
    nominal_mah: Optional[int] = None
    full_charge_mah: Optional[int] = None
    soc_permille: Optional[int] = None
    soh_permille: Optional[int] = None
    cycles: Optional[int] = None
    charge_fet_on: Optional[bool] = None
    discharge_fet_on: Optional[bool] = None
    protections: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()
    balancing_cells: Tuple[int, ...] = ()
    temperatures_dc: Tuple[Optional[int], ...] = ()
    """0.1 degC by sensor; ``None`` where a sensor is not fitted."""
    extra_temperatures_dc: Tuple[Optional[int], ...] = ()
    """More of them, that are not in every answer; their numbers go on from those of the sensors."""
    counts_100ma: bool = False
    """The BMS flags that its currents and capacities count 100 mA instead of 10 mA, and was believed."""
    firmware: Optional[str] = None
    production_date: Optional[str] = None


@frozen
class CellReading:
    """Every cell voltage from one answer, cell 1 first. 0 mV is a real answer (a broken sense wire)."""

    voltages_mv: Tuple[int, ...]


@frozen
class Identity:
    """What the BMS calls itself."""

    hardware_name: str


@frozen
class ProtectionCounters:
    """How often each protection has tripped since the counters were cleared."""

    counts: Mapping[str, int]


@frozen
class Refusal:
    """The BMS answered that it will not answer."""

    meaning: str


@frozen
class Sample:
    """One decoded frame. A frame may fill several groups (JK) or one (JBD), or none of interest."""

    pack: Optional[PackReading] = None
    cells: Optional[CellReading] = None
    identity: Optional[Identity] = None
    counters: Optional[ProtectionCounters] = None
    refusal: Optional[Refusal] = None
    remarks: Tuple[str, ...] = field(default=())
    """Oddities worth one line for the owner, e.g. that the 100 mA unit flag was honoured."""
