"""A namespace, a ledger and releases to roll out, for tests of the deployer's steps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.entities.candidate import Candidate, PinnedSource
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.probe_report import Fault, ProbeReport
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import Environment, Gate
from nightferry.entities.state.traffic import Traffic
from nightferry.manifests import names
from nightferry.steps.judging.probe_service import PASSPORT
from nightferry.steps.judging.reach_release import refuse_faults
from nightferry.steps.record.ledger import Chain, append
from nightferry.steps.record.record import record_step
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.back.finish_release import finish_release
from nightferry.steps.rollout.back.roll_back import RolledBack, Wish, roll_back
from nightferry.steps.rollout.fence import Orders
from nightferry.steps.rollout.lease.claim import Claim
from nightferry.steps.rollout.lease.claims import of_housekeeping, of_person, of_rollout
from nightferry.steps.rollout.lease.leased_cluster import LeasedCluster, hold
from nightferry.steps.rollout.roll_out import Compare, RolledOut, roll_out
from nightferry.steps.rollout.strategies.bake import Bake
from nightferry.steps.rollout.strategies.canary import Judges
from nightferry.steps.rollout.verify_release import Verified, verify_release

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.memory.memory_figures import MemoryFigures
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.still_clock import StillClock


def plan(release: str = "digits-2026-11-21.1", order: int = 0, **environment: Any) -> RolloutPlan:
    """A plan; each release has an image of its own."""
    given = {"name": "staging", "namespace": "staging", "service_type": "NodePort", "ready_seconds": 60} | environment
    return RolloutPlan(
        service="digits",
        release=release,
        order=order,
        image=image(release),
        model=model(release),
        model_repository="azure-blob://models/digits",
        source="c" * 40,
        actor="schedule",
        app=None,
        environment=Environment.model_validate(given),
    )


def model(release: str) -> PinnedModel:
    """The model of a release."""
    number = release.rpartition(".")[2] + release[-4:-2]
    return PinnedModel(
        version=f"model-{number}",
        sha256=f"{int(number):064x}",
        created=dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
        size=1,
        etags={},
    )


def image(release: str) -> str:
    """The image of a release."""
    return f"registry.example/digits@sha256:{release.encode().hex():0<64.64}"


SPEC: dict[str, Any] = {
    "service": "digits",
    "owner": "ana",
    "model": {"repository": "azure-blob://models/digits"},
    "image": {"repository": "registry.example/digits"},
    "environments": [
        {"name": "staging", "namespace": "staging", "service_type": "NodePort", "ready_seconds": 60},
        {"name": "production", "namespace": "production", "service_type": "NodePort", "ready_seconds": 60},
    ],
}


class Killed(BaseException):
    """The process is no more."""


class World:
    """Everything a rollout meets. Pods answer with what their Deployment told them."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.cluster = MemoryCluster(self.clock)
        self.ledger = WatchedLedger()
        self.faults: dict[str, Fault] = {}
        """Release -> what the probe finds wrong with it."""
        self.answers: Callable[[str, dict[str, Any] | None], Any] = lambda address, answer: answer
        """Changes what an address answers at /version."""
        self.compare: Compare = _no_comparison
        """Compares a candidate with the release in use."""
        self.gates: dict[str, Gate] = {}
        """Of that comparison."""
        self.unprepared: Exception | None = None
        self.figures: MemoryFigures | None = MemoryFigures(self.clock)
        """What users met; None: nobody counts that."""
        self.looked: Callable[[], None] = lambda: None
        """Called at each look at a release that has a share of the users."""
        self.spec: dict[str, Any] | None = SPEC
        """What decisions pin."""
        self.leased = False
        """Whether all work is done under the service's Lease, as the deployer and the command do it."""

    def decide(self, release: str, **environment: Any) -> int:
        """Write down that the release was decided, its environment so changed, once; the decision's sequence."""
        candidate = Candidate(
            service="digits",
            model=model(release),
            source=PinnedSource(repository=".", ref="main", commit="c" * 40, tree="d" * 40, path="serving_app"),
            base_image=image("base"),
            recipe="e" * 64,
        )
        decision = Decision(
            key=f"run:{release}",
            service="digits",
            go=True,
            reason=Reason.NEW_MODEL,
            sentence="New model.",
            actor="schedule",
            release=release,
            candidate=candidate,
            request=ReleaseRequest(),
            spec=self._pinned(environment),
        )
        facts = {"kind": Kind.DECISION, "key": decision.key, "release": release, "actor": "schedule"}
        words = {"reason": decision.reason, "sentence": decision.sentence, "data": decision.to_json()}
        decided = append(self.ledger, self.clock, service="digits", **facts, **words)
        published = {"image": image(release)}
        record_step(self.ledger, self.clock, decision, "publish_image", sentence="Published.", data=published)
        return decided.sequence

    def _pinned(self, changes: dict[str, Any]) -> dict[str, Any] | None:
        if self.spec is None:
            return None
        name = changes.get("name", "staging")
        return self.spec | {
            "environments": [one | (changes if one["name"] == name else {}) for one in self.spec["environments"]]
        }

    def plan(self, release: str, **environment: Any) -> RolloutPlan:
        """The plan of a release that is decided on, and whose image is published."""
        # These are not the deployer's own calls.
        before, fault = self.ledger.before, self.ledger.fault
        self.ledger.before, self.ledger.fault = lambda *_: None, None
        order = self.decide(release, **environment)
        self.ledger.before, self.ledger.fault = before, fault
        return plan(release, order, **environment).model_copy(update={"gates": self.gates})

    def roll_out(self, release: str = "digits-2026-11-21.1", **environment: Any) -> RolledOut:
        """Up to the switch and its record, without the look at what users get."""
        plan = self.plan(release, **environment)
        with self.held(of_rollout(plan), at_once=True) as cluster:
            return self.bring(plan, cluster)

    def bring(self, plan: RolloutPlan, cluster: Cluster) -> RolledOut:
        """The same of a plan, in a cluster that may be under a Lease."""
        return roll_out(
            plan,
            cluster=cluster,
            candidate=lambda: "candidate",
            prepare=self._prepare,
            ask=self.ask,
            compare=lambda stable: self.compare(stable),
            ledger=self.ledger,
            orders=Orders(self.ledger, "digits"),
            clock=self.clock,
            judging=lambda stable: Judges(self.look_at, self.figures),
        )

    @contextmanager
    def held(self, claim: Claim, *, at_once: bool = False) -> Iterator[Cluster]:
        """The cluster, under a Lease where this world has them."""
        if not self.leased:
            yield self.cluster
            return
        with hold(lambda guard: guard(self.cluster), claim, self.clock, at_once=at_once, beating=False) as held:
            yield held.cluster

    def look_at(self, addresses: Sequence[str]) -> None:
        """Ask each pod of a release that has a share of the users."""
        self.looked()
        for address in addresses:
            refuse_faults(address, self._probe(address))

    def verify(self, release: str = "digits-2026-11-21.1", **environment: Any) -> Verified:
        """The look at what users get, and going back."""
        plan = self.plan(release, **environment)
        with self.held(of_rollout(plan, "verify"), at_once=True) as cluster:
            return self.look(plan, cluster)

    def look(self, plan: RolloutPlan, cluster: Cluster | None = None) -> Verified:
        """The same, of a plan."""
        return verify_release(
            plan,
            cluster=cluster or self.cluster,
            address=lambda: "stable",
            probe=self._prepare(),
            ask=self.ask,
            ledger=self.ledger,
            orders=Orders(self.ledger, "digits"),
            clock=self.clock,
            bake=Bake(plan, self.figures, self.ledger, self.clock),
        )

    def finish(self, environment: str = "staging") -> None:
        """What the retiring run does first."""
        with self.held(of_housekeeping("digits", "finish")) as cluster:
            finish_release(
                "digits",
                environment,
                cluster=cluster,
                ledger=self.ledger,
                verify=lambda plan: self.look(plan, cluster),
                take=cluster.take if isinstance(cluster, LeasedCluster) else lambda: None,
                clock=self.clock,
            )

    def roll_back(self, to: str | None = None, environment: str = "production", by: str = "ana") -> RolledBack:
        """What a person's command does."""
        given = next(one for one in SPEC["environments"] if one["name"] == environment)
        wish = Wish("digits", Environment.model_validate(given), to, "sevens are wrong", by)
        with self.held(of_person("digits", by)) as cluster:
            return roll_back(wish, cluster=cluster, ledger=self.ledger, clock=self.clock)

    def ask(self, address: str) -> Any:
        """GET /version."""
        pods = self.cluster.list("Pod")
        if address in ("candidate", "stable"):
            service = self.cluster.get("Service", {"candidate": "digits-candidate", "stable": "digits"}[address])
            wanted = service["spec"]["selector"].items() if service else {"no": "pod"}.items()
            found = [one for one in pods if wanted <= one["metadata"]["labels"].items()]
        else:
            ip = address.removeprefix("http://").partition(":")[0]
            found = [one for one in pods if one["status"]["podIP"] == ip]
        return self.answers(address, _version(found[0]) if found else None)

    def in_use(self) -> str | None:
        service = self.cluster.objects.get(("Service", "digits"))
        if service is None:
            return None
        release = service["spec"]["selector"][names.VERSION]
        assert names.annotations_of(service).get(names.RELEASE, "none") == release
        return str(release)

    def note(self, release: str, name: str) -> str | None:
        """An annotation of a release's Deployment."""
        deployment = self.cluster.objects[("Deployment", names.object_name(release))]
        return names.annotations_of(deployment).get(name)

    def entries(self) -> list[LedgerEntry]:
        """What the deployer wrote."""
        theirs = (Kind.DECISION, Kind.STEP)
        return [entry for entry in reversed(list(Chain(self.ledger, "digits"))) if entry.kind not in theirs]

    def traffic(self, environment: str = "staging") -> Traffic:
        """What the record says that users get."""
        return read_state(self.ledger, "digits").traffic.get(environment, Traffic())

    def check(self) -> None:
        """What has to hold at every moment: users are never sent to a release that is not there, nothing is alone."""
        release = self.in_use()
        self.cluster.settle()
        deployments = self.cluster.names("Deployment")
        if release not in (None, "none"):
            assert names.object_name(release) in deployments
        for kind in ("PodDisruptionBudget", "HorizontalPodAutoscaler"):
            assert set(self.cluster.names(kind)) <= set(deployments)

    def kill_at(self, call: int, dead: bool) -> None:
        """Raise Killed at that call to the outside; when `dead`, at every one after it, too."""
        count = 0

        def tick(*_: object) -> None:
            nonlocal count
            count += 1
            self.check()
            if count == call or (dead and count > call):
                raise Killed

        self.cluster.before = tick
        self.ledger.before = tick

    def calls(self, work: Callable[[], object]) -> int:
        """How many calls to the outside `work` makes."""
        count = 0

        def tick(*_: object) -> None:
            nonlocal count
            count += 1

        self.cluster.before = tick
        self.ledger.before = tick
        work()
        self.live()
        return count

    def live(self) -> None:
        """Calls succeed again."""
        self.cluster.before = lambda *_: None
        self.ledger.before = lambda *_: None

    def _prepare(self) -> Callable[[str], ProbeReport]:
        if self.unprepared:
            raise self.unprepared
        return self._probe

    def _probe(self, address: str) -> ProbeReport:
        answer = self.ask(address)
        fault = self.faults.get(answer["release"]) if answer else Fault(kind="start", sentence="no answer")
        return ProbeReport(faults=(fault,) if fault else (), checked=7, seconds=0.1)


def _no_comparison(stable: Manifest) -> PredictionDiff:
    raise AssertionError("no gate asks for a comparison")


class WatchedLedger(MemoryLedger):
    """A ledger whose calls can be counted."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[..., None] = lambda *_: None

    def _check(self) -> None:
        self.before()
        super()._check()


def _version(pod: Mapping[str, Any]) -> dict[str, Any] | None:
    if pod["status"]["conditions"][1]["status"] != "True":
        return None
    variables = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    answer: dict[str, Any] = {}
    for variable, where in PASSPORT.items():
        place = answer
        for part in where[:-1]:
            place = place.setdefault(part, {})
        place[where[-1]] = variables[variable]
    return answer
