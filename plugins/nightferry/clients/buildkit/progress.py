"""What buildctl tells while it builds (`--progress=rawjson`), turned into a log for people and facts for us."""

from __future__ import annotations

import base64
import json
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any, TextIO

from nightferry.masking import mask

log = logging.getLogger(__name__)

KEPT = 40
"""Lines of a step's output that are kept for the sentence of a failure; the log has them all."""


@dataclass
class Step:
    """A vertex of the build's graph: one instruction, one context, the export."""

    name: str = ""
    error: str = ""
    cached: bool = False
    completed: bool = False
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))


class BuildProgress:
    """Reads buildctl's lines one by one. What is not JSON is what buildctl itself says."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._steps: dict[str, Step] = {}
        self.said: deque[str] = deque(maxlen=KEPT)
        """buildctl's own lines: its last word is the error."""

    @property
    def failed(self) -> Step | None:
        """The step whose failure ended the build; None when it was none of them."""
        # Steps beside it end as cancelled.
        failed = [step for step in self._steps.values() if step.error and not step.error.endswith("context canceled")]
        return failed[0] if failed else None

    def feed(self, line: str) -> None:
        """Take one line of buildctl's output."""
        message = _message(line)
        if message is None:
            self.said.append(line.rstrip())
            self._write(line.rstrip())
            return
        for vertex in message.get("vertexes") or []:
            self._vertex(vertex)
        for output in message.get("logs") or []:
            step = self._steps.setdefault(str(output.get("vertex")), Step())
            text = base64.b64decode(output.get("data") or "").decode("utf-8", "replace")
            for part in text.splitlines():
                step.lines.append(part)
                self._write(f"    {part}")

    def _vertex(self, vertex: dict[str, Any]) -> None:
        step = self._steps.setdefault(str(vertex.get("digest")), Step())
        step.name = str(vertex.get("name") or step.name)
        if vertex.get("error"):
            step.error = str(vertex["error"])
            self._write(f"{step.name}: {step.error}")
        elif vertex.get("completed") and not step.completed:
            step.completed = True
            step.cached = bool(vertex.get("cached"))
            self._write(f"{step.name}: {'cached' if step.cached else 'done'}")
            if not step.name.startswith(("[internal]", "[context")):
                log.info("%s%s", step.name[:200], " (cached)" if step.cached else "")
        elif vertex.get("started") and not step.completed:
            self._write(step.name)

    def _write(self, text: str) -> None:
        self._file.write(mask(text) + "\n")
        self._file.flush()


def _message(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
