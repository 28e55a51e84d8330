"""Files of an owner, in a place without any other."""

import pytest

import config.loader


@pytest.fixture
def owner(tmp_path):
    """Writes the owner's file, or one of another name."""

    def write(text, name="config.ini"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return path

    return write


@pytest.fixture(autouse=True)
def no_file_beside(monkeypatch):
    """A config.ini of the developer must not decide over the tests."""
    monkeypatch.setattr(config.loader, "OWNER_FILE", "no-such-file.ini")
