"""The dashboard and the API as one ASGI app."""

from __future__ import annotations

from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import ui

from streams.web.api import create_api
from streams.web.models_page import models_page
from streams.web.page import dashboard
from streams.web.rendering import Rendering
from streams.web.snapshots import Snapshots
from streams.web.view import View

ICON = (
    '<svg viewBox="0 0 24 24" xmlns="http://www.w3.org/2000/svg"><rect width="24" height="24" rx="6" fill="#1f6f8b"/>'
    '<path d="M6 16v2M12 11v7M18 6v12" stroke="#fff" stroke-width="3" stroke-linecap="round"/></svg>'
)


def create_app(view: View) -> FastAPI:
    """The app for `streams.web.server.serve`: `/` is the page, `/api/` the API.

    Parameters
    ----------
    view
        What the worker tells; called on its event loop, at most once a second for all browsers together.
        One page a process: the last app made is the one whose page is shown.
    """
    snapshots = Snapshots(view)
    app = create_api(snapshots)
    _renew()
    rendering = Rendering(snapshots)
    ui.page("/")(dashboard(rendering))
    ui.page("/models")(models_page(rendering))
    ui.run_with(
        app,
        title="livetags",
        favicon=ICON,
        dark=None,
        tailwind=False,
        binding_refresh_interval=None,
        message_history_length=50,
        gzip_middleware_factory=None,
        show_welcome_message=False,
    )
    return app


def _renew() -> None:
    """Let NiceGUI's app, of which a process has one, be mounted again: a worker may restart without a new process."""
    nicegui_app.user_middleware.clear()
    nicegui_app.middleware_stack = None
