"""Matching and selection: which clusters meet a job's requirements, and which of them gets it."""
