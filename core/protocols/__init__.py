"""BMS families by name. Every module or package of this folder is one: adding a family is adding a file.

>>> find("jbd").name
'jbd'
"""

from __future__ import annotations

import importlib
import os
from functools import lru_cache
from typing import Tuple

from core.protocols.base import Protocol

__all__ = ["Protocol", "UnknownProtocol", "find", "names"]

_NOT_FAMILIES = ("__init__", "base")


class UnknownProtocol(Exception):
    """No family of that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__("unknown BMS protocol {!r}; known: {}".format(name, ", ".join(names())))


def names() -> Tuple[str, ...]:
    """The families that can be found, in alphabetical order."""
    found = set()
    for folder in __path__:
        for entry in os.listdir(folder):
            if entry.endswith(".py") or os.path.exists(os.path.join(folder, entry, "__init__.py")):
                found.add(entry.split(".")[0])
    return tuple(sorted(found.difference(_NOT_FAMILIES)))


@lru_cache(maxsize=None)
def find(name: str) -> Protocol:
    """The family called *name*. Raises :class:`UnknownProtocol`."""
    if name not in names():
        raise UnknownProtocol(name)
    protocol = importlib.import_module("core.protocols." + name).PROTOCOL
    assert isinstance(protocol, Protocol) and protocol.name == name
    return protocol
