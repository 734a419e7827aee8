"""Measurements of a running cloud and of the API alone, for docs/benchmarks.md. Nothing here asserts a time."""
