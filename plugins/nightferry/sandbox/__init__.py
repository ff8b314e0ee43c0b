"""The parts of a release on one machine, all real: what `nightferry up` starts and `down` ends.

Here is the order of things; the folders hold the machine, what is built, the parts, and their supervision.
"""
