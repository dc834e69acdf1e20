"""Where the compiled kernels are kept: numba does not see that a kernel's callee in another file has changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

INSTALLED: Final = Path(sys.prefix) / "share" / "livetags"
"""Where kernels lie that were compiled when livetags was installed, as in its image (`streams.precompile`)."""


def keep_compiled(data_dir: Path, installed: Path = INSTALLED) -> None:
    """Make numba keep what it compiles below `data_dir`, apart for every state of the engine's source.

    To be called before the engine is imported; `NUMBA_CACHE_DIR`, where it is set, is left as it is. Kernels that came
    with the installation are copied, where it has those of this source: numba wants to write where it reads, as on
    another kind of processor it compiles anew, and an installation is not for every user to write to.
    """
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    digest = _digest()
    kept, there = (folder.absolute() / "numba" / digest for folder in (data_dir, installed))
    if there != kept and there.is_dir() and not kept.exists():
        _copy(there, kept)
    os.environ["NUMBA_CACHE_DIR"] = str(kept)


def _digest() -> str:
    """16 hex digits of the source that is compiled."""
    digest = hashlib.blake2b(digest_size=8)
    here = Path(__file__).parent
    models = (here.parent / "models" / name for name in ("lifetime.py", "transform.py"))
    for path in (*sorted((here / "engine").glob("*.py")), *models):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _copy(there: Path, kept: Path) -> None:
    """Copy a folder whole or not at all; of two processes that do so at once, the first one's stays."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = tempfile.mkdtemp(prefix=f".{kept.name}-", dir=kept.parent)
    try:
        shutil.copytree(there, draft, dirs_exist_ok=True)
        with contextlib.suppress(OSError):  # another process was first
            Path(draft).rename(kept)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
