# make help lists what there is to make.
SHELL := /bin/bash
.DELETE_ON_ERROR:

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
INSTALL := deploy-examples/lab/install-packages
# What the Docker engine of make compose-test keeps: images above all.
DOCKER := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ironmaster-lab/docker
# How long make fuzz tries each fuzz target.
FUZZTIME ?= 10s

# Packages whose tests start real services, found by what they import; all others are unit packages.
IMPORTS = go list -f '{{.ImportPath}} {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}}' ./...
# The replay has a line of its own.
SERVICE_PACKAGES = $$($(IMPORTS) | awk '/deploy-examples\/lab/ && $$1 !~ /replay$$/ {print $$1}')
UNIT_PACKAGES = $$($(IMPORTS) | awk '!/deploy-examples\/lab/ {print $$1}')

# Python's deprecations are Nova's business. A module that cannot be imported, such as nova, is a failure.
nova-filter-tests := /usr/bin/python3 -B -W ignore -m unittest test_whole_disk_image_filter

# Tests against ironic, Nova and RabbitMQ of another Debian suite, in a folder that debian-root makes: release, suite.
# TestCrowd takes minutes and measures more than it proves about a release, TestCrashMatrix takes minutes too; TestMixed knows
# the conductor of Debian 12.
define release-tests
	deploy-examples/lab/debian-root $(2) "$${XDG_CACHE_HOME:-$$HOME/.cache}/ironmaster-lab/root-$(2)" \
		ironic-api ironic-conductor python3-nova python3-pymysql python3-psycopg2 rabbitmq-server
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && cp -r deploy-examples/nova-filter/. "$$dir" && BIND=$$dir \
		deploy-examples/lab/in-debian-root --as-me "$${XDG_CACHE_HOME:-$$HOME/.cache}/ironmaster-lab/root-$(2)" \
		env -C "$$dir" $(nova-filter-tests)
	IRONMASTER_RELEASE=$(1) go test -count=1 -p 1 -timeout 20m -skip '^TestCrowd$$|^TestMixed|^TestCrashMatrix$$' \
		./deploy-examples/lab ./messaging/rabbit ./conductor/wholeworker
	IRONMASTER_RELEASE=$(1) go test -count=1 -v -timeout 40m ./conductor/replay
endef

.PHONY: help build packages lint unit services test nova-filter test-mixed crash-matrix tempest test-2025.1 test-newest fuzz bench microbench kills chaos demo demo-stop e2e e2e-stop compose-test clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/ironmaster, a static binary
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/ironmaster ./cmd/ironmaster

packages: ## install the Debian packages that tests and the demo run (starts no service)
	$(INSTALL)

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then \
		echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

unit: ## tests that need nothing but Go and a C compiler, under the race detector
	go test -race -timeout 20m $(UNIT_PACKAGES)

services: build packages ## tests against RabbitMQ, databases, ironic-api, Glance, Keystone and Neutron, each package by itself
	go test -p 1 -timeout 30m -skip '^TestMixed' $(SERVICE_PACKAGES)
	@# The replay tells how many of the recorded cases came out the same, which go test shows only with -v.
	go test -v -timeout 30m ./conductor/replay

test-mixed: ## Python's conductor and this one on one database and one broker, and docs/migration.md step by step
	$(INSTALL) broker mariadb ironic conductor images iso
	go test -v -timeout 15m -run '^TestMixed' ./conductor/wholeworker

nova-filter: ## the Nova scheduler's filter, with Debian's python3-nova
	$(INSTALL) nova
	cd deploy-examples/nova-filter && $(nova-filter-tests)

test: packages lint unit nova-filter services test-mixed ## everything that must hold before a commit; .ci/run calls it

# CELL=deploy/writeSent#1/takeover is one cell, CELL=manage a flow.
crash-matrix: ## kill the worker at every instant of every flow, on both databases: more than an hour; FEW=1 for a part, CELL= for some
	$(INSTALL) broker mariadb postgresql ironic images iso
	go test -count=1 -v -timeout 6h -run '^TestCrashMatrix$$$(if $(CELL),//(census|cell)/$(CELL))' ./conductor/wholeworker $(if $(FEW),,-crash-matrix)

tempest: build ## OpenStack's API tests of ironic with Python's conductor and with this one; WRITE=1 puts the results into docs/tempest.md
	$(INSTALL) broker mariadb ironic conductor keystone tempest
	go run ./deploy-examples/tempest $(if $(WRITE),-write docs/tempest.md)

test-2025.1: build packages ## the whole worker and the replay against ironic and RabbitMQ of Debian 13
	$(call release-tests,2025.1,trixie)

test-newest: build packages ## the same against those of Debian sid
	$(call release-tests,newest,sid)

fuzz: ## try every fuzz target for FUZZTIME (10s)
	@set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
		done; done

bench: build ## measure Ironmaster beside the Python conductor, about ten minutes; STRICT=1 fails when a figure falls short
	$(INSTALL) broker mariadb ironic conductor tftp
	go run ./deploy-examples/bench $(if $(STRICT),-strict)

microbench: ## run the benchmarks of single parts
	go test -run '^$$' -bench . -benchmem ./...

kills: build ## kill Ironmaster KILLS (200) times during deployments, and Python's conductor PYTHON_KILLS (1) times beside it
	$(INSTALL) broker mariadb ironic conductor images iso
	go run ./deploy-examples/chaos kills -kills $(or $(KILLS),200) -python-kills $(or $(PYTHON_KILLS),1) -seed $(or $(SEED),1)

chaos: build ## three workers under kills, outages of RabbitMQ and MariaDB and network cuts: SEED=1, DURATION=5m
	$(INSTALL) broker mariadb ironic images
	go run ./deploy-examples/chaos storm -seed $(or $(SEED),1) -duration $(or $(DURATION),5m)

demo: build ## deploy an image onto three machines of a room; KEEP=1, TRANSPORT=json-rpc without a broker, IMAGE=windows-gpt
	$(INSTALL) $(if $(filter json-rpc,$(TRANSPORT)),,broker) ironic glance clients images
	KEEP=$(KEEP) go run ./deploy-examples/demo -transport=$(or $(TRANSPORT),oslo) -image=$(or $(IMAGE),linux)

demo-stop: ## end what make demo KEEP=1 left running
	go run ./deploy-examples/demo -stop

e2e: build ## deploy a real image onto virtual machines with a real agent; FIRMWARE=uefi or bios, IMAGE=partition, BOOT=pxe, ipxe or volume, DEPLOY=iscsi, CLEAN=0, KEEP=1
	$(INSTALL) broker ironic images machine network netboot
	FIRMWARE=$(FIRMWARE) IMAGE=$(IMAGE) BOOT=$(BOOT) DEPLOY=$(DEPLOY) CLEAN=$(CLEAN) KEEP=$(KEEP) go run ./deploy-examples/e2e

e2e-stop: ## end what make e2e KEEP=1 left running
	go run ./deploy-examples/e2e -stop

compose-test: build ## bring up docker-compose.yml in a Docker engine of its own, deploy machines, scale up and down
	go run -exec "deploy-examples/lab/in-docker-engine $(DOCKER)" ./deploy-examples/compose

clean: demo-stop e2e-stop ## remove what was built, and the lab's cached database files
	rm -rf bin .lab
	@# Folders with other Debian releases belong to root.
	@cache="$${XDG_CACHE_HOME:-$$HOME/.cache}/ironmaster-lab"; echo "rm -rf $$cache"; \
		rm -rf "$$cache" 2>/dev/null || sudo rm -rf --one-file-system "$$cache"
