"""The member `image`: how a picture becomes the model's input."""

from __future__ import annotations

from serving_app.model_format.manifest import ImageSpec, Tensor
from serving_app.model_format.members import ManifestFault, Members

MEMBERS = (
    *("input", "width", "height", "mode", "layout", "mean", "std", "scale", "invert", "resample", "top_k"),
    *("fit", "resize", "padding"),
)
LARGEST = {"FP32": 3.4028235e38, "FP16": 65504.0, "UINT8": 255.0}
"""The datatypes that a picture can become, with the largest number that each holds."""


def image_spec(value: object, inputs: tuple[Tensor, ...]) -> ImageSpec:
    """Return the member `image`.

    Raises:
        ManifestFault: something in it is wrong, or it makes another tensor than the model's input.
    """
    members = Members(value, "image", MEMBERS)
    tensor = _tensor(members.text("input"), inputs)
    image = ImageSpec(
        input=tensor.name,
        width=members.whole("width", low=1),
        height=members.whole("height", low=1),
        mode=members.one_of("mode", ("L", "RGB", "BGR"), "RGB"),
        layout=members.one_of("layout", ("flat", "nchw", "nhwc"), "nchw"),
        mean=members.numbers("mean", (0.0,)),
        std=members.numbers("std", (1.0,)),
        scale=members.number("scale", 255.0 if tensor.datatype == "UINT8" else 1.0),
        invert=members.flag("invert", False),
        resample=members.one_of("resample", ("nearest", "box", "bilinear", "bicubic", "lanczos"), "bilinear"),
        fit=members.one_of("fit", ("stretch", "cover", "contain"), "stretch"),
        resize=members.whole("resize", 0, low=0),
        padding=_padding(members),
        datatype=tensor.datatype,
        top_k=members.whole("top_k", 3, low=1),
    )
    for name in ("mean", "std"):
        if len(getattr(image, name)) not in (1, image.channels):
            raise ManifestFault(f"image.{name} wants 1 or {image.channels} numbers")
    if 0 in image.std:
        raise ManifestFault("image.std holds 0, which nothing can be divided by")
    _check_fit(image, members)
    _check_shape(image, tensor)
    _check_range(image)
    return image


def _padding(members: Members) -> tuple[int, ...]:
    numbers = members.numbers("padding", (0.0,))
    if len(numbers) not in (1, 3) or not all(0 <= number <= 255 and number == int(number) for number in numbers):
        raise ManifestFault("image.padding wants 1 or 3 whole numbers from 0 to 255")
    return tuple(int(number) for number in numbers)


def _check_fit(image: ImageSpec, members: Members) -> None:
    if image.resize and image.fit != "cover":
        raise ManifestFault('image.resize goes with "fit": "cover", which cuts the middle out')
    if image.resize and image.resize < max(image.width, image.height):
        raise ManifestFault(
            f"image.resize is {image.resize}, too little to cut {image.width} x {image.height} out of any picture"
        )
    if members.get("padding", None) is not None and image.fit != "contain":
        raise ManifestFault('image.padding goes with "fit": "contain", which leaves room around the picture')
    if image.mode == "L" and len(image.padding) != 1:
        raise ManifestFault("image.padding wants 1 number, since the picture is grey")


def _tensor(name: str, inputs: tuple[Tensor, ...]) -> Tensor:
    tensor = next((t for t in inputs if t.name == name), None)
    if tensor is None:
        raise ManifestFault(f"image.input is {name!r}, which is not among inputs")
    if len(inputs) > 1:
        raise ManifestFault("a model for pictures has one input")
    if tensor.datatype not in LARGEST:
        raise ManifestFault(
            f"image.input {tensor.name} is {tensor.datatype}, and a picture becomes {', '.join(LARGEST)}; "
            "let the model take one of them and begin with a Cast"
        )
    return tensor


def _check_shape(image: ImageSpec, tensor: Tensor) -> None:
    fits = len(tensor.shape) == len(image.shape) + 1 and all(
        have in (-1, want) for have, want in zip(tensor.shape[1:], image.shape, strict=True)
    )
    if not fits:
        raise ManifestFault(
            f"image makes tensors of shape {list(image.shape)}, input {tensor.name} is {list(tensor.shape)}"
        )


def _check_range(image: ImageSpec) -> None:
    """Black and white are the ends of what a picture's channel becomes."""
    most = LARGEST[image.datatype]
    least = 0.0 if image.datatype == "UINT8" else -most
    for i in range(image.channels):
        mean, std = image.mean[i % len(image.mean)], image.std[i % len(image.std)]
        ends = sorted(((0.0 - mean) / std, (image.scale - mean) / std))
        if not least <= ends[0] <= ends[1] <= most:
            raise ManifestFault(
                f"image makes numbers from {ends[0]:g} to {ends[1]:g}, which {image.datatype} does not hold; "
                "mend scale, mean and std"
            )
