from __future__ import annotations

from collections.abc import Iterator

import pytest
from nightferry.sandbox.layout import Layout

from tests.unit.sandbox.places import temporary_layout


@pytest.fixture
def layout() -> Iterator[Layout]:
    """Folders of a sandbox."""
    with temporary_layout() as made:
        yield made
