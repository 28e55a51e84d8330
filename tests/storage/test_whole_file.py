"""A file that appears when it is complete takes the place of a file, and of nothing else."""

import os

import pytest

from storage.database import StorageError
from storage.whole_file import WholeFile


def test_what_is_no_file_is_left_alone(tmp_path):
    """A pipe or a device is refused before anything is written: a rename would replace it."""
    path = tmp_path / "out"
    os.mkfifo(str(path))
    with pytest.raises(StorageError, match="out is not a file; give another name"):
        WholeFile(path)
    assert not path.is_file()
    assert os.listdir(str(tmp_path)) == ["out"]


def test_a_file_is_replaced_when_the_new_one_is_complete(tmp_path):
    """Not before."""
    path = tmp_path / "out"
    path.write_text("old")
    with WholeFile(path) as file:
        file.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(str(tmp_path)) == ["out"]
