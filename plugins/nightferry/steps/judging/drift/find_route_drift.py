"""Find drift of the route: whether a gateway sends users where the record says, under the names that were decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.state.drift import Drift
from nightferry.manifests import names
from nightferry.manifests.route import route, weights_of
from nightferry.steps.judging.drift.find_drift import MISSING, differs, words


def find_route_drift(plan: RolloutPlan, found: Mapping[str, Any] | None, shares: Mapping[str, int]) -> list[Drift]:
    """How the route differs from the one that gives these releases their shares.

    Args:
        plan: that of the release in use.
        found: the HTTPRoute as it was read; None: there is none.
        shares: percent of the users by release; what is not named here gets nobody.
    """
    if plan.environment.traffic is None:
        return []
    where = f"HTTPRoute {plan.service}"
    expected = {names.object_name(release): share for release, share in shares.items() if share}
    if found is None:
        return [Drift(what="existence", where=where, expected=f"there, with {_shown(expected)}", found=MISSING)]
    wanted = route(plan.service, plan.environment, {}, {}, None)["spec"]
    spec = found.get("spec") or {}
    (rule,) = wanted["rules"]
    rules = spec.get("rules") or []
    drifts = differs(where, "hosts", words(wanted["hostnames"]), words(spec.get("hostnames") or []))
    parents = [_known(parent, wanted["parentRefs"][0]) for parent in spec.get("parentRefs") or []]
    drifts += differs(where, "gateway", words(wanted["parentRefs"]), words(parents))
    weights = {name: weight for name, weight in weights_of(found).items() if weight}
    if _percent(weights) != _percent(expected):
        drifts += differs(where, "users", _shown(expected), _shown(weights))
    drifts += differs(where, "number of rules", "1", str(len(rules)))
    for part in ("matches", "timeouts", "filters"):
        has = rules[0].get(part) if rules else None
        drifts += differs(where, part, words(rule.get(part)), words(has))
    return drifts


def _known(parent: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Any]:
    """Without the fields that a server adds where they are empty."""
    return {name: value for name, value in parent.items() if value or name in wanted}


def _percent(weights: Mapping[str, int]) -> dict[str, int]:
    """Each one's share in a hundred thousandths: 90 and 10 are the same as 9 and 1."""
    whole = sum(weights.values())
    return {name: round(100_000 * weight / whole) for name, weight in weights.items()}


def _shown(weights: Mapping[str, int]) -> str:
    """For people: `digits-20261121-1: 90, digits-20261121-2: 10`."""
    return ", ".join(f"{name}: {weight}" for name, weight in sorted(weights.items())) or "nobody"
