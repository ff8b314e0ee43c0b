"""A base64 picture becomes the model's tensor, as model.json's `image` says."""

from __future__ import annotations

import base64
import contextlib
import io
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from serving_app.errors import NotQuick, bad_request
from serving_app.inputs import base64_text
from serving_app.inputs.fitting import fit
from serving_app.inputs.orientation import as_stored, is_on_its_side, orientation, upright
from serving_app.model.model_dir import DATATYPES, ImageSpec

FORMATS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    (b"GIF8", GifImageFile),
    (b"RIFF", WebPImageFile),
    (b"BM", BmpImageFile),
)
"""First bytes -> decoder. Only these: each further format is a parser that strangers can feed, and Pillow's own search
for one loads all forty on the first bad picture."""
NAMES = "PNG, JPEG, GIF, WebP or BMP"
BROKEN = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, struct.error)
"""What Pillow's decoders raise on a broken file."""
MAX_SCANS = 64
"""Passes of a progressive JPEG. Encoders make about ten; each costs the time of all pixels and may take five bytes."""
LARGE = 4_000_000
"""Pixels of a picture that takes so much memory that others of its kind wait for it."""
QUICK = 256 * 256
"""Pixels that are decoded in about a millisecond, whatever the few bytes are that they come in."""
STRIP = 256
"""Lines that are put on paper at a time."""
_one_at_a_time = threading.Lock()

Image.MAX_IMAGE_PIXELS = None  # our own limit stands in its place, checked before any pixel is decoded


class ImagePreprocessor:
    """Decodes pictures for one model."""

    def __init__(self, spec: ImageSpec, *, max_pixels: int) -> None:
        self._spec = spec
        self._max_pixels = max_pixels
        self._resample = Image.Resampling[spec.resample.upper()]
        self._paper = "L" if spec.mode == "L" else "RGB"
        # ((x / 255 * scale) - mean) / std, and x = 255 - pixel when inverted, folded into pixel * factor + offset
        mean, std = np.array(spec.mean, np.float64), np.array(spec.std, np.float64)
        sign, start = (-1.0, 255.0) if spec.invert else (1.0, 0.0)
        self._factor = (sign * spec.scale / 255.0 / std).astype(np.float32)
        self._offset = ((start * spec.scale / 255.0 - mean) / std).astype(np.float32)

    def batch(self, pictures: Sequence[object], field: str, *, quick: bool = False) -> NDArray[Any]:
        """Return the tensor for these pictures: base64 texts, or the files' bytes themselves.

        Args:
            pictures: one for each row.
            field: their name in messages.
            quick: whether nothing is to be decoded that takes long.

        Raises:
            NotQuick: together they have more than QUICK pixels.
            RequestError: a member is not a picture, or together they have too many pixels; it names which member.
        """
        left = self._max_pixels
        tensors = []
        for i, picture in enumerate(pictures):
            tensor, pixels = self._tensor(picture, f"{field}[{i}]", left, quick=quick)
            tensors.append(tensor)
            left -= pixels
        return np.stack(tensors)

    def warm_up(self) -> NDArray[Any]:
        """Return the tensor of a white picture, having decoded it as any other."""
        buffer = io.BytesIO()
        Image.new("L", (1, 1), 255).save(buffer, "PNG")
        return self.batch([base64.b64encode(buffer.getvalue()).decode()], "warm-up")

    def _tensor(self, picture: object, field: str, max_pixels: int, *, quick: bool) -> tuple[NDArray[Any], int]:
        file = self._open(_bytes(picture, field), field)
        count = file.width * file.height
        if count > max_pixels:
            raise bad_request(
                field,
                f"the picture is {file.width} x {file.height}; {self._max_pixels} pixels are taken in one request",
            )
        if quick and count + self._max_pixels - max_pixels > QUICK:
            raise NotQuick
        with _one_at_a_time if count > LARGE else contextlib.nullcontext():
            image = self._decode(file, field)
        pixels = np.asarray(image, dtype=np.float32).reshape(self._spec.height, self._spec.width, self._spec.channels)
        if self._spec.mode == "BGR":
            pixels = pixels[:, :, ::-1]
        tensor = pixels * self._factor + self._offset
        if self._spec.datatype == "UINT8":
            tensor = tensor.round()
        tensor = tensor.astype(DATATYPES[self._spec.datatype], copy=False)
        if self._spec.layout == "nchw":
            tensor = tensor.transpose(2, 0, 1)
        return np.ascontiguousarray(tensor).reshape(self._spec.shape), count

    def _open(self, data: bytes, field: str) -> ImageFile:
        """Read the picture's head, no pixels yet."""
        decoder = next((decoder for magic, decoder in FORMATS if data.startswith(magic)), None)
        if decoder is None:
            raise bad_request(field, f"not a picture; give {NAMES}")
        if decoder is JpegImageFile and data.count(b"\xff\xda") > MAX_SCANS:
            raise bad_request(field, f"the picture is drawn in more than {MAX_SCANS} passes")
        try:
            return decoder(io.BytesIO(data))
        except BROKEN as error:
            raise bad_request(field, "the picture is broken or cut short") from error

    def _decode(self, file: ImageFile, field: str) -> Image.Image:
        try:
            file.load()
        except BROKEN as error:
            raise bad_request(field, "the picture is broken or cut short") from error
        image = _on_paper(file, self._paper)
        return self._fitted(image, orientation(file))

    def _fitted(self, image: Image.Image, number: int) -> Image.Image:
        """Return the model's picture. It is turned upright when it has the model's size: a large one's copy would take
        as much memory again."""
        on_its_side = is_on_its_side(number)
        width, height = image.size[::-1] if on_its_side else image.size
        box, size, at = fit(self._spec, width, height)
        stored = size[::-1] if on_its_side else size
        part = upright(image.resize(stored, self._resample, as_stored(box, number, *image.size)), number)
        whole = (self._spec.width, self._spec.height)
        if part.size == whole:
            return part
        padding = self._spec.padding
        canvas = Image.new(self._paper, whole, padding if len(padding) == 3 else padding * len(self._paper))
        canvas.paste(part, at)
        return canvas


def _on_paper(image: Image.Image, mode: str) -> Image.Image:
    """Return a picture as L or RGB; where it is transparent, on white paper: that is what a person sees."""
    if image.mode.startswith("I"):
        return _scaled(image).convert(mode)
    if not image.has_transparency_data:
        return image.convert(mode)
    flat = Image.new(mode, image.size)
    for box in _strips(image):
        layer = image.crop(box).convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        paper.alpha_composite(layer)
        flat.paste(paper.convert("RGB").convert(mode), box)
    return flat


def _scaled(image: Image.Image) -> Image.Image:
    """Return grey of 16 bits as grey of 8, of which Pillow would make white of all but the darkest."""
    flat = Image.new("L", image.size)
    see_through = image.info.get("transparency")
    for box in _strips(image):
        strip = np.asarray(image.crop(box))
        grey = np.round(strip / 257).astype(np.uint8)
        if isinstance(see_through, int):
            grey[strip == see_through] = 255
        flat.paste(Image.fromarray(grey), box)
    return flat


def _strips(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes of a picture's strips: a large one's copies would take several times its memory."""
    for top in range(0, image.height, STRIP):
        yield 0, top, image.width, min(top + STRIP, image.height)


def as_text(picture: object) -> str:
    """Return a picture that was taken as the base64 text that stands for it."""
    if isinstance(picture, bytes):
        return base64.b64encode(picture).decode() if _is_picture(picture) else picture.decode("latin-1")
    return str(picture)


def _is_picture(data: bytes) -> bool:
    return data.startswith(tuple(magic for magic, _ in FORMATS))


def _bytes(picture: object, field: str) -> bytes:
    if isinstance(picture, bytes):
        if _is_picture(picture):
            return picture
        picture = picture.decode("latin-1")
    if not isinstance(picture, str):
        raise bad_request(field, "give the picture's bytes as a base64 text")
    data = base64_text.decode(picture, field)
    if not data:
        raise bad_request(field, "empty")
    return data
