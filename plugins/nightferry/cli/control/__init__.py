"""What a person says against a release: back to an earlier one, nothing new for now, never this one again; and what somebody said
to the cluster instead."""
