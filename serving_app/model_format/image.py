"""The member `image`: how a picture becomes the model's input."""

from __future__ import annotations

import dataclasses

from serving_app.model_format.manifest import ImageSpec, Tensor
from serving_app.model_format.members import ManifestFault, Members


def image_spec(value: object, inputs: tuple[Tensor, ...]) -> ImageSpec:
    """Return the member `image`.

    Raises:
        ManifestFault: something in it is wrong, or it makes another tensor than the model's input.
    """
    members = Members(value, "image", [field.name for field in dataclasses.fields(ImageSpec)])
    image = ImageSpec(
        input=members.text("input"),
        width=members.whole("width", low=1),
        height=members.whole("height", low=1),
        mode=members.one_of("mode", ("L", "RGB"), "RGB"),
        layout=members.one_of("layout", ("flat", "nchw", "nhwc"), "nchw"),
        mean=members.numbers("mean", (0.0,)),
        std=members.numbers("std", (1.0,)),
        scale=members.number("scale", 1.0),
        invert=members.flag("invert", False),
        resample=members.one_of("resample", ("nearest", "box", "bilinear", "bicubic", "lanczos"), "bilinear"),
        top_k=members.whole("top_k", 3, low=1),
    )
    for name in ("mean", "std"):
        if len(getattr(image, name)) not in (1, image.channels):
            raise ManifestFault(f"image.{name} wants 1 or {image.channels} numbers")
    if 0 in image.std:
        raise ManifestFault("image.std holds 0, which nothing can be divided by")
    _check_tensor(image, inputs)
    return image


def _check_tensor(image: ImageSpec, inputs: tuple[Tensor, ...]) -> None:
    tensor = next((t for t in inputs if t.name == image.input), None)
    if tensor is None:
        raise ManifestFault(f"image.input is {image.input!r}, which is not among inputs")
    if len(inputs) > 1:
        raise ManifestFault("a model for pictures has one input")
    if tensor.datatype != "FP32":
        raise ManifestFault(
            f"image.input {tensor.name} is {tensor.datatype}, and a picture becomes FP32; "
            "let the model take FP32 and begin with a Cast"
        )
    fits = len(tensor.shape) == len(image.shape) + 1 and all(
        have in (-1, want) for have, want in zip(tensor.shape[1:], image.shape, strict=True)
    )
    if not fits:
        raise ManifestFault(
            f"image makes tensors of shape {list(image.shape)}, input {tensor.name} is {list(tensor.shape)}"
        )
