"""Trying releases where nobody uses them: rehearsals and drills."""
