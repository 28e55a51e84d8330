"""One writer at a time."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import IO, Optional

from storage.database import REFUSING, DiskRefuses, StorageError


class WriterLock:
    """The right to write to a database: a lock on a file beside it, which ends with the process that holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Optional[IO[str]] = None

    def take(self) -> None:
        """Raises :class:`StorageError` when another program has it, :class:`DiskRefuses` when the disk does."""
        try:
            import fcntl
        except ImportError:  # not in every Venus image; a second writer then fails on the first number it reuses
            return
        if self._file is not None:
            return
        try:
            self._file = open(str(self._path) + ".lock", "w", encoding="ascii")
        except OSError as error:
            kind = DiskRefuses if error.errno in REFUSING else StorageError
            raise kind("cannot write beside the database {}: {}".format(self._path, error.strerror)) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise DiskRefuses("cannot lock the database {}: {}".format(self._path, error.strerror)) from None
            raise StorageError("another dbus-btbattery is writing to {}".format(self._path)) from None

    def release(self) -> None:
        """Let somebody else have it."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
