"""Real file systems of a few megabytes, which can be filled and made read-only."""

import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def small_disk(folder, megabytes):
    """A file system of its own at *folder*."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size={}m".format(megabytes), "tmpfs", str(folder)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here: " + mounted.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder, mode):
    """Make the file system read-only or writable."""
    subprocess.run(["mount", "-o", "remount,{}".format(mode), str(folder)], check=True)


def fill(folder):
    """Take every byte that is left."""
    with open(str(folder / "filler"), "ab", buffering=0) as filler:
        size = 65_536
        while size:
            try:
                filler.write(b"x" * size)
            except OSError:
                size //= 2
