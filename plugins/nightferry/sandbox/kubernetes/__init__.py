"""The one-node Kubernetes: its programs, files, certificates, and what it holds before the first release."""
