"""The model: its folder, its session, and how several requests share it."""
