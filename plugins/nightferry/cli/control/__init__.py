"""What a person says against a release: back to an earlier one, nothing new for now, never this one again. And what a
hand did to one, past the record."""
