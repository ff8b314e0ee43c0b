"""Values that cannot change: what Nightferry speaks of. They do no input or output, and know nothing but each other."""
