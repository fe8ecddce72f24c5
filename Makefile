# Each target first checks what the build needs and installs what is missing (scripts/setup).
# ARGS reaches the program:  make demo ARGS="--data my/flights"

CARGO ?= cargo

.PHONY: help setup demo test bench ci clean

help:
	@echo "make demo    real flights through a windowed join, live in this terminal; no broker needed"
	@echo "make test    every test and every example of the documentation"
	@echo "make bench   the benchmark's workloads against the bundled log server, optimised build"
	@echo "make ci      what the continuous integration runs: format, lints, tests, documentation, licences"
	@echo "make setup   only check for, and install, what the build needs"
	@echo "make clean   remove what was built (RocksDB takes minutes to compile again)"

setup:
	@scripts/setup

demo: setup
	@echo "The first build compiles RocksDB and librdkafka: about a quarter of an hour on two cores, once."
	$(CARGO) run --locked -p examples --bin flights -- $(ARGS)

test: setup
	$(CARGO) test --locked --workspace $(ARGS)

bench: setup
	scripts/release run --locked -p benches --bin bench -- suite $(ARGS)

ci:
	.ci/run

clean: setup
	$(CARGO) clean
