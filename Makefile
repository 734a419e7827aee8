# The verbs of this repository. `make help` explains them.
.DEFAULT_GOAL := help
.PHONY: help cloud test lint molecule bench interop destroy

help:  ## Show the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

cloud:  ## From a fresh machine to a running cloud with a first server (again: changes nothing)
	@sh scripts/cloud

test:  ## Lint, unit, module, functional and molecule tests, with the time of each stage
	@sh scripts/test

lint:  ## ruff, mypy, yamllint and ansible-lint
	@sh scripts/test lint

molecule:  ## Deploy on a host with systemd, twice, and verify it with a guest
	@sh scripts/test molecule

bench:  ## Measure the running cloud (tests/benchmarks)
	@sh scripts/bench

interop:  ## Run the certification's tests: SERVICE=identity|image|compute|network|volume|object, or LIST=file
	@sh scripts/interop

destroy:  ## Remove everything that `make cloud` made
	@sh scripts/destroy
