"""One grammar of the places that models come from; what each system would refuse is refused when a file is read."""

from __future__ import annotations

import pytest
from nightferry.entities.service_file.model_address import ModelAddress, read_model_address
from nightferry.entities.service_spec import ModelSource

RIGHT = [
    ("azure-blob://models/digits", ("azure-blob", "models", "digits")),
    ("azure-blob://models/digits/", ("azure-blob", "models", "digits")),
    ("azure-blob://m-1/team a/Digits_v+2", ("azure-blob", "m-1", "team a/Digits_v+2")),
    ("azure-blob://models/größe/数字/100%", ("azure-blob", "models", "größe/数字/100%")),
    ("s3://models/digits", ("s3", "models", "digits")),
    ("s3://my.models-2/a/b/", ("s3", "my.models-2", "a/b")),
    ("s3://models/a!-_.*'()&$@=;:+ ,?b", ("s3", "models", "a!-_.*'()&$@=;:+ ,?b")),
    ("s3://models/dot.", ("s3", "models", "dot.")),
    ("mlflow://churn", ("mlflow", "churn", "")),
    ("mlflow://churn@champion", ("mlflow", "churn", "champion")),
    ("mlflow://Churn of 2026 (é)@blue_2-x", ("mlflow", "Churn of 2026 (é)", "blue_2-x")),
    ("mlflow://a@b@champion", ("mlflow", "a@b", "champion")),
]
WRONG = [
    "models/digits",
    "gs://models/digits",
    "S3://models/digits",
    "azure-blob://models",
    "azure-blob://models/",
    "azure-blob://models//",
    "azure-blob://models//digits",
    "azure-blob://models/a//b",
    "azure-blob://models/digits//",
    "azure-blob://my--models/digits",
    "azure-blob://-models/digits",
    "azure-blob://models-/digits",
    "azure-blob://Models/digits",
    "azure-blob://my.models/digits",
    "azure-blob://ab/digits",
    f"azure-blob://{'a' * 64}/digits",
    "azure-blob://models/a/../b",
    "azure-blob://models/./a",
    "azure-blob://models/dot.",
    "azure-blob://models/a\\b",
    "azure-blob://models/a\nb",
    "azure-blob://models/a\u202eb",
    "azure-blob://models/ a",
    "azure-blob://models/a /b",
    f"azure-blob://models/{'ä' * 257}",
    "s3://models",
    "s3://Models/digits",
    "s3://my_models/digits",
    "s3://my..models/digits",
    "s3://my.-models/digits",
    "s3://192.168.0.1/digits",
    "s3://xn--models/digits",
    "s3://models--x-s3/digits",
    "s3://models/..",
    "mlflow://",
    "mlflow:///",
    "mlflow://a/b",
    "mlflow://a:1",
    "mlflow://churn@",
    "mlflow://@champion",
    "mlflow://churn@latest",
    "mlflow://churn@Latest",
    "mlflow://churn@v3",
    "mlflow://churn@cham pion",
    "mlflow://churn\u200b",
    f"mlflow://{'a' * 257}",
    f"mlflow://churn@{'a' * 256}",
]


@pytest.mark.parametrize(("text", "parts"), RIGHT)
def test_an_address_is_read_into_its_parts(text: str, parts: tuple[str, str, str]):
    assert tuple(read_model_address(text)) == parts
    assert read_model_address(str(ModelAddress.parse(text))) == parts


@pytest.mark.parametrize("text", WRONG)
def test_what_a_system_would_refuse_is_refused(text: str):
    with pytest.raises(ValueError, match=r"\w"):
        read_model_address(text)


def test_two_spellings_of_one_place_are_one_repository():
    assert read_model_address("s3://models/digits/").repository == read_model_address("s3://models/digits").repository
    assert read_model_address("mlflow://churn@champion").repository == read_model_address("mlflow://churn").repository
    assert read_model_address("s3://models/digits").repository != read_model_address("s3://models/Digits").repository


def test_a_source_tells_its_scheme():
    assert ModelSource(repository="s3://models/digits").scheme == "s3"
    assert ModelSource(repository="azure-blob://models/digits/").prefix == "digits"


def test_what_a_decision_pinned_before_is_read_however_it_was_written():
    assert ModelSource(repository="azure-blob://my--models/a//b").container == "my--models"
