"""Which release an environment's users get: brought up, put into use, looked at, taken back, retired."""
