"""The engine and the models stay pure, and no file grows past what one reads in one go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = sorted(
    path for top in ("schemas", "streams", "models", "tests", "bench") for path in (ROOT / top).rglob("*.py")
)


@pytest.mark.parametrize(
    "module",
    ["streams.engine.kernel", "streams.engine.explain", "streams.triggers", "models.labels", "models.trainer"],
)
def test_importing_it_brings_neither_faust_nor_a_kafka_client(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('faust', 'aiokafka', 'kafka', 'nicegui') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_no_file_is_over_400_lines() -> None:
    long = {str(path.relative_to(ROOT)): n for path in PYTHON if (n := len(path.read_text().splitlines())) > 400}
    assert long == {}
