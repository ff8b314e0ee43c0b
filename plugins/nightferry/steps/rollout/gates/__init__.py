"""What is asked of a candidate beside the release in use, before any user gets it."""
