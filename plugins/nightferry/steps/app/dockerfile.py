"""The Dockerfile of an app's image: our recipe or the app's own, and the stages that test and serve it.

Named build contexts of the recipe `python`: `app` (the app's folder), `tests`, `lock`, `model`, `links` (what leads
from where the app opens its model to /model). A context takes the place of a stage of its name, so for an app's own
Dockerfile they are called `nightferry-tests` and so on; beside them it has `model`.
"""

from __future__ import annotations

import json
import posixpath
from pathlib import Path

from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.written import image_path
from nightferry.entities.model_version import WHOLE
from nightferry.steps.app.own_dockerfile import named_stage
from nightferry.steps.app.recipe import APP_RECIPE, recipe_file

TEST, SERVING = "nightferry-test", "nightferry-serving"
"""The stages that run the unit tests, and that are released."""
PREFIX = "nightferry-"
"""Of the contexts' names, for an app's own Dockerfile."""
CHECKS = "/checks"
PYTEST = ("python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", CHECKS, CHECKS)
_OWN = "nightferry-app"
_CODE = """\
FROM base AS code
COPY --from=app --chmod=a=rX,u+w . /app
# What is no Python of this version is the app's own affair.
RUN PYTHONHASHSEED=0 python3 -m compileall -q -j 1 --invalidation-mode unchecked-hash /app || true
"""
_LABELS = """\
ARG NIGHTFERRY_SERVICE=""
ARG NIGHTFERRY_MODEL=""
ARG NIGHTFERRY_MODEL_SHA256=""
ARG NIGHTFERRY_SOURCE=""
ARG NIGHTFERRY_INPUTS=""
LABEL org.opencontainers.image.title="${NIGHTFERRY_SERVICE}" \\
      org.opencontainers.image.revision="${NIGHTFERRY_SOURCE}" \\
      org.opencontainers.image.created="1980-01-01T00:00:00Z" \\
      dev.nightferry.service="${NIGHTFERRY_SERVICE}" \\
      dev.nightferry.model="${NIGHTFERRY_MODEL}" \\
      dev.nightferry.model-sha256="${NIGHTFERRY_MODEL_SHA256}" \\
      dev.nightferry.source="${NIGHTFERRY_SOURCE}" \\
      dev.nightferry.inputs="${NIGHTFERRY_INPUTS}"
"""
_MODEL = """\
COPY --from={of}model --chmod=a=rX,u+w . /model
COPY --from={of}links . /
"""


def dockerfile(contract: AppContract, app: Path, root: Path) -> str:
    """The text of the Dockerfile.

    Args:
        contract: the app's.
        app: its folder.
        root: the project, with docker/app.

    Raises:
        Permanent: (app_contract_invalid) the app's own Dockerfile is none; (setting_missing) ours is not there.
    """
    if contract.dockerfile is None:
        return "\n".join([recipe_file(root, APP_RECIPE[0]).decode(), *_made(contract)])
    text, last = named_stage(contract.dockerfile, (app / contract.dockerfile).read_bytes(), _OWN)
    return "\n".join([text, _test(contract, last, "", (), PREFIX), _serving(last, contract.start, PREFIX)])


def _made(contract: AppContract) -> list[str]:
    folder = image_path(contract.folder)
    variables = {"PYTHONPATH": folder} | contract.environment
    image = [
        f"FROM runtime AS {_OWN}",
        *(f"ENV {name}={_quoted(value)}" for name, value in sorted(variables.items())),
        "COPY --from=code /app /app",
        f"WORKDIR {_quoted(folder)}",
        "USER 65532:65532",
        f"EXPOSE {contract.port}",
        "STOPSIGNAL SIGTERM",
        f"ENTRYPOINT {json.dumps(contract.start)}",
        "",
    ]
    packages = ("COPY --from=test-packages /opt/test /opt/test", f"ENV PYTHONPATH={_quoted(f'{folder}:/opt/test')}")
    return [_CODE, "\n".join(image), _test(contract, _OWN, "--mount=type=tmpfs,target=/tmp ", packages), _serving(_OWN)]


def _test(contract: AppContract, image: str, mounts: str, packages: tuple[str, ...], of: str = "") -> str:
    lines = [f"FROM {image} AS {TEST}", *packages, f"COPY --from={of}tests . {CHECKS}"]
    if contract.tests_need_model:
        lines.append(f"ENV MODEL_DIR=/model\n{_MODEL.format(of=of).rstrip()}")
    # No network: a unit test that reaches out fails.
    lines.append(f"RUN --network=none {mounts}{json.dumps(contract.test or PYTEST)}")
    return "\n".join([*lines, ""])


def _serving(image: str, start: tuple[str, ...] = (), of: str = "") -> str:
    started = f"ENTRYPOINT {json.dumps(start)}\nCMD []\n" if start else ""
    return f"FROM {image} AS {SERVING}\nENV MODEL_DIR=/model\n{started}{_LABELS}{_MODEL.format(of=of)}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def write_links(contract: AppContract, model: str, files: tuple[str, ...], folder: Path, root: str = "/model") -> None:
    """Write the links that lead from where the app opens its model to where it is.

    Args:
        contract: the app's, which says where.
        model: the file or folder of the version that is the model; "." or empty: all its files.
        files: the version's.
        folder: what is laid over the image's root; it is there.
        root: where the model's files are.
    """
    if contract.model_at is None:
        return
    at = image_path(contract.model_at)
    if model in files and not contract.model_at.endswith("/"):
        _link(folder, at, f"{root}/{model}")
        return
    inside = f"{model.rstrip('/')}/" if model not in ("", WHOLE, *files) else ""
    for name in files:
        if name.startswith(inside) and (model not in files or name == model):
            _link(folder, posixpath.join(at, name.removeprefix(inside)), f"{root}/{name}")


def _link(folder: Path, at: str, target: str) -> None:
    if at == target:
        return
    link = folder / at.lstrip("/")
    for parent in reversed(link.relative_to(folder).parents[:-1]):
        (folder / parent).mkdir(exist_ok=True)
        (folder / parent).chmod(0o755)  # it becomes that of the image's folder
    link.unlink(missing_ok=True)
    link.symlink_to(target)
