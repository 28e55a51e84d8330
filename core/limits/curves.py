"""Look-up tables: which fraction of a maximum an input allows, in steps or along straight lines.

Steps follow the program that this one succeeds, with its two faults repaired (charge-control sections 1, 3 and 5): a
temperature table takes the stricter neighbour, and no table jumps to 0 before its own zero point is reached.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from typing import Tuple

from attrs import field, frozen

Point = Tuple[int, float]


class Step(enum.Enum):
    """Which neighbour a step takes, in ascending order of inputs."""

    LEFT = "left"
    RIGHT = "right"
    STRICTER = "stricter"


@frozen
class Looked:
    """A result with the two points that it stands between; the same point twice outside the table or on a point."""

    fraction: float
    low: Point
    high: Point

    @property
    def on_line(self) -> bool:
        """Whether the fraction lies on the line between the two points, rather than on the level of one."""
        return self.fraction not in (self.low[1], self.high[1])


@frozen
class Curve:
    """(input, fraction) points, inputs strictly ascending. Outside of them the nearest point's fraction holds."""

    points: Tuple[Point, ...] = field()

    @points.validator
    def _ascending(self, _: object, points: Tuple[Point, ...]) -> None:
        inputs = [point[0] for point in points]
        if not points or inputs != sorted(set(inputs)):
            raise ValueError("the points {} do not ascend".format(inputs))

    def line(self, value: float) -> Looked:
        """The straight line between the neighbours of *value*."""
        low, high = self._neighbours(value)
        if low is high:
            return Looked(low[1], low, high)
        share = (value - low[0]) / (high[0] - low[0])
        return Looked(low[1] + (high[1] - low[1]) * share, low, high)

    def step(self, value: float, step: Step) -> Looked:
        """The level of one neighbour of *value*."""
        low, high = self._neighbours(value)
        if step is not Step.STRICTER:
            chosen = low if step is Step.LEFT or value == self.points[0][0] else high
            return Looked(chosen[1], low, high)
        if value == low[0]:
            return Looked(low[1], low, low)
        if not low[1] or not high[1]:
            return self.line(value)
        return Looked(min(low[1], high[1]), low, high)

    def _neighbours(self, value: float) -> Tuple[Point, Point]:
        after = bisect_right([point[0] for point in self.points], value)
        if after == 0:
            return self.points[0], self.points[0]
        if after == len(self.points):
            return self.points[-1], self.points[-1]
        return self.points[after - 1], self.points[after]

    @property
    def smallest(self) -> float:
        """The smallest fraction above 0: what holds while the input is missing."""
        return min((point[1] for point in self.points if point[1] > 0), default=0.0)
