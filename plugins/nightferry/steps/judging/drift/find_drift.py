"""Find drift: compare what the cluster has with what the record decided, without asking anybody anything.

A server adds defaults to what it is given, and others add what is theirs. So only what a rollout sets is compared, and
beside it what nobody but a rollout has to set: variables, the command, containers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from nightferry.entities.pod_state import CONTAINER, PodState
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_file.quantity import amount
from nightferry.entities.state.drift import PASSPORT, POD_IMAGE, Drift
from nightferry.manifests import names
from nightferry.manifests import service as services
from nightferry.manifests.deployment import deployment as deployment_of
from nightferry.manifests.deployment import wanted_replicas
from nightferry.masking import MASK, mask
from nightferry.steps.judging.reach_release import AskVersion, difference, proof

Manifest = Mapping[str, Any]
NOTHING, MISSING, HIDDEN = "nothing", "missing", "set, to a value that is not shown"
_LONGEST = 200


def find_service_drift(plan: RolloutPlan, found: Manifest | None) -> list[Drift]:
    """How the stable Service differs from the one that points to the plan's release."""
    where = f"Service {plan.service}"
    if found is None:
        return [Drift(what="existence", where=where, expected=f"there, serving {plan.release}", found=MISSING)]
    wanted = services.stable(plan.service, names.identity(plan), plan.environment, notes={}, found=found)
    spec = found.get("spec") or {}
    drifts = list(_selector(where, wanted["spec"]["selector"], found))
    drifts += _each(where, "annotation", wanted["metadata"]["annotations"], names.annotations_of(found))
    drifts += _each(where, "label", wanted["metadata"]["labels"], found["metadata"].get("labels") or {})
    drifts += differs(where, "type", wanted["spec"]["type"], spec.get("type"))
    for port in wanted["spec"]["ports"]:
        same = [one for one in spec.get("ports") or [] if port.items() <= one.items()]
        if not same:
            drifts += differs(where, f"port {port['port']}", words(port), words(spec.get("ports") or []))
    ranges = wanted["spec"].get("loadBalancerSourceRanges", [])
    drifts += differs(where, "source ranges", words(ranges), words(spec.get("loadBalancerSourceRanges") or []))
    return drifts


def find_deployment_drift(plan: RolloutPlan, found: Manifest | None) -> list[Drift]:
    """How the release's Deployment differs from the one that a rollout writes."""
    where = f"Deployment {names.object_name(plan.release)}"
    if found is None:
        return [Drift(what="existence", where=where, expected=f"there, with {plan.image}", found=MISSING)]
    wanted = deployment_of(plan)
    (ours,) = wanted["spec"]["template"]["spec"]["containers"]
    drifts = list(_replicas(where, plan, found))
    drifts += _each(where, "label", wanted["metadata"]["labels"], found["metadata"].get("labels") or {})
    pod = found["spec"]["template"]["spec"]
    theirs = next((one for one in pod.get("containers") or [] if one.get("name") == CONTAINER), None)
    for one in [*(pod.get("containers") or []), *(pod.get("initContainers") or [])]:
        if one.get("name") != CONTAINER:
            drifts += differs(where, f"container {one.get('name')}", NOTHING, str(one.get("image")))
    if theirs is None:
        return [*drifts, Drift(what=f"container {CONTAINER}", where=where, expected=plan.image, found=MISSING)]
    drifts += differs(where, "image", plan.image, theirs.get("image"))
    drifts += _variables(where, ours, theirs)
    for part in ("command", "args"):
        drifts += differs(where, part, words(ours.get(part)), words(theirs.get(part)))
    drifts += _resources(where, ours["resources"], theirs.get("resources") or {})
    return drifts


def find_pod_drift(plan: RolloutPlan, pods: Sequence[PodState], ask: AskVersion | None = None) -> list[Drift]:
    """Pods of the release that run, or answer as, something else; a pod that does not answer says nothing.

    Args:
        plan: what is in use.
        pods: those that the Service's selector finds.
        ask: asks a pod who it is; left out, none is asked.
    """
    where, digest = f"pods of {plan.release}", plan.image.rpartition("@")[2]
    found: dict[str, Drift] = {}
    for pod in pods:
        if pod.deleting or pod.over:
            continue
        known = "@" in pod.image_id
        if pod.image != plan.image or (known and not pod.image_id.endswith(digest)):
            told = pod.image_id if known and pod.image == plan.image else pod.image
            drift = Drift(what=POD_IMAGE, where=where, expected=mask(plan.image), found=mask(told))
            found.setdefault(drift.cause, drift)
        elif ask and pod.ready:
            answer = ask(pod_address(pod))
            wrong = difference(answer, proof(plan.app, names.passport(plan))) if answer is not None else ""
            if wrong:
                drift = Drift(what=PASSPORT, where=where, expected="as it was built", found=mask(wrong)[:_LONGEST])
                found.setdefault(drift.cause, drift)
    return list(found.values())


def pod_address(pod: PodState) -> str:
    """Where a pod is asked: `http://10.244.0.7:8080`."""
    host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
    return f"http://{host}:{pod.port}"


def settled(deployment: Manifest) -> bool:
    """Whether all pods of a Deployment are made from its template as it is; before that they say nothing."""
    status = deployment.get("status") or {}
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
    return bool(observed and (status.get("updatedReplicas") or 0) == (status.get("replicas") or 0))


def allowed_replicas(plan: RolloutPlan) -> tuple[int, int]:
    """How many pods the release may have, at least and at most."""
    autoscale = plan.environment.autoscale
    if autoscale:
        return autoscale.minimum, autoscale.maximum
    wanted = wanted_replicas(plan.environment)
    return wanted, wanted


def _replicas(where: str, plan: RolloutPlan, found: Manifest) -> Iterator[Drift]:
    least, most = allowed_replicas(plan)
    has = int(found["spec"].get("replicas", 1))
    if not least <= has <= most:
        expected = str(least) if least == most else f"from {least} to {most}"
        yield Drift(what="replicas", where=where, expected=expected, found=str(has))


def _selector(where: str, wanted: Mapping[str, str], found: Manifest) -> Iterable[Drift]:
    return differs(where, "selector", words(wanted), words((found.get("spec") or {}).get("selector") or {}))


def _each(where: str, kind: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[Drift]:
    for name, value in wanted.items():
        yield from differs(where, f"{kind} {name}", value, found.get(name))


def _variables(where: str, ours: Manifest, theirs: Manifest) -> Iterator[Drift]:
    wanted = {one["name"]: one for one in ours.get("env") or []}
    found = {one["name"]: one for one in theirs.get("env") or []}
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        if name not in wanted:
            told = _reference(found[name]) or HIDDEN  # whatever it is, it may be a secret
            yield Drift(what=f"variable {name}", where=where, expected="not set", found=told)
        elif name not in found:
            yield Drift(what=f"variable {name}", where=where, expected=_shown(name, wanted[name]), found="not set")
        elif _value(found[name]) != _value(wanted[name]):
            yield Drift(
                what=f"variable {name}",
                where=where,
                expected=_shown(name, wanted[name]),
                found=_shown(name, found[name]),
            )
    sources = [words(sorted(map(words, one.get("envFrom") or []))) for one in (ours, theirs)]
    yield from differs(where, "sources of variables", *sources)


def _value(variable: Manifest) -> object:
    """What decides a variable's value; a server leaves out an empty text."""
    return variable.get("valueFrom") or variable.get("value") or ""


def _reference(variable: Manifest) -> str:
    return words(variable["valueFrom"]) if variable.get("valueFrom") else ""


def _shown(name: str, variable: Manifest) -> str:
    """A variable's value as it may be written down."""
    value = str(variable.get("value") or "")
    if mask(f"{name}={value}") != f"{name}={value}" or mask(value) != value:
        return MASK
    return _reference(variable) or _short(repr(value))


def _resources(where: str, wanted: Manifest, found: Manifest) -> Iterator[Drift]:
    for kind, amounts in wanted.items():
        for name, text in amounts.items():
            has = (found.get(kind) or {}).get(name)
            if has is None or _amount(has) != _amount(text):
                what = f"{kind.removesuffix('s')} of {name}"
                yield Drift(what=what, where=where, expected=str(text), found=NOTHING if has is None else str(has))


def _amount(quantity: object) -> Fraction | str:
    """How much it is: a server writes `1000m` as `1`."""
    try:
        return amount(str(quantity))
    except ValueError:
        return str(quantity)


def differs(where: str, what: str, wanted: str, found: str | None) -> list[Drift]:
    """The difference of one value, if it is one; told masked and not too long."""
    if wanted == found:
        return []
    told = NOTHING if found is None else _short(found)
    return [Drift(what=what, where=where, expected=_short(wanted) or NOTHING, found=told or NOTHING)]


def words(value: object) -> str:
    """A value of JSON in one line, always the same; empty for none."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False) if value else ""


def _short(text: str) -> str:
    masked = mask(text)
    return masked if len(masked) <= _LONGEST else f"{masked[:_LONGEST]}…"
