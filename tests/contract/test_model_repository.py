"""What every ModelRepository does."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from nightferry.clients.azure.stream import PIECE
from nightferry.entities.model_version import manifest_sha256
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.model.model_folder import read_manifest

from tests.contract.model_benches import BENCHES, Bench, MemoryBench
from tests.fakes.model_versions import manifest_of, write_version

FILES = {"model.onnx": b"weights", "golden/0.bin": b"zero", "empty.txt": b""}


KINDS = ["memory", *(pytest.param(kind, marks=pytest.mark.sandbox) for kind in BENCHES)]
"""A further system needs an entry in `BENCHES` (tests/contract/model_benches.py) and nothing here."""


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "memory":
        return MemoryBench()
    return request.getfixturevalue(BENCHES[request.param])


def publish(bench: Bench, folder: Path, version: str = "v1", **changes: Any) -> bytes:
    place = write_version(folder, version, FILES, **changes)
    manifest, content = read_manifest(place)
    bench.repository.publish(place, manifest, content)
    return content


def reason_of(call: Any, *arguments: Any) -> Reason:
    with pytest.raises(Permanent) as failure:
        call(*arguments)
    assert failure.value.sentence.rstrip().endswith((".", ")"))
    return failure.value.reason


def test_what_is_published_comes_back(bench: Bench, tmp_path: Path):
    content = publish(bench, tmp_path)
    pinned, manifest = bench.repository.pin("v1")
    assert pinned.sha256 == manifest_sha256(content)
    assert pinned.size == manifest.size == 11
    assert set(pinned.etags) == {"model.json", *FILES}
    for name, data in FILES.items():
        moved: list[int] = []
        target = tmp_path / "got" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        assert bench.repository.download(pinned, name, target, moved.append) == hashlib.sha256(data).hexdigest()
        assert target.read_bytes() == data
        assert sum(moved) == len(data)
    assert bench.repository.download(pinned, "model.json", tmp_path / "m.json") == pinned.sha256


def test_a_large_file_comes_back(bench: Bench, tmp_path: Path):
    """Larger than one range, and not a multiple of it."""
    data = random.Random(3).randbytes(2 * PIECE + PIECE // 3)
    place = write_version(tmp_path, "v1", {"model.onnx": data})
    sent: list[int] = []
    bench.repository.publish(place, *read_manifest(place), sent.append)
    assert sum(sent) == len(data) + (place / "model.json").stat().st_size
    pinned, _ = bench.repository.pin("v1")
    moved: list[int] = []
    sha256 = bench.repository.download(pinned, "model.onnx", tmp_path / "got", moved.append)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert (tmp_path / "got").read_bytes() == data
    assert sum(moved) == len(data)


def test_newest_is_the_greatest_created_then_the_name(bench: Bench, tmp_path: Path):
    publish(bench, tmp_path, "zz", created="2026-11-19T00:00:00Z")
    publish(bench, tmp_path, "b", created="2026-11-20T01:00:00+01:00")
    publish(bench, tmp_path, "c", created="2026-11-20T00:00:00Z")
    publish(bench, tmp_path, "a", created="2026-11-20T00:00:00Z")
    assert [listing.version for listing in bench.repository.listings()] == ["c", "b", "a", "zz"]


def test_equal_times_go_by_the_name_as_people_count(bench: Bench, tmp_path: Path):
    names = ["v10", "v2", "v2.10", "v2.9", "10", "9", "a", "v1-rc2", "v1-rc10"]
    for name in names:
        publish(bench, tmp_path, name, created="2026-11-20T00:00:00Z")
    listed = [listing.version for listing in bench.repository.listings()]
    assert listed == ["v10", "v2.10", "v2.9", "v2", "v1-rc10", "v1-rc2", "a", "10", "9"]


def test_golden_files_are_not_pinned_one_by_one(bench: Bench, tmp_path: Path):
    """A decision does not grow with them; they are held against model.json, which is pinned."""
    golden = [{"image": "golden/0.bin", "label": "a"}]
    publish(bench, tmp_path, golden=golden)
    pinned, manifest = bench.repository.pin("v1")
    assert set(pinned.etags) == {"model.json", "model.onnx", "empty.txt"}
    (wanted,) = (file.sha256 for file in manifest.files if file.name == "golden/0.bin")
    assert bench.repository.download(pinned, "golden/0.bin", tmp_path / "got") == wanted
    bench.put("v1/golden/0.bin", b"ZERO")
    assert bench.repository.download(pinned, "golden/0.bin", tmp_path / "got") != wanted
    bench.remove("v1/golden/0.bin")
    assert reason_of(bench.repository.download, pinned, "golden/0.bin", tmp_path / "x") is Reason.MODEL_OVERWRITTEN


def test_a_listing_shows_what_the_author_declared(bench: Bench, tmp_path: Path):
    content = publish(bench, tmp_path, author="Zoë Müller, 日本", metrics={"accuracy": 0.5, "note": "é, =%"})
    (listing,) = bench.repository.listings()
    assert listing.author == "Zoë Müller, 日本"
    assert listing.metrics == {"accuracy": 0.5, "note": "é, =%"}
    assert listing.size == 11
    assert listing.sha256 == manifest_sha256(content)


def test_versions_put_there_by_other_tools_count_too(bench: Bench, tmp_path: Path):
    publish(bench, tmp_path, "ours", created="2026-11-20T00:00:00Z")
    for name, data in FILES.items():
        bench.put(f"theirs/{name}", data)
    bench.put("theirs/model.json", json.dumps(manifest_of(FILES, "theirs", author="bob")).encode())
    newest = bench.repository.listings()[0]
    assert (newest.version, newest.author) == ("theirs", "bob")
    assert bench.repository.pin("theirs")[1].author == "bob"


def test_a_version_without_manifest_does_not_exist(bench: Bench, tmp_path: Path):
    publish(bench, tmp_path, "whole", created="2026-11-20T00:00:00Z")
    bench.put("half/model.onnx", b"weights")
    assert [listing.version for listing in bench.repository.listings()] == ["whole"]
    assert reason_of(bench.repository.pin, "half") is Reason.MODEL_UNKNOWN


def test_no_model_at_all(bench: Bench):
    assert list(bench.repository.listings()) == []
    assert reason_of(bench.repository.pin, "v1") is Reason.MODEL_UNKNOWN


@pytest.mark.parametrize("spoil", ["remove", "shorten"])
def test_a_listed_file_that_is_missing_or_of_another_size(bench: Bench, tmp_path: Path, spoil: str):
    publish(bench, tmp_path)
    if spoil == "remove":
        bench.remove("v1/model.onnx")
    else:
        bench.put("v1/model.onnx", b"weight")
    assert reason_of(bench.repository.pin, "v1") is Reason.MODEL_INCOMPLETE


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", json.dumps(manifest_of(FILES, "other")).encode(), b"{}"],
    ids=["not JSON", "not an object", "another version", "empty"],
)
def test_a_manifest_that_is_wrong(bench: Bench, tmp_path: Path, content: bytes):
    publish(bench, tmp_path)
    bench.put("v1/model.json", content)
    assert reason_of(bench.repository.pin, "v1") is Reason.MODEL_MANIFEST_INVALID


def test_a_wrong_manifest_is_listed_with_its_problem(bench: Bench, tmp_path: Path):
    publish(bench, tmp_path, "good")
    bench.put("bad/model.json", b'{"format": "pickle"}')
    problems = {listing.version: listing.problem for listing in bench.repository.listings()}
    assert problems["good"] == ""
    assert "format" in problems["bad"]


@pytest.mark.parametrize("name", ["model.onnx", "model.json"])
@pytest.mark.parametrize("spoil", ["overwrite", "remove"])
def test_a_blob_that_changed_since_it_was_pinned(bench: Bench, tmp_path: Path, name: str, spoil: str):
    publish(bench, tmp_path)
    pinned, _ = bench.repository.pin("v1")
    if spoil == "remove":
        bench.remove(f"v1/{name}")
    else:
        bench.put(f"v1/{name}", b"WEIGHTS")
    target = tmp_path / "target"
    assert reason_of(bench.repository.download, pinned, name, target) is Reason.MODEL_OVERWRITTEN
    assert list(tmp_path.glob("*target*")) == []


def test_publishing_again_uploads_nothing(bench: Bench, tmp_path: Path):
    place = write_version(tmp_path, "v1", FILES)
    manifest, content = read_manifest(place)
    assert set(bench.repository.publish(place, manifest, content)) == {*FILES, "model.json"}
    pinned, _ = bench.repository.pin("v1")
    assert bench.repository.publish(place, manifest, content) == ()
    assert bench.repository.pin("v1")[0] == pinned


def test_a_version_never_changes(bench: Bench, tmp_path: Path):
    content = publish(bench, tmp_path)
    other = write_version(tmp_path / "other", "v1", {**FILES, "model.onnx": b"better!"})
    assert reason_of(bench.repository.publish, other, *read_manifest(other)) is Reason.MODEL_EXISTS
    pinned, _ = bench.repository.pin("v1")
    assert pinned.sha256 == manifest_sha256(content)


def test_an_interrupted_upload_goes_on_where_it_stopped(bench: Bench, tmp_path: Path):
    """As after a kill: one file is there, another is there with other content, model.json is not."""
    publish(bench, tmp_path)
    bench.remove("v1/model.json")
    bench.put("v1/golden/0.bin", b"ZERO")
    place = tmp_path / "v1"
    assert set(bench.repository.publish(place, *read_manifest(place))) == {"golden/0.bin", "model.json"}
    pinned, _ = bench.repository.pin("v1")
    assert bench.repository.download(pinned, "golden/0.bin", tmp_path / "got") == hashlib.sha256(b"zero").hexdigest()


def fails(call: Any, *arguments: Any) -> tuple[type[NightferryError], Reason | str]:
    with pytest.raises(NightferryError) as failure:
        call(*arguments)
    assert failure.value.sentence.rstrip().endswith((".", "?"))
    return type(failure.value), failure.value.reason


def large(folder: Path, version: str = "v1", size: int = 5 * PIECE + 7) -> tuple[Path, bytes]:
    data = random.Random(4).randbytes(size)
    return write_version(folder, version, {"model.onnx": data}), data


@pytest.mark.parametrize(("denied", "kind"), [(True, Permanent), (False, Temporary)])
def test_who_refuses_and_who_is_busy_are_told_apart(bench: Bench, tmp_path: Path, denied: bool, kind: type):
    publish(bench, tmp_path)
    pinned, _ = bench.repository.pin("v1")
    bench.refuse(denied)
    wanted = (kind, Reason.STORAGE_DENIED if denied else Reason.STORAGE_UNAVAILABLE)
    place = tmp_path / "v1"
    assert fails(bench.repository.listings) == wanted
    assert fails(bench.repository.pin, "v1") == wanted
    assert fails(bench.repository.download, pinned, "model.onnx", tmp_path / "target") == wanted
    assert fails(bench.repository.publish, place, *read_manifest(place)) == wanted
    assert list(tmp_path.glob("*target*")) == []


def test_a_file_that_is_overwritten_while_it_is_read(bench: Bench, tmp_path: Path):
    place, data = large(tmp_path, size=12 * PIECE)
    bench.repository.publish(place, *read_manifest(place))
    pinned, _ = bench.repository.pin("v1")
    moved: list[int] = []

    def overwrite_once(count: int) -> None:
        if not moved:
            bench.put("v1/model.onnx", data[::-1])
        moved.append(count)

    asked = (pinned, "model.onnx", tmp_path / "target", overwrite_once)
    if not bench.sees_overwriting:
        assert bench.repository.download(*asked) == hashlib.sha256(data).hexdigest()
        (tmp_path / "target").unlink()
    assert reason_of(bench.repository.download, *asked) is Reason.MODEL_OVERWRITTEN
    assert list(tmp_path.glob("*target*")) == []


def test_a_download_that_breaks_off_goes_on(bench: Bench, tmp_path: Path):
    """Three times, in the middle of a piece, also just before the end."""
    place, data = large(tmp_path)
    bench.repository.publish(place, *read_manifest(place))
    pinned, _ = bench.repository.pin("v1")
    bench.cut_downloads([PIECE + 5, 0, 4 * PIECE + 1])
    moved: list[int] = []
    sha256 = bench.repository.download(pinned, "model.onnx", tmp_path / "got", moved.append)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert (tmp_path / "got").read_bytes() == data
    assert sum(moved) == len(data)


def test_a_slow_storage_is_waited_for(bench: Bench, tmp_path: Path):
    place, data = large(tmp_path, size=2 * PIECE)
    bench.repository.publish(place, *read_manifest(place))
    pinned, _ = bench.repository.pin("v1")
    bench.slow(0.02)
    assert bench.repository.download(pinned, "model.onnx", tmp_path / "got") == hashlib.sha256(data).hexdigest()
    assert [listing.version for listing in bench.repository.listings()] == ["v1"]


def test_an_upload_that_breaks_off_is_no_version_and_is_finished_by_the_next(bench: Bench, tmp_path: Path):
    place, data = large(tmp_path)
    bench.break_uploads()
    assert fails(bench.repository.publish, place, *read_manifest(place)) == (Temporary, Reason.STORAGE_UNAVAILABLE)
    assert list(bench.repository.listings()) == []
    assert reason_of(bench.repository.pin, "v1") is Reason.MODEL_UNKNOWN
    bench.well()
    bench.repository.publish(place, *read_manifest(place))
    pinned, _ = bench.repository.pin("v1")
    assert bench.repository.download(pinned, "model.onnx", tmp_path / "got") == hashlib.sha256(data).hexdigest()


def test_an_answer_that_is_lost_after_the_write(bench: Bench, tmp_path: Path):
    """The next try finds what this one wrote, and never calls it another's."""
    place = write_version(tmp_path, "v1", FILES)
    bench.lose_answers(1)
    try:
        bench.repository.publish(place, *read_manifest(place))
    except Temporary:
        bench.repository.publish(place, *read_manifest(place))
    assert bench.repository.pin("v1")[0].version == "v1"


def test_of_two_who_publish_one_version_the_second_changes_nothing(bench: Bench, tmp_path: Path):
    """Both have looked before either wrote: what is created is created once."""
    first, second = (write_version(tmp_path / name, "v1", {"model.onnx": name.encode()}) for name in ("ana", "bob"))
    told: dict[Path, object] = {}
    start = threading.Barrier(2)

    def go(place: Path) -> None:
        start.wait()
        try:
            told[place] = bench.repository.publish(place, *read_manifest(place))
        except NightferryError as fault:
            told[place] = fault.reason

    threads = [threading.Thread(target=go, args=(place,)) for place in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.repository.listings()
    winners = [place for place in (first, second) if isinstance(told[place], tuple) and told[place]]
    # Whoever loses says so, and may be told to try again; there are never two.
    assert len(winners) <= 1, told
    if winners:
        pinned, _ = bench.repository.pin("v1")
        assert pinned.sha256 == manifest_sha256((winners[0] / "model.json").read_bytes())


def test_a_listing_of_thousands_asks_little(bench: Bench, tmp_path: Path):
    """More versions than any page has; the second look reads none of them."""
    names = [f"v{number}" for number in range(bench.many)]
    manifest = manifest_of(FILES, "NAME")
    bench.put_many({f"{name}/model.json": json.dumps(manifest | {"version": name}).encode() for name in names})
    assert {listing.version for listing in bench.repository.listings()} == set(names)
    before = bench.requests()
    assert bench.repository.listings()[0].version == f"v{bench.many - 1}"
    assert bench.requests() - before <= bench.few


def test_a_listing_shows_the_newest_state_whatever_is_kept_of_the_last(bench: Bench, tmp_path: Path):
    publish(bench, tmp_path, "v1", author="ana")
    publish(bench, tmp_path, "v2", author="ana")
    assert len(bench.repository.listings()) == 2
    bench.put("v1/model.json", json.dumps(manifest_of(FILES, "v1", author="bob")).encode())
    bench.remove("v2/model.json")
    assert [(listing.version, listing.author) for listing in bench.repository.listings()] == [("v1", "bob")]


def test_names_with_every_character_that_the_system_allows(bench: Bench, tmp_path: Path):
    """Its prefix, and files of a model of the format `files`."""
    for prefix in bench.prefixes:
        bench.within(prefix)
        publish(bench, tmp_path / str(len(prefix)), "A-1_b.2")
        assert [listing.version for listing in bench.repository.listings()] == ["A-1_b.2"], prefix
        pinned, _ = bench.repository.pin("A-1_b.2")
        for name, data in FILES.items():
            found = bench.repository.download(pinned, name, tmp_path / "got")
            assert found == hashlib.sha256(data).hexdigest(), prefix
