# Targets for people and CI machines. Each target can be run again at any time and sets up what it needs itself.
SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# `make images` bakes the release build. The demo and the tests bake the build that the tests need anyway, so that nothing is
# compiled twice; `make demo PROFILE=release` demonstrates the release build.
PROFILE ?= release
demo test: PROFILE := dev
BUILT = target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
# Cargo compiles a dependency once for each set of its features, and that set depends on the packages that a command names. So
# every build that accompanies the tests names these two, as `scripts/test` does.
BOTH := --package swarmgate --package swarmgate-e2e
# What the images and a Swarm for them need.
LAB := --bin bake --bin demo-app --bin swarmlab
TOOLS := target/debug
IMAGES := target/images
# Symbols would triple the size of the images, and every node loads every image.
STRIPPED := target/images/programs
NGINX = $$(scripts/nginx-path)

.PHONY: help setup setup-demo tools lab images demo demo-down test lint bench

help:
	@echo 'make setup      install what the tests need (Debian packages, a recent nginx); quick if already installed'
	@echo 'make images     build swarmgate and bake all images into $(IMAGES), with a CycloneDX document about each of our own'
	@echo 'make demo       a real three-node Swarm with Swarmgate and demo applications; make demo-down removes it'
	@echo 'make test       unit tests, then end-to-end tests on real Swarms; with LONG=yes, longer fuzzing and more seeds'
	@echo 'make lint       formatting, lints, documentation, scripts; licences, advisories and use of dependencies'
	@echo 'make bench      measurements'

setup:
	@scripts/setup

setup-demo:
	@scripts/setup demo

# Every program, including `measure`.
tools:
	cargo build --locked $(BOTH) --bins

lab:
	cargo build --locked $(BOTH) $(LAB)

images: setup-demo
	cargo build --locked $(BOTH) $(LAB) $(if $(filter dev,$(PROFILE)),--bin swarmgate)
	$(if $(filter dev,$(PROFILE)),,cargo build --locked --package swarmgate --bin swarmgate --profile $(PROFILE))
	mkdir -p $(STRIPPED)
	install --strip $(BUILT)/swarmgate $(TOOLS)/demo-app $(STRIPPED)
	$(TOOLS)/bake swarmgate --binary $(STRIPPED)/swarmgate --out $(IMAGES)/swarmgate.tar --sbom $(IMAGES)/swarmgate.cdx.json
	$(TOOLS)/bake swarmgate-nginx --binary $(STRIPPED)/swarmgate --nginx $(NGINX) --out $(IMAGES)/swarmgate-nginx.tar --sbom $(IMAGES)/swarmgate-nginx.cdx.json
	$(TOOLS)/bake stock-nginx --nginx $(NGINX) --out $(IMAGES)/stock-nginx.tar
	$(TOOLS)/bake demo-app --binary $(STRIPPED)/demo-app --app-version v1 --out $(IMAGES)/demo-app-v1.tar
	$(TOOLS)/bake demo-app --binary $(STRIPPED)/demo-app --app-version v2 --out $(IMAGES)/demo-app-v2.tar

demo: images
	@scripts/demo

demo-down: lab
	@scripts/demo-down

test: setup images
	@scripts/test

lint:
	@scripts/setup lint
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items
	scripts/deny
	target/tools/cargo-machete/bin/cargo-machete --skip-target-dir
	shellcheck $$(grep -rlE '^#!/bin/(ba)?sh' scripts .ci e2e/assets)

bench:
	cargo bench --locked --package swarmgate-benches
