"""An app of somebody: its contract read, its requirements locked, and the Dockerfile that its image is built from."""
