"""The Kubernetes objects of a service; those of a cluster are in `cluster/` as YAML."""
