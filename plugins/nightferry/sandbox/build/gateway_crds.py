"""The kinds that the gateway adds to the cluster: the Gateway API's and Contour's, as their Go modules hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

FILE = "crds.json"
API = "sigs.k8s.io/gateway-api"
CONTOUR = "github.com/projectcontour/contour"
PLACES = (
    # Contour asks for kinds that only the experimental channel has.
    (API, "config/crd/experimental/gateway.networking.k8s.io_*.yaml"),
    (CONTOUR, "examples/contour/01-crds.yaml"),
)


def write(modules: Path, versions: Mapping[str, str], folder: Path) -> None:
    """Write them into one file, as JSON: reading that much YAML takes seconds, and `up` applies them each time.

    Args:
        modules: Go's cache of modules.
        versions: of the modules, without the `v`.

    Raises:
        Permanent: (sandbox_failed) a module does not hold them any more.
    """
    import yaml

    found = []
    for module, pattern in PLACES:
        files = sorted((modules / f"{module}@v{versions[module]}").glob(pattern))
        if not files:
            raise Permanent(Reason.SANDBOX_FAILED, f"{module} v{versions[module]} holds no {pattern}.")
        for file in files:
            # libyaml's reader is ten times quicker, where PyYAML was built with it.
            reader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            found += [one for one in yaml.load_all(file.read_text(encoding="utf-8"), Loader=reader) if one]
    (folder / FILE).write_text(json.dumps(found), encoding="utf-8")
