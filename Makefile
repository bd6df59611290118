# Two commands are all a newcomer needs: `make demo` and `make test`. Each says which packages are missing and installs them.

PREFIX ?= /usr
DESTDIR ?=
SECONDS ?=
BROKERS ?=
PORT ?=
BORROWERS ?=
SEED ?=

.PHONY: help demo test build bench bench-training fuzz simulate-faults soak test-sanitizers format lint install clean

help:
	@echo 'make demo [SECONDS=60] [PORT=8080] [BROKERS=host:port]   see it work, on an embedded broker or a real Kafka'
	@echo 'make test                                  everything that must hold'
	@echo 'make build                                 .build/release/lendpulse'
	@echo 'make bench                                 what it costs, measured here'
	@echo 'make bench-training [BORROWERS=1000000]      how long training takes here; default: 20,000 borrowers'
	@echo 'make fuzz [SECONDS=600]                    hostile bytes into the decoders, for as long as said'
	@echo 'make simulate-faults [SEED=n]              crashes, rebalances and lost answers over a cluster in memory, without end'
	@echo 'make soak [SECONDS=600]                    the same done to a real Kafka of three nodes'
	@echo 'make test-sanitizers                       the tests under Address and Thread Sanitizer'
	@echo 'make format                                formats the sources'
	@echo 'make install [DESTDIR=...] [PREFIX=/usr]   binary, unit, schemas, examples'

demo: build
	@.build/release/lendpulse demo $(if $(SECONDS),--seconds $(SECONDS)) $(if $(PORT),--port $(PORT)) \
	  $(if $(BROKERS),--brokers $(BROKERS))

build:
	@scripts/install-packages build
	@scripts/build

test:
	@scripts/test

bench:
	@scripts/install-packages test
	@scripts/bench

bench-training:
	@scripts/install-packages build
	@$(if $(BORROWERS),BORROWERS=$(BORROWERS)) scripts/bench-training

fuzz:
	@scripts/install-packages build
	@scripts/fuzz $(SECONDS)

simulate-faults:
	@scripts/install-packages build
	@scripts/simulate-faults $(SEED)

soak:
	@scripts/install-packages test
	@scripts/soak $(SECONDS)

test-sanitizers:
	@scripts/install-packages test
	@scripts/test-sanitizers

format:
	swift format -i -r Package.swift Sources Tests Benchmarks

lint:
	swift format lint --strict -r Package.swift Sources Tests Benchmarks

# As root, or with DESTDIR as anybody.
install: build
	install -D -m 755 .build/release/lendpulse $(DESTDIR)$(PREFIX)/bin/lendpulse
	install -D -m 644 systemd/lendpulse.service $(DESTDIR)$(PREFIX)/lib/systemd/system/lendpulse.service
	sed -i 's|^ExecStart=/usr/bin/|ExecStart=$(PREFIX)/bin/|' $(DESTDIR)$(PREFIX)/lib/systemd/system/lendpulse.service
	install -D -m 644 systemd/lendpulse.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/lendpulse.conf
	install -D -m 644 examples/lendpulse.yaml $(DESTDIR)$(PREFIX)/share/doc/lendpulse/examples/lendpulse.yaml
	install -D -m 644 systemd/lendpulse.env $(DESTDIR)$(PREFIX)/share/doc/lendpulse/examples/lendpulse.env
	mkdir -p $(DESTDIR)$(PREFIX)/share/lendpulse/schemas
	cp -R schemas/. $(DESTDIR)$(PREFIX)/share/lendpulse/schemas/
	mkdir -p $(DESTDIR)$(PREFIX)/share/lendpulse/demo-models
	cp -R demo/models/. $(DESTDIR)$(PREFIX)/share/lendpulse/demo-models/
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/lendpulse/copyright

clean:
	rm -rf .build .build-test .build-fuzz .build-address .build-thread
