"""The doors to outside systems: a Protocol for each says what it promises and which errors it raises.

The adapters are in the folders, one for each vendor; vendors' exceptions end there.
"""
