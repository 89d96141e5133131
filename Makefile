# Two commands do everything on a fresh Debian 12 machine: `make run` and `make test`.
# Rust and Node are taken as given; the rest comes with apt and npm.

RUST_NEEDED := 1.95
NODE_NEEDED := 20.19
TARGET      := x86_64-unknown-linux-gnu
CARGO_OUT   := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)/$(TARGET)

BUILD_PACKAGES := clang-14 libelf-dev zlib1g-dev pkg-config gcc libc6-dev
TEST_PACKAGES  := monero g++ python3 python3-dev python3-venv iproute2 nftables procps chromium fonts-noto-cjk openssh-server sshpass hydra rsyslog redis-server redis-tools nginx-light curl \
	wget socat netcat-openbsd xxd git logrotate kmod libcap2-bin e2fsprogs sqlite3 sudo cron systemd \
	dbus-daemon busybox-static openssl jq less lsof strace gdb tmux vim openjdk-17-jdk-headless docker.io

# The one program that loads a library (NVIDIA's) is dynamic, so it has a target folder of its own.
NVML_OUT    := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)/dynamic
NVML_FROM   := $(wildcard crates/nvml/src/*.rs) crates/nvml/Cargo.toml crates/model/src/gpu_round.rs crates/model/src/text.rs Cargo.lock

# Each fuzz target runs this long, seconds.
FUZZ_SECONDS ?= 60

.PHONY: run build test check bench quiet fuzz console nvml randomx needs needs-root needs-build needs-test

run: build
	dist/minesweep up

build: needs-build console nvml
	cargo build --release --locked -p minesweep
	@install -D $(CARGO_OUT)/release/minesweep dist/minesweep
	@echo "built dist/minesweep"

# Everything but the long runs. Needs root: sensors and responses are tested on the real kernel.
test: needs-root needs-build needs-test console nvml randomx
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd console && npm run --silent lint && npm run --silent test
	cargo test --workspace --locked
	$(MAKE) --no-print-directory build
	cd console && MINESWEEP_DEMO=$(abspath $(CARGO_OUT))/debug/examples/console_demo npm run --silent e2e

# What a change must pass before it is committed: format, lints, and the tests that need no root and no kernel feature.
check: needs-build console
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd console && npm run --silent lint && npm run --silent test
	cargo test --locked -p minesweep-model -p minesweep-traffic -p minesweep-detect -p minesweep-content -p minesweep-agent -p minesweep-server
	cargo test --locked -p minesweep --bin minesweep --test structure

console: needs
	@cd console && if [ ! -d node_modules ] || [ ! -f dist/index.html ] || [ -n "$$(find src public index.html tsconfig.json package.json package-lock.json vite.config.ts -newer dist/index.html 2>/dev/null | head -1)" ]; then \
		npm ci --silent --no-audit --no-fund && npm run --silent build; fi

nvml: dist/minesweep-nvml

dist/minesweep-nvml: $(NVML_FROM) | needs-build
	RUSTFLAGS="-C target-feature=-crt-static" cargo build --release --locked -p minesweep-nvml --target-dir $(NVML_OUT)
	@install -D $(NVML_OUT)/$(TARGET)/release/minesweep-nvml $@
	@echo "built $@"

# The real RandomX, in a Python of its own: what tests must see.
randomx: needs-test
	@target/randomx-venv/bin/python3 -c 'import randomx' 2>/dev/null || { \
		/usr/bin/python3 -m venv target/randomx-venv && target/randomx-venv/bin/pip install --quiet randomx==1.1.10.post3; }

needs:
	@.ci/needs rust $(RUST_NEEDED)
	@.ci/needs node $(NODE_NEEDED)

needs-root:
	@[ "$$(id -u)" = 0 ] || { echo "make test needs root: sensors and responses are tested on the real kernel; use sudo make test" >&2; exit 1; }

needs-build: needs
	@.ci/needs packages $(BUILD_PACKAGES)

needs-test: needs
	@.ci/needs packages $(TEST_PACKAGES)

# Figures of the line on this machine; rewrites docs/spec/limits.md.
bench: build
	@.ci/needs packages python3 bpftool yara
	python3 tests/long/figures.py dist/minesweep --write docs/spec/limits.md

# Honest heavy work beside the agent for half an hour, and real RandomX that must be seen all the same; then honest work
# of every other kind (builds, packages, backups, accounts, services) for 25 minutes.
quiet: build randomx
	@.ci/needs packages python3-numpy openssl xz-utils ffmpeg sysbench postgresql postgresql-contrib
	python3 tests/long/quiet.py dist/minesweep --python target/randomx-venv/bin/python3
	python3 tests/long/honest.py dist/minesweep

# Hostile bytes into every parser: no panic. Executions and coverage of each target stand in its last lines.
fuzz: needs-build
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-fuzz
	cd fuzz && python3 seeds.py
	@cd fuzz && for target in $$(cargo fuzz list); do echo "== $$target"; \
		RUSTC_BOOTSTRAP=1 cargo fuzz run $$target --sanitizer none --target $(TARGET) -- -max_total_time=$(FUZZ_SECONDS) \
			-print_final_stats=1 -verbosity=0 || exit 1; done
