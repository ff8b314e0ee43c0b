"""The environment of the sandbox's parts: little, so that the shell that started them does not change what they do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nightferry.sandbox.layout import ADDRESS, DOMAIN, MARKER, POD_NETWORK, SERVICE_NETWORK, Layout
from nightferry.sandbox.machine import commands

PASSED = frozenset(
    [
        *(name for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for name in (proxy, proxy.lower())),
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
        "GIT_SSL_CAINFO",
        "PIP_CERT",
        "TZ",
        "XDG_CACHE_HOME",
    ]
)
"""Variables of the caller's shell that the parts get: the machine's way to the network."""


def base_environment(layout: Layout) -> dict[str, str]:
    """What every part gets: the mark, where programs are, and the way to the network."""
    passed = {name: value for name, value in os.environ.items() if name in PASSED}
    local = ["localhost", "127.0.0.1", ADDRESS, POD_NETWORK, SERVICE_NETWORK, ".svc", ".cluster.local", f".{DOMAIN}"]
    for name in ("NO_PROXY", "no_proxy"):
        passed[name] = ",".join([*(n for n in os.environ.get(name, "").split(",") if n and n not in local), *local])
    return {
        **passed,
        MARKER: str(layout.home),
        "PATH": f"{Path(sys.executable).parent}:{commands.search_path()}",
        "HOME": str(layout.owner.home),
        "LANG": "C.UTF-8",
    }
