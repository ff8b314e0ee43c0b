"""The files of the page `/try`: where they are served, what they are, and what they are for."""

from __future__ import annotations

from dataclasses import dataclass

SCRIPT = "text/javascript; charset=utf-8"


@dataclass(frozen=True)
class PageFile:
    """One file in the folder `web`."""

    path: str
    """URL path."""
    name: str
    """Under `web`."""
    kind: str
    """Content type."""
    summary: str

    @property
    def operation(self) -> str:
        """Its name as an operation of /openapi.json and as a route."""
        return self.path.strip("/").replace("/", "_").replace(".", "_")


def _script(name: str, summary: str) -> PageFile:
    return PageFile(f"/{name}", name, SCRIPT, summary)


FILES = (
    PageFile("/try", "try.html", "text/html; charset=utf-8", "A page to try the model on"),
    PageFile("/try.css", "try.css", "text/css; charset=utf-8", "Its style"),
    PageFile("/try.svg", "try.svg", "image/svg+xml", "Its icon"),
    _script("try.js", "Its script, which loads the others"),
    _script("try/answer.js", "Asking and answers"),
    _script("try/dom.js", "Elements"),
    _script("try/drawing.js", "What is drawn"),
    _script("try/numbers.js", "The form for numbers"),
    _script("try/pad.js", "The paper for pictures"),
    _script("try/pen.js", "Mouse, finger and keyboard"),
    _script("try/scores.js", "Bars and tables"),
    _script("try/terminal.js", "The same as a command"),
)
