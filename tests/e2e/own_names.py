"""Names of what a test makes for itself. They say whose it is, so that nobody removes what another test uses."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path


def own_name(prefix: str) -> str:
    """A new name: `<prefix><this process>-<random>`."""
    return f"{prefix}{os.getpid()}-{uuid.uuid4().hex[:6]}"


def abandoned(name: str, prefix: str) -> bool:
    """Whether it begins with such a name of a process that has ended."""
    found = re.match(rf"{re.escape(prefix)}(\d+)-", name)
    return found is not None and not Path(f"/proc/{found[1]}").exists()
