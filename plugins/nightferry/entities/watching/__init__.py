"""What the watch over repositories remembers from look to look, and what it found."""
