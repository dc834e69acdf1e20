"""The browser and the fake worker of the browser tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.browser import chromium
from tests.browser.chromium import Tab


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a fake worker serves its pages."""
    command = [sys.executable, "-m", "tests.browser.fake_view", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout is not None
            yield worker.stdout.readline().strip()
        finally:
            worker.terminate()
            assert "stopped" in worker.communicate(timeout=20)[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Tab]:
    """One browser for all tests of a module; each opens its page anew."""
    found = chromium.find()
    if found is None:
        pytest.skip("no Chromium: install it or set CHROMIUM")
    with chromium.tab(found) as tab:
        tab.shape(1280, 900)
        yield tab
