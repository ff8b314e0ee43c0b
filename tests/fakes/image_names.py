"""Image repositories that ours and a Docker engine's reading of them are compared on."""

from __future__ import annotations

REPOSITORIES = (
    *("localhost/digits", "127.0.0.1:5000/digits", "registry.example.com/team/digits", "registry.example:443/a/b/c"),
    *(
        "Registry.Example.com/digits",
        "r.io/a.b",
        "r.io/a_b",
        "r.io/a__b",
        "r.io/a-b",
        "r.io/a--b",
        "r.io/a---b",
        "r.io/0",
    ),
    *("nightferry.azurecr.io/team-a/digits", f"r.io/{'a' * 240}"),
)
"""Right for both."""
NEITHER = (
    *("r.io/", "r.io/Digits", "r.io/DIGITS", "r.io/di gits", "r.io/digits/", "r.io//digits", "r.io/-digits"),
    *(
        "r.io/digits-",
        "r.io/_digits",
        "r.io/a___b",
        "r.io/a..b",
        "r.io/a._b",
        "r.io/a-_b",
        "r.io/.a",
        "r.io/a.",
        "r.io/é",
    ),
    *(
        "https://r.io/digits",
        "r.io/digits?x",
        "-r.io/digits",
        "r.io:port/digits",
        "r.io:/digits",
    ),
    *("user:pass@r.io/digits", "r.io/digits\n", f"r.io/{'a' * 300}"),
)
"""Refused by both."""
OURS_ALONE = {
    "[2001:db8::1]:5000/digits": "host name",
    "r_x.io/digits": "host name",
    "": "registry",
    "digits": "registry",
    "team/digits": "registry",
    "library/team/digits": "registry",
    "r.io/digits:1.0": "tag",
    "r.io/digits@sha256:" + "a" * 64: "digest",
    "r.io:0/digits": "port",
    "r.io:65536/digits": "port",
}
"""Names for one Docker engine or another that Nightferry cannot release to; with a word of why."""
