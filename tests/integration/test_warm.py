"""A worker compiles before its first record, not under load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.integration import lessons
from tests.integration.support import EVERYTHING, Sent, stream


@pytest.mark.parametrize(
    ("catalogue", "records"),
    [(EVERYTHING, stream(300)), (lessons.LESSONS, lessons.life(1, 600))],
    ids=["everything", "lessons"],
)
def test_no_kernel_is_compiled_once_a_worker_is_warm(catalogue: Path, records: list[Sent], tmp_path: Path) -> None:
    lines = tmp_path / "records.ndjson"
    lines.write_bytes(
        b"\n".join(msgspec.json.encode({"source": r.source, "value": msgspec.Raw(r.value)}) for r in records)
    )
    probe = [sys.executable, "-m", "tests.warm_probe", str(catalogue), str(lines)]
    done = subprocess.run(probe, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
