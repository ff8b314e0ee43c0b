"""The service as processes: signals, sockets, time limits, overload. They take their time and want the machine to
themselves, so a release's build does not run them, and `make test` does."""

from __future__ import annotations

import pytest

from tests.serving_app.conftest import picture_dir, serve, tensor_dir

__all__ = ["picture_dir", "serve", "tensor_dir"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each of this folder's tests the mark."""
    for item in items:
        if "serving_process" in item.path.parts:
            item.add_marker(pytest.mark.process)
