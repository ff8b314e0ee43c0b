"""Model and code are new, the model is broken: it is named, and the printed command ships the code alone."""

from __future__ import annotations

import json
import shlex

import pytest
from nightferry.clients import connect
from nightferry.entities.reason import Reason
from nightferry.steps.model.model_folder import read_manifest

from tests.e2e.given_when_then import Given, Then, When
from tests.e2e.stage import Stage

pytestmark = pytest.mark.sandbox


def a_broken_model(stage: Stage) -> str:
    """Upload a model whose labels are in another order than its golden examples know; `models publish` refuses it."""
    folder = stage.train("linear")
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    document["labels"] = document["labels"][1:] + document["labels"][:1]
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
    connect.models(stage.settings, stage.spec.model).publish(folder, *read_manifest(folder))
    return folder.name


def test_a_broken_model_beside_new_code_is_named_and_the_printed_command_ships_the_code(
    stage: Stage, given: Given, when: When, then: Then
) -> None:
    """Given a new commit and a broken model; when they are released; then the model is blamed and barred, users notice
    nothing, and the command that is printed releases the commit with the model in use."""
    in_use = given.a_release_in_use()
    model = stage.version()["model"]["version"]
    commit = given.a_commit(
        "Say more", serving_app__runtime__lifecycle_py=("import mmap\n", "import mmap  # shared memory\n")
    )
    broken = a_broken_model(stage)

    failed = when.released("--model", broken)

    then.failed_with(failed, Reason.IMAGE_GOLDEN_WRONG, "test_image")
    then.production_untouched(in_use, failed)
    then.not_published(failed)
    assert failed.release is not None
    blame = failed.release["blame"]
    assert blame["guilty"] == "model", blame
    assert [one["passed"] for one in blame["trials"]] == [True, False, True, False]
    assert blame["bars"][0]["words"] == f"model {broken}"
    (command,) = blame["commands"]
    assert failed.release["sentence"].endswith(command)

    program, *words = shlex.split(command)
    assert program == "nightferry"
    shipped = stage.nightferry(*words, "--wait", "--json")

    release = json.loads(shipped.stdout)["release"]
    assert (shipped.returncode, release["outcome"]) == (0, "released"), shipped.stdout
    then.in_use(release["release"], model)
    assert stage.version()["source"] == commit
    then.digit_is_right()
    given.a_model("linear")  # the next test finds a good model
