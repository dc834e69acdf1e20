"""The dashboard in headless Chromium, over a fake worker that moves by itself."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import Tab

FIRST_CHANGE = "document.querySelector('.changes > li').dataset.key"
CONNECTED = "window.did_handshake && document.querySelector('.changes > li') && !window.left"


@pytest.fixture
def page(browser: Tab, address: str) -> Tab:
    """The page in English, connected to its worker."""
    browser.shape(1280, 900)
    browser.point(5, 5)
    browser.ask("window.left = true")
    browser.open(address + "?lang=en")
    browser.wait(CONNECTED)
    return browser


def test_the_page_shows_tags_segments_changes_and_sources(page: Tab) -> None:
    assert "Retail bank" in page.text(".masthead")
    assert "Deposit prospects" in page.text(".segments")
    assert "Large inflow" in page.text(".tags")
    assert "warming" in page.text("[data-key='tag:monetary']")
    assert "transactions" in page.text(".freshness")
    assert "Large inflow" in page.text("[data-key='fresh:large_inflow']")
    assert "kept" in page.text("[data-key='fresh:large_inflow']")
    assert page.ask("document.querySelectorAll('.changes > li').length") > 10


def test_figures_and_changes_move_without_a_reload(page: Tab) -> None:
    page.ask("window.mark = 1")
    events = page.text("[data-key=events] strong")
    first = page.ask(FIRST_CHANGE)
    page.wait(
        f"document.querySelector('[data-key=events] strong').innerText !== '{events}' && {FIRST_CHANGE} !== '{first}'"
    )
    assert page.ask("window.mark") == 1


def test_the_list_stands_still_while_the_pointer_is_over_it_and_goes_on_after(page: Tab) -> None:
    at = page.ask("(r => [r.x + r.width / 2, r.y + 200])(document.querySelector('.feed').getBoundingClientRect())")
    page.point(*at)
    page.wait("document.querySelector('.feed-panel.waiting')")
    first, events = page.ask(FIRST_CHANGE), page.text("[data-key=events] strong")
    page.wait(f"document.querySelector('[data-key=events] strong').innerText !== '{events}'")
    assert page.ask(FIRST_CHANGE) == first
    page.point(5, 5)
    page.wait(f"{FIRST_CHANGE} !== '{first}'")


def test_what_is_unfolded_stays_so_while_figures_move(page: Tab) -> None:
    page.click("[data-key='tag:large_inflow'] summary")
    page.wait("document.querySelector('[data-key=\"tag:large_inflow\"] details').open")
    events = page.text("[data-key=events] strong")
    page.wait(f"document.querySelector('[data-key=events] strong').innerText !== '{events}'")
    assert "within the hour" in page.text("[data-key='tag:large_inflow'] .more")
    assert page.ask("document.querySelector('[data-key=\"tag:large_inflow\"] details').open") is True


def test_a_customer_is_looked_up_by_id_and_closed_with_escape(page: Tab) -> None:
    page.type(".controls input", " C104711 ")
    page.wait("document.querySelector('.dossier table')")
    assert "C104711" in page.text(".dossier header")
    assert "Inflow in 1 hour" in page.text(".dossier table")
    key = {"key": "Escape", "code": "Escape", "windowsVirtualKeyCode": 27}
    page.call("Input.dispatchKeyEvent", type="keyDown", **key)
    page.call("Input.dispatchKeyEvent", type="keyUp", **key)
    page.wait("!document.querySelector('.dossier')")


def test_a_click_on_a_changes_customer_opens_that_customer(page: Tab) -> None:
    at = page.ask("(r => [r.x + r.width / 2, r.y + 200])(document.querySelector('.feed').getBoundingClientRect())")
    page.point(*at)  # the list waits, so that the row is still there when it is clicked
    page.wait("document.querySelector('.feed-panel.waiting')")
    customer = page.text(".changes .customer")
    page.click(".changes .customer")
    page.wait("document.querySelector('.dossier table')")
    assert customer in page.text(".dossier header")


def test_an_unknown_customer_is_said_to_be_unknown_and_shown_as_text(page: Tab) -> None:
    page.type(".controls input", "<img src=x onerror=window.hacked=1>")
    page.wait("document.querySelector('.dossier')")
    assert "No such customer on this worker." in page.text(".dossier")
    assert page.text(".dossier h2") == "<img src=x onerror=window.hacked=1>"
    assert page.ask("window.hacked") is None


def test_the_language_switches_in_place(page: Tab) -> None:
    page.ask("window.mark = 1")
    page.click(".controls .switch")
    page.wait("document.querySelector('.segments h2').innerText === '各客群人数'")
    assert page.ask("document.querySelector('.controls input').placeholder") == "按编号查找客户"
    assert page.ask("document.querySelector('.page').lang") == "zh"
    assert page.ask("window.mark") == 1


def test_the_page_follows_the_systems_theme(page: Tab) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.ask(ground)
    page.shape(1280, 900, dark=True)
    page.wait(f"{ground} !== '{light}'")


@pytest.mark.parametrize("width", [360, 390, 768, 1280, 1920])
def test_nothing_is_cut_off_at_any_width(page: Tab, width: int) -> None:
    page.shape(width, 900, phone=width < 700)
    page.wait(f"window.innerWidth === {width}")
    assert page.ask("document.documentElement.scrollWidth") <= width


def test_no_request_leaves_this_machine_and_no_script_complains(page: Tab, address: str) -> None:
    """Runs last: looks back on all that the page asked for."""
    hosts = {urlsplit(request).netloc for request in page.requests if urlsplit(request).scheme not in ("data", "blob")}
    assert hosts == {urlsplit(address).netloc}
    assert page.complaints == []
