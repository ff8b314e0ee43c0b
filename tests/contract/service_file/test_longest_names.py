"""The longest names that a service file may give, in front of a real API server: every object is taken."""

from __future__ import annotations

from typing import Any

import pytest
from nightferry import settings
from nightferry.entities.service_file.object_names import BESIDE
from nightferry.entities.service_spec import Name
from nightferry.manifests import names, policies, service
from nightferry.manifests.deployment import deployment
from nightferry.manifests.route import release_service, route
from pydantic import TypeAdapter, ValidationError

from tests.fakes.worlds.rollout_world import plan

LONGEST = "s" * 40


def test_no_name_is_longer() -> None:
    names_of = TypeAdapter(Name)
    assert names_of.validate_python(LONGEST) == LONGEST
    with pytest.raises(ValidationError):
        names_of.validate_python(LONGEST + "s")


@pytest.mark.sandbox
@pytest.mark.parametrize("number", [1, 99999])
def test_the_server_takes_every_object_of_the_longest_name(number: int) -> None:
    from kubernetes import config, dynamic

    kubeconfig = settings.load().home / "kubernetes" / "admin.kubeconfig"
    api = dynamic.DynamicClient(config.new_client_from_config(str(kubeconfig), persist_config=False))
    for manifest in objects(f"{LONGEST}-2026-11-21.{number}"):
        kind = api.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        kind.create(manifest, namespace="default", query_params=[("dryRun", "All")])


def objects(release: str) -> list[dict[str, Any]]:
    needs = {
        "secrets": ["s" * 253],
        "egress": [{"to": "10.0.0.0/8", "ports": [1, 65535]}, {"to": "2001:db8::/32", "ports": [443]}],
        "placement": {
            "node_selector": {"p" * 60 + ".example/" + "n" * 63: "v" * 63},
            "tolerations": [{"operator": "Exists"}, {"key": "sku", "value": "gpu", "effect": "NoExecute"}],
        },
    }
    label = "h" * 63
    traffic = {
        "gateway": f"{label}/{label}",
        "host": ".".join([label] * 3),
        "aliases": [f"{n}.localhost" for n in range(15)],
    }
    made = plan(autoscale={"minimum": 2, "maximum": 4}, traffic=traffic, **needs)
    full = made.model_copy(update={"service": LONGEST, "release": release})
    made = deployment(full)
    known = {**made, "metadata": {**made["metadata"], "uid": "1"}}
    found = {"metadata": {"uid": None, "resourceVersion": None}}
    return [
        made,
        *(
            service.stable(LONGEST + beside, names.identity(full), full.environment, notes={}, found=found)
            for beside in ("", *BESIDE)
        ),
        release_service(LONGEST, release, known),
        route(LONGEST, full.environment, {release: 100}, {}, None),
        policies.network_policy(LONGEST),
        policies.egress(known, full.environment.egress),
        policies.disruption_budget(known),
        policies.autoscaler(known, full.environment.autoscale),
    ]
