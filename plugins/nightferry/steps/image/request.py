"""What BuildKit is asked for: of the stock service by docker/serving, of an app by its contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nightferry.clients.image_builder import BuildRequest
from nightferry.clients.lock_store import LockStore
from nightferry.clients.scratch import scratch
from nightferry.clients.source_repository import SourceRepository
from nightferry.entities.app.contract import AppContract
from nightferry.entities.candidate import Candidate
from nightferry.steps.app import dockerfile as apps
from nightferry.steps.image.recipe import RECIPE
from nightferry.steps.model.model_folder import read_manifest

IGNORE = ".dockerignore"


@dataclass(frozen=True)
class Sources:
    """Where the parts of an image come from."""

    source: SourceRepository
    locks: LockStore
    root: Path
    """The project, with docker/."""
    work: Path
    """The releases' work folder."""


@contextmanager
def build_request(candidate: Candidate, sources: Sources, *, tests: bool, model: Path | None) -> Iterator[BuildRequest]:
    """The request for a candidate's image, or for its unit tests; its folders are removed afterwards.

    Args:
        candidate: what was pinned.
        sources: where its parts come from.
        tests: whether the tests are to be run, instead of the image made.
        model: the fetched version's folder; None where the target has none.

    Raises:
        Permanent: (source_…, lock_missing, app_contract_invalid, decision_outdated: the recipe is another one by now;
            disk_full)
        Temporary: (source_repository_unavailable, storage_unavailable)
    """
    with scratch(f"{candidate.service}-", sources.work / "builds") as folder:
        contexts = _exported(candidate, sources, folder)
        if model is not None:
            contexts["model"] = model
        if candidate.app is None:
            yield _stock(candidate, sources, contexts, tests=tests)
        else:
            yield _of_app(candidate, candidate.app, sources, contexts, folder, tests=tests)


def _exported(candidate: Candidate, sources: Sources, folder: Path) -> dict[str, Path]:
    pinned, contexts = candidate.source, {"app": folder / "app", "tests": folder / "tests"}
    sources.source.export(pinned.commit, pinned.path, contexts["app"])
    if pinned.tests is None:
        contexts["tests"].mkdir()
    else:
        sources.source.export(pinned.commit, pinned.tests, contexts["tests"])
    for context in contexts.values():
        # What decides the image is the whole tree, so nothing of it may be left out of the build.
        (context / IGNORE).unlink(missing_ok=True)
    return contexts


def _stock(candidate: Candidate, sources: Sources, contexts: dict[str, Path], *, tests: bool) -> BuildRequest:
    return BuildRequest(
        sources.root / RECIPE[0],
        "test" if tests else "serving",
        contexts,
        {"BASE_IMAGE": candidate.base_image} | ({} if tests else labels(candidate)),
        tests=tests,
    )


def _of_app(
    candidate: Candidate,
    contract: AppContract,
    sources: Sources,
    contexts: dict[str, Path],
    folder: Path,
    *,
    tests: bool,
) -> BuildRequest:
    made = folder / "docker"
    for name in ("links", "lock", "docker"):
        (folder / name).mkdir()
    (folder / "links").chmod(0o755)
    contexts["links"] = folder / "links"
    if "model" in contexts:
        manifest, _ = read_manifest(contexts["model"])
        names = tuple(file.name for file in manifest.files)
        apps.write_links(contract, manifest.model, names, contexts["links"])
    (made / "Dockerfile").write_text(apps.dockerfile(contract, contexts["app"], sources.root), encoding="utf-8")
    if candidate.lock:
        sources.locks.fetch(candidate.lock.key, candidate.lock.number, folder / "lock")
        contexts["lock"] = folder / "lock"
    return BuildRequest(
        made / "Dockerfile",
        apps.TEST if tests else apps.SERVING,
        contexts,
        _arguments(candidate, contract) | ({} if tests else labels(candidate)),
        tests=tests,
        context=contexts["app"] if contract.dockerfile else sources.root / "docker" / "app",
    )


def _arguments(candidate: Candidate, contract: AppContract) -> dict[str, str]:
    arguments = {"BASE_IMAGE": candidate.base_image}
    if contract.dockerfile is None:
        arguments["REQUIREMENTS"] = contract.requirements
        if contract.test_requirements:
            arguments["TEST_REQUIREMENTS"] = contract.test_requirements
    return arguments


def labels(candidate: Candidate) -> dict[str, str]:
    """What the Dockerfile turns into OCI labels. Labels are part of the digest, so only what decides the content is
    named: the app's tree in git, not one of the commits that have it. The commit is in the ledger and the passport."""
    return {
        "SERVICE": candidate.service,
        "MODEL": candidate.model.version,
        "MODEL_SHA256": candidate.model.sha256,
        "SOURCE": candidate.source.tree,
        "INPUTS": candidate.inputs_digest,
    }
