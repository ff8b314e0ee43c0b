"""A namespace of a cluster in memory: API server, and as much of the controllers as a rollout meets."""

from __future__ import annotations

import datetime as dt
import itertools
import marshal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.cluster_faults import missing_kind
from nightferry.clients.doors.cluster import ClusterConflict, Manifest, QuotaExceeded
from nightferry.entities.reason import Reason

from tests.fakes.memory.memory_capacity import exceeded, no_room, quota_status
from tests.fakes.memory.memory_jobs import ended_at, failed, is_old, no_place
from tests.fakes.still_clock import StillClock

_IMMUTABLE = ("uid", "creationTimestamp", "namespace")


@dataclass
class Behaviour:
    """What the pods of an image do once they exist."""

    ready_after: float | None = 2.0
    """Seconds; None: never."""
    waiting: str = ""
    """The container's waiting reason, such as ImagePullBackOff."""
    waiting_message: str = ""
    crash: str = ""
    """Last words of a container that crashes again and again."""
    unschedulable: str = ""
    refused: str = ""
    """No pod is made; this is why."""
    log: str = ""
    image_id: str = ""
    container_ready: bool = False
    """Whether the container is, although the pod is not."""
    beside: Manifest | None = None
    """The state of a container that the cluster put before it."""


class MemoryCluster:
    """Objects in a dict. Time is `clock`'s: pods become ready as it moves.

    Set `fault` to make every call fail with it; `before` is called with the name and kind of every call. With
    `node_cpu` there is one node of so many CPUs, and pods for which it has no room wait. `without` are kinds that
    nobody installed.
    """

    def __init__(self, clock: Clock | None = None, namespace: str = "staging", node_cpu: str | None = None) -> None:
        self.node_cpu = node_cpu
        self.clock = clock or StillClock()
        self.objects: dict[tuple[str, str], Manifest] = {}
        self.behaviours: dict[str, Behaviour] = {}
        self.fault: Exception | None = None
        self.before: Callable[[str, str], None] = lambda call, kind: None
        self.without: set[str] = set()
        self.events: list[Manifest] = []
        self._namespace = namespace
        self._applied: dict[tuple[str, str], Manifest] = {}
        self._versions = itertools.count(1)
        self._addresses = itertools.count(2)
        self._ports = itertools.count(30001)

    @property
    def namespace(self) -> str:
        return self._namespace

    def get(self, kind: str, name: str) -> Manifest | None:
        self._enter("get", kind)
        return _copied(self.objects.get((kind, name)))

    def list(
        self, kind: str, labels: Mapping[str, str] | None = None, fields: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        self._enter("list", kind)
        if kind == "EndpointSlice":
            found = self._slices()
        elif kind == "Event":
            found = self.events
        else:
            found = [one for (its, _), one in sorted(self.objects.items()) if its == kind]
        return [
            _copied(one)
            for one in found
            if _carries(one["metadata"].get("labels"), labels)
            and all(_at(one, path) == value for path, value in (fields or {}).items())
        ]

    def create(self, manifest: Manifest) -> Manifest | None:
        self._enter("create", manifest["kind"])
        key = _key(manifest)
        if key in self.objects:
            return None
        refused = no_place(self._of("ResourceQuota"), self._of("Job")) if key[0] == "Job" else ""
        if refused:
            raise QuotaExceeded(Reason.ROLLOUT_REFUSED, refused)
        return self._store(key, _copied(manifest))

    def apply(self, manifest: Manifest) -> Manifest:
        self._enter("apply", manifest["kind"])
        key = _key(manifest)
        now = self.objects.get(key)
        wanted = _copied(manifest)
        uid = wanted["metadata"].pop("uid", None)
        if uid and (now is None or now["metadata"]["uid"] != uid):
            raise ClusterConflict(Reason.CLUSTER_UNAVAILABLE, "uid mismatch")
        self._check_version(now, wanted["metadata"].pop("resourceVersion", None))
        merged = _copied(now) if now else {}
        _drop(merged, self._applied.get(key, {}), wanted)
        _merge(merged, wanted, removing=False)
        self._applied[key] = wanted
        return self._store(key, merged)

    def patch(self, kind: str, name: str, changes: Manifest) -> Manifest | None:
        self._enter("patch", kind)
        now = self.objects.get((kind, name))
        if now is None:
            return None
        changes = _copied(changes)
        self._check_version(now, changes.get("metadata", {}).pop("resourceVersion", None))
        merged = _copied(now)
        _merge(merged, changes, removing=True)
        return self._store((kind, name), merged)

    def delete(self, kind: str, name: str, resource_version: str | None = None) -> bool:
        self._enter("delete", kind)
        now = self.objects.get((kind, name))
        if now is None:
            return False
        self._check_version(now, resource_version)
        self._forget((kind, name))
        return True

    def last_words(self, pod: str, lines: int = 10, container: str = "") -> str:
        self._enter("last_words", "Pod")
        found = self.objects.get(("Pod", pod))
        return self._behaviour(found["spec"]["containers"][0]["image"]).log if found else ""

    def names(self, kind: str) -> Sequence[str]:
        """What exists, for tests."""
        return sorted(name for its, name in self.objects if its == kind)

    def settle(self) -> None:
        """Let the controllers and the garbage collector have their turn."""
        self._collect()
        quotas = self._of("ResourceQuota")
        for deployment in self._of("Deployment"):
            self._control(deployment, quotas)
        for job in self._of("Job"):
            self._run(job, quotas)
        for quota in quotas:
            quota["status"] = quota_status(quota, self._pods())

    def _enter(self, call: str, kind: str) -> None:
        self.before(call, kind)
        if self.fault:
            raise self.fault
        if kind in self.without:
            raise missing_kind(kind, f"{call} {kind}")
        self.settle()

    def _check_version(self, now: Manifest | None, wanted: str | None) -> None:
        if now and wanted and now["metadata"]["resourceVersion"] != wanted:
            raise ClusterConflict(Reason.CLUSTER_UNAVAILABLE, "the object has been modified")

    def _store(self, key: tuple[str, str], manifest: Manifest) -> Manifest:
        now = self.objects.get(key)
        metadata = manifest["metadata"]
        if now is None:
            metadata |= {"uid": f"uid-{next(self._versions)}", "namespace": self._namespace, "generation": 1}
            metadata["creationTimestamp"] = self.clock.now().isoformat()
        else:
            metadata |= {name: now["metadata"][name] for name in _IMMUTABLE}
            metadata["generation"] = now["metadata"]["generation"] + (manifest.get("spec") != now.get("spec"))
        self._default(key[0], manifest)
        if now is None or _without_version(manifest) != _without_version(now):
            metadata["resourceVersion"] = str(next(self._versions))
        self.objects[key] = manifest
        return _copied(manifest)

    def _default(self, kind: str, manifest: Manifest) -> None:
        if kind != "Service":
            return
        spec = manifest["spec"]
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("clusterIP", f"10.96.0.{next(self._addresses)}")
        if spec["type"] != "ClusterIP":
            spec["ports"][0].setdefault("nodePort", next(self._ports))

    def _forget(self, key: tuple[str, str]) -> None:
        """Delete an object, and what it owns."""
        del self.objects[key]
        self._applied.pop(key, None)
        self._collect()

    def _collect(self) -> None:
        """What the garbage collector does: an object goes when its owner is gone, or was when it was made."""
        living = {one["metadata"]["uid"] for one in self.objects.values()}
        for key, one in list(self.objects.items()):
            if _owner(one) and _owner(one) not in living:
                self._forget(key)
                return

    def _behaviour(self, image: str) -> Behaviour:
        return self.behaviours.get(image, Behaviour())

    def _pods(self) -> list[Manifest]:
        return self._of("Pod")

    def _of(self, kind: str) -> list[Manifest]:
        return [one for (its, _), one in self.objects.items() if its == kind]

    def _run(self, job: Manifest, quotas: Sequence[Manifest]) -> None:
        """What the controllers do with a Job: its one pod, until its deadline; some time later it is removed."""
        now, (kind, name) = self.clock.now(), _key(job)
        end = ended_at(job, now)
        if end is None:
            pod = {
                "kind": kind,
                "metadata": job["metadata"],
                "spec": {"replicas": 1, "template": job["spec"]["template"]},
            }
            self._control(pod, quotas)
            return
        failed(job, "DeadlineExceeded")
        if is_old(job, end, now):
            self._forget((kind, name))
            return
        for key in [
            key for key, one in self.objects.items() if key[0] == "Pod" and _owner(one) == job["metadata"]["uid"]
        ]:
            del self.objects[key]

    def _control(self, deployment: Manifest, quotas: Sequence[Manifest] = ()) -> None:
        """What the controllers and the kubelet do: pods as wanted, in the state that their image brings about."""
        name, uid = deployment["metadata"]["name"], deployment["metadata"]["uid"]
        template = deployment["spec"]["template"]
        behaviour = self._behaviour(template["spec"]["containers"][0]["image"])
        wanted = deployment["spec"].get("replicas", 1)
        pods = [key for key, one in self.objects.items() if key[0] == "Pod" and _owner(one) == uid]
        for key in pods[wanted:]:
            del self.objects[key]
        refused = behaviour.refused
        for number in range(len(pods), wanted):
            pod = f"{name}-{number}-{uid}"
            refused = refused or exceeded(quotas, self._pods(), template["spec"], pod)
            if refused:
                break
            self._make_pod(pod, uid, template)
        ready = 0
        for key in [key for key, one in self.objects.items() if key[0] == "Pod" and _owner(one) == uid]:
            self.objects[key]["status"] = self._pod_status(self.objects[key], behaviour)
            ready += self.objects[key]["status"]["conditions"][1]["status"] == "True"
        status: dict[str, Any] = {"observedGeneration": deployment["metadata"]["generation"], "readyReplicas": ready}
        if refused:
            status["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": refused}]
        if deployment.get("status") != status:
            deployment["status"] = status
            deployment["metadata"]["resourceVersion"] = str(next(self._versions))

    def _make_pod(self, name: str, uid: str, template: Manifest) -> None:
        metadata = _copied(template["metadata"]) | {"name": name, "ownerReferences": [{"uid": uid}]}
        pod = {"kind": "Pod", "metadata": metadata, "spec": _copied(template["spec"])}
        pod["status"] = {"podIP": f"10.244.0.{next(self._addresses)}"}
        self._store(("Pod", name), pod)

    def _pod_status(self, pod: Manifest, behaviour: Behaviour) -> Manifest:
        age = (self.clock.now() - dt.datetime.fromisoformat(pod["metadata"]["creationTimestamp"])).total_seconds()
        image = pod["spec"]["containers"][0]["image"]
        container: dict[str, Any] = {
            "name": pod["spec"]["containers"][0].get("name", ""),
            "imageID": behaviour.image_id or image,
            "restartCount": 0,
            "state": {"running": {}},
        }
        unschedulable = behaviour.unschedulable or no_room(self.node_cpu, self._pods(), pod)
        broken = behaviour.waiting or behaviour.crash or unschedulable
        ready = not broken and behaviour.ready_after is not None and age >= behaviour.ready_after
        if behaviour.waiting:
            waiting = {"reason": behaviour.waiting, "message": behaviour.waiting_message}
            container |= {"state": {"waiting": waiting}, "imageID": ""}
        if behaviour.crash:
            ended = {"exitCode": 1, "reason": "Error", "message": behaviour.crash}
            container |= {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": ended}}
            container["restartCount"] = 2
        container["ready"] = ready or behaviour.container_ready
        containers = [behaviour.beside, container] if behaviour.beside else [container]
        scheduled = {"type": "PodScheduled", "status": "True"}
        if unschedulable:
            scheduled |= {"status": "False", "reason": "Unschedulable", "message": unschedulable}
        return {
            "podIP": pod["status"]["podIP"],
            "phase": "Running" if ready else "Pending",
            "conditions": [scheduled, {"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [] if unschedulable else containers,
        }

    def _slices(self) -> list[Manifest]:
        slices = []
        for (kind, name), service in sorted(self.objects.items()):
            if kind == "Service":
                pods = [one for (its, _), one in self.objects.items() if its == "Pod"]
                endpoints = [
                    {
                        "addresses": [pod["status"]["podIP"]],
                        "conditions": {"ready": pod["status"]["conditions"][1]["status"] == "True"},
                    }
                    for pod in pods
                    if _carries(pod["metadata"]["labels"], service["spec"]["selector"])
                ]
                labels = {"kubernetes.io/service-name": name}
                slices.append({"kind": "EndpointSlice", "metadata": {"labels": labels}, "endpoints": endpoints})
        return slices


def _copied(value: Any) -> Any:
    """A copy of plain JSON types, many times quicker than copy.deepcopy."""
    return marshal.loads(marshal.dumps(value))


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _owner(manifest: Manifest) -> str:
    return next((owner["uid"] for owner in manifest["metadata"].get("ownerReferences", [])), "")


def _carries(labels: Mapping[str, str] | None, wanted: Mapping[str, str] | None) -> bool:
    return (wanted or {}).items() <= (labels or {}).items()


def _at(manifest: Manifest, path: str) -> Any:
    found: Any = manifest
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _without_version(manifest: Manifest) -> Manifest:
    return manifest | {"metadata": {**manifest["metadata"], "resourceVersion": ""}}


def _merge(into: Manifest, changes: Manifest, removing: bool) -> None:
    for name, value in changes.items():
        if value is None and removing:
            into.pop(name, None)
        elif isinstance(value, dict):
            into.setdefault(name, {})
            _merge(into[name], value, removing)
        elif name == "ports" and name in into:
            for port, was in zip(value, into[name], strict=False):
                was.update(port)
        else:
            into[name] = value


def _drop(now: Manifest, before: Manifest, wanted: Manifest) -> None:
    """What was applied before and is not wanted any more goes."""
    for name, value in before.items():
        if name not in wanted:
            now.pop(name, None)
        elif isinstance(value, dict) and isinstance(now.get(name), dict):
            _drop(now[name], value, wanted[name])
