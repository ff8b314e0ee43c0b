"""How a picture of any proportions becomes one of the model's size: which part of it, and how large."""

from __future__ import annotations

from typing import NamedTuple

from serving_app.model.model_dir import ImageSpec


class Fit(NamedTuple):
    """A part of the picture, and where it goes in the model's."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom in the picture."""
    size: tuple[int, int]
    """Width and height that the part is resized to."""
    at: tuple[int, int] = (0, 0)
    """Its left upper corner in the model's picture."""


def fit(spec: ImageSpec, width: int, height: int) -> Fit:
    """Return how a picture of this size is fitted."""
    if spec.fit == "cover":
        return _cover(spec, width, height)
    whole = (0.0, 0.0, float(width), float(height))
    if spec.fit == "stretch":
        return Fit(whole, (spec.width, spec.height))
    if spec.width * height <= spec.height * width:  # the width is what binds
        size = (spec.width, max(1, round(height * spec.width / width)))
    else:
        size = (max(1, round(width * spec.height / height)), spec.height)
    return Fit(whole, size, ((spec.width - size[0]) // 2, (spec.height - size[1]) // 2))


def _cover(spec: ImageSpec, width: int, height: int) -> Fit:
    """Cut the model's size out of the middle of the resized picture, of which nothing else is computed: all of a
    picture of 24,000,000 x 1 would be too much. Rounded as torchvision's Resize and CenterCrop do."""
    if spec.resize:
        resized = _shorter_side(spec.resize, width, height)
    elif spec.width * height >= spec.height * width:
        resized = (spec.width, spec.width * height // width)
    else:
        resized = (spec.height * width // height, spec.height)
    left, top = (round((have - want) / 2) for have, want in zip(resized, (spec.width, spec.height), strict=True))
    across, down = width / resized[0], height / resized[1]
    box = (left * across, top * down, (left + spec.width) * across, (top + spec.height) * down)
    return Fit((box[0], box[1], min(box[2], width), min(box[3], height)), (spec.width, spec.height))


def _shorter_side(size: int, width: int, height: int) -> tuple[int, int]:
    return (size, size * height // width) if width <= height else (size * width // height, size)
