"""The comparison of a release with the one in use before it as a page: one HTML file without scripts or outside assets,
whose texts are escaped and whose pictures are in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from html import escape

from nightferry.cli.releasing.diff_view import figures, latency_of
from nightferry.entities.judging.prediction_diff import AnswerChange, ClassChange, PredictionDiff
from nightferry.masking import mask
from nightferry.steps.judging.prediction_diff import reasons

Pictures = Mapping[str, bytes]
"""Golden example -> the bytes of its picture."""
LARGEST = 512 * 1024
"""Bytes of a picture on the page."""
_KINDS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
    b"BM": "image/bmp",
}
"""First bytes -> media type, of the pictures that the service takes. Nothing that could hold a script."""
_STYLE = """
:root { color-scheme: light dark; --line: #d6dae0; --soft: #667085; --bad: #b42318; --good: #067647; --bar: #7a9ef2 }
@media (prefers-color-scheme: dark) {
  :root { --line: #3b4250; --soft: #98a2b3; --bad: #f97066; --good: #47cd89; --bar: #4b6cb7 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem } h3 { font-size: 1rem }
p { margin: .3rem 0 } .soft { color: var(--soft) } .good { color: var(--good) } .bad { color: var(--bad) }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
.bar { background: var(--bar); height: .6rem; border-radius: .3rem; min-width: 2px }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: .8rem; padding: 0 }
.cards li { display: flex; gap: .8rem; border: 1px solid var(--line); border-radius: .5rem; padding: .7rem }
.cards div { min-width: 0; overflow-wrap: anywhere }
.picture { flex: 0 0 5rem; width: 5rem; height: 5rem; object-fit: contain; image-rendering: pixelated }
.none { border: 1px dashed var(--line); display: grid; place-items: center; font-size: .75rem; text-align: center }
code { font-size: .8rem }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(release: str, diffs: Mapping[str, PredictionDiff], pictures: Pictures) -> str:
    """The page of a release.

    Args:
        release: its id.
        diffs: by environment.
        pictures: what golden examples show, as far as it is at hand.
    """
    title = escape(f"{release}: what it answers otherwise")
    body = "".join(part for name, diff in diffs.items() for part in _section(name, diff, pictures))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n{body}</body></html>\n"
    )


def _section(environment: str, diff: PredictionDiff, pictures: Pictures) -> Iterator[str]:
    yield f"<h2>{_text(environment)}, beside {_text(diff.in_use)}</h2>\n<p>{_text(figures(diff))}</p>\n"
    if diff.latency:
        yield f"<p>{_text(latency_of(diff))}</p>\n"
    for verdict in diff.verdicts.values():
        kind = "good" if verdict.passed else "bad"
        yield f'<p class="{kind}">{_text(verdict.sentence)}</p>\n'
    if diff.recorded:
        yield f'<p class="soft">{_text(diff.recorded)}</p>\n'
    for reason in reasons(diff.not_comparable):
        yield f'<p class="soft">not compared {_text(reason)}</p>\n'
    if diff.classes:
        yield "<h3>Changes</h3>\n<table><tr><th>in use</th><th>new</th><th class=number>answers</th><th></th></tr>\n"
        most = max(change.count for change in diff.classes)
        yield from (_row(change, most) for change in diff.classes)
        yield "</table>\n"
        if diff.other_flips:
            yield f'<p class="soft">and {diff.other_flips} answers of other changes</p>\n'
    if diff.largest:
        yield '<h3>The largest changes</h3>\n<ul class="cards">\n'
        yield from (_card(change, pictures.get(change.name)) for change in diff.largest)
        yield "</ul>\n"


def _row(change: ClassChange, most: int) -> str:
    width = 100 * change.count / most
    return (
        f'<tr><td>{_text(change.before)}</td><td>{_text(change.after)}</td><td class="number">{change.count}</td>'
        f'<td><div class="bar" style="width:{width:.1f}%"></div></td></tr>\n'
    )


def _card(change: AnswerChange, picture: bytes | None) -> str:
    kind = "bad" if change.flipped else "soft"
    moved = "" if change.difference is None else f'<p class="soft">moved by {change.difference:.4g}</p>'
    digest = f'<p class="soft"><code>sha256:{_text(change.sha256[:12])}</code></p>' if change.sha256 else ""
    return (
        f"<li>{_picture(change, picture)}<div><p><b>{_text(change.name)}</b></p>"
        f"<p>{_text(change.before)}{_sure(change.score_before)}</p>"
        f'<p class="{kind}">→ {_text(change.after)}{_sure(change.score_after)}</p>{moved}{digest}</div></li>\n'
    )


def _picture(change: AnswerChange, data: bytes | None) -> str:
    kind = next((kind for magic, kind in _KINDS.items() if data and data.startswith(magic)), None)
    if data is None or kind is None or len(data) > LARGEST or change.source == "recorded":
        word = "not kept on record" if change.source == "recorded" else "no picture at hand"
        return f'<span class="picture none soft">{word}</span>'
    return (
        f'<img class="picture" alt="{_text(change.name)}" src="data:{kind};base64,{base64.b64encode(data).decode()}">'
    )


def _sure(score: float | None) -> str:
    return "" if score is None else f' <span class="soft">{100 * score:.1f} %</span>'


def _text(text: str) -> str:
    """A text for the page, with its secrets masked as in whatever the command prints."""
    return escape(mask(text), quote=True)
