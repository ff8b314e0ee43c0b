"""The ways back: what was wrong is taken out of use, a person rolls back, and what was left undone is finished."""
