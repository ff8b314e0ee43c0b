"""The deployer reads what people answered itself, before it touches anything, whatever started its pod."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nightferry import deployer
from nightferry.clients import connect
from nightferry.clients.doors.cluster import Cluster
from nightferry.deployer import doors, releasing
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.worlds.asking_world import Asking


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    asking = Asking(tmp_path)
    cluster = MemoryCluster(namespace="production")

    def opened(settings: object, namespace: str, guard: Callable[[Cluster], Cluster] = lambda it: it) -> Cluster:
        return guard(cluster)

    monkeypatch.setattr(connect, "cluster", opened)
    monkeypatch.setattr(connect, "ledger_store", lambda settings: asking.ledger)
    monkeypatch.setattr(doors, "SystemClock", lambda: asking.clock)
    monkeypatch.setattr(asking, "cluster", cluster, raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield asking
    signal.signal(signal.SIGTERM, before)


def roll_out(release: str) -> int:
    return deployer.main(["roll_out", "--release", release, "--environment", "production"])


def touched(asking: Asking) -> bool:
    cluster: MemoryCluster = asking.cluster  # type: ignore[attr-defined]
    return any(cluster.list(kind, {}) for kind in ("Deployment", "Service", "Lease"))


def test_what_is_not_approved_is_refused_before_anything_is_touched(
    asking: Asking, capsys: pytest.CaptureFixture[str]
) -> None:
    release = asking.waiting()
    asking.answer(release, "bert")
    asking.answer(release, "admin")

    assert roll_out(release) == 2

    assert not touched(asking)
    assert "not_approved" in capsys.readouterr().out
    told = [one for one in asking.entries(release) if one.kind == Kind.ROLLOUT]
    assert [one.reason for one in told] == [Reason.NOT_APPROVED]


def test_what_was_declined_is_refused(asking: Asking) -> None:
    release = asking.waiting()
    asking.answer(release, "carl", yes=False)
    assert roll_out(release) == 2
    assert not touched(asking)


def test_what_is_approved_is_let_through(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    release = asking.waiting()
    asking.answer(release, "bert")
    asking.answer(release, "carl")
    rolled: list[str] = []
    monkeypatch.setattr(releasing, "roll_out", lambda plan, **_: rolled.append(plan.release))
    monkeypatch.setattr(doors.Doors, "verify", lambda doors, plan, probe: None)
    monkeypatch.setattr(doors.Doors, "prepare", lambda doors, plan: None)
    assert roll_out(release) == 0
    assert rolled == [release]
