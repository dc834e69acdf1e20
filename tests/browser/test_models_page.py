"""The models page in headless Chromium, over a fake worker whose trainers have told of two targets."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import Tab

CONNECTED = "window.did_handshake && document.querySelector('.target') && !window.left"


@pytest.fixture
def page(browser: Tab, address: str) -> Tab:
    """The page in English."""
    browser.shape(1280, 900)
    browser.ask("window.left = true")
    browser.open(address + "models?lang=en")
    browser.wait(CONNECTED)
    return browser


def test_every_card_shows_its_part_of_a_target(page: Tab) -> None:
    first = "[data-key='target:deposit']"
    assert "A deposit is opened" in page.text(f"{first} h2")
    for chart, lines in (("auc_weeks", 2), ("loss_weeks", 2)):
        assert page.ask(f'document.querySelectorAll("{first} .{chart} polyline").length') == lines
    assert page.ask(f'document.querySelectorAll("{first} .reliability circle").length') == 10
    assert "0.8467" in page.text(f"{first} .rivals [data-key=crossed]")
    assert "→" in page.text(f"{first} .weights")
    assert "6,440" in page.text(f"{first} .waiting")
    assert "2025-05-05" in page.text(f"{first} .drift")
    assert "warming" in page.text("[data-key='target:churn'] header")


def test_the_live_page_leads_here_and_back_and_the_language_stays(page: Tab, address: str) -> None:
    page.click("nav .switch")
    page.wait("document.querySelector('.waiting h2')?.innerText === '等待结果的样本'")
    page.ask("window.left = true")
    page.click("nav .nav")
    page.wait("!window.left && document.querySelector('.segments h2')?.innerText === '各客群人数'")
    page.wait("document.querySelector('.controls a.nav')?.innerText === '模型' && window.did_handshake")
    page.click(".controls a.nav")
    page.wait("document.querySelector('.waiting h2')?.innerText === '等待结果的样本'")


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_nothing_is_cut_off_at_any_width(page: Tab, width: int) -> None:
    page.shape(width, 900, phone=width < 700)
    page.wait(f"window.innerWidth === {width}")
    assert page.ask("document.documentElement.scrollWidth") <= width


def test_no_request_leaves_this_machine_and_no_script_complains(page: Tab, address: str) -> None:
    """Runs last: looks back on all that the page asked for."""
    hosts = {urlsplit(request).netloc for request in page.requests if urlsplit(request).scheme not in ("data", "blob")}
    assert hosts == {urlsplit(address).netloc}
    assert page.complaints == []
