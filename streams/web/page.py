"""The dashboard's page: panels refreshed once a second, a look-up of one customer, language and theme."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from fastapi import Request
from nicegui import ui

from streams.web.panel import Panel
from streams.web.rendering import Rendering
from streams.web.words import Language, say

REFRESH_S: Final = 1.0
STYLE: Final = (Path(__file__).parent / "static" / "page.css").read_text("utf-8")
THEMES: Final = {None: "brightness_auto", True: "dark_mode", False: "light_mode"}
NEXT_THEME: Final = {None: True, True: False, False: None}


def dashboard(rendering: Rendering) -> Callable[[Request], None]:
    """The page's builder: `/`, with `?lang=en|zh` and `?theme=light|dark` where the browser's own won't do."""

    def page(request: Request) -> None:
        Page(rendering, language_of(request), theme_of(request)).build()

    return page


def theme_of(request: Request) -> bool | None:
    """Whether a dark one was asked for; None: as the system has it."""
    return {"light": False, "dark": True}.get(request.query_params.get("theme", ""))


def language_of(request: Request) -> Language:
    """The one asked for, else Chinese where the browser prefers it, else English."""
    asked = request.query_params.get("lang") or request.headers.get("accept-language", "")
    return Language.ZH if asked.lower().startswith("zh") else Language.EN


class Page:
    """One browser's page."""

    def __init__(self, rendering: Rendering, language: Language, theme: bool | None) -> None:
        self._rendering = rendering
        self._language = language
        self._customer: str | None = None
        self._panels: dict[str, Panel] = {}
        self._dark = ui.dark_mode(theme)

    def build(self) -> None:
        """Everything, filled already."""
        ui.add_head_html(f"<style>{STYLE}</style>")
        with ui.element("div").classes("page") as self._root:
            with ui.element("header").classes("top"):
                self._panel("masthead")
                self._controls()
            self._panel("figures")
            with ui.element("main").classes("cards"):
                with ui.element("div").classes("beside"):
                    self._panel("segments")
                    self._panel("freshness")
                self._panel("feed", waits=True).on_pick(self._look_up)
                self._panel("tags")
        self._build_dossier()
        ui.timer(REFRESH_S, self._refresh)

    def _panel(self, name: str, *, waits: bool = False) -> Panel:
        html: str = getattr(self._rendering.fragments(self._language), name)
        panel = self._panels[name] = Panel(html, waits=waits)
        panel.classes(f"panel {name}-panel")
        return panel

    def _controls(self) -> None:
        with ui.element("div").classes("controls"):
            self._input = ui.input(placeholder=say("look_up", self._language))
            self._input.props("dense outlined clearable maxlength=200 autocomplete=off spellcheck=false")
            self._input.props["aria-label"] = say("look_up", self._language)
            # what stands in the field goes along with the key: the field's own value may be on its way still
            sending = "(event) => emit(event.target.value)"
            self._input.on("keydown.enter", lambda event: self._look_up(str(event.args)), js_handler=sending)
            with self._input.add_slot("prepend"):
                ui.icon("search")
            self._link = ui.link("", "").classes("nav")
            self._switch = (
                ui.button(on_click=self._switch_language, color=None).props("flat no-caps dense").classes("switch")
            )
            self._theme = ui.button(icon=THEMES[self._dark.value], on_click=self._next_theme, color=None).props(
                "flat round dense"
            )
            self._name_controls()

    def _name_controls(self) -> None:
        language = self._language
        self._input.props["placeholder"] = self._input.props["aria-label"] = say("look_up", language)
        self._link.text = say("models", language)
        self._link.props["href"] = f"./models?lang={language.value}"
        self._switch.text = "EN" if language is Language.ZH else "中文"
        self._switch.props["aria-label"] = say("language", language)
        self._theme.props["aria-label"] = say("theme", language)
        self._root.props["lang"] = language.value
        for control in (self._input, self._link, self._switch, self._theme, self._root):
            control.update()

    def _build_dossier(self) -> None:
        with ui.dialog().props("position=right full-height") as self._dialog, ui.element("aside").classes("drawer"):
            self._close = (
                ui.button(icon="close", on_click=self._dialog.close, color=None)
                .props("flat round dense")
                .classes("close")
            )
            self._dossier = Panel()
        self._dialog.on("hide", self._forget)

    def _look_up(self, customer_id: str) -> None:
        customer_id = customer_id.strip()
        if not customer_id:
            return
        self._customer = customer_id
        self._show_dossier()
        self._dialog.open()

    def _show_dossier(self) -> None:
        if self._customer is not None:
            self._close.props["aria-label"] = say("close", self._language)
            self._dossier.show(self._rendering.dossier(self._customer, self._language))

    def _forget(self) -> None:
        self._customer = None
        self._dossier.show("")

    def _switch_language(self) -> None:
        self._language = self._language.other
        self._name_controls()
        self._refresh()

    def _next_theme(self) -> None:
        self._dark.value = NEXT_THEME[self._dark.value]
        self._theme.props["icon"] = THEMES[self._dark.value]
        self._theme.update()

    def _refresh(self) -> None:
        fragments = msgspec.structs.asdict(self._rendering.fragments(self._language))
        for name, panel in self._panels.items():
            panel.show(fragments[name])
        self._show_dossier()
