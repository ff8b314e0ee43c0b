"""A sandbox's folders in a short temporary place: a Unix socket's path may have 107 characters."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry.sandbox.layout import Layout, Owner

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def temporary_layout() -> Iterator[Layout]:
    """Folders of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="nf-") as folder:
        layout = Layout(
            root=ROOT,
            home=Path(folder, "home"),
            owner=Owner.current(),
            runtime=Path(folder, "run"),
            data=Path(folder, "data"),
        )
        layout.prepare()
        yield layout
