"""What pip's words mean: the one place that knows them. They are those of pip 23.0 (Debian 12) to 25 (Debian 13)."""

from __future__ import annotations

import re

from locking.fault import Fault
from locking.requirements_text import Line, normalised

_UNREACHED = re.compile(
    r"Could not fetch URL .*?(connection error|confirming the ssl certificate|50\d Server|429 |too many|timed out)"
    r"|Could not install packages due to an OSError: .*(Max retries|timed out|Connection (broken|reset|aborted))"
    r"|ReadTimeoutError|IncompleteRead|ProtocolError\(|ConnectionResetError|HTTP error 5\d\d|HTTP error 429",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"Could not fetch URL .*?(40[13]) Client Error|HTTP error (40[13]) while getting", re.IGNORECASE)
_INVALID = re.compile(
    r"Invalid requirement: (?P<text>.+?)(?:: [^\n]*)?(?:\n[^\n]*){0,2}?\(from line (?P<number>\d+) of (?P<file>[^)]+)\)"
)
_OPTION = re.compile(r"error: no such option: (?P<option>\S+)")
_NONE = re.compile(
    r"Could not find a version that satisfies the requirement (?P<what>.+?)"
    r"(?: \(from (?P<by>(?!versions)[^)]*(?:\([^)]*\))?)\))? \(from versions: (?P<versions>[^)]*)\)"
)
_PYTHON = re.compile(r"Ignored the following versions that require a different python version: (?P<list>[^\n]+)", re.I)
_PACKAGE_PYTHON = re.compile(
    r"Package '(?P<what>[^']+)' requires a different Python: (?P<has>\S+) not in '(?P<wants>[^']+)'"
)
_CONFLICT = re.compile(r"The conflict is caused by:\n(?P<sides>(?:[ \t]+\S[^\n]*\n)+)")
_HASH = re.compile(
    r"DO NOT MATCH THE HASHES.*?\n\s+(?P<what>[^\s]+)(?: from \S+)?(?: \(from [^\n]*)?:\n"
    r"\s+Expected sha256 (?P<expected>\w+).*?Got\s+(?P<got>\w+)",
    re.DOTALL,
)
_UNPINNED = re.compile(
    r"(?:versions pinned with ==\. These do not|missing from some requirements[^\n]*):\n\s+(?P<what>[A-Za-z0-9._-]+)"
)
_UNBUILT = re.compile(r"ERROR: Failed building wheel for (?P<what>\S+)|Failed to build (?P<also>[^\s']+)")
_METADATA = re.compile(r"metadata-generation-failed|× (Preparing metadata|Getting requirements to build)", re.I)
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:,]+ ", re.MULTILINE)
_COMMAND = re.compile(r"^\s*Running command ")
_COMMAND_ENDED = re.compile(r" exited with \d+$|\[bold magenta\]full command|error: subprocess-exited")
_NOISE = re.compile(r"note:|hint:|error: command .* failed|\[end of output\]", re.IGNORECASE)
_BLOCK = re.compile(r"(?:Collecting|Processing|Downloading) (?P<what>[^\s(;]+)")
_NOT_SUPPORTED = re.compile(r"(?P<what>\S+\.whl) is not a supported wheel on this platform")
_MISSING_DOWNLOAD = re.compile(
    r"HTTP error 404 while getting (?P<what>\S+)|404 Client Error: [^\n]* for url: (?P<also>\S+)"
)


def needs_tools(output: str) -> bool:
    """Whether pip failed at a source distribution's own code, which may only lack a compiler."""
    return bool(_METADATA.search(output))


def explain(output: str, log: str, lines: list[Line], python: str) -> Fault:
    """The fault of a pip that failed.

    Args:
        output: what it printed.
        log: its log, which knows more.
        lines: the requirements, to say where each stands.
        python: the base's, as 3.11.
    """
    if _UNREACHED.search(log) or _UNREACHED.search(output):
        return Fault("A package index did not answer.", temporary=True)
    for explained in (_refused, _invalid, _hash, _unpinned, _conflict, _python, _nothing, _missing, _unbuilt):
        found = explained(output, log, lines, python)
        if found:
            return found
    errors = [line for line in output.splitlines() if line.startswith(("ERROR:", "error:"))]
    last = (errors or [line for line in output.splitlines() if line.strip()] or ["it said nothing"])[0]
    return Fault(f"pip cannot resolve the app's requirements: {last.removeprefix('ERROR:').strip().rstrip('.')}.")


def place(name: str, lines: list[Line]) -> str:
    """`requirements.txt:3` of the line that asks for a package; empty when none does."""
    wanted = normalised(re.split(r"[\[<>=!~; @(]", name.strip())[0])
    return next((line.where for line in lines if line.name == wanted), "")


def failed_command(log: str) -> list[str]:
    """What a source distribution's own code printed before it failed, of pip's log."""
    told: list[str] = []
    for line in _STAMP.sub("", log).splitlines():
        if _COMMAND_ENDED.search(line):
            return told
        told = [] if _COMMAND.match(line) else [*told, line.strip()]
    return []


def last_words(log: str) -> str:
    """The last meaningful line of it."""
    meaning = [line for line in failed_command(log) if re.search(r"[A-Za-z]{3}", line) and not _NOISE.match(line)]
    errors = [line for line in meaning if re.search(r"error|not found|no such|missing|cannot", line, re.IGNORECASE)]
    return (errors or meaning or ["it said nothing"])[-1][:300].rstrip(".")


def _refused(output: str, log: str, lines: list[Line], python: str) -> Fault | None:
    found = _REFUSED.search(log) or _REFUSED.search(output)
    if not found:
        return None
    return Fault(
        f"The package index refuses this installation ({found[1] or found[2]}): "
        "check the login in its pip configuration."
    )


def _invalid(output: str, log: str, lines: list[Line], python: str) -> Fault | None:
    found = _INVALID.search(output)
    if found:
        file, text = found["file"].rpartition("/app/")[2], found["text"].strip()
        return Fault(f"{file}:{found['number']}: {text} is no requirement: write it as NAME==VERSION.")
    option = _OPTION.search(output)
    if not option:
        return None
    where = next((f"{line.where}: " for line in lines if line.text.startswith(option["option"])), "")
    return Fault(f"{where}pip has no option {option['option']} in a requirements file: correct or remove it.")


def _hash(output: str, log: str, lines: list[Line], python: str) -> Fault | None:
    found = _HASH.search(output)
    if not found:
        return None
    return Fault(
        f"{_at(found['what'], lines)}{_short(found['what'])} has the sha256 {found['got']}, "
        f"and the hash written down is {found['expected']}: correct the hash, or find out who changed the file."
    )


def _unpinned(output: str, log: str, lines: list[Line], python: str) -> Fault | None:
    found = _UNPINNED.search(output)
    if not found:
        return None
    what = found["what"]
    return Fault(
        f"{_at(what, lines)}{what} has no version with == and hash, while others have: give one to every package that "
        "is installed (pip-compile --generate-hashes does), or to none."
    )


def _conflict(output: str, log: str, lines: list[Line], python: str) -> Fault | None:
    found = _CONFLICT.search(output)
    if not found:
        return None
    sides = [_side(side.strip(), lines) for side in found["sides"].splitlines() if side.strip()]
    return Fault(f"The requirements contradict each other: {'; '.join(dict.fromkeys(sides))}. Change one of them.")


def _side(text: str, lines: list[Line]) -> str:
    asked = re.match(r"The user requested (?:\(constraint\) )?(?P<what>.+)", text)
    if not asked:
        return text
    where = place(asked["what"], lines)
    return f"{where} asks for {asked['what']}" if where else f"{asked['what']} is asked for"


def _python(output: str, log: str, lines: list[Line], python: str) -> Fault | None:
    found = _PACKAGE_PYTHON.search(output)
    if found:
        return Fault(_unfit(_at(found["what"], lines), found["what"], found["wants"], python))
    none, ignored = _NONE.search(output), _PYTHON.search(output)
    if not none or not ignored:
        return None
    version = re.search(r"==\s*([^\s,;]+)", none["what"])
    unfit = dict(
        part.strip().split(" Requires-Python ", 1) for part in ignored["list"].split("; ") if "Requires" in part
    )
    if none["versions"].strip() == "none" and not version:
        wants = next(reversed(unfit.values()), "another one")
    elif version and version[1] in unfit:
        wants = unfit[version[1]]
    else:
        return None
    return Fault(_unfit(_at(none["what"], lines), none["what"], wants, python))


def _unfit(at: str, what: str, wants: str, python: str) -> str:
    return (
        f"{at}{_short(what)} needs a Python {wants}, and the base has {python}: "
        "take another version of it, or another base (debian-12 has 3.11, debian-13 has 3.13)."
    )


def _nothing(output: str, log: str, lines: list[Line], python: str) -> Fault | None:
    found = _NONE.search(output)
    if not found:
        wheel = _NOT_SUPPORTED.search(output)
        if not wheel:
            return None
        return Fault(f"The wheel {_short(wheel['what'])} does not fit the base's Python {python} or its machine.")
    what, by = found["what"], found["by"]
    where = place(what, lines)
    start = f"{where}: " if where else ""
    asked = f", which {by} asks for" if by and not where and not by.startswith("-") else ""
    versions = [version.strip() for version in found["versions"].split(",")]
    if versions == ["none"]:
        return Fault(
            f"{start}the package index has no {what} for Python {python}{asked}: correct the name, or give this "
            "installation an index that has it."
        )
    return Fault(f"{start}the package index has no {what}{asked}; its newest version is {versions[-1]}.")


def _missing(output: str, log: str, lines: list[Line], python: str) -> Fault | None:
    found = _MISSING_DOWNLOAD.search(output)
    if not found:
        return None
    name = _short(found["what"] or found["also"])
    where = next((f"{line.where}: " for line in lines if name in line.text), "")
    return Fault(f"{where}{name} is not to be had at its address (404): correct it.")


def _unbuilt(output: str, log: str, lines: list[Line], python: str) -> Fault | None:
    found = _UNBUILT.search(output)
    if not found and not needs_tools(output):
        return None
    what = (found["what"] or found["also"]) if found else _last_collected(output)
    return Fault(
        f"{_at(what, lines)}the source distribution of {_short(what)} does not build: {last_words(log)}; name what "
        "it needs of the distribution's packages under `system:` in nightferry.yaml, or take a version with a wheel."
    )


def _last_collected(output: str) -> str:
    before = output[: found.start()] if (found := _METADATA.search(output)) else output
    names = _BLOCK.findall(before)
    return re.sub(r"-\d[^/]*$", "", _short(names[-1])) if names else "a package"


def _at(what: str, lines: list[Line]) -> str:
    where = place(what, lines)
    return f"{where}: " if where else ""


def _short(what: str) -> str:
    return what.split("#")[0].rpartition("/")[2] or what
