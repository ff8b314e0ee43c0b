"""An app's image: who it runs as, whether it ends when told to, and what its prober does when it has ended."""

from __future__ import annotations

import threading

import pytest
from nightferry.entities.app.contract import AppContract
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.operators.image.candidate_watch import ending_with
from nightferry.steps.image.check_image import check_image
from nightferry.steps.image.test_image import check_end, explain_probe, start_candidate

from tests.fakes.a_release import a_decision, a_spec
from tests.fakes.memory.memory_registry import MemoryRegistry
from tests.fakes.memory.memory_runner import MemoryRunner
from tests.fakes.still_clock import StillClock

IMAGE = ImageRef("registry/churn", f"sha256:{'a' * 64}")
OWN = a_decision().candidate.model_copy(update={"app": AppContract(dockerfile="Dockerfile")})
GOOD = {"User": "65532:65532", "Entrypoint": ["python3"], "Labels": {"dev.nightferry.inputs": OWN.inputs_digest}}


def registry(**config: object) -> MemoryRegistry:
    made = MemoryRegistry()
    made.push(IMAGE, ("one",))
    made.configs[IMAGE.digest] = GOOD | config
    return made


def test_an_image_as_it_should_be_is_taken() -> None:
    check_image(IMAGE, OWN, registry())
    check_image(IMAGE, OWN, registry(User="1000", Entrypoint=None, Cmd=["sh"]))


@pytest.mark.parametrize(
    ("config", "reason", "said"),
    [
        ({"User": ""}, Reason.APP_CONTRACT_INVALID, "runs as root"),
        ({"User": "0:0"}, Reason.APP_CONTRACT_INVALID, "runs as root"),
        ({"User": "root"}, Reason.APP_CONTRACT_INVALID, "runs as root"),
        ({"User": "app"}, Reason.APP_CONTRACT_INVALID, "'app', whose number a cluster cannot see"),
        ({"Entrypoint": None, "Cmd": []}, Reason.APP_CONTRACT_INVALID, "starts nothing"),
        ({"Labels": {}}, Reason.IMAGE_CONTRACT_BROKEN, "dev.nightferry.inputs None"),
    ],
)
def test_an_image_of_its_own_dockerfile_is_looked_at(config: dict[str, object], reason: Reason, said: str) -> None:
    with pytest.raises(Permanent) as raised:
        check_image(IMAGE, OWN, registry(**config))
    assert raised.value.reason is reason
    assert said in raised.value.sentence


def started(behaviour: str) -> MemoryRunner:
    made = MemoryRegistry()
    made.push(IMAGE, ("one",), {"behaviour": behaviour})
    runner = MemoryRunner(made)
    start_candidate(runner, IMAGE, "candidate", a_spec().environments[-1], {"A": "b"}, AppContract())
    return runner


def test_an_app_is_tried_with_what_its_pods_will_have() -> None:
    [(_, variables, _)] = started("ready").started
    assert (variables["HOME"], variables["A"]) == ("/tmp", "b")


def test_the_room_that_an_app_asks_for_is_any_amount_that_its_contract_may_name() -> None:
    runner, sizes = MemoryRunner(MemoryRegistry()), []
    runner.start = lambda *_, scratch=0, **__: sizes.append(scratch)  # type: ignore[method-assign]
    for written in ("64Mi", "1e6", "1Pi"):
        start_candidate(runner, IMAGE, "candidate", a_spec().environments[-1], {}, AppContract(scratch=written))
    assert sizes == [64 << 20, 10**6, 1 << 50]


def test_an_app_that_ends_when_it_is_told_to_is_taken() -> None:
    check_end(started("ready"), "candidate", StillClock())


def test_an_app_that_goes_on_after_sigterm_is_refused() -> None:
    with pytest.raises(Permanent) as raised:
        check_end(started("deaf"), "candidate", StillClock())
    assert raised.value.reason is Reason.IMAGE_CONTRACT_BROKEN
    assert "exec" in raised.value.sentence


def test_an_app_that_is_merely_late_is_tried_again() -> None:
    report = '{"faults": [{"kind": "start", "sentence": "late."}], "checked": 1, "seconds": 1.0}'
    with pytest.raises(Temporary):
        explain_probe(IMAGE, 12, report, "", late=Temporary)
    with pytest.raises(Permanent):
        explain_probe(IMAGE, 12, report, "")


def test_the_prober_ends_with_its_candidate() -> None:
    runner, ended = started("exit 1"), threading.Event()
    runner.containers["prober"] = "ready"
    stop = runner.stop

    def stopped(name: str) -> None:
        stop(name)
        ended.set()

    runner.stop = stopped  # type: ignore[method-assign]
    with ending_with("candidate", runner, lambda: "prober"):
        assert ended.wait(10)
    assert runner.containers["prober"] == "exit 143"


def test_the_prober_goes_on_while_its_candidate_runs() -> None:
    runner = started("ready")
    runner.containers["prober"] = "ready"
    looked = threading.Event()
    state = runner.state

    def seen(name: str) -> object:
        looked.set()
        return state(name)

    runner.state = seen  # type: ignore[method-assign,assignment]
    with ending_with("candidate", runner, lambda: "prober"):
        assert looked.wait(10)
    assert runner.containers["prober"] == "ready"
