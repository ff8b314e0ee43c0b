"""Releases that are tried where nobody uses them: whose turn it is, and the rehearsal of earlier releases."""
