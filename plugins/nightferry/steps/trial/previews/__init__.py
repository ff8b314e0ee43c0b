"""Previews: a model and a commit at an address of their own for some hours, compared with the release in use."""
