"""The preflight: whether this machine can run the labs, tried on one image."""
