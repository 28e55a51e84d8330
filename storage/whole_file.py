"""A text file that appears under its name when it is complete, or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO, Any

from storage.database import StorageError


class WholeFile:
    """Write to it as a context manager. Leaving by an exception removes what was written and keeps an older file."""

    def __init__(self, path: Path) -> None:
        """Raises :class:`StorageError` when there is no writing at *path*."""
        if os.path.exists(str(path)) and not os.path.isfile(str(path)) and not os.path.isdir(str(path)):
            # The last step is a rename: as root it would put a file in the place of /dev/null.
            raise StorageError("{} is not a file; give another name".format(path))
        self._path, self._unfinished = path, Path("{}.part".format(path))
        try:
            self._file: IO[str] = open(str(self._unfinished), "w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise self._failed(error) from None

    def write_text(self, text: str) -> None:
        """Add *text*. Raises :class:`StorageError`."""
        try:
            self._file.write(text)
        except OSError as error:
            raise self._failed(error) from None

    def __enter__(self) -> WholeFile:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            raise self._failed(failure) from None
        finally:
            self._discard()

    def _finish(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(str(self._unfinished), str(self._path))

    def _discard(self) -> None:
        """Remove what has not become the final file; after a success there is nothing left to remove."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._unfinished.unlink()

    def _failed(self, error: OSError) -> StorageError:
        return StorageError("cannot write {}: {}".format(self._path, error.strerror))
