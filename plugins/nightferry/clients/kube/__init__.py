"""Kubernetes clusters: `connection` opens one, `cluster` reads and changes the objects of a namespace."""
