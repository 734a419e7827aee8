"""Stratiform's control plane: a thin HTTP API, the job engine and one room for each OpenStack service."""
