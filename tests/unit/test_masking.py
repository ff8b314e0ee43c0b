"""What is masked, and what is left alone."""

from __future__ import annotations

import pytest
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.frozen import Frozen
from nightferry.entities.preview import PreviewRequest
from nightferry.entities.reason import Reason
from nightferry.entities.trigger import Cause
from nightferry.entities.watching.push import Push
from nightferry.masking import mask, mask_all

GROWS = ("sig=a&" * 84)[:500]
"""As long as it may be; with its secrets masked it is longer."""


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://ada:hunter2@host/x.git", "https://***@host/x.git"),
        ("fatal: unable to access 'https://hunter2@host/x/': no", "fatal: unable to access 'https://***@host/x/': no"),
        ("https://ada:hun@ter2@host/x", "https://***@host/x"),
        ("ssh://git:hunter2@host/x", "ssh://git:***@host/x"),
        ("ada:hunter2@host:x.git", "ada:***@host:x.git"),
        ("https://a.example/c?sv=1&sig=hunter2%3D&se=2", "https://a.example/c?sv=1&sig=***&se=2"),
        ("AccountName=x;AccountKey=hunter2/+==;EndpointSuffix=y", "AccountName=x;AccountKey=***;EndpointSuffix=y"),
        ("SharedAccessSignature=sv=1&sig=hunter2", "SharedAccessSignature=***&sig=***"),
        ("Authorization: Bearer hunter2", "Authorization: ***"),
        ("it sent Bearer hunter2hunter2.x", "it sent Bearer ***"),
        ("it sent Basic dXNlcjpwdw==", "it sent Basic ***"),
        ("it sent SharedKey acct:hunter2/+=", "it sent SharedKey ***"),
        ("--token=hunter2 --x", "--token=*** --x"),
        ("AZURE_CLIENT_SECRET=hunter2", "AZURE_CLIENT_SECRET=***"),
        ('{"client_secret": "hunter2"}', '{"client_secret": "***"}'),
        ("ghp_" + "a1" * 18, "***"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl", "***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----\nx", "***\nx"),
    ],
)
def test_secrets_are_masked_and_stay_so(text: str, masked: str):
    assert mask(text) == masked
    assert mask(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:5100/digits@sha256:" + "a" * 64,
        "registry.example.com/digits:1.0@sha256:" + "a" * 64,
        "ssh://git@github.com/team/app and git@github.com:team/app.git",
        "http://127.0.0.1:8081/dags/release_digits/runs/request-a0e8f734d4b6a3b6",
        "mailto:eva@example.com eva@example.com",
        "The header says Basic authentication; Bearer tokens are refused.",
        "Wrong password: check the key, the token and the signature.",
        "digits-2026-11-21.9 is in use: model 2026-11-21-linear-b, source 2f7e1c9b.",
        "run:request-a0e8f734d4b6a3b6 slot:2026-11-21T01:00Z assignment=4",
        "Do: cat /srv/password; the image registry 127.0.0.1:5100 refuses: 401 (UNAUTHORIZED wrong credentials).",
    ],
)
def test_everything_else_is_left_alone(text: str):
    assert mask(text) == text


def test_values_are_masked_all_through_and_keep_their_shape():
    value = {"a": ["token=x", {"b": "c"}, 1, None, True], "reason": Reason.UNCHANGED}
    assert mask_all(value) == {"a": ["token=***", {"b": "c"}, 1, None, True], "reason": Reason.UNCHANGED}
    assert isinstance(mask_all(value)["reason"], Reason)


@pytest.mark.parametrize(
    "value",
    [
        ReleaseRequest(reason=GROWS),
        PreviewRequest(service="digits", model="m", reason=GROWS),
        Cause(kind="commit", by=GROWS, passed_over=(GROWS,)),
        Push(repositories=("x",), by=GROWS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_grows_when_it_is_masked_is_read_again(value: Frozen) -> None:
    """Else one reason, or one author of a commit, would make a decision that nobody can read any more."""
    assert "sig=a" not in str(value)
    assert type(value).model_validate(value.to_json()) == value
