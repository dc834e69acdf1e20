"""What the libraries may tell."""

from __future__ import annotations

import logging


def quiet() -> None:
    """Keep Faust, aiokafka and the admin client from telling what only their developers need."""
    for name in ("faust", "mode", "aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
