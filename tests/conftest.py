"""What all tests share: no network beyond this machine without the sandbox, and a clear word where it is missing."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Iterator

import pytest
from nightferry import settings


def pytest_configure(config: pytest.Config) -> None:
    """A warning that our own code causes is an error."""
    for package in ("nightferry", "serving_app"):
        config.addinivalue_line("filterwarnings", rf"error:::{package}(\..*)?$")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, a file's tests stay together, unless they say otherwise: they share what is costly to make."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Groups that are ignored are not to go unseen: tests that share a service would disturb each other."""
    ignored = [item.nodeid for item in session.items if "@" not in item.nodeid]
    if ignored and getattr(session.config.option, "loadgroup", False):
        raise pytest.UsageError(f"xdist ignores the groups of {len(ignored)} tests, such as {ignored[0]}.")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test of the real parts fails at once where they are not there: skipped, it would look like a passed one."""
    if item.get_closest_marker("sandbox") and not settings.load().get("STORAGE_CONNECTION_FILE"):
        pytest.fail("The sandbox was not started: `nightferry up`; or leave its tests out: -m 'not sandbox'.")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """What a program sets up in a test writes to that test's stream, which is closed afterwards."""
    before = logging.root.handlers[:]
    yield
    for handler in logging.root.handlers[:]:
        if handler not in before and type(handler) is logging.StreamHandler:
            logging.root.removeHandler(handler)


@pytest.fixture(autouse=True)
def _this_machine_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the sandbox's mark, a test reaches this machine's loopback and nothing else."""
    if request.node.get_closest_marker("sandbox"):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) and self.family in (socket.AF_INET, socket.AF_INET6) else None
        if host is not None and not _is_loopback(str(host)):
            raise ConnectionRefusedError(f"a test without the mark `sandbox` connects to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
