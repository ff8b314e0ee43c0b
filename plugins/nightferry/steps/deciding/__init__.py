"""Whether there is a release, why, and of what."""
