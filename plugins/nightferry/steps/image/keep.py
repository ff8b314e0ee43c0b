"""Which images of a service are needed, and which could go. No system is asked here: what was seen is given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nightferry.entities.image_ref import ImageRef
from nightferry.entities.state.service_state import KEPT_GOOD, ServiceState
from nightferry.entities.stored_image import StoredImage
from nightferry.steps.image.on_record import ImagesOnRecord

KEEP = KEPT_GOOD
"""How many good releases can always be gone back to, unless somebody says otherwise."""
OLDER_THAN = dt.timedelta(days=7)
RECENT = dt.timedelta(hours=6)
"""What was decided in this time is never removed: its release may just be looking for the image."""


@dataclass(frozen=True)
class Running:
    """An image that a cluster has something of."""

    environment: str
    release: str
    image: str
    in_use: bool = False
    """Users get it."""


@dataclass(frozen=True)
class Sight:
    """What was seen at one moment. There is none where something could not be looked at."""

    state: ServiceState
    record: ImagesOnRecord
    running: tuple[Running, ...]


@dataclass
class Needs:
    """What is needed, with the reasons, each as words."""

    digests: dict[str, list[str]] = field(default_factory=dict)
    tags: dict[str, list[str]] = field(default_factory=dict)
    images: dict[str, list[str]] = field(default_factory=dict)
    """Image -> the reasons why it has to be pullable."""

    def image(self, named: str, why: str) -> None:
        """An image is needed."""
        _note(self.images, named, why)
        _note(self.digests, named.partition("@")[2], why)


@dataclass(frozen=True)
class Found:
    """An image as the registry lists it."""

    stored: StoredImage
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """An image, and why it is kept."""

    found: Found
    release: str | None
    """Whose image it is, by the record."""
    why: tuple[str, ...]
    """Empty: it could go."""

    @property
    def image(self) -> ImageRef:
        """The image."""
        return self.found.stored.image


def needs_of(sight: Sight, keep: int) -> Needs:
    """What a service needs.

    Args:
        sight: record and clusters at one moment.
        keep: how many good releases are to be gone back to.
    """
    needs = Needs()
    for one in sight.running:
        needs.image(one.image, f"{'in use' if one.in_use else one.release + ' is there'} in {one.environment}")
    for environment, traffic in sight.state.traffic.items():
        _release(needs, sight, traffic.release, f"in use in {environment} by the record")
        for name in (traffic.previous, traffic.going_to):
            _release(needs, sight, name, f"{name} is the one before in {environment}")
    for name in last_good(sight, keep):
        _release(needs, sight, name, f"one of the last {keep} good releases" if keep > 1 else "the last good release")
    _release(needs, sight, sight.state.open, f"{sight.state.open} is under way")
    waiting = sight.state.waiting
    if waiting:
        needs.image(waiting.image, f"{waiting.release} waits")
    return needs


def last_good(sight: Sight, keep: int) -> list[str]:
    """The last good releases, newest first: those that the state remembers, then what ended well before them."""
    newest = list(reversed(sight.state.good))
    return [*newest, *(name for name in reversed(sight.record.fine) if name not in newest)][:keep]


def judge(
    found: Sequence[Found], sight: Sight, *, keep: int, older_than: dt.timedelta, now: dt.datetime
) -> list[Judged]:
    """Which of the images are kept, and why. What is not known is kept.

    Args:
        found: what the registry has.
        sight: record and clusters at one moment.
        keep: how many good releases are to be gone back to.
        older_than: what was asked for since is kept; at least RECENT.
        now: the time of the sight.
    """
    needs, since = needs_of(sight, keep), now - max(older_than, RECENT)
    images = {image.partition("@")[2]: release for release, image in sight.record.images.items()}
    judged = []
    for one in found:
        digest = one.stored.image.digest
        why = [*needs.digests.get(digest, []), *(word for tag in one.tags for word in needs.tags.get(tag, []))]
        why += _unknown(one, sight.record)
        if not why and _newest(one, sight.record) > since:
            why.append(f"asked for since {since:%Y-%m-%d %H:%M} UTC")
        release = next((tag for tag in reversed(one.tags) if tag in sight.record.images), images.get(digest))
        judged.append(Judged(one, release, tuple(dict.fromkeys(why))))
    return _with_parts(judged)


def _release(needs: Needs, sight: Sight, release: str | None, why: str) -> None:
    if not release:
        return
    _note(needs.tags, release, why)
    if tag := sight.record.inputs.get(release):
        _note(needs.tags, tag, why)
    if image := sight.record.images.get(release) or sight.state.images.get(release):
        needs.image(image, why)


def _unknown(one: Found, record: ImagesOnRecord) -> list[str]:
    """What the record does not know, or knows otherwise, is not ours to remove."""
    digest, why = one.stored.image.digest, []
    for tag in one.tags:
        if tag not in record.asked:
            why.append(f"the record does not know the tag {tag}")
        elif tag in record.images and not record.images[tag].endswith(digest):
            why.append(f"the record knows another image as {tag}")
    return why


def _newest(one: Found, record: ImagesOnRecord) -> dt.datetime:
    times = [record.asked[tag] for tag in one.tags] + [record.told.get(one.stored.image.digest, "")]
    return dt.datetime.fromisoformat(max(times))


def _with_parts(judged: Sequence[Judged]) -> list[Judged]:
    """An image that a kept index names is kept."""
    kept: Mapping[tuple[str, str], str] = {
        (one.image.repository, part): "part of an image that is kept"
        for one in judged
        if one.why
        for part in one.found.stored.parts
    }
    return [
        Judged(one.found, one.release, (kept[place],))
        if not one.why and (place := (one.image.repository, one.image.digest)) in kept
        else one
        for one in judged
    ]


def _note(into: dict[str, list[str]], name: str, why: str) -> None:
    known = into.setdefault(name, [])
    if why not in known:
        known.append(why)
