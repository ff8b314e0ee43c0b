"""Asking a running service whether it is the release it should be, and whether its answers are right.

Used on a candidate, before the switch and after it, always the same.
"""
