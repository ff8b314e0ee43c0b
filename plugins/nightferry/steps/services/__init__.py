"""Service files: which services there are, and where their users call them."""
