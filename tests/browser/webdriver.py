"""As much of the WebDriver protocol (W3C) as the page's tests need: headless Chromium, driven through chromedriver."""

from __future__ import annotations

import base64
import contextlib
import json
import platform
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # root in a container has no other way
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
BROWSERS = ("chromium", "google-chrome", "google-chrome-stable", "chrome")
DRIVER = "chromedriver"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
WAIT_SECONDS = 20


def browser_program() -> str | None:
    """Return the path of a browser that is not a snap, which would see neither our profile nor our files."""
    found = (shutil.which(name) for name in BROWSERS)
    return next((path for path in found if path and "/snap/" not in str(Path(path).resolve())), None)


def missing() -> str:
    """Return what is not there, and how it is had; nothing if all is there."""
    absent = [] if browser_program() else ["a browser"]
    absent += [] if shutil.which(DRIVER) else [DRIVER]
    how = "Debian: apt-get install chromium chromium-driver; Ubuntu: Google Chrome and its chromedriver"
    return f"not installed: {' and '.join(absent)} ({how})" if absent else ""


def packaged() -> bool:
    """Return whether a browser is a package here, which `make test` installs; Ubuntu has only a snap."""
    release = platform.freedesktop_os_release()
    return "ubuntu" not in {release.get("ID", ""), *release.get("ID_LIKE", "").split()}


class Browser:
    """One headless browser with an empty profile of its own."""

    def __init__(self, width: int = 1180, height: int = 900, *, dark: bool = False, mobile: bool = False) -> None:
        self._profile = tempfile.mkdtemp(prefix="try-page-")
        self._driver = subprocess.Popen(
            [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            self._base = f"http://127.0.0.1:{self._port()}"
            arguments = [*ARGUMENTS, f"--user-data-dir={self._profile}", f"--window-size={width},{height}"]
            options: dict[str, Any] = {"binary": browser_program(), "args": arguments}
            if mobile:
                metrics = {"width": width, "height": height, "pixelRatio": 2.0, "touch": True}
                options["mobileEmulation"] = {"deviceMetrics": metrics}
            wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self._base += f"/session/{session['sessionId']}"
            if dark:
                feature = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
                self._devtools("Emulation.setEmulatedMedia", feature)
        except BaseException:
            self.close()
            raise

    def open(self, url: str) -> None:
        """Go to a page."""
        self._call("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script's body in the page and return what it returns; a promise is waited for."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector: str) -> str:
        """Return what an element shows; nothing if it is hidden or not there."""
        script = "const e = document.querySelector(arguments[0]); return e?.checkVisibility() ? e.innerText : ''"
        return str(self.run(script, selector))

    def wait(self, met: Callable[[], Any], what: str) -> Any:
        """Return a condition's value once it is true.

        Raises:
            AssertionError: not in time.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            value = met()
            if value:
                return value
            if time.monotonic() >= deadline:
                shown = " ".join(str(self.run("return document.body.innerText")).split())
                raise AssertionError(f"{what}: not within {WAIT_SECONDS} s; the page shows: {shown[:500]}")
            time.sleep(0.05)

    def stroke(self, selector: str, points: list[tuple[float, float]]) -> None:
        """Press the pointer on an element, move it and let go; points are parts of the element's width and height."""
        box = self._box(selector)
        moves = [
            {
                "type": "pointerMove",
                "duration": 15,
                "x": round(box[0] + x * box[2]),
                "y": round(box[1] + y * box[3]),
                "origin": "viewport",
            }
            for x, y in points
        ]
        pressed = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
        kind = {"pointerType": "mouse"}
        self._call(
            "POST", "/actions", {"actions": [{"type": "pointer", "id": "p", "parameters": kind, "actions": pressed}]}
        )

    def _box(self, selector: str) -> list[float]:
        """An element's place, once the page has stopped moving it: scripts add to it after it was loaded."""
        places: list[list[float]] = [[]]

        def still() -> bool:
            places.append(
                self.run("const b = document.querySelector(arguments[0]).getBoundingClientRect();"
                         "return [b.left, b.top, b.width, b.height]", selector)
            )  # fmt: skip
            return places[-1] == places[-2] and all(places[-1][2:])

        self.wait(still, f"{selector} in its place")
        return places[-1]

    def keys(self, selector: str, text: str) -> None:
        """Type into an element."""
        self._call("POST", f"/element/{self._find(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        """Click on an element."""
        self._call("POST", f"/element/{self._find(selector)}/click", {})

    def screenshot(self, path: Path) -> None:
        """Write a picture of the window."""
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        """Return what the console said since the last call: script errors, refused content."""
        entries = self._call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def close(self) -> None:
        """End the browser and its driver, and remove the profile."""
        with contextlib.suppress(OSError, AttributeError, AssertionError):  # it never began, or is gone already
            self._call("DELETE", "")
        self._driver.kill()
        self._driver.wait()
        if self._driver.stdout:
            self._driver.stdout.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def _find(self, selector: str) -> str:
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[ELEMENT])

    def _devtools(self, command: str, parameters: dict[str, Any]) -> None:
        self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _port(self) -> int:
        assert self._driver.stdout
        said = ""
        for line in self._driver.stdout:
            said += line
            if found := re.search(r"started successfully on port (\d+)", line):
                return int(found[1])
        raise AssertionError(f"chromedriver did not start: {said}")

    def _call(self, method: str, path: str, document: dict[str, Any] | None = None) -> Any:
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {json.load(error)['value']['message']}") from error
