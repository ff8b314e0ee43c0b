"""The recipe `python` on the real BuildKit, package index and archive: from an app's requirements to its image."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import uuid
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from nightferry import settings
from nightferry.clients import connect
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.lock import Lock
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.app.lock_app import Asked, find_lock, lock_app, resolve_lock

from tests.fakes.memory.memory_locks import MemoryLocks

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).parents[2]
STAGES = """
FROM runtime AS serving
WORKDIR /app
USER 65532:65532
FROM serving AS looking
ENV PYTHONPATH=/opt/test
COPY --from=test-packages /opt/test /opt/test
ARG LOOK
RUN --network=none python3 -c "$LOOK"
"""


class Place:
    """An app's folder, and what is made of it."""

    def __init__(self, folder: Path) -> None:
        self.here, self.folder, self.app, self.kept = settings.load(), folder, folder / "app", folder / "lock"
        self.app.mkdir()
        self.log = folder / "build.log"
        self.base = self.here.require("BASE_IMAGE")

    def write(self, name: str, content: str | bytes) -> None:
        (self.app / name).parent.mkdir(parents=True, exist_ok=True)
        (self.app / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def resolve(self, *extra: str, **contract: object) -> Lock:
        self.kept.mkdir()
        asked = Asked(self.app, AppContract(**contract), self.base, extra, ROOT, self.log.parent)
        return resolve_lock(asked, connect.builder(self.here), self.kept)

    def fault(self, **contract: object) -> NightferryError:
        with pytest.raises(NightferryError) as failure:
            self.resolve(**contract)
        assert "://" not in failure.value.sentence
        assert str(self.log.parent) in failure.value.sentence
        assert not (self.kept / "lock.json").exists()
        return failure.value

    def request(self, target: str, **arguments: str) -> BuildRequest:
        text = (ROOT / "docker" / "app" / "Dockerfile").read_text() + STAGES
        (self.folder / "Dockerfile").write_text(text)
        return BuildRequest(
            self.folder / "Dockerfile",
            target,
            {"app": self.app, "lock": self.kept},
            {"BASE_IMAGE": self.base, "REQUIREMENTS": "requirements.txt", **arguments},
            context=ROOT / "docker" / "app",
        )

    def look(self, code: str, **arguments: str) -> None:
        """Run this Python in the image, beside what its tests need."""
        connect.builder(self.here).build(self.request("looking", LOOK=code, **arguments), self.log)

    def digests(self) -> tuple[str, str]:
        """Of two builds, the second of which knows nothing of the first."""
        push = (f"{self.here.require('REGISTRY')}/test-{uuid.uuid4().hex[:12]}/app:one",)
        request, builder = replace(self.request("serving"), push=push), connect.builder(self.here)
        first, second = (builder.build(replace(request, no_cache=again), self.log) for again in (False, True))
        return str(first), str(second)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def sdist(name: str, setup: str) -> bytes:
    """A source distribution with these words in its setup.py."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        files = {
            "setup.py": f"from setuptools import Extension, setup\n{setup}\n",
            f"{name}.c": '#include <Python.h>\nstatic struct PyModuleDef d = {PyModuleDef_HEAD_INIT, "NAME", 0, -1};\n'
            "PyMODINIT_FUNC PyInit_NAME(void) { return PyModule_Create(&d); }\n".replace("NAME", name),
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        }
        for file, text in files.items():
            info = tarfile.TarInfo(f"{name}-1.0/{file}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


def wheel(name: str) -> bytes:
    """A wheel with one empty module."""
    stream, info = io.BytesIO(), f"{name}-1.0.dist-info"
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return stream.getvalue()


def test_includes_constraints_wheels_of_the_folder_and_system_packages(place: Place):
    place.write("requirements.txt", "-r deps/more.txt\n-c limits.txt\nflask\n./wheels/nf_inside-1.0-py3-none-any.whl\n")
    place.write("deps/more.txt", "six==1.16.0\n")
    place.write("limits.txt", "werkzeug<3.1\n")
    place.write("wheels/nf_inside-1.0-py3-none-any.whl", wheel("nf_inside"))
    lock = place.resolve("granian", system=("libgomp1",))
    found = {package.name: package for package in lock.packages}
    assert list(found) == sorted(found)
    assert found["six"].version == "1.16.0"
    assert found["werkzeug"].version.startswith("3.0.")
    assert "granian" in found
    assert found["nf-inside"].kind == "folder"
    assert found["nf-inside"].file == "wheels/nf_inside-1.0-py3-none-any.whl"
    assert {package.kind for package in lock.packages} == {"index", "folder"}
    assert "libgomp1" in lock.system
    assert "://" not in (place.kept / "lock.json").read_text()
    first, second = place.digests()
    assert first == second
    place.look(
        "import ctypes, flask, granian, nf_inside, pytest, sys; ctypes.CDLL('libgomp.so.1'); "
        "assert sys.prefix == '/opt/venv'"
    )
    place.look(
        "import pathlib as p; folders = [p.Path('/var', name) for name in ('cache', 'log', 'lib/apt/lists')]; "
        "left = [f for folder in folders for f in folder.rglob('*') if f.is_file()]; assert not left, left"
    )


def test_a_source_distribution_is_built_once_and_its_wheel_kept(place: Place):
    place.write("requirements.txt", "--find-links src\nnf_built\n")
    place.write(
        "src/nf_built-1.0.tar.gz",
        sdist("nf_built", "setup(name='nf_built', version='1.0', ext_modules=[Extension('nf_built', ['nf_built.c'])])"),
    )
    (package,) = place.resolve().packages
    (kept,) = (place.kept / "wheels").iterdir()
    assert (package.kind, package.file) == ("kept", kept.name)
    assert package.sha256 == hashlib.sha256(kept.read_bytes()).hexdigest()
    place.look("import nf_built, shutil; assert not shutil.which('gcc')")


def test_tests_run_with_the_packages_of_the_app(place: Place):
    place.write("requirements.txt", "packaging==24.0\n")
    place.write("dev.txt", "-r requirements.txt\nsix\n")
    place.resolve()
    code = "import packaging as p, pytest; assert p.__version__ == '24.0' and '/venv/' in p.__file__, p.__file__"
    place.look(code)
    place.look(f"import six; {code}", TEST_REQUIREMENTS="dev.txt")


def test_an_app_without_packages_has_an_image_too(place: Place):
    assert place.resolve().packages == ()
    place.look(
        "import pathlib as p, pytest; assert not [n for n in ('recipe', 'lock', 'build') if p.Path('/', n).exists()]"
    )


@pytest.mark.drill
def test_hashed_requirements_stay_as_they_are_beside_what_is_added(place: Place):
    sha256 = "c6242fc49e35958c8b15141343aa660db5fc54d4f13a1db01a3f5891b98700ef"
    place.write("requirements.txt", f"itsdangerous==2.2.0 \\\n  --hash=sha256:{sha256}\n")
    lock = place.resolve("six==1.16.0")
    assert {package.name: package.version for package in lock.packages} == {"itsdangerous": "2.2.0", "six": "1.16.0"}


@pytest.mark.drill
def test_a_project_is_installed_as_its_lock_says(place: Place):
    sha256 = "c6242fc49e35958c8b15141343aa660db5fc54d4f13a1db01a3f5891b98700ef"
    place.write("pyproject.toml", '[project]\nname = "churn"\nversion = "1"\ndependencies = ["itsdangerous"]\n')
    text = '[[package]]\nname = "itsdangerous"\nversion = "2.2.0"\nwheels = [{{ hash = "sha256:{}" }}]\n'
    place.write("uv.lock", text.format(sha256))
    (package,) = place.resolve(requirements="pyproject.toml").packages
    assert (package.version, package.sha256) == ("2.2.0", sha256)
    place.kept = place.folder / "other"
    place.write("uv.lock", text.format("0" * 64))
    assert "uv.lock does not have" in place.fault(requirements="pyproject.toml").sentence


@pytest.mark.drill
def test_the_first_lock_stays(place: Place):
    place.write("requirements.txt", "six\n")
    store, contract = MemoryLocks(), AppContract()
    asked = Asked(place.app, contract, place.base, (), ROOT, place.log.parent)
    made = lock_app(asked, connect.builder(place.here), store)
    assert made == find_lock(asked.key, store)
    assert set(made.packages) == {"six"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("six\nnf-there-is-no-such-package==1.0\n", ["requirements.txt:2", "nf-there-is-no-such-package==1.0"]),
        pytest.param("flask==99.1\n", ["requirements.txt:1", "flask==99.1", "newest version"], marks=pytest.mark.drill),
        pytest.param(
            "six\nno such == requirement ==\n",
            ["requirements.txt:2", "no such == requirement =="],
            marks=pytest.mark.drill,
        ),
        pytest.param("six\n-r dev.txt\n", ["requirements.txt:2", "dev.txt"], marks=pytest.mark.drill),
        pytest.param("six\n-e .\n", ["requirements.txt:2", "remove the line"], marks=pytest.mark.drill),
        ("flask==3.0.1\nwerkzeug<3\n", ["requirements.txt:2 asks for werkzeug<3", "flask 3.0.1 depends on Werkzeug"]),
        pytest.param(
            "six==1.16.0 --hash=sha256:" + "0" * 64, ["requirements.txt:1", "0" * 64], marks=pytest.mark.drill
        ),
        pytest.param("six\n--no-such-option\n", ["requirements.txt:2", "--no-such-option"], marks=pytest.mark.drill),
    ],
)
def test_wrong_requirements_are_said_in_one_sentence(place: Place, text: str, words: list[str]):
    place.write("requirements.txt", text)
    error = place.fault()
    assert (type(error), error.reason) == (Permanent, Reason.APP_REQUIREMENTS_WRONG)
    for word in words:
        assert word in error.sentence


@pytest.mark.drill
def test_a_named_file_that_is_missing_is_said(place: Place):
    assert "prod.txt" in place.fault(requirements="prod.txt").sentence


def test_an_unknown_system_package_is_said(place: Place):
    assert "nf-no-such-library" in place.fault(system=("nf-no-such-library",)).sentence


@pytest.mark.drill
@pytest.mark.parametrize("when", ["it is asked what it is", "it is built"])
def test_a_source_distribution_that_does_not_build_says_why(place: Place, when: str):
    guard = "import sys\n" + ("if 'bdist_wheel' in sys.argv:" if when == "it is built" else "if True:")
    setup = f"{guard} raise SystemExit('nf_config executable not found')\nsetup(name='nf_bad', version='1.0')"
    place.write("requirements.txt", "--find-links src\nnf_bad\n")
    place.write("src/nf_bad-1.0.tar.gz", sdist("nf_bad", setup))
    error = place.fault()
    assert (type(error), error.reason) == (Permanent, Reason.APP_REQUIREMENTS_WRONG)
    for word in ("requirements.txt:2", "nf_bad", "nf_config executable not found", "`system:`"):
        assert word in error.sentence


def test_an_index_that_is_away_is_temporary(place: Place):
    place.write("requirements.txt", "--index-url https://127.0.0.1:1/simple\nsix\n")
    assert isinstance(place.fault(), Temporary)


def test_what_the_index_no_longer_has_names_the_way_to_renew(place: Place):
    place.write("requirements.txt", "six==1.16.0\n")
    place.resolve()
    content = json.loads((place.kept / "lock.json").read_text())
    content["packages"][0]["version"] = "1.16.99"
    (place.kept / "lock.json").write_text(json.dumps(content))
    with pytest.raises(Permanent) as failure:
        place.look("import six")
    assert failure.value.reason is Reason.IMAGE_BUILD_FAILED
    assert "six 1.16.99" in failure.value.sentence
    assert "nightferry app lock SERVICE --upgrade renews the lock." in failure.value.sentence


@pytest.mark.drill
def test_what_the_archive_no_longer_has_names_the_way_to_renew(place: Place):
    place.resolve(system=("libgomp1",))
    content = json.loads((place.kept / "lock.json").read_text())
    content["system"]["libgomp1"] = "1.0-nf"
    (place.kept / "lock.json").write_text(json.dumps(content))
    with pytest.raises(Permanent) as failure:
        place.look("import sys")
    assert "libgomp1 1.0-nf" in failure.value.sentence
    assert "nightferry app lock SERVICE --upgrade renews the lock." in failure.value.sentence


@pytest.mark.drill
def test_a_source_distribution_of_the_index_is_built_and_as_pure_python_the_same_again(place: Place):
    """docopt's newest version has no wheel there."""
    place.write("requirements.txt", "docopt==0.6.2\n")
    (package,) = place.resolve().packages
    assert package.kind == "kept"
    place.look("import docopt")
    before = (place.kept / "lock.json").read_bytes()
    place.kept = place.folder / "again"
    place.resolve()
    assert (place.kept / "lock.json").read_bytes() == before


@pytest.mark.drill
def test_debian_13_locks_and_installs_for_its_own_python(place: Place):
    """With another pip, whose words are others."""
    place.base = place.here.get("BASE_IMAGE_DEBIAN_13") or pytest.skip("this sandbox has no base of Debian 13")
    place.write("requirements.txt", "flask\nmarkupsafe\n--find-links src\nnf_built\n")
    setup = "setup(name='nf_built', version='1.0', ext_modules=[Extension('nf_built', ['nf_built.c'])])"
    place.write("src/nf_built-1.0.tar.gz", sdist("nf_built", setup))
    lock = place.resolve("granian", system=("libgomp1",))
    assert lock.python == "3.13"
    assert "cp313" in next(package.file for package in lock.packages if package.name == "markupsafe")
    first, second = place.digests()
    assert first == second
    place.look("import ctypes, flask, granian, nf_built, pytest; ctypes.CDLL('libgomp.so.1')")


@pytest.mark.drill
def test_pip_of_debian_13_is_understood(place: Place):
    place.base = place.here.get("BASE_IMAGE_DEBIAN_13") or pytest.skip("this sandbox has no base of Debian 13")
    for number, (text, word) in enumerate(
        [
            ("nf-there-is-no-such-package\n", "no nf-there-is-no-such-package"),
            ("six\nno such == requirement ==\n", "requirements.txt:2"),
            ("flask==3.0.1\nwerkzeug<3\n", "requirements.txt:2 asks for werkzeug<3"),
            ("six==1.16.0 --hash=sha256:" + "0" * 64, "0" * 64),
            ("--index-url https://127.0.0.1:1/simple\nsix\n", "index did not answer"),
        ]
    ):
        place.kept = place.folder / str(number)
        place.write("requirements.txt", text)
        assert word in place.fault().sentence
