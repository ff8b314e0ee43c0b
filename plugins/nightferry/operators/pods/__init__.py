"""The tasks that run the deployer in a pod: rolling out, verifying, retiring."""
