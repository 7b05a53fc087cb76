# What a person or a CI machine runs. Every target can be run again at any time; each brings what it needs itself.
SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# `make images PROFILE=dev` bakes a debug build: much quicker to build, for trying things out.
PROFILE ?= release
BUILT := target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
TOOLS := target/debug
IMAGES := target/images
# Symbols would make images three times as large, and every node loads every image.
STRIPPED := target/images/programs
NGINX = $$(scripts/nginx-path)

.PHONY: help setup tools images demo demo-down test lint bench

help:
	@echo 'make setup      install what the laboratory needs (Debian packages, a recent nginx); quick when it is there'
	@echo 'make images     build swarmgate and bake all images into $(IMAGES), with a CycloneDX document about each of our own'
	@echo 'make demo       a real three-node Swarm with Swarmgate and demo applications; make demo-down removes it'
	@echo 'make test       unit tests, then end-to-end tests on real Swarms'
	@echo 'make lint       formatting, lints, licences and advisories of dependencies'
	@echo 'make bench      measurements'

setup:
	@scripts/setup

# The laboratory's own programs: swarmlab, bake and demo-app.
tools:
	cargo build --locked --package swarmgate-e2e --bins

images: setup tools
	cargo build --locked --package swarmgate --bin swarmgate --profile $(PROFILE)
	mkdir -p $(STRIPPED)
	install --strip $(BUILT)/swarmgate $(TOOLS)/demo-app $(STRIPPED)
	$(TOOLS)/bake swarmgate --binary $(STRIPPED)/swarmgate --out $(IMAGES)/swarmgate.tar --sbom $(IMAGES)/swarmgate.cdx.json
	$(TOOLS)/bake swarmgate-nginx --binary $(STRIPPED)/swarmgate --nginx $(NGINX) --out $(IMAGES)/swarmgate-nginx.tar --sbom $(IMAGES)/swarmgate-nginx.cdx.json
	$(TOOLS)/bake stock-nginx --nginx $(NGINX) --out $(IMAGES)/stock-nginx.tar
	$(TOOLS)/bake demo-app --binary $(STRIPPED)/demo-app --app-version v1 --out $(IMAGES)/demo-app-v1.tar
	$(TOOLS)/bake demo-app --binary $(STRIPPED)/demo-app --app-version v2 --out $(IMAGES)/demo-app-v2.tar

demo: images
	@scripts/demo

demo-down: tools
	@scripts/demo-down

test: images
	@scripts/test

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	scripts/deny

bench:
	cargo bench --locked --package swarmgate
