"""Kernels that came with an installation are used by whoever runs it, without writing to the installation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streams.compiled import keep_compiled


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process; what a test sets is taken back."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.delenv("NUMBA_CACHE_DIR")


def kept(data_dir: Path, installed: Path) -> Path:
    """Where numba looks, by `keep_compiled` in a new process."""
    os.environ.pop("NUMBA_CACHE_DIR", None)
    keep_compiled(data_dir, installed)
    return Path(os.environ["NUMBA_CACHE_DIR"])


def installation(directory: Path) -> Path:
    """An installation with a kernel of this source, which it is made to believe by asking where that would be."""
    there = kept(directory, directory)
    there.mkdir(parents=True)
    (there / "kernel.nbc").write_bytes(b"compiled")
    return directory


def test_compiled_kernels_are_kept_below_the_data_directory(tmp_path: Path) -> None:
    found = kept(tmp_path, tmp_path / "nothing installed")
    assert found.parent == tmp_path / "numba"
    assert not found.exists()


def test_kernels_that_came_with_the_installation_are_copied(tmp_path: Path) -> None:
    installed = installation(tmp_path / "share")
    found = kept(tmp_path / "data", installed)
    assert found.parent == tmp_path / "data" / "numba"
    assert [path.name for path in found.iterdir()] == ["kernel.nbc"]
    assert list(found.parent.iterdir()) == [found]


def test_kernels_of_another_source_are_left_where_they_are(tmp_path: Path) -> None:
    installed = installation(tmp_path / "share")
    next((installed / "numba").iterdir()).rename(installed / "numba" / "0123456789abcdef")
    assert not kept(tmp_path / "data", installed).exists()


def test_what_was_compiled_since_stays(tmp_path: Path) -> None:
    installed = installation(tmp_path / "share")
    (kept(tmp_path / "data", installed) / "more.nbc").write_bytes(b"compiled here")
    assert {path.name for path in kept(tmp_path / "data", installed).iterdir()} == {"kernel.nbc", "more.nbc"}


def test_a_cache_named_by_the_environment_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    keep_compiled(tmp_path / "data", tmp_path / "share")
    assert os.environ["NUMBA_CACHE_DIR"] == "elsewhere"
    assert not (tmp_path / "data").exists()
