"""A service's images: what is kept and why, what could go, and whether all that is needed can be pulled."""
