"""Image registries that speak the OCI distribution protocol.

`oci` is the door, `session` its connection, `auth` its credentials.
"""
