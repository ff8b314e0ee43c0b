"""Read an app's own Dockerfile as far as has to be known: which stage is its last one.

The grammar is that of BuildKit, frontend/dockerfile/parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nightferry.errors import Permanent
from nightferry.steps.app.read_contract import invalid

_DIRECTIVE = re.compile(r"\s*(?:#|//)\s*(?P<name>[A-Za-z][A-Za-z0-9]*)\s*=\s*(?P<value>.+?)\s*")
_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(?P<image>[^\s-]\S*)(?:\s+AS\s+(?P<name>\S+))?", re.IGNORECASE)
_BEGINS = re.compile(r"FROM(?:\s|$)", re.IGNORECASE)
_CONTINUED = re.compile(r"(?<!\\)\\[ \t]*$")
_HOLDS_TEXT = re.compile(r"(?:ONBUILD\s+)?(?:RUN|COPY|ADD)\s+(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:\\.|[^"\\])*"|'[^']*'|["'\\])+""")
_HEREDOC = re.compile(r"\d*<<(?P<tabs>-?)(?P<name>[^<]+)")


@dataclass(frozen=True)
class _Instruction:
    """One instruction, its continued lines joined."""

    text: str
    first: int
    """The number of its first line, from 0."""
    last: int


def named_stage(name: str, content: bytes, stage: str) -> tuple[str, str]:
    """The Dockerfile with a name for its last stage, and that name. BuildKit's own front end reads it.

    Args:
        name: the file's, for what is said.
        content: it.
        stage: the name, if the stage has none.

    Raises:
        Permanent: (app_contract_invalid) it makes no image, or it cannot be told which.
    """
    try:
        lines = content.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as fault:
        raise invalid(f"{name} is not UTF-8 text") from fault
    _drop_directives(name, lines)
    last = next((one for one in reversed([*_instructions(lines)]) if _BEGINS.match(one.text)), None)
    if last is None:
        raise invalid(f"{name} has no FROM line, so it makes no image")
    found = _FROM.fullmatch(last.text)
    if found is None:
        raise _odd(name, last)
    if found["name"]:
        return "\n".join([*lines, ""]), found["name"]
    # As many lines as before, so that what BuildKit says of a line is true of the app's file.
    lines[last.first : last.last + 1] = [f"{last.text} AS {stage}", *[""] * (last.last - last.first)]
    return "\n".join([*lines, ""]), stage


def stages(text: str) -> frozenset[str]:
    """The names of a Dockerfile's stages, in lower case as BuildKit compares them."""
    found = (_FROM.fullmatch(one.text) for one in _instructions(text.split("\n")))
    return frozenset(match["name"].lower() for match in found if match and match["name"])


def _odd(name: str, instruction: _Instruction) -> Permanent:
    return invalid(
        f"{name}, line {instruction.first + 1}: its last stage is not to be understood: {instruction.text[:100]}; "
        "write it as FROM IMAGE, or FROM IMAGE AS NAME"
    )


def _drop_directives(name: str, lines: list[str]) -> None:
    """Another front end would have to be pulled, and could do as it likes."""
    for number, line in enumerate(lines):
        found = _DIRECTIVE.fullmatch(line)
        if found is None:
            if number == 0 and line.startswith("#!"):
                continue
            return
        if found["name"].lower() == "escape" and found["value"] != "\\":
            raise invalid(f"{name}, line {number + 1}: an escape character of its own is for Windows; remove the line")
        lines[number] = "#"


def _instructions(lines: list[str]) -> Iterator[_Instruction]:
    number = 0
    while number < len(lines):
        first, text, more = number, "", True
        while more and number < len(lines):
            line = lines[number].strip()
            number += 1
            if line.startswith("#") or not line:  # among continued lines they do not count
                more = bool(text)
                continue
            more = bool(_CONTINUED.search(line))
            text = f"{text} {_CONTINUED.sub('', line).strip()}".strip()
        if text:
            yield _Instruction(text, first, number - 1)
            number = _after_heredocs(text, lines, number)


def _after_heredocs(text: str, lines: list[str], number: int) -> int:
    """The line after the texts that an instruction holds."""
    holds = _HOLDS_TEXT.fullmatch(text)
    if holds is None or holds["rest"].startswith("["):
        return number
    for word in _WORD.findall(holds["rest"]):
        heredoc = _HEREDOC.fullmatch(word)
        if heredoc is None:
            continue
        end = heredoc["name"].strip("\"'")
        while number < len(lines):
            line = lines[number].lstrip("\t") if heredoc["tabs"] else lines[number]
            number += 1
            if line == end:
                break
    return number
