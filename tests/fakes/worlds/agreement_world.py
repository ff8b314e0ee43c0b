"""A rollout world with one environment, whose releases are really decided: for tests over many events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nightferry.entities.candidate import Candidate, PinnedSource
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.probe_report import ProbeReport
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent
from nightferry.manifests.route import weights_of
from nightferry.steps.admission.admission import Stay
from nightferry.steps.admission.admit import admit
from nightferry.steps.blame.laboratory import Bench
from nightferry.steps.blame.look_into import look_into, release_to_blame
from nightferry.steps.deciding.decide import Weighed, entry_of, weigh
from nightferry.steps.deciding.go_on import go_on
from nightferry.steps.deciding.pin import Pinned
from nightferry.steps.judging.answers import Answers
from nightferry.steps.record.close_release import close_left_open
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain, append
from nightferry.steps.record.record import record_failure, record_step
from nightferry.steps.rollout.follow_route import Share, share_on
from nightferry.steps.rollout.lease.claims import of_rollout
from nightferry.steps.rollout.read_plan import read_plan

from tests.fakes.worlds.rollout_world import World, image, model


class _Laboratory:
    def __init__(self, broken: Callable[[Candidate], bool]) -> None:
        self._broken = broken

    def image(self, candidate: Candidate) -> ImageRef:
        return ImageRef.parse(image("candidate"))

    def probe(self, candidate: Candidate, started: ImageRef) -> None:
        if self._broken(candidate):
            raise Permanent(Reason.IMAGE_GOLDEN_WRONG, "wrong")

    def answers(self, candidate: Candidate, started: ImageRef) -> Answers:
        raise AssertionError("no gate compares answers here")


STRATEGIES: dict[str, dict[str, Any]] = {
    "blue_green": {"kind": "blue_green"},
    "bake": {"kind": "blue_green", "bake_minutes": 0.2},
    "canary": {"kind": "canary", "steps": [{"share": "10%", "minutes": 0.2}, {"share": "50%", "minutes": 0.1}]},
    "both": {"kind": "canary", "steps": [{"share": "30%", "minutes": 0.2}], "bake_minutes": 0.2},
}
USERS = 60
"""Requests of each release that has users, between two looks: enough to be judged by."""


class AgreementWorld(World):
    """`decide_next` decides as the DAG does; `release` does what the deployer's pod does."""

    def __init__(self) -> None:
        super().__init__()
        self.model = 1
        """Which model is the newest."""
        self.replicas = 1
        self.zone = "Europe/Zurich"
        self.strategy = "blue_green"
        """How users come to a release, of `STRATEGIES`."""
        self.slow: set[str] = set()
        """Releases that take half as long again as the others."""
        self._runs = 0

    @property
    def service(self) -> ServiceSpec:
        """The service file as it is now."""
        production = {"name": "production", "namespace": "production", "service_type": "NodePort", "ready_seconds": 5}
        production |= {"traffic": {"gateway": "users", "host": "digits.nightferry.test"}}
        production |= {"strategy": STRATEGIES[self.strategy]}
        return ServiceSpec.model_validate(
            {
                "service": "digits",
                "owner": "ana",
                "schedule": {"cron": "0 2 * * *", "timezone": self.zone},
                "model": {"repository": "azure-blob://models/digits"},
                "image": {"repository": "registry.example/digits"},
                "environments": [production | {"replicas": self.replicas}],
            }
        )

    def weigh(self, force: bool = False) -> Decision:
        """What would be decided now."""
        return self._weighed(force).decision

    def _weighed(self, force: bool, key: str = "look") -> Weighed:
        request, chain = ReleaseRequest(force=force), Chain(self.ledger, "digits")
        return weigh(self.service, request, Pinned(self._candidate()), chain, self.clock, key=key, actor="ana")

    def _candidate(self) -> Candidate:
        source = PinnedSource(repository=".", ref="main", commit="c" * 40, tree="d" * 40, path="serving_app")
        newest = PinnedModel.model_validate(
            {**model("digits-2026-11-21.1").to_json(), "version": f"m{self.model}", "sha256": f"{self.model:064x}"}
        )
        return Candidate(service="digits", model=newest, source=source, base_image=image("base"), recipe="e" * 64)

    def decide_next(self, force: bool = False) -> str | None:
        """Decide a run; the release, None for none."""
        self._runs += 1
        key = f"run:{self._runs}"
        close_left_open(spec=self.service, key=key, ledger=self.ledger, clock=self.clock)
        weighed = self._weighed(force, key)
        append(self.ledger, self.clock, service="digits", **entry_of(weighed, key, "ana"))
        decision = weighed.decision
        if decision.release and not decision.image:
            published = {"image": image(decision.release)}
            record_step(self.ledger, self.clock, decision, "publish_image", sentence="Published.", data=published)
        return decision.release

    def keep(self, release: str, reason: str = "frozen") -> None:
        """Something keeps it from production, and its run ends."""
        stay = Stay(reason, "Not now.")
        admit(
            self.decision_of(release),
            "production",
            self.service,
            [lambda _: stay],
            ledger=self.ledger,
            clock=self.clock,
        )

    def go_on(self, release: str) -> Decision:
        """A run that goes on with what waits."""
        self._runs += 1
        key = f"run:{self._runs}"
        close_left_open(spec=self.service, key=key, ledger=self.ledger, clock=self.clock)
        asked = {"key": key, "actor": "ana", "cause": None, "way": ""}
        return go_on(self.service, release, **asked, ledger=self.ledger, clock=self.clock)

    def decision_of(self, release: str) -> Decision:
        """What a release was decided by."""
        decided = next(one for one in release_entries(self.ledger, release) if one.kind == Kind.DECISION)
        return Decision.model_validate(decided.data)

    def plan_of(self, release: str) -> RolloutPlan:
        """The plan, as the deployer reads it from the record."""
        return read_plan(release_entries(self.ledger, release), "production")

    def release(self, release: str) -> None:
        """What the rollout's pod does."""
        plan = self.plan_of(release)
        with self.held(of_rollout(plan), at_once=True) as cluster:
            self.bring(plan, cluster)
            self.look(plan, cluster)

    def fail_gate(self, release: str, broken: Callable[[Candidate], bool]) -> None:
        """The image's test fails, and the task `blame` looks whose fault it is."""
        decision = self.decision_of(release)
        fault = Permanent(Reason.IMAGE_GOLDEN_WRONG, "0.png should give 0, got 3.")
        record_failure(self.ledger, self.clock, decision, "test_image", fault)
        failures = [("test_image", Reason.IMAGE_GOLDEN_WRONG, fault.sentence)]
        about = release_to_blame(decision, self.service, failures, self.ledger)
        assert about is not None
        look_into(about, Bench(_Laboratory(broken), self.clock, 600), self.ledger, self.clock)

    def verify_again(self, release: str) -> None:
        """What the pod of a cleared verification does."""
        plan = self.plan_of(release)
        with self.held(of_rollout(plan, "verify"), at_once=True) as cluster:
            self.look(plan, cluster)

    def model_of(self, release: str) -> int:
        """Which model a release was decided with."""
        return int(self.decision_of(release).candidate.model.version.removeprefix("m"))

    def shares(self) -> dict[str, int]:
        """Object's name -> percent, of those that the route sends users to."""
        found = self.cluster.objects.get(("HTTPRoute", "digits"))
        return {name: weight for name, weight in weights_of(found).items() if weight} if found else {}

    def carried(self) -> Share | None:
        """The canary that the route carries."""
        route, service = (self.cluster.objects.get((kind, "digits")) for kind in ("HTTPRoute", "Service"))
        return share_on(route, service)

    def _probe(self, address: str) -> ProbeReport:
        share, current = self.carried(), self.in_use()
        for release in {str(current), share.release if share else str(current)}:
            if self.figures:
                self.figures.serve(release, [0.015 if release in self.slow else 0.010] * USERS)
        return super()._probe(address)
