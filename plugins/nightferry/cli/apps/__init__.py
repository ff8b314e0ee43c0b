"""`nightferry app …`: what an app says about itself, its lock, and how it runs on this machine."""
