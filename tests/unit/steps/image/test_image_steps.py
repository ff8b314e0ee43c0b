"""Build, test, publish: what is made, what is found again, and what never gets into the release repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nightferry.entities.decision import Decision
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.probe_report import Fault, ProbeReport
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.app.recipe import STOCK_RECIPE, recipe_digest
from nightferry.steps.image.build_image import BuiltImage, build_image, inputs_tag
from nightferry.steps.image.publish_image import publish_image
from nightferry.steps.image.request import Sources
from nightferry.steps.image.test_image import (
    LOG_LINES,
    TestedImage,
    candidate_name,
    explain_probe,
    remove,
    start_candidate,
    wait_ready,
)
from nightferry.steps.image.test_source import Tested
from nightferry.steps.image.test_source import test_source as check_source

from tests.fakes.a_release import a_decision, a_spec
from tests.fakes.memory.memory_builder import MemoryBuilder
from tests.fakes.memory.memory_locks import MemoryLocks
from tests.fakes.memory.memory_registry import MemoryRegistry
from tests.fakes.memory.memory_runner import MemoryRunner
from tests.fakes.memory.memory_source import MemorySource
from tests.fakes.still_clock import StillClock

DOCKERFILE = "FROM base AS test\nRUN pytest{test}\nFROM base AS serving\nCOPY app /app{serving}\n"
PASSED = ProbeReport(faults=(), checked=9, seconds=0.4)


def report(kind: str, *sentences: str) -> ProbeReport:
    return ProbeReport(faults=tuple(Fault(kind=kind, sentence=text) for text in sentences), checked=9, seconds=0.4)


@dataclass
class World:
    """All that an image passes through, in memory."""

    folder: Path
    registry: MemoryRegistry = field(default_factory=MemoryRegistry)
    source: MemorySource = field(default_factory=MemorySource)
    clock: StillClock = field(default_factory=StillClock)

    def __post_init__(self) -> None:
        self.spec = a_spec()
        self.builder = MemoryBuilder(self.registry)
        self.runner = MemoryRunner(self.registry)
        (self.folder / "model").mkdir()
        (self.folder / "model" / "model.onnx").write_bytes(b"a model")
        self.dockerfile("", "")

    def dockerfile(self, test: str, serving: str) -> None:
        place = self.folder / STOCK_RECIPE[0]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(DOCKERFILE.format(test=test, serving=serving))

    @property
    def sources(self) -> Sources:
        return Sources(self.source, MemoryLocks(), self.folder, self.folder / "work")

    def decision(self, tests: str | None = "tests/serving_app") -> Decision:
        decision = a_decision()
        pinned = self.source.pin("main", "serving_app", tests)
        return decision.model_copy(update={"candidate": decision.candidate.model_copy(update={"source": pinned})})

    def build(self, decision: Decision | None = None) -> BuiltImage:
        return build_image(
            decision=decision or self.decision(),
            spec=self.spec,
            model_folder=self.folder / "model",
            builder=self.builder,
            registry=self.registry,
            sources=self.sources,
            clock=self.clock,
        )

    def test_source(self, decision: Decision | None = None) -> Tested:
        return check_source(
            decision=decision or self.decision(),
            spec=self.spec,
            builder=self.builder,
            registry=self.registry,
            sources=self.sources,
            model=lambda: self.folder / "model",
        )

    def test(self, built: BuiltImage, probed: ProbeReport, passport: Mapping[str, str] | None = None) -> TestedImage:
        """What the operator does, with a prober that reports `probed`."""
        image, name = ImageRef.parse(built.image), candidate_name("digits-2026-11-21.1")
        try:
            start_candidate(self.runner, image, name, self.spec.environments[-1], passport or {})
            wait_ready(self.runner, name, self.clock, 60)
            output = f"starting\n{probed.model_dump_json()}\n"
            return explain_probe(image, probed.exit_code, output, self.runner.logs(name, LOG_LINES))
        finally:
            remove(self.runner, name)

    def release(self, probed: ProbeReport = PASSED) -> ImageRef:
        decision = self.decision()
        self.test_source(decision)
        tested = self.test(self.build(decision), probed)
        return publish_image(decision=decision, spec=self.spec, tested=tested, registry=self.registry)

    @property
    def released(self) -> set[str]:
        return self.registry.repository(self.spec.image.repository)

    @property
    def candidates(self) -> set[str]:
        return self.registry.repository(self.spec.image.candidates)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_built_image_waits_among_the_candidates(world: World):
    decision = world.decision()
    built = world.build(decision)
    assert not built.reused
    assert ImageRef.parse(built.image) == world.registry.find(
        world.spec.image.candidates, f"inputs-{decision.candidate.inputs_digest}"
    )
    assert world.released == set()


def test_the_unit_tests_know_nothing_of_the_model(world: World):
    assert world.test_source() == "ran"
    [tests] = world.builder.requests
    assert (tests.target, tests.tests, tests.push, set(tests.contexts)) == ("test", True, (), {"app", "tests"})
    assert tests.arguments == {"BASE_IMAGE": world.decision().candidate.base_image}


def test_the_image_is_built_of_app_and_model(world: World):
    world.build()
    [image] = world.builder.requests
    assert (image.target, image.tests, set(image.contexts)) == ("serving", False, {"app", "tests", "model"})
    assert image.arguments["BASE_IMAGE"] == world.decision().candidate.base_image


def test_unit_tests_that_a_released_image_passed_are_not_run_again(world: World):
    world.release()
    world.builder.requests.clear()
    assert world.test_source() == "released"
    assert world.builder.requests == []


def test_unit_tests_of_a_candidate_are_run_although_it_was_built(world: World):
    world.build()
    world.dockerfile("; exit 1", "")
    with pytest.raises(Permanent) as failure:
        world.test_source()
    assert failure.value.reason == Reason.IMAGE_TESTS_FAILED


def test_a_second_build_builds_nothing(world: World):
    first = world.build()
    world.builder.requests.clear()
    again = world.build()
    assert (again.image, again.reused) == (first.image, True)
    assert world.builder.requests == []


def test_another_commit_with_the_same_app_builds_nothing(world: World):
    first = world.build()
    files = {**world.source.commits[world.source.refs["main"]], "README.md": b"new"}
    world.source.commit("main", files)
    assert (world.build().image, world.build().reused) == (first.image, True)


def test_labels_do_not_depend_on_what_leaves_the_inputs_as_they_are(world: World):
    world.build()
    before = world.builder.requests[-1].arguments
    world.source.commit("main", {**world.source.commits[world.source.refs["main"]], "README.md": b"new"})
    world.registry.tagged.clear()
    world.build()
    assert world.builder.requests[-1].arguments == before


def test_changed_code_is_built(world: World):
    first = world.build()
    world.source.commit("main", {"serving_app/app.py": b"2", "tests/serving_app/test_app.py": b"1"})
    assert world.build().image != first.image


def test_where_candidates_were_purged_the_released_image_is_used(world: World):
    published = world.release()
    for tag in [tag for tag in world.registry.tagged if tag[0] == world.spec.image.candidates]:
        del world.registry.tagged[tag]
    built = world.build()
    assert (built.image, built.reused) == (str(published), True)


def test_an_app_without_tests_has_none_to_run(world: World):
    assert world.test_source(world.decision(tests=None)) == "none"
    assert world.builder.requests == []


@pytest.mark.parametrize(
    ("test", "serving", "reason"),
    [("; exit 1", "", Reason.IMAGE_TESTS_FAILED), ("", "\nRUN exit 1", Reason.IMAGE_BUILD_FAILED)],
)
def test_what_fails_its_tests_or_does_not_build_is_not_released(world: World, test: str, serving: str, reason: Reason):
    world.dockerfile(test, serving)
    with pytest.raises(Permanent) as failure:
        world.release()
    assert failure.value.reason == reason
    assert world.released == set()


@pytest.mark.parametrize("work", [World.build, World.test_source])
@pytest.mark.parametrize("broken", ["", "; exit 1"])
def test_exported_sources_are_removed(world: World, work: Callable[[World], object], broken: str):
    world.dockerfile(broken, f"\nRUN true{broken}")
    try:
        work(world)
    except Permanent:
        assert broken
    assert list((world.folder / "work" / "builds").iterdir()) == []


def test_a_commit_without_the_app_is_permanent(world: World):
    decision = world.decision()
    world.source.commits[decision.candidate.source.commit] = {"other": b"1"}
    with pytest.raises(Permanent) as failure:
        world.build(decision)
    assert failure.value.reason == Reason.SOURCE_PATH_MISSING


@pytest.mark.parametrize("part", ["registry", "builder", "source", "runner"])
def test_a_part_that_is_down_is_temporary_and_trying_again_succeeds(world: World, part: str):
    down = getattr(world, part)
    down.fault = Temporary(Reason.REGISTRY_UNAVAILABLE, "It is down.")
    with pytest.raises(Temporary):
        world.release()
    assert world.released == set()
    down.fault = None
    assert world.release().digest in world.released


FAILED = [
    (report("contract", "GET /livez should answer 200, got 404."), Reason.IMAGE_CONTRACT_BROKEN),
    (report("passport", "GET /version should say release a, got b."), Reason.IMAGE_CONTRACT_BROKEN),
    (report("golden", "golden/0.png should give 0, got 7."), Reason.IMAGE_GOLDEN_WRONG),
    (report("start", "It was not ready."), Reason.IMAGE_START_FAILED),
]


@pytest.mark.parametrize(("probed", "reason"), FAILED)
def test_an_image_that_answers_wrongly_is_never_released(world: World, probed: ProbeReport, reason: Reason):
    with pytest.raises(Permanent) as failure:
        world.release(probed)
    assert failure.value.reason == reason
    assert probed.faults[0].sentence.rstrip(".") in failure.value.sentence
    assert world.released == set()
    assert len(world.candidates) == 1


@pytest.mark.parametrize(
    ("behaviour", "verdict"),
    [("exit 3", Permanent), ("not runnable", Permanent), ("never ready", Temporary)],
)
def test_an_image_that_does_not_start_is_never_released(world: World, behaviour: str, verdict: type[Exception]):
    """One that is merely late is tried again: a machine with too much to do looks the same."""
    built = world.build()
    world.registry.images[ImageRef.parse(built.image)] = {"behaviour": behaviour}
    with pytest.raises(NightferryError) as failure:
        world.release()
    assert (type(failure.value), failure.value.reason) == (verdict, Reason.IMAGE_START_FAILED)
    assert world.released == set()


@pytest.mark.parametrize("probed", [PASSED, FAILED[0][0]])
def test_no_candidate_is_left_running(world: World, probed: ProbeReport):
    try:
        world.release(probed)
    except Permanent:
        assert probed.faults
    assert world.runner.containers == {}


def test_an_orphan_of_an_earlier_try_is_replaced(world: World):
    world.runner.containers[candidate_name("digits-2026-11-21.1")] = "never ready"
    assert world.release().digest in world.released


def test_the_candidate_gets_the_passport_and_productions_settings_and_memory(world: World):
    last = world.spec.environments[-1].model_copy(update={"settings": {"SERVING_WORKERS": "3"}})
    world.spec = world.spec.model_copy(update={"environments": (*world.spec.environments[:-1], last)})
    world.test(world.build(), PASSED, {"NIGHTFERRY_RELEASE": "digits-2026-11-21.1"})
    [(_, environment, memory)] = world.runner.started
    assert environment == {"NIGHTFERRY_RELEASE": "digits-2026-11-21.1", "SERVING_WORKERS": "3"}
    assert memory == 1 << 30


def test_publishing_keeps_the_digest_that_was_tested(world: World):
    decision = world.decision()
    built = world.build(decision)
    published = publish_image(
        decision=decision, spec=world.spec, tested=world.test(built, PASSED), registry=world.registry
    )
    assert published == ImageRef(world.spec.image.repository, ImageRef.parse(built.image).digest)
    for tag in (decision.release, inputs_tag(decision.candidate)):
        assert world.registry.find(world.spec.image.repository, str(tag)) == published


def test_publishing_again_changes_nothing(world: World):
    first = world.release()
    before = dict(world.registry.tagged)
    assert world.release() == first
    assert world.registry.tagged == before


def test_a_candidate_that_is_gone_is_said(world: World):
    tested = TestedImage(image=f"{world.spec.image.candidates}@sha256:{'0' * 64}", checked=1, seconds=0.1)
    with pytest.raises(Permanent) as failure:
        publish_image(decision=world.decision(), spec=world.spec, tested=tested, registry=world.registry)
    assert failure.value.reason == Reason.IMAGE_UNKNOWN


IMAGE = ImageRef("127.0.0.1:5000/digits-candidates", "sha256:" + "1" * 64)


@pytest.mark.parametrize(
    ("code", "output"),
    [
        (0, ""),
        (0, "all is well"),
        (137, ""),
        (1, "Traceback …"),
        (0, FAILED[0][0].model_dump_json()),
        (10, PASSED.model_dump_json()),
        (10, "{}"),
    ],
)
def test_a_prober_that_does_not_report_has_not_passed_anything(code: int, output: str):
    with pytest.raises(NightferryError) as failure:
        explain_probe(IMAGE, code, output, "")
    assert (type(failure.value), failure.value.reason) == (Temporary, Reason.DOCKER_UNAVAILABLE)


def test_a_long_list_of_faults_is_cut_short():
    probed = report("golden", *(f"golden/{n}.png should give 1, got 2." for n in range(9)))
    with pytest.raises(Permanent) as failure:
        explain_probe(IMAGE, probed.exit_code, probed.model_dump_json(), "")
    assert "golden/2.png" in failure.value.sentence
    assert "golden/3.png" not in failure.value.sentence
    assert "6 more" in failure.value.sentence


def test_the_recipe_changes_with_each_of_its_files(tmp_path: Path):
    folder = tmp_path / "docker" / "serving"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("a")
    with pytest.raises(Permanent):
        recipe_digest(tmp_path)
    digests = set()
    for dockerfile, bare, requirements in (
        ("a", "-", "b"),
        ("b", "-", "b"),
        ("a", "-", "c"),
        ("a", "+", "b"),
        ("ab", "-", ""),
        ("", "-", "ab"),
    ):
        (folder / "Dockerfile").write_text(dockerfile)
        (folder / "bare.py").write_text(bare)
        (folder / "requirements-test.txt").write_text(requirements)
        digests.add(recipe_digest(tmp_path))
    assert len(digests) == 6
