"""What of a picture reaches the model, compared with Pillow and NumPy used plainly."""

from __future__ import annotations

import base64
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image, ImageOps

from serving_app.app import create_app
from serving_app.inputs.pictures import ImagePreprocessor
from serving_app.model_format import ImageSpec
from serving_app.settings import Settings
from tests.serving_app import models

ORIENTATION = 0x0112
LEVEL = 1.01
"""Pixels are rounded to whole numbers once for each direction: one step more or less."""


def photo(width: int = 61, height: int = 47) -> Image.Image:
    """A smooth picture that is different from each side."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    colours = (255 * x, 255 * y, 255 * (1 - x) * y + 90 * (x < 0.2))
    return Image.fromarray(np.stack(colours, -1).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(number: int) -> Any:
    exif = Image.Exif()
    exif[ORIENTATION] = number
    return exif


def seen(data: bytes, max_pixels: int = 24_000_000, **spec: Any) -> NDArray[Any]:
    """The tensor of one picture; pixels as they are, in rows of channels, if nothing else is said."""
    members = {"input": "x", "width": 20, "height": 20, "layout": "nhwc", "scale": 255.0, **spec}
    tensor: NDArray[Any] = ImagePreprocessor(ImageSpec(**members), max_pixels=max_pixels).batch([data], "input")[0]
    return tensor


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("how", [{}, {"fit": "cover"}, {"fit": "cover", "resize": 26}, {"fit": "contain"}])
def test_a_photo_is_seen_upright(number: int, kind: str, how: dict[str, Any]) -> None:
    data = encoded(photo(), kind, exif=turned(number))
    plain = encoded(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    size = {"width": 24, "height": 16}
    assert np.abs(seen(data, **size, **how) - seen(plain, **size, **how)).max() <= LEVEL


def test_all_orientations_of_one_scene_look_alike() -> None:
    scene = photo(64, 64)
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's Transpose that undoes the orientation
    for number, how in back.items():
        stored = scene.transpose(Image.Transpose(how))
        assert np.array_equal(
            seen(encoded(stored, exif=turned(number)), width=64, height=64), np.asarray(scene, np.float32)
        )


def exif_block(entries: list[tuple[int, int, int, int]], order: str = ">", start: int = 8) -> bytes:
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", start)
    return (
        head
        + struct.pack(f"{order}H", len(entries))
        + b"".join(struct.pack(f"{order}HHIHH", *entry, 0) for entry in entries)
    )


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II*",
        b"Exif\0\0",
        b"XX*\0" + bytes(20),
        exif_block([(ORIENTATION, 3, 1, 0)]),
        exif_block([(ORIENTATION, 3, 1, 9)]),
        exif_block([(ORIENTATION, 4, 1, 6)]),
        exif_block([(ORIENTATION, 3, 2, 6)]),
        exif_block([(ORIENTATION, 3, 1, 6)], start=2**32 - 1),
        exif_block([(1, 3, 1, 6)] * 3)[:-7],
    ],
)
def test_what_says_nothing_sound_about_orientation_is_passed_over(block: bytes) -> None:
    assert np.array_equal(seen(encoded(photo(), exif=block)), seen(encoded(photo())))


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(order: str) -> None:
    data = encoded(photo(), exif=exif_block([(1, 3, 1, 6), (ORIENTATION, 3, 1, 3)], order))
    assert np.array_equal(seen(data, width=61, height=47), np.asarray(photo(), np.float32)[::-1, ::-1])


def test_xmp_turns_nothing() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert np.array_equal(seen(encoded(photo(), "JPEG", xmp=xmp)), seen(encoded(photo(), "JPEG")))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_of_16_bits_is_scaled(mode: str) -> None:
    levels = np.linspace(0, 65535, 300 * 5).astype(np.uint16).reshape(300, 5)
    got = seen(encoded(Image.fromarray(levels)), mode=mode, width=5, height=300)
    for channel in range(got.shape[-1]):
        assert np.array_equal(got[:, :, channel], np.round(levels / 257))


def test_a_colour_of_16_bit_grey_that_is_see_through_is_paper() -> None:
    levels = np.array([[0, 1000], [1001, 65535]], np.uint16)
    got = seen(encoded(Image.fromarray(levels), transparency=1000), mode="L", width=2, height=2)
    assert got[:, :, 0].tolist() == [[0, 255], [4, 255]]


@pytest.mark.parametrize("size", [(61, 47), (47, 61), (300, 40), (33, 33), (10, 12)])
@pytest.mark.parametrize("resample", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
def test_published_preprocessing_is_resize_and_centre_crop(size: tuple[int, int], resample: str) -> None:
    """As torchvision's Resize(26) and CenterCrop((16, 24)) compute it."""
    image = photo(*size)
    short, long = min(size), max(size)
    other = int(26 * long / short)
    whole = image.resize((26, other) if size[0] <= size[1] else (other, 26), Image.Resampling[resample.upper()])
    left, top = round((whole.width - 24) / 2), round((whole.height - 16) / 2)
    wanted = np.asarray(whole, np.float32)[top : top + 16, left : left + 24]
    got = seen(encoded(image), width=24, height=16, fit="cover", resize=26, resample=resample)
    if resample in ("nearest", "box"):  # a pixel on the edge between two may fall either way
        assert (np.abs(got - wanted) <= LEVEL).mean() > 0.9
    else:
        assert np.abs(got - wanted).max() <= LEVEL


@pytest.mark.parametrize("size", [(61, 47), (47, 61), (300, 40), (24, 16), (48, 32)])
def test_cover_cuts_the_middle_out_of_the_whole_height_or_width(size: tuple[int, int]) -> None:
    wanted = ImageOps.fit(photo(*size), (24, 16), Image.Resampling.BILINEAR)
    got = seen(encoded(photo(*size)), width=24, height=16, fit="cover")
    assert np.abs(got - np.asarray(wanted, np.float32)).max() <= 8  # the middle to a whole pixel, as torchvision's
    assert np.abs(got - np.asarray(wanted, np.float32)).mean() <= 3


@pytest.mark.parametrize("size", [(61, 47), (47, 61), (300, 40), (24, 16), (1000, 1)])
def test_contain_leaves_room_in_the_padding_colour(size: tuple[int, int]) -> None:
    scale = min(24 / size[0], 16 / size[1])
    part = photo(*size).resize([max(1, round(side * scale)) for side in size], Image.Resampling.BILINEAR)
    wanted = Image.new("RGB", (24, 16), (114, 20, 7))
    wanted.paste(part, ((24 - part.width) // 2, (16 - part.height) // 2))
    got = seen(encoded(photo(*size)), width=24, height=16, fit="contain", padding=(114, 20, 7))
    assert np.array_equal(got, np.asarray(wanted, np.float32))


def test_one_number_pads_in_grey() -> None:
    got = seen(encoded(photo(10, 40)), fit="contain", padding=(114,))
    assert got[0, 0].tolist() == [114.0] * 3
    assert seen(encoded(photo(10, 40)), fit="contain", padding=(9,), mode="L")[0, 0].tolist() == [9.0]


@pytest.mark.parametrize("how", [{"fit": "cover"}, {"fit": "cover", "resize": 26}, {"fit": "contain"}])
@pytest.mark.parametrize("size", [(200_000, 1), (1, 200_000)])
def test_a_picture_like_a_thread_costs_no_more_than_its_pixels(how: dict[str, Any], size: tuple[int, int]) -> None:
    assert seen(encoded(Image.new("L", size, 255)), **how).max() == 255


def test_the_order_of_the_colours() -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    pixels = np.asarray(photo(20, 20), np.float64)[:, :, ::-1] / 255
    got = seen(encoded(photo(20, 20)), mode="BGR", scale=1.0, mean=mean, std=std, layout="nchw")
    assert np.allclose(got, ((pixels - mean) / std).transpose(2, 0, 1), atol=1e-6)


@pytest.mark.parametrize(("datatype", "dtype"), [("FP16", np.float16), ("UINT8", np.uint8), ("FP32", np.float32)])
def test_numbers_are_of_the_inputs_kind(datatype: str, dtype: type) -> None:
    got = seen(encoded(photo(20, 20)), datatype=datatype)
    assert got.dtype == dtype
    assert np.array_equal(got, np.asarray(photo(20, 20)))


@pytest.mark.parametrize(
    ("datatype", "element"), [("FP16", TensorProto.FLOAT16), ("UINT8", TensorProto.UINT8)], ids=["FP16", "UINT8"]
)
def test_a_model_of_another_kind_is_served(tmp_path: Path, datatype: str, element: int) -> None:
    """Its output is its input, so that what reaches the model is seen."""
    graph = helper.make_graph(
        [helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT)],
        "echo",
        [helper.make_tensor_value_info("image", element, [None, 4])],
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [None, 4])],
    )
    manifest = {
        **{"service": "echo", "version": "v1", "labels": list("abcd"), "scores": "logits"},
        "inputs": [{"name": "image", "datatype": datatype, "shape": [-1, 4]}],
        "outputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 4]}],
        "image": {"input": "image", "width": 2, "height": 2, "mode": "L", "layout": "flat", "scale": 255},
    }
    client = create_app(Settings(model_dir=models.write(tmp_path / "echo", graph, manifest))).test_client()
    data = encoded(Image.fromarray(np.array([[0, 7], [128, 255]], np.uint8)))
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(data).decode()]}
    answer = client.post("/v2/models/echo/infer", data=json.dumps({"inputs": [tensor]}))
    assert answer.json["outputs"][0]["data"] == [0, 7, 128, 255]
