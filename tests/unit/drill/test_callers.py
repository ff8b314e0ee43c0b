"""Callers count what fails and what is wrong, and ask nobody elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from nightferry.drill.callers import Callers, Known, known_answers, local
from nightferry.entities.app.exchange import Exchange
from nightferry.steps.judging.questions import Call

EXCHANGE = Exchange.model_validate({"request": {"get": "/predict"}, "answer": {"status": 200, "json": {"churn": 0.1}}})
QUESTIONS = [Call("check 0", "check", EXCHANGE)]


class Service:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.status, self.body = 200, b'{"churn": 0.1}'
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(service.body)))
                self.end_headers()
                self.wfile.write(service.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.server.shutdown()
    made.server.server_close()


def callers(service: Service) -> Callers:
    known = known_answers(service.address, None, QUESTIONS)  # type: ignore[arg-type]  # exchanges need no manifest
    return Callers(service.address, None, known, pause=0.005)  # type: ignore[arg-type]


def test_right_answers_are_no_failures(service: Service) -> None:
    with callers(service) as asking:
        assert asking.await_asked(20)
    assert (asking.traffic.failed, asking.traffic.wrong) == (0, 0)


def test_what_fails_and_what_is_wrong_is_counted(service: Service) -> None:
    with callers(service) as asking:
        asking.await_asked(10)
        service.body = b'{"churn": 0.9}'
        asking.await_asked(10)
        wrong, failed = asking.traffic.wrong, asking.traffic.failed
        service.status = 503
        asking.await_asked(10)
        service.status, service.body = 200, b'{"churn": 0.1}'
        asking.await_asked(10)
    assert wrong > 0
    assert failed == 0
    assert asking.traffic.failed > 0
    assert asking.traffic.failures.seconds > 0
    assert asking.traffic.wrongs.seconds > 0
    assert any("503" in word for word in asking.traffic.words)


def test_what_is_right_again_is_right_often_enough_in_a_row(service: Service) -> None:
    service_is_wrong = b'{"churn": 0.9}'
    with callers(service) as asking:
        assert asking.await_right(20)
        service.body = service_is_wrong
        asking.await_asked(8)
        assert not asking.await_right(4, seconds=0.3)
        service.body = b'{"churn": 0.1}'
        assert asking.await_right(20)
        assert asking.traffic.right_in_a_row >= 20
        service.status = 503
        asking.await_asked(8)
        assert not asking.await_right(4, seconds=0.3)


def test_one_that_does_not_answer_is_a_failure(service: Service) -> None:
    asking = callers(service)
    service.server.shutdown()
    service.server.server_close()
    with asking:
        assert asking.await_asked(8)
    assert asking.traffic.failed == asking.traffic.asked
    assert asking.traffic.wrong == 0


@pytest.mark.parametrize(
    "address", ["http://192.0.2.1", "http://10.0.0.1:80", "http://no-such-host.invalid", "http://"]
)
def test_nobody_elsewhere_is_asked(address: str) -> None:
    assert not local(address)
    with pytest.raises(ValueError, match="not on this machine"):
        Callers(address, None, [Known(QUESTIONS[0], ())])  # type: ignore[arg-type]


def test_this_machine_has_several_names() -> None:
    assert local("http://127.0.0.1:80")
    assert local("http://[::1]:80")
    assert local("http://localhost:8080")
