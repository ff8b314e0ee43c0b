"""The versions of one registered model of MLflow, and which of them are versions of ours.

A version of ours has two tags: `nightferry.version`, the name in its model.json, and `nightferry.sha256`, model.json's
sha256. They are given when MLflow creates the version, which is after all files are there; so a version that has them
is complete, and one without them does not exist for us. MLflow numbers versions in the order in which they are created:
of several of one name the lowest number is the version.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nightferry.clients.mlflow.errors import EXISTS, MISSING, NO_ALIAS, Refusal
from nightferry.clients.mlflow.server import MlflowServer
from nightferry.entities.model_version import is_version_name
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

VERSION = "nightferry.version"
SHA256 = "nightferry.sha256"
LISTING = "nightferry.listing"
"""What a listing shows, so that it needs to read no file."""
PAGE = 1000
"""Versions that one search brings."""
_HEX = re.compile(r"[0-9a-f]{64}")
_PROXIED = "mlflow-artifacts:"


@dataclass(frozen=True)
class Registered:
    """A version as MLflow has it."""

    number: int
    """MLflow's own."""
    created: dt.datetime
    """When MLflow created it."""
    tags: dict[str, str]

    @property
    def version(self) -> str:
        """Our name for it; empty where it is none of ours."""
        name = self.tags.get(VERSION, "")
        return name if _HEX.fullmatch(self.sha256) and is_version_name(name) else ""

    @property
    def sha256(self) -> str:
        """Of its model.json."""
        return self.tags.get(SHA256, "")


class Registry:
    """One registered model. Raises as `MlflowServer`."""

    def __init__(self, server: MlflowServer, name: str) -> None:
        self._server, self.name = server, name

    def ours(self, version: str = "") -> list[Registered]:
        """Our versions, one of each name; with a name, that one alone."""
        found: dict[str, Registered] = {}
        for one in self.all(version):
            if one.version and (not version or one.version == version):
                found.setdefault(one.version, one)
        return list(found.values())

    def all(self, version: str = "") -> list[Registered]:
        """All versions, or those with our name `version`, by their numbers."""
        query: dict[str, Any] = {"filter": self._filter(version), "max_results": PAGE, "order_by": "version_number ASC"}
        found: list[Registered] = []
        while True:
            page = self._server.get("model-versions/search", query)
            found += [_registered(one) for one in page.get("model_versions", []) if one.get("name") == self.name]
            if not page.get("next_page_token"):
                return sorted(found, key=lambda one: one.number)
            query["page_token"] = page["next_page_token"]

    def aliased(self, alias: str) -> Registered | None:
        """The version that an alias is given to; None: it is given to none."""
        return self._one("registered-models/alias", {"alias": alias}, (MISSING, NO_ALIAS))

    def numbered(self, number: str) -> Registered | None:
        """A version by MLflow's own number."""
        return self._one("model-versions/get", {"version": number}, (MISSING,)) if number.isdecimal() else None

    def folder(self, number: int) -> str:
        """Where the server serves a version's artifacts.

        Raises:
            Refusal: RESOURCE_DOES_NOT_EXIST
            Permanent: (storage_denied) the server does not serve them.
        """
        found = self._server.get("model-versions/get-download-uri", {"name": self.name, "version": str(number)})
        return self.served(str(found.get("artifact_uri", "")))

    def served(self, uri: str) -> str:
        """The path of artifacts on this server: `mlflow-artifacts:/1/…` -> `1/…`. Raises as `folder`."""
        host, _, path = uri.removeprefix(_PROXIED).removeprefix("//").partition("/")
        if not uri.startswith(_PROXIED) or (host and host != self._server.host):
            raise Permanent(
                Reason.STORAGE_DENIED,
                f"The MLflow server {self._server.host} keeps artifacts of {self.name} at {uri.partition('?')[0]}, and "
                "does not serve them itself: run it with --serve-artifacts and without a --default-artifact-root of "
                "another kind, and publish the model again.",
            )
        if {".", ".."} & set(path.split("/")):
            # It would lead to something else at this host, with our login.
            raise Permanent(
                Reason.STORAGE_DENIED,
                f"The MLflow server {self._server.host} keeps artifacts of {self.name} at {uri.partition('?')[0]}, "
                "which is no place for artifacts; publish the model again.",
            )
        return path.strip("/")

    def begin(self) -> None:
        """Have MLflow know the registered model."""
        try:
            self._server.post("registered-models/create", {"name": self.name})
        except Refusal as refusal:
            if refusal.code != EXISTS:
                raise

    def register(self, source: str, run: str, tags: dict[str, str]) -> int:
        """Create a version, whole, with its tags; its number."""
        body = {"name": self.name, "source": source, "run_id": run, "tags": as_tags(tags)}
        return int(self._server.post("model-versions/create", body)["model_version"]["version"])

    def remove(self, number: int) -> None:
        """Remove a version; done again it does nothing."""
        try:
            self._server.delete("model-versions/delete", {"name": self.name, "version": str(number)})
        except Refusal as refusal:
            if refusal.code != MISSING:
                raise

    def _one(self, path: str, query: dict[str, str], absent: Sequence[str]) -> Registered | None:
        try:
            return _registered(self._server.get(path, {"name": self.name, **query})["model_version"])
        except Refusal as refusal:
            if refusal.code not in absent:
                raise
            return None

    def _filter(self, version: str) -> str:
        """MLflow's search takes no quote in a text, however it is written: where a name has one, any character is
        allowed in its place, and the names that come back are compared."""
        name = "".join("_" if character in "'\\" else character for character in self.name)
        by_name = f"name {'=' if name == self.name else 'LIKE'} '{name}'"
        return f"{by_name} AND tags.`{VERSION}` = '{version}'" if version else by_name


def as_tags(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as MLflow's documents have them."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def _registered(document: dict[str, Any]) -> Registered:
    return Registered(
        number=int(document["version"]),
        created=dt.datetime.fromtimestamp(int(document.get("creation_timestamp", 0)) / 1000, dt.UTC),
        tags={str(tag["key"]): str(tag.get("value", "")) for tag in document.get("tags", [])},
    )
