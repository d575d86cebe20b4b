# SPDX-License-Identifier: MIT
# Shortcuts for CMake: each target installs missing Debian packages, then builds.

PACKAGES_BUILD = build-essential cmake pkg-config libevent-dev libcjson-dev zlib1g-dev nettle-dev libssl-dev libelf-dev
PACKAGES_TEST = $(PACKAGES_BUILD) check libcurl4-openssl-dev curl openssl python3
PACKAGES_TEST_ALL = $(PACKAGES_TEST) slowhttptest apache2-utils whois strace valgrind nginx-light libnginx-mod-stream haproxy apache2 wrk debootstrap git \
	gcc-arm-linux-gnueabihf gcc-aarch64-linux-gnu qemu-user-static musl-tools dpkg-dev \
	transmission-daemon transmission-cli litecoind ustreamer sslscan nmap testssl.sh
# Debian's nodejs conflicts with a node from another source, and other systems have no chromium package: there the test is skipped.
PACKAGES_BROWSER = $(shell command -v node >/dev/null && command -v npm >/dev/null || echo nodejs npm; \
	command -v chromium >/dev/null || ! grep -qx ID=debian /etc/os-release || echo chromium)
PACKAGES_BENCH = $(PACKAGES_BUILD) python3 valgrind wrk nginx-light haproxy lighttpd libh2o-evloop-dev \
	libmicrohttpd-dev
PACKAGES_FUZZ = $(PACKAGES_BUILD) check libcurl4-openssl-dev clang
# The runtime of sanitizers and libFuzzer: clang's package only recommends it, and its name has clang's version, so clang is
# installed first. In some Debian releases it is part of a package that clang depends on.
CLANG_RUNTIME = $$([ -e "$$(clang --rtlib=compiler-rt -print-libgcc-file-name)" ] || echo "libclang-rt-$$(clang -dumpversion | cut -d. -f1)-dev")

# Per target of `make fuzz`.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=
JOBS ?= $(shell nproc)
CMAKE_FLAGS ?=

# The packages of these that are missing; it names them first.
install = @tools/install_packages.sh 'make $@' $(1)

# configure DIRECTORY, FLAGS
configure = cmake -S . -B $(1) $(2) $(CMAKE_FLAGS) > $(1).log || { cat $(1).log; exit 1; }; rm -f $(1).log
compile = cmake --build $(1) -j $(JOBS) -- --no-print-directory

# Many tests wait most of the time, so there are twice as many of them as processors.
CTEST = PATH="$(CURDIR)/build/tools:$$PATH" ctest --output-on-failure -j $$((2 * $(JOBS)))
TESTED_FILES = CMakeLists.txt Makefile *.md docs guard handlers server static tests tools
NOT_TESTED = ! -path '*/node_modules/*' ! -path '*/__pycache__/*'

.PHONY: run build test tested test-all test-exhaustive test-asan test-tsan fuzz bench container format clean help

help:
	@echo 'make run        build, and serve on http://127.0.0.1:8080 (ARGS="--listen 127.0.0.1:0" for flags); settings in build/settings.json'
	@echo 'make build      build only: build/pipit, build/libpipit.a, build/libpipit.so'
	@echo 'make test       the tests for every change: at most four minutes on two cores'
	@echo 'make test-all   every test, also in a browser, in a fresh Debian, under sanitizers and valgrind: about 25 minutes, make test included'
	@echo 'make fuzz       run libFuzzer, FUZZ_SECONDS=60 for each target'
	@echo 'make bench      measure beside nginx, h2o, evhttp and others (ARGS="--rounds 2 --seconds 1": a quick look)'
	@echo 'make container  build the image and try it, without an engine (root)'
	@echo 'make format     clang-format over the sources'

run: build
	@build/pipit --access-log - --settings build/settings.json $(ARGS)

build:
	$(call install,$(PACKAGES_BUILD))
	@$(call configure,build,-DCMAKE_BUILD_TYPE=Release -DPIPIT_TESTS=OFF)
	@$(call compile,build) --silent

test:
	$(call install,$(PACKAGES_TEST))
	@$(call configure,build,-DCMAKE_BUILD_TYPE=Release -DPIPIT_TESTS=ON)
	@$(call compile,build) --silent
	cd build && $(CTEST) -L quick
	@echo '$(CMAKE_FLAGS)' > build/quick.passed
	@echo 'all quick tests passed; make test-all runs the exhaustive ones too'

# The plain build is first: it fails fastest. Builds with sanitizers omit tests of other programs, such as a browser.
test-all: tested test-exhaustive test-asan test-tsan
	@echo 'all tests passed, the exhaustive ones too'

# Runs `make test`, unless it has passed and no file has changed since.
tested:
	@if [ -e build/quick.passed ] && [ "$$(cat build/quick.passed)" = '$(CMAKE_FLAGS)' ] && \
		[ -z "$$(find $(TESTED_FILES) -newer build/quick.passed -type f $(NOT_TESTED) -print -quit)" ]; then \
		echo 'make test has passed with these files'; \
	else \
		$(MAKE) --no-print-directory test; \
	fi

test-exhaustive: tested build/tools/prometheus
	$(call install,$(PACKAGES_TEST_ALL) $(PACKAGES_BROWSER))
	@$(MAKE) --no-print-directory tests/browser/node_modules tests/openapi/node_modules
	@$(call configure,build,-DCMAKE_BUILD_TYPE=Release -DPIPIT_TESTS=ON)
	@$(call compile,build) --silent
	cd build && $(CTEST) -L exhaustive

test-asan: tested
	@$(call configure,build-asan,-DCMAKE_BUILD_TYPE=Debug -DPIPIT_SANITIZE=address$(,)undefined)
	@$(call compile,build-asan) --silent
	cd build-asan && UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1 $(CTEST)

test-tsan: tested
	@$(call configure,build-tsan,-DCMAKE_BUILD_TYPE=Debug -DPIPIT_SANITIZE=thread)
	@$(call compile,build-tsan) --silent
	cd build-tsan && TSAN_OPTIONS=halt_on_error=1:history_size=7:suppressions=$(CURDIR)/tests/tsan.supp $(CTEST)

# Only the packages of the lock file, without their scripts: see .npmrc there.
tests/%/node_modules: tests/%/package-lock.json
	@cd tests/$* && npm ci --loglevel=error && touch node_modules

# Unpacked only: installing Debian's package would start a service.
build/tools/prometheus:
	@mkdir -p build/tools
	@if command -v prometheus >/dev/null && command -v promtool >/dev/null; then \
		ln -sf "$$(command -v prometheus)" "$$(command -v promtool)" build/tools/; \
	else \
		echo "unpacking prometheus"; \
		root=""; [ "$$(id -u)" = 0 ] || root=sudo; $$root apt-get update -qq; \
		cd build/tools && apt-get download -qq prometheus && dpkg -x prometheus_*.deb unpacked && \
		mv unpacked/usr/bin/prometheus unpacked/usr/bin/promtool . && rm -rf unpacked prometheus_*.deb; \
	fi

fuzz:
	$(call install,$(PACKAGES_FUZZ))
	$(call install,$(CLANG_RUNTIME))
	@tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS)

bench: build
	$(call install,$(PACKAGES_BENCH))
	@python3 tests/bench/run.py $(ARGS)

container:
	@tests/container/check.sh $(ARGS)

format:
	$(call install,clang-format git)
	@git ls-files --cached --others --exclude-standard -z '*.[ch]' | xargs -0 clang-format -i

clean:
	rm -rf build build-asan build-tsan build-fuzz tests/browser/node_modules tests/openapi/node_modules

, := ,
