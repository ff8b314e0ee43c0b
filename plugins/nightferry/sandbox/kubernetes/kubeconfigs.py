"""Kubeconfigs: where the cluster is and as whom, one file per user, with the certificates inside."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from nightferry.sandbox.kubernetes.pki import Pki
from nightferry.sandbox.layout import Layout

USERS = ("admin", "airflow", "controller-manager", "scheduler", "kubelet", "proxy", "coredns", "contour")
"""Each is a leaf of the same name in `pki`; the first two are also for people and for Airflow."""


def ensure(layout: Layout, pki: Pki, server: str) -> None:
    """Write those that are missing or differ."""
    for user in USERS:
        layout.write(layout.kubeconfig(user), kubeconfig(pki, user, server), owned=user in {"admin", "airflow"})


def kubeconfig(pki: Pki, user: str, server: str) -> str:
    """The file's text: JSON, which is YAML too."""
    return (
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "nightferry",
                "clusters": [
                    {"name": "nightferry", "cluster": {"server": server, "certificate-authority-data": _data(pki.ca)}}
                ],
                "users": [
                    {
                        "name": user,
                        "user": {
                            "client-certificate-data": _data(pki.certificate(user)),
                            "client-key-data": _data(pki.key(user)),
                        },
                    }
                ],
                "contexts": [{"name": "nightferry", "context": {"cluster": "nightferry", "user": user}}],
            },
            indent=2,
        )
        + "\n"
    )


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
