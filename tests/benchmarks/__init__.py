"""Measurements of a running cloud and of the API alone; figures go to docs/benchmarks.md. Nothing here asserts a time."""
