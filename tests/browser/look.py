"""Screenshots of the page over the fake worker: `python -m tests.browser.look /tmp/shots`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.browser import chromium


def look(url: str, browser: str, into: Path) -> None:
    """Light, dark, phone, Chinese, one customer."""
    into.mkdir(parents=True, exist_ok=True)
    with chromium.tab(browser) as tab:
        for name, query, dark, phone in (
            ("light", "?lang=en", False, False), ("dark", "?lang=en", True, False), ("zh", "?lang=zh", False, False),
            ("phone", "?lang=en", False, True), ("phone-dark", "?lang=zh", True, True),
        ):  # fmt: skip
            tab.shape(*((390, 844) if phone else (1280, 900)), dark=dark, phone=phone)
            tab.open(url + query)
            tab.wait(
                "document.querySelectorAll('.changes > li').length > 5 && document.querySelector('.spark polyline')"
            )
            tab.screenshot(into / f"{name}.png")
            height = tab.ask("document.documentElement.scrollHeight")
            tab.shape(390 if phone else 1280, height, dark=dark, phone=phone)
            tab.screenshot(into / f"{name}-whole.png")
            tab.shape(*((390, 844) if phone else (1280, 900)), dark=dark, phone=phone)
            tab.type(".controls input", "C104711")
            tab.wait("document.querySelector('.dossier table')")
            tab.ask("document.querySelector('.items details').open = true")
            tab.ask("new Promise(done => setTimeout(done, 600))")
            tab.screenshot(into / f"{name}-customer.png")
        print("\n".join(sorted({address.split("?")[0] for address in tab.requests})))
        print("complaints:", tab.complaints)


def main() -> None:
    """Serve, look, stop."""
    browser = chromium.find()
    if browser is None:
        sys.exit("no Chromium here: install it or set CHROMIUM")
    command = [sys.executable, "-m", "tests.browser.fake_view"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout is not None
            look(worker.stdout.readline().strip(), browser, Path(sys.argv[1]))
        finally:
            worker.terminate()


if __name__ == "__main__":
    main()
