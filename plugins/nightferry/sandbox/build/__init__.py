"""What the sandbox makes once and keeps: compiled programs, toolchains, images."""
