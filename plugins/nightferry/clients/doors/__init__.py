"""The doors to outside systems: one Protocol for each, behind which an adapter and a fake stand alike."""
