"""Which way up a picture is to be seen: cameras store what the sensor saw, and beside it (Exif) how they were held."""

from __future__ import annotations

import struct

from PIL.Image import Image, Transpose

ORIENTATION = 0x0112
SHORT = 3
TRANSPOSES = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
Box = tuple[float, float, float, float]


def orientation(image: Image) -> int:
    """Return 1 to 8, as Exif numbers them; 1, which is upright, where nothing that can be read says another.

    Read here and not by Pillow, which parses every member, and looks into XMP too, where browsers do not.
    """
    data = image.info.get("exif")
    if not isinstance(data, bytes):
        return 1
    data = data.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    try:
        return 1 if order is None else _first_directory(data, order)
    except struct.error:
        return 1


def _first_directory(data: bytes, order: str) -> int:
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for i in range(count):
        tag, kind, values, value = struct.unpack_from(f"{order}HHIH", data, start + 2 + 12 * i)
        if tag == ORIENTATION:
            return value if (kind, values) == (SHORT, 1) and value in TRANSPOSES else 1
    return 1


def is_on_its_side(number: int) -> bool:
    """Return whether width and height change places."""
    return number >= 5


def as_stored(box: Box, number: int, width: int, height: int) -> Box:
    """Return where a part of the upright picture lies in the stored one.

    Args:
        box: left, top, right, bottom.
        number: the orientation.
        width: of the stored picture.
        height: of the stored picture.
    """
    left, top, right, bottom = box
    if is_on_its_side(number):
        left, top, right, bottom = top, left, bottom, right
    if number in (2, 3, 7, 8):
        left, right = width - right, width - left
    if number in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def upright(image: Image, number: int) -> Image:
    """Return a stored picture as it is to be seen."""
    return image.transpose(TRANSPOSES[number]) if number in TRANSPOSES else image
