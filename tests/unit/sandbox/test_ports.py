"""Ports: the usual one, the kept one, or the next free one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox.machine import ports
from nightferry.sandbox.machine.ports import Port, choose, free


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def unused() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_the_usual_port_where_it_is_free() -> None:
    usual = unused()
    assert choose({}, False, [Port("x", usual)]) == {"x": usual}


def test_another_one_where_it_is_taken(taken: int) -> None:
    chosen = choose({}, False, [Port("x", taken)])["x"]
    assert chosen > taken
    assert free("127.0.0.1", chosen)


def test_what_was_chosen_is_kept() -> None:
    kept = unused()
    assert choose({"x": kept}, False, [Port("x", unused())]) == {"x": kept}


def test_a_kept_port_that_another_program_took_meanwhile_is_given_up(taken: int) -> None:
    assert choose({"x": taken}, False, [Port("x", unused())])["x"] != taken


def test_our_own_running_parts_keep_theirs(taken: int) -> None:
    assert choose({"x": taken}, True, [Port("x", unused())]) == {"x": taken}


def test_two_parts_never_get_one_port() -> None:
    usual = unused()
    chosen = choose({}, False, [Port("x", usual), Port("y", usual)])
    assert len(set(chosen.values())) == 2


def test_a_listener_on_every_address_counts(taken: int) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not free("10.244.0.1", server.getsockname()[1])


def test_an_address_that_the_machine_does_not_have_yet_can_be_asked_for() -> None:
    assert free("10.244.0.1", unused())


def test_a_port_that_is_wanted_on_two_addresses_is_free_on_both() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        assert choose({}, False, [Port("x", port, "127.0.0.3", also="127.0.0.2")])["x"] != port
        assert choose({}, False, [Port("x", port, "127.0.0.3")])["x"] == port


def test_no_free_port_is_an_error_that_names_the_part(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "TRIES", 1)
    with pytest.raises(Permanent, match="registry") as raised:
        choose({}, False, [Port("registry", taken)])
    assert raised.value.reason == Reason.SANDBOX_FAILED


def test_every_usual_port_is_another_one() -> None:
    assert len({port.usual for port in ports.PORTS}) == len(ports.PORTS) == len({port.name for port in ports.PORTS})
