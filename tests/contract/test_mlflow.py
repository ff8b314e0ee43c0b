"""What is MLflow's own among the model repositories: aliases, other tools' versions, bytes that anybody overwrites."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from nightferry.clients.mlflow import registry
from nightferry.clients.mlflow.models import MlflowModels
from nightferry.clients.mlflow.registry import LISTING, SHA256, VERSION
from nightferry.clients.mlflow.server import MlflowServer
from nightferry.clients.mlflow.upload import Body
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.model_folder import read_manifest

from tests.fakes.mlflow.mlflow_bench import MlflowBench
from tests.fakes.model_versions import write_version

# Beside the suite that every repository passes: they share the server.
pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("tests/contract/test_model_repository.py")]
FILES = {"model.onnx": b"weights", "golden/0.bin": b"zero"}
MLMODEL = "flavors:\n  python_function: {loader_module: mlflow.pyfunc.model}\n"


@pytest.fixture
def bench(mlflow: str) -> MlflowBench:
    return MlflowBench(mlflow)


def publish(bench: MlflowBench, folder: Path, version: str = "v1", **changes: object) -> tuple[str, ...]:
    place = write_version(folder, version, FILES, **changes)
    return bench.repository.publish(place, *read_manifest(place))


def with_alias(bench: MlflowBench, number: int, alias: str = "champion") -> MlflowModels:
    bench.server.post("registered-models/alias", {"name": bench.name, "alias": alias, "version": str(number)})
    return MlflowModels(bench.server, bench.name, alias)


def foreign(bench: MlflowBench, description: str) -> int:
    """A version as MLflow's own package registers one: without a tag of ours."""
    bench.put("theirs/model.onnx", b"weights")
    bench.put("theirs/MLmodel", description.encode())
    bench.registry.begin()
    run, uri = bench._run("theirs")
    return bench.registry.register(f"{uri}/model", run, {})


def refused(call: object, *arguments: object) -> tuple[Reason | str, str]:
    with pytest.raises(Permanent) as failure:
        call(*arguments)  # type: ignore[operator]
    return failure.value.reason, failure.value.sentence


def test_mlflow_shows_what_people_there_look_for(bench: MlflowBench, tmp_path: Path) -> None:
    publish(bench, tmp_path, "2026-11-21-linear")
    (one,) = bench.registry.all()
    assert one.tags[VERSION] == "2026-11-21-linear"
    assert one.tags[SHA256] == bench.repository.pin("2026-11-21-linear")[0].sha256
    assert set(one.tags) == {VERSION, SHA256, LISTING}


def test_the_pin_says_which_version_of_mlflows_it_is_and_the_sha256_of_every_file(
    bench: MlflowBench, tmp_path: Path
) -> None:
    publish(bench, tmp_path, "first")
    publish(bench, tmp_path, "second")
    pinned, manifest = bench.repository.pin("second")
    sha256 = {file.name: file.sha256 for file in manifest.files}
    assert pinned.etags["model.onnx"] == f"2:{sha256['model.onnx']}"
    assert pinned.etags["model.json"] == f"2:{pinned.sha256}"


@pytest.mark.parametrize("name", ["model.json", "model.onnx"])
def test_bytes_that_were_overwritten_are_refused_though_mlflow_says_nothing(
    bench: MlflowBench, tmp_path: Path, name: str
) -> None:
    publish(bench, tmp_path)
    pinned, _ = bench.repository.pin("v1")
    bench.overwrite(f"v1/{name}", b"WEIGHTS")
    assert refused(bench.repository.download, pinned, name, tmp_path / "x")[0] is Reason.MODEL_OVERWRITTEN
    assert not (tmp_path / "x").exists()


def test_a_model_json_that_was_overwritten_is_not_decided_on(bench: MlflowBench, tmp_path: Path) -> None:
    publish(bench, tmp_path)
    place = write_version(tmp_path / "other", "v1", {**FILES, "model.onnx": b"WEIGHTS"})
    bench.overwrite("v1/model.json", (place / "model.json").read_bytes())
    assert refused(bench.repository.pin, "v1")[0] is Reason.MODEL_OVERWRITTEN


def test_an_alias_is_followed_once(bench: MlflowBench, tmp_path: Path) -> None:
    """What `decide` pinned stays, wherever the alias goes afterwards."""
    publish(bench, tmp_path, "first")
    publish(bench, tmp_path, "second")
    aliased = with_alias(bench, 1)
    assert [one.version for one in aliased.listings()] == ["first"]
    pinned, _ = aliased.pin("first")
    with_alias(bench, 2)
    assert [one.version for one in aliased.listings()] == ["second"]
    assert aliased.download(pinned, "model.json", tmp_path / "m") == pinned.sha256


def test_an_alias_of_nothing_and_of_no_model(bench: MlflowBench, tmp_path: Path) -> None:
    aliased = MlflowModels(bench.server, bench.name, "champion")
    assert list(aliased.listings()) == []
    publish(bench, tmp_path)
    assert list(aliased.listings()) == []


@pytest.mark.parametrize(
    ("description", "reason", "advice"),
    [
        (f"{MLMODEL}  onnx: {{data: model.onnx}}\n", Reason.MODEL_MANIFEST_INVALID, "mlflow artifacts download"),
        (MLMODEL, Reason.MODEL_NOT_ONNX, "code"),
        ("{", Reason.MODEL_NOT_ONNX, "code"),
    ],
    ids=["onnx", "pyfunc", "broken"],
)
def test_what_was_registered_without_us_does_not_count_and_an_alias_to_it_is_refused_with_what_to_do(
    bench: MlflowBench, tmp_path: Path, description: str, reason: Reason, advice: str
) -> None:
    publish(bench, tmp_path, "ours")
    number = foreign(bench, description)
    assert [one.version for one in bench.repository.listings()] == ["ours"]
    aliased = with_alias(bench, number)
    (listing,) = aliased.listings()
    assert advice in listing.problem
    found, sentence = refused(aliased.pin, listing.version)
    assert (found, sentence) == (reason, listing.problem)


def test_mlflows_number_is_answered_with_our_name(bench: MlflowBench, tmp_path: Path) -> None:
    publish(bench, tmp_path, "2026-11-21-linear")
    reason, sentence = refused(bench.repository.pin, "1")
    assert reason is Reason.MODEL_UNKNOWN
    assert "2026-11-21-linear" in sentence


def test_two_who_publish_the_same_at_once_make_one_version(bench: MlflowBench, tmp_path: Path) -> None:
    place = write_version(tmp_path, "v1", FILES)
    done = at_once(bench, [place] * 4)
    assert len([one for one in done if one]) == 1, done
    assert len(bench.registry.all()) == 1
    assert bench.repository.pin("v1")[0].version == "v1"


def test_two_who_publish_one_name_with_other_content_at_once(bench: MlflowBench, tmp_path: Path) -> None:
    """One of them has it, the other is told so; nobody sees anything between."""
    places = [write_version(tmp_path / str(n), "v1", {"model.onnx": f"weights{n}".encode()}) for n in range(4)]
    done = at_once(bench, places)
    assert done.count(Reason.MODEL_EXISTS) == 3, done
    (kept,) = bench.registry.all()
    assert kept.sha256 == bench.repository.pin("v1")[0].sha256


def test_a_second_version_of_one_name_that_was_left_does_not_count(bench: MlflowBench, tmp_path: Path) -> None:
    """As when whoever lost was killed before it took its own away."""
    publish(bench, tmp_path)
    before = bench.repository.pin("v1")[0]
    run, uri = bench._run("v1")
    number = bench.registry.register(f"{uri}/model", run, {VERSION: "v1", SHA256: "0" * 64})
    assert bench.repository.pin("v1")[0] == before
    assert len(bench.repository.listings()) == 1
    aliased = with_alias(bench, number)
    assert refused(aliased.pin, aliased.listings()[0].version)[0] is Reason.MODEL_EXISTS


def test_a_kill_before_the_version_is_created_leaves_nothing_to_see(
    bench: MlflowBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> int:
        raise Killed

    with monkeypatch.context() as context:
        context.setattr(registry.Registry, "register", die)
        with pytest.raises(Killed):
            publish(bench, tmp_path)
    assert list(bench.repository.listings()) == []
    assert refused(bench.repository.pin, "v1")[0] is Reason.MODEL_UNKNOWN
    assert publish(bench, tmp_path) == ("model.json",)  # the files are there already


def test_a_listing_of_many_pages(bench: MlflowBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "PAGE", 2)
    names = [f"v{number}" for number in range(1, 6)]
    for name in names:
        publish(bench, tmp_path, name)
    foreign(bench, MLMODEL)
    assert [one.version for one in bench.repository.listings()] == names[::-1]


def test_names_that_mlflows_search_cannot_tell_apart(bench: MlflowBench, tmp_path: Path) -> None:
    for name in ("it's", "it~s"):
        bench.within(name)
        publish(bench, tmp_path / name, name.replace("'", "-").replace("~", "_"))
        assert len(bench.repository.listings()) == 1
        (one,) = with_alias(bench, 1).listings()
        assert bench.repository.pin(one.version)[0].version == one.version


def test_artifacts_that_the_server_does_not_serve(bench: MlflowBench) -> None:
    reason, sentence = refused(bench.registry.served, "s3://bucket/1/2/artifacts/model")
    assert reason is Reason.STORAGE_DENIED
    assert "--serve-artifacts" in sentence
    assert refused(bench.registry.served, "mlflow-artifacts://elsewhere:5000/1/2")[0] is Reason.STORAGE_DENIED


def at_once(bench: MlflowBench, places: list[Path]) -> list[tuple[str, ...] | Reason | str]:
    """Publish all in the same moment: what each was told."""
    ready = threading.Barrier(len(places))

    def one(place: Path) -> tuple[str, ...] | Reason | str:
        models = MlflowModels(MlflowServer(bench.url), bench.name)
        manifest, content = read_manifest(place)
        ready.wait(60)
        try:
            return models.publish(place, manifest, content)
        except Permanent as refusal:
            return refusal.reason

    with ThreadPoolExecutor(len(places)) as pool:
        return list(pool.map(one, places))


def test_a_download_that_never_was_pinned_by_mlflow(bench: MlflowBench, tmp_path: Path) -> None:
    """A decision of a time when the service's models were elsewhere."""
    publish(bench, tmp_path)
    elsewhere: PinnedModel = bench.repository.pin("v1")[0].model_copy(update={"etags": {"model.json": '"0x1"'}})
    assert refused(bench.repository.download, elsewhere, "model.json", tmp_path / "x")[0] is Reason.MODEL_OVERWRITTEN


def test_a_body_is_read_a_piece_at_a_time() -> None:
    moved: list[int] = []
    body = Body(io.BytesIO(b"12345"), 5, moved.append)
    assert (len(body), body.read(3), body.read(3), body.read(3)) == (5, b"123", b"45", b"")
    assert moved == [3, 2]
