"""The recipe's own parts: reading requirements, what pip's words mean, the lock that is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from locking import build, install, system
from locking.fault import RENEW, Fault
from locking.pip_words import explain, last_words
from locking.pyproject import read_project
from locking.requirements_text import Line, deciding_files, index_options, is_hashed, read
from locking.resolve import Artifact, artifacts
from locking.run import Done
from nightferry.entities.app.lock import Lock

SHA = "a" * 64


def refused(app: Path, text: str) -> str:
    (app / "requirements.txt").write_text(text)
    with pytest.raises(Fault) as failure:
        read(app, "requirements.txt")
    assert not failure.value.temporary
    return failure.value.sentence


def test_lines_are_found_with_file_and_number(tmp_path: Path):
    (tmp_path / "deps").mkdir()
    (tmp_path / "requirements.txt").write_text(
        "# what it needs\n\nflask==3.0 \\\n  --hash=sha256:1\n-r deps/more.txt\n"
    )
    (tmp_path / "deps" / "more.txt").write_text(
        "-i https://u:p@index.example/simple\nSix_x[a]>1  # why\n-r ../requirements.txt"
    )
    lines = read(tmp_path, "requirements.txt")
    assert [(line.where, line.name) for line in lines] == [
        ("requirements.txt:3", "flask"),
        ("requirements.txt:5", ""),
        ("deps/more.txt:1", ""),
        ("deps/more.txt:2", "six-x"),
        ("deps/more.txt:3", ""),
    ]
    assert is_hashed(lines)
    assert index_options(tmp_path, lines) == ["-i", "https://u:p@index.example/simple"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("-e .", "editable"),
        ("--editable=./lib", "editable"),
        (".", "remove the line"),
        ("./lib", "build a wheel"),
        ("x @ git+https://example.com/x.git", "repository"),
        ("git+ssh://git@example.com/x.git", "repository"),
        ("x @ file:///x.whl", "path in the app's folder"),
        ("./gone.whl", "gone.whl"),
        ("../other.whl", "other.whl"),
        ("-r gone.txt", "gone.txt"),
        ("-c ../limits.txt", "limits.txt"),
        ("-r https://example.com/r.txt", "copy it"),
    ],
)
def test_what_cannot_be_locked_is_refused_with_its_line(tmp_path: Path, line: str, word: str):
    (tmp_path / "lib").mkdir()
    sentence = refused(tmp_path, f"six\n{line}\n")
    assert "requirements.txt:2" in sentence
    assert word in sentence


def test_a_file_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(Fault, match=r"prod\.txt"):
        read(tmp_path, "prod.txt")


def test_the_deciding_files_are_those_that_lines_are_in_or_name(tmp_path: Path):
    for name in ("a.whl", "v/b.whl", "c.whl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "requirements.txt").write_text("./a.whl ; python_version > '3'\n--find-links=v\nsix\n")
    assert deciding_files(tmp_path, read(tmp_path, "requirements.txt")) == ["a.whl", "requirements.txt", "v/b.whl"]


def said(output: str, *lines: str, log: str = "") -> Fault:
    asked = [Line("requirements.txt", number, text) for number, text in enumerate(lines, 1)]
    return explain(output, log, asked, "3.11")


NONE = "ERROR: Could not find a version that satisfies the requirement {} (from versions: {})\nERROR: No matching …\n"
CONFLICT = """\
ERROR: Cannot install -r r.txt (line 1) and werkzeug<3 because these package versions have conflicting dependencies.

The conflict is caused by:
    The user requested werkzeug<3
    flask 3.0.1 depends on Werkzeug>=3.0.0

To fix this you could try to:
1. loosen the range of package versions you've specified
"""
HASHES = f"""\
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have …
    six==1.0 from https://u:pw@index.example/six-1.0-py3-none-any.whl (from -r requirements.txt (line 1)):
        Expected sha256 {SHA}
             Got        {"b" * 64}
"""
UNPINNED = """\
ERROR: In --require-hashes mode, all requirements must have their versions pinned with ==. These do not:
    flask from https://index.example/flask-3.0.1-py3-none-any.whl (from -r requirements.txt (line 2))
"""
PYTHON = (
    "ERROR: Ignored the following versions that require a different python version: 1.0 Requires-Python >=3.7,<3.11; "
    "2.5.0 Requires-Python >=3.12\n" + NONE.format("numpy==2.5.0", "2.3.0, 2.4.6")
)
INVALID = {
    "pip 23": "ERROR: Invalid requirement: 'no such ==' (from line 2 of requirements.txt)\n",
    "pip 25": "ERROR: Invalid requirement: 'no such ==': Expected end (after name)\n    no such ==\n       ^ "
    "(from line 2 of requirements.txt)\n",
}


@pytest.mark.parametrize(
    ("output", "lines", "words"),
    [
        (NONE.format("nosuch==1.0", "none"), ["six", "nosuch==1.0"], ["requirements.txt:2", "no nosuch==1.0"]),
        (NONE.format("x<2 (from y)", "none"), ["y"], ["y asks for", "no x<2"]),
        (NONE.format("six==9", "1.0, 1.1"), ["six==9"], ["requirements.txt:1", "newest version is 1.1"]),
        (CONFLICT, ["flask==3.0.1", "werkzeug<3"], ["requirements.txt:2 asks for werkzeug<3", "flask 3.0.1 depends"]),
        (HASHES, ["six==1.0 --hash=sha256:a"], ["requirements.txt:1", SHA, "b" * 64]),
        (UNPINNED, ["six==1", "flask"], ["requirements.txt:2", "flask", "hash"]),
        (PYTHON, ["numpy==2.5.0"], ["requirements.txt:1", ">=3.12", "3.11"]),
        (
            "ERROR: Package 'x' requires a different Python: 3.11.2 not in '>=3.13'",
            ["x"],
            ["requirements.txt:1", ">=3.13"],
        ),
        (INVALID["pip 23"], ["six", "no such =="], ["requirements.txt:2", "no such =="]),
        (INVALID["pip 25"], ["six", "no such =="], ["requirements.txt:2", "no such =="]),
        ("pip: error: no such option: --nope\n", ["six", "--nope"], ["requirements.txt:2", "--nope"]),
        (
            "ERROR: HTTP error 404 while getting https://u:pw@e.example/a/x.whl\n",
            ["https://e.example/a/x.whl"],
            ["x.whl"],
        ),
        ("ERROR: x-1-cp39-cp39-win32.whl is not a supported wheel on this platform.", ["./x.whl"], ["does not fit"]),
        ("ERROR: something else happened\n", [], ["something else happened"]),
    ],
)
def test_pips_words_become_one_sentence_with_the_line(output: str, lines: list[str], words: list[str]):
    fault = said(output, *lines)
    printed = json.loads(fault.line().removeprefix("NIGHTFERRY-FAULT "))
    assert not printed["temporary"]
    for word in words:
        assert word in printed["sentence"]
    assert "://" not in printed["sentence"]
    assert "pw" not in printed["sentence"]
    assert "\n" not in fault.line()
    assert printed["sentence"].endswith(".")


@pytest.mark.parametrize(
    "log",
    [
        "2026-11-29T03:06:32,483 Could not fetch URL https://h/simple/six/: connection error: HTTPSConnectionPool(…)",
        "2026-11-29T03:06:32,483 Could not fetch URL https://h/simple/six/: 503 Server Error: busy for url: https://h",
        "pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='h', port=443): Read timed out.",
    ],
)
def test_an_index_that_does_not_answer_is_no_fault_of_the_requirements(log: str):
    assert said(NONE.format("six", "none"), "six", log=log).temporary


def test_an_index_that_knows_no_such_package_did_answer():
    log = "Could not fetch URL https://h/simple/nosuch/: 404 Client Error: Not Found for url: https://h/simple/nosuch/"
    assert not said(NONE.format("nosuch", "none"), "nosuch", log=log).temporary


BUILDING = """\
2026-11-29T03:30:23,749   Running command Preparing metadata (pyproject.toml)
2026-11-29T03:30:23,900   running dist_info
2026-11-29T03:30:23,945   Running command Building wheel for bad (pyproject.toml)
2026-11-29T03:30:24,089   building 'bad._c' extension
2026-11-29T03:30:24,089   bad.c:1:10: fatal error: lame/lame.h: No such file or directory
2026-11-29T03:30:24,090   compilation terminated.
2026-11-29T03:30:24,090   error: command '/usr/bin/gcc' failed with exit code 1
2026-11-29T03:30:24,113   ERROR: Building wheel for bad (pyproject.toml) exited with 1
2026-11-29T03:30:24,122   [bold magenta]full command[/]: …
2026-11-29T03:30:24,123   ERROR: Failed building wheel for bad
"""


def test_a_source_distribution_that_does_not_build_says_its_last_meaningful_line():
    fault = said("  ERROR: Failed building wheel for bad\n", "bad", log=BUILDING)
    assert "requirements.txt:1" in fault.sentence
    assert "lame/lame.h: No such file" in fault.sentence
    assert "`system:`" in fault.sentence
    assert last_words("nothing was run") == "it said nothing"


def test_what_the_index_no_longer_has_is_renewed():
    fault = install.gone(Done(1, NONE.format("six==1.0", "1.1")), [], "3.11")
    assert "six 1.0" in fault.sentence
    assert fault.sentence.endswith(RENEW)
    fault = install.gone(Done(1, HASHES), [], "3.11")
    assert "six 1.0" in fault.sentence
    assert fault.sentence.endswith(RENEW)
    down = install.gone(Done(1, NONE.format("six==1.0", "none"), "Could not fetch URL h: connection error"), [], "3.11")
    assert down.temporary


def item(name: str, url: str, **more: object) -> dict[str, object]:
    info = {"url": url, "archive_info": {"hash": f"sha256={SHA}"}}
    return {"download_info": info, "metadata": {"name": name, "version": "1.0"}, **more}


def test_a_report_says_which_wheels_are_kept_and_which_are_in_the_folder():
    index, direct, built, inside = artifacts(
        {
            "install": [
                item("a", "https://u:p@h/a-1.0-py3-none-any.whl", is_direct=False),
                item("b", "https://h/b%2Bc-1.0-py3-none-any.whl", is_direct=True),
                item("c", "https://h/c-1.0.tar.gz", is_direct=False),
                item("d", "file:///app/wheels/d-1.0-py3-none-any.whl", is_direct=True),
            ]
        },
        Path("/app"),
    )
    assert [build.is_kept(one) for one in (index, direct, built, inside)] == [False, True, True, False]
    assert (index.address, direct.file, inside.file) == (
        "",
        "b+c-1.0-py3-none-any.whl",
        "wheels/d-1.0-py3-none-any.whl",
    )


def test_a_lock_is_the_same_bytes_and_no_address_is_in_it(tmp_path: Path):
    packages = [
        {"name": name, "version": "1", "file": f"{name}.whl", "sha256": SHA, "kind": "index"} for name in ("b", "a-b")
    ]
    for number, found in enumerate((packages, packages[::-1])):
        build.write_lock(tmp_path / str(number), "base", "3.11", found, {"libgomp1": "12.2.0-14"})
    content = (tmp_path / "0").read_bytes()
    assert content == (tmp_path / "1").read_bytes()
    assert content.endswith(b"}\n")
    lock = Lock.model_validate_json(content)
    assert lock.versions == {"a-b": "1", "b": "1", "deb:libgomp1": "12.2.0-14"}


def test_an_installation_names_every_wheel_by_its_hash(tmp_path: Path):
    (tmp_path / "w.whl").touch()
    packages = [
        {"name": "i", "version": "1", "file": "i.whl", "kind": "index", "sha256": SHA},
        {"name": "k", "version": "1", "file": "k.whl", "kind": "kept", "sha256": SHA},
        {"name": "w", "version": "1", "file": "w.whl", "kind": "folder", "sha256": SHA},
    ]
    text = install.requirements(packages, Path("/lock"), tmp_path)
    assert text.splitlines() == [
        f"i==1 --hash=sha256:{SHA}",
        f"/lock/wheels/k.whl --hash=sha256:{SHA}",
        f"{tmp_path}/w.whl --hash=sha256:{SHA}",
    ]
    (tmp_path / "w.whl").unlink()
    with pytest.raises(Fault, match=r"w\.whl"):
        install.requirements(packages, Path("/lock"), tmp_path)


def test_tests_take_what_the_app_has_from_the_app():
    pinned = "# why\npackaging==26 \\\n    --hash=sha256:1\n    # via pytest\npytest==9 \\\n    --hash=sha256:2\n"
    assert install.without(pinned, {"packaging": "20"}) == "# why\npytest==9 \\\n    --hash=sha256:2\n"


def test_the_closure_of_system_packages_is_what_apt_would_install():
    simulated = (
        "Inst gcc-12-base (12.2.0-14 Debian:12.15/oldstable [amd64])\n"
        "Inst libssl3 [3.0.1-1] (3.0.2-1 Debian-Security:12/oldstable-security [amd64])\nConf libssl3 (3.0.2-1 …)\n"
    )
    assert system.parse(simulated) == {"gcc-12-base": "12.2.0-14", "libssl3": "3.0.2-1"}


@pytest.mark.parametrize("name", ["-o=x", "a b", "libgomp1=1", "../x"])
def test_what_is_no_packages_name_never_reaches_apt(name: str):
    with pytest.raises(Fault, match="system:"):
        system.closure([name])


PYPROJECT = '[project]\nname = "churn"\nversion = "1"\ndependencies = [\n  "flask>=3",\n  "numpy",\n]\n'
UV_LOCK = f"""\
version = 1
[[package]]
name = "churn"
version = "1"
source = {{ virtual = "." }}
[[package]]
name = "flask"
version = "3.0.1"
source = {{ registry = "https://index.example/simple" }}
wheels = [{{ url = "https://index.example/f.whl", hash = "sha256:{SHA}" }}]
[[package]]
name = "numpy"
version = "1.26.4"
resolution-markers = ["python_full_version < '3.12'"]
[[package]]
name = "numpy"
version = "2.1.0"
resolution-markers = ["python_full_version >= '3.12' and sys_platform == 'linux'", "python_full_version >= '3.13'"]
"""


def test_a_project_is_held_to_its_lock(tmp_path: Path):
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "uv.lock").write_text(UV_LOCK)
    project = read_project(tmp_path, "pyproject.toml")
    assert [(line.where, line.text) for line in project.lines] == [
        ("pyproject.toml:5", "flask>=3"),
        ("pyproject.toml:6", "numpy"),
    ]
    assert project.constraints == [
        "flask==3.0.1",
        "numpy==1.26.4 ; (python_full_version < '3.12')",
        "numpy==2.1.0 ; (python_full_version >= '3.12' and sys_platform == 'linux') or (python_full_version >= '3.13')",
    ]
    assert project.hashes == {SHA}


def test_a_poetry_project_is_read(tmp_path: Path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.poetry]\nname = "churn"\n[tool.poetry.dependencies]\npython = "^3.11"\nflask = "^3"\n'
        'httpx = {version = "*", extras = ["http2"], markers = "sys_platform == \'linux\'", python = ">=3.11,<4"}\n'
        'gpu = {version = "1", optional = true}\n'
    )
    (tmp_path / "poetry.lock").write_text('[[package]]\nname = "flask"\nversion = "3.0.1"\n')
    project = read_project(tmp_path, "pyproject.toml")
    assert [line.text for line in project.lines] == [
        "flask",
        "httpx[http2] ; (sys_platform == 'linux') and (python_full_version >= '3.11') and (python_full_version < '4')",
    ]
    assert project.constraints == ["flask==3.0.1"]


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({}, "not in the app's folder"),
        ({"pyproject.toml": PYPROJECT}, "uv lock"),
        ({"pyproject.toml": "[project"}, "not TOML"),
        ({"pyproject.toml": PYPROJECT.replace("flask>=3", "x @ git+https://h/x"), "uv.lock": ""}, "pyproject.toml:5"),
        (
            {"pyproject.toml": PYPROJECT, "uv.lock": '[[package]]\nname = "x"\nsource = { git = "https://h/x" }\n'},
            "x comes from a git",
        ),
    ],
)
def test_a_project_that_cannot_be_locked_is_refused(tmp_path: Path, files: dict[str, str], word: str):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(Fault) as failure:
        read_project(tmp_path, "pyproject.toml")
    assert word in failure.value.sentence


def test_a_project_that_asks_for_nothing_needs_no_lock(tmp_path: Path):
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert read_project(tmp_path, "pyproject.toml").lines == []


def test_a_wheel_of_an_index_is_not_kept():
    assert not build.is_kept(Artifact("a", "1", "a.whl", SHA))


def test_the_host_of_an_index_is_an_address_too():
    said = Fault("HTTPSConnectionPool(host='pip.example', port=443): https://u:p@pip.example/x/y/z.whl").line()
    assert "pip.example" not in said
    assert "z.whl" in said
