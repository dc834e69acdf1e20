"""How long the generated tests look: `short` is the same every time and does not shrink what it finds, so that a
failing run ends soon; `pytest --hypothesis-profile=long` searches anew and shrinks.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from streams.compiled import keep_compiled

keep_compiled(Path(__file__).parents[1] / ".livetags")

# The first example compiles the kernel, and a catalogue with its stream is a large example: neither is a fault.
SLOW_BY_NATURE = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)

settings.register_profile(
    "short",
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=SLOW_BY_NATURE,
)
settings.register_profile(
    "long", max_examples=1_000, deadline=None, print_blob=True, suppress_health_check=SLOW_BY_NATURE
)
settings.load_profile("short")


CASES: set[int] = set()
"""The generated cases of this process and of those that tested for it."""


def _own_cases() -> set[int]:
    comparing = sys.modules.get("tests.comparing")
    return set() if comparing is None else comparing.COUNTED


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on what this process counted, where it tests for another."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["cases"] = sorted(_own_cases())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process counted; one that crashed has nothing to say."""
    CASES.update(getattr(node, "workeroutput", {}).get("cases", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many generated cases the engine was held against the oracle in."""
    if cases := CASES | _own_cases():
        terminalreporter.write_line(f"{len(cases):,} generated cases: engine and oracle")
