"""An element whose HTML is changed in place: bars glide, open details, scroll and selection stay."""

from __future__ import annotations

from collections.abc import Callable

from nicegui.element import Element
from nicegui.events import GenericEventArguments


class Panel(Element, component="static/panel.js"):
    """Shows HTML made by the fragments, which escape all that comes from outside.

    Parameters
    ----------
    html
        What to show first.
    waits
        Whether the content stands still while the pointer is over it.
    """

    def __init__(self, html: str = "", *, waits: bool = False) -> None:
        super().__init__()
        self._props["html"] = html
        self._props["waits"] = waits

    def show(self, html: str) -> None:
        """Change what is shown; nothing is sent where it is the same."""
        if html != self._props["html"]:
            self._props["html"] = html
            self.update()

    def on_pick(self, picked: Callable[[str], None]) -> None:
        """Call `picked` with the `data-pick` of what is clicked."""

        def handler(event: GenericEventArguments) -> None:
            picked(str(event.args))

        self.on("pick", handler)
