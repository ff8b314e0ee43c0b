"""What BuildKit is asked for: of the stock service by docker/serving, of an app by its contract."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.clients.doors.lock_store import LockStore
from nightferry.clients.doors.source_repository import SourceRepository
from nightferry.clients.scratch import scratch
from nightferry.entities.app.contract import AppContract
from nightferry.entities.candidate import Candidate
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Source
from nightferry.errors import Permanent
from nightferry.steps.app import dockerfile as apps
from nightferry.steps.app.own_dockerfile import stages
from nightferry.steps.app.read_contract import REQUIREMENTS
from nightferry.steps.app.recipe import STOCK_RECIPE
from nightferry.steps.model.model_folder import read_manifest

IGNORE = ".dockerignore"
MODEL = "model"
"""The context that an app's own Dockerfile may copy from."""


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
            _refuse_outdated(candidate)
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
        ignored = context / IGNORE
        if ignored.is_dir() and not ignored.is_symlink():
            shutil.rmtree(ignored)
        ignored.unlink(missing_ok=True)
    return contexts


def _refuse_outdated(candidate: Candidate) -> None:
    if not Source(path=candidate.source.path).is_stock:
        raise Permanent(
            Reason.DECISION_OUTDATED,
            f"An earlier version of Nightferry decided on this release of {candidate.service}, and did not pin how the "
            f"app is made; decide anew: nightferry release {candidate.service}.",
        )


def _stock(candidate: Candidate, sources: Sources, contexts: dict[str, Path], *, tests: bool) -> BuildRequest:
    return BuildRequest(
        sources.root / STOCK_RECIPE[0],
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
    (folder / "lock").mkdir()
    if candidate.lock:
        sources.locks.fetch(candidate.lock.key, candidate.lock.number, folder / "lock")
    model = ""
    files: tuple[str, ...] = ()
    if "model" in contexts:
        manifest, _ = read_manifest(contexts["model"])
        model, files = manifest.model, tuple(file.name for file in manifest.files)
    request = app_request(contract, candidate.base_image, contexts, folder, sources.root, model, files)
    if tests:
        return replace(request, target=apps.TEST, tests=True)
    return replace(request, arguments={**request.arguments, **app_labels(candidate)})


def app_request(
    contract: AppContract,
    base_image: str,
    contexts: Mapping[str, Path],
    folder: Path,
    root: Path,
    model: str,
    files: tuple[str, ...],
) -> BuildRequest:
    """The request for an app's image.

    Args:
        contract: the app's.
        base_image: what it stands on.
        contexts: `app`, `tests` and, where the target has one, `model`.
        folder: for what is written here; it holds `lock`.
        root: the project, with docker/app.
        model: the file or folder of the version that is the model; empty: all its files.
        files: the version's.
    """
    made, links = folder / "docker", folder / "links"
    for each in (made, links):
        each.mkdir()
        each.chmod(0o755)  # it becomes that of the image's root
    apps.write_links(contract, model, files, links)
    text = apps.dockerfile(contract, contexts["app"], root)
    (made / "Dockerfile").write_text(text, encoding="utf-8")
    named = {**contexts, "links": links, "lock": folder / "lock"}
    if contract.dockerfile:
        named = _beside_stages(text, named)
    return BuildRequest(
        made / "Dockerfile",
        apps.SERVING,
        named,
        _arguments(base_image, contract),
        context=contexts["app"] if contract.dockerfile else root / "docker" / "app",
    )


def _beside_stages(text: str, contexts: Mapping[str, Path]) -> dict[str, Path]:
    """The contexts of an app's own Dockerfile, under names that hide none of its stages."""
    named = {f"{apps.PREFIX}{name}": contexts[name] for name in ("tests", "links", "model") if name in contexts}
    if MODEL in contexts and MODEL not in stages(text):
        named[MODEL] = contexts[MODEL]
    return named


def _arguments(base_image: str, contract: AppContract) -> dict[str, str]:
    arguments = {"BASE_IMAGE": base_image}
    if contract.dockerfile is None:
        arguments["REQUIREMENTS"] = contract.requirements
        if contract.requirements == REQUIREMENTS:  # as it is where the contract names none
            arguments["REQUIREMENTS_OPTIONAL"] = "yes"
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


def app_labels(candidate: Candidate) -> dict[str, str]:
    """The same for an app's Dockerfile, under names that no app gives its own variables: those would win."""
    return {f"NIGHTFERRY_{name}": value for name, value in labels(candidate).items()}
