"""Which names in a namespace belong to a service, so that no other service takes one of them."""

from __future__ import annotations

import re

BESIDE = ("-candidate", "-preview")
"""What the Service beside the stable one is called after the service's name: today, and in releases of before."""
_RELEASE = re.compile(r"(?P<service>.+)-[0-9]{8}-[0-9]+")
"""What a release's objects are called: `digits-20260102-1`."""


def owners(name: str) -> list[str]:
    """The services, besides the one of this very name, whose objects may be called so."""
    found = [name.removesuffix(suffix) for suffix in BESIDE if name.endswith(suffix)]
    release = _RELEASE.fullmatch(name)
    return [*found, release["service"]] if release else found
