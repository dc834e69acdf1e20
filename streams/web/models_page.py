"""The page about models: `/models`, refreshed as the live page is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import Request
from nicegui import ui

from streams.web.page import STYLE, language_of, theme_of
from streams.web.panel import Panel
from streams.web.rendering import Rendering
from streams.web.words import Language, say

REFRESH_S: Final = 2.0


def models_page(rendering: Rendering) -> Callable[[Request], None]:
    """The page's builder, with `?lang=` and `?theme=` as of the live page."""

    def page(request: Request) -> None:
        ModelsPage(rendering, language_of(request), theme_of(request)).build()

    return page


class ModelsPage:
    """One browser's page about models."""

    def __init__(self, rendering: Rendering, language: Language, theme: bool | None) -> None:
        self._rendering, self._language = rendering, language
        ui.dark_mode(theme)

    def build(self) -> None:
        """Everything, filled already."""
        language, fragments = self._language, self._rendering.fragments(self._language)
        ui.add_head_html(f"<style>{STYLE}</style>")
        with ui.element("div").classes("page").props(f"lang={language.value}"):
            with ui.element("header").classes("top"):
                self._masthead = Panel(fragments.masthead).classes("panel masthead-panel")
                with ui.element("nav").classes("controls"):
                    ui.link(say("live", language), f"./?lang={language.value}").classes("nav")
                    other = "EN" if language is Language.ZH else "中文"
                    ui.link(other, f"./models?lang={language.other.value}").classes("nav switch")
            with ui.element("main"):
                self._models = Panel(fragments.models).classes("panel models-panel")
        ui.timer(REFRESH_S, self._refresh)

    def _refresh(self) -> None:
        fragments = self._rendering.fragments(self._language)
        self._masthead.show(fragments.masthead)
        self._models.show(fragments.models)
