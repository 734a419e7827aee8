"""The certification's own tests (Tempest), run against a running cloud: `make interop SERVICE=compute`."""
