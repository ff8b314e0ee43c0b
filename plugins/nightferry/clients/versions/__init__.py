"""What every model repository does in the same way, wherever its versions are kept: how a version is listed and pinned,
and how its files are written while they arrive.
"""
