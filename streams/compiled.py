"""Where the compiled kernels are kept: numba does not see that a kernel's callee in another file has changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def keep_compiled(data_dir: Path) -> None:
    """Make numba keep what it compiles below `data_dir`, apart for every state of the engine's source.

    To be called before the engine is imported; `NUMBA_CACHE_DIR`, where it is set, is left as it is.
    """
    digest = hashlib.blake2b(digest_size=8)
    here = Path(__file__).parent
    for path in (*sorted((here / "engine").glob("*.py")), here.parent / "models" / "transform.py"):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    os.environ.setdefault("NUMBA_CACHE_DIR", str((data_dir / "numba" / digest.hexdigest()).absolute()))
