"""`python -m streams.precompile`: the kernels compiled beside an installation, for all who use it (the image's build).

A new catalogue needs no new kernels, so any catalogue will do.
"""

from __future__ import annotations

from pathlib import Path

import schemas
from schemas.loading import load
from streams.compiled import INSTALLED, keep_compiled


def main() -> None:
    """Compile all that a worker uses."""
    keep_compiled(INSTALLED)
    from streams.engine import plan  # late: numba reads where its cache is when it is imported
    from streams.warm import warm

    warm(plan.build(load(Path(schemas.__file__).parent / "bank.yaml")))


if __name__ == "__main__":
    main()
