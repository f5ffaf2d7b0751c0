# Each target does all its set-up. What it needs: a Rust toolchain, and for the tests Python 3.
# The demo and the tests share one profile and one target directory, so whichever comes second builds little.

.PHONY: demo test test-full test-gpu bench lint
.DEFAULT_GOAL := help

DATA ?=

help:
	@echo "make demo               a dataset becomes a versioned repository, step by step"
	@echo "make demo DATA=folder   the same with your own pictures"
	@echo "make test               all tests but the long ones; the last line counts them"
	@echo "make test-full          all tests, the long ones at their stated sizes, on a release build of their own"
	@echo "make test-gpu           the loader on an NVIDIA GPU, value for value against the CPU; says so where there is none"
	@echo "make bench              benchmarks, on the release build of test-full"
	@echo "make lint               formatting and clippy"

demo: has-cargo
	cargo build --features candle --bin dsv --example scenes
	@sh scripts/demo.sh "$(DATA)"

test: has-cargo has-python
	@python3 scripts/test.py

test-full: has-cargo has-python
	@python3 scripts/test.py --full

test-gpu: has-cargo has-python
	@python3 scripts/gpu.py

bench: has-cargo has-python .bench/ready
	DSV_BENCH_PYTHON=$(CURDIR)/.bench/bin/python cargo bench --profile full

# What the benchmarks compare with.
.bench/ready: benches/requirements.txt
	python3 -m venv --clear .bench
	.bench/bin/pip install --quiet --disable-pip-version-check -r benches/requirements.txt
	touch $@

lint: has-cargo
	cargo fmt --all --check
	cargo clippy --all-targets --features candle -- -D warnings
	cargo clippy -p dsv-python --features candle -- -D warnings

.PHONY: help has-cargo has-python
has-cargo:
	@command -v cargo >/dev/null || { echo "error: cargo is missing: install a Rust toolchain (rustup.rs)" >&2; exit 2; }

has-python:
	@command -v python3 >/dev/null || { echo "error: python3 is missing: install Python 3.8 or newer" >&2; exit 2; }
