"""The profiles of `nightferry login`: the addresses of installations, and which of them count."""
