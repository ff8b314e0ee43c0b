"""`nightferry release`: ask for a release, watch it, show what came of it, or only say what would be decided."""
