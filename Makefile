# SPDX-License-Identifier: BSD-2-Clause
# waf builds (see wscript); these are the names that people expect.
#
# BUILD is the folder of the build: build/ unless ./configure was told otherwise, and each folder
# is a configuration of its own. `make test` uses build/, build-asan/ and build-tsan/ whatever BUILD
# says.
#
#   make [all] test test-fast test-samba demo bench bench-tevent install uninstall dist distcheck clean distclean
#   ROWS=P1,P5 what make bench measures
#   T='-k timer --only plain'   arguments for the test driver (see buildtools/run_tests.py --help)

-include config.mk
BUILD ?= build
PLAIN = build
ASAN = build-asan
TSAN = build-tsan
RELEASE = build-release

# A checkout is for developers; a release is for everybody.
DEVELOPER = $(if $(wildcard .git),$(if $(filter $(RELEASE),$(1)),,--developer))

lock = $(if $(filter build,$(1)),.lock-waf_linux_build,.lock-waf-$(1))
# $(call waf,folder,configure options,arguments): configures the folder first if it is not yet
waf = $(if $(wildcard $(call lock,$(1))),,CONFIG_MK=no BUILD=$(1) ./configure $(DEVELOPER) $(2) && ) \
	BUILD=$(1) buildtools/waf $(3)
comma := ,
space := $(subst ,, )
kind = $(if $(filter $(ASAN),$(1)),--sanitize=address$(comma)undefined) \
	$(if $(filter $(TSAN),$(1)),--sanitize=thread)
# ThreadSanitizer is for some programs only: those that the driver would run.
tsan_targets = $(shell buildtools/run_tests.py --only tsan --list | \
	sed 's/ .*//; s,/,-,g; s/^/talev-/' | paste -sd,)
# Some of them run the daemon.
plugins_of = $(patsubst $(1)/%.c,talev-plugin-$(2)-%,$(wildcard $(1)/*.c))
daemon_targets = $(subst $(space),$(comma),$(strip talev-talevd talev-talevctl \
	$(call plugins_of,lib/plugind/plugins,plugins) \
	$(call plugins_of,tests/plugind/plugins,tests-plugins)))

MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.PHONY: all demo test test-fast test-samba check tests install uninstall bench bench-tevent dist distcheck \
	clean distclean

all:
	@$(call waf,$(BUILD),$(call kind,$(BUILD)),build)

demo:
	@buildtools/bootstrap build demo
	@$(call waf,$(BUILD),$(call kind,$(BUILD)),build)
	@BUILD=$(CURDIR)/$(BUILD) LD_LIBRARY_PATH=$(CURDIR)/$(BUILD) tests/demo/demo.sh

tests:
	@$(call waf,$(BUILD),$(call kind,$(BUILD)),build --tests)

# Without the real programs of Samba their tests are skipped, and say so.
test check:
	@buildtools/bootstrap
	-@buildtools/bootstrap samba
	@$(call waf,$(PLAIN),,build --tests)
	@$(call waf,$(ASAN),$(call kind,$(ASAN)),build --tests)
	@$(call waf,$(TSAN),$(call kind,$(TSAN)),build --tests --targets=$(tsan_targets)$(comma)$(daemon_targets))
	@buildtools/run_tests.py $(T)

test-fast:
	@buildtools/bootstrap
	@$(call waf,$(PLAIN),,build --tests)
	@buildtools/run_tests.py --only checks,plain $(T)

test-samba:
	@buildtools/bootstrap build test samba
	@$(call waf,$(PLAIN),,build)
	@buildtools/run_tests.py -j 1 --only scripts -k '^tests/(samba|tevent)/' $(T)

# What is measured is what is released. ROWS=P1,P5 limits it, B='--rounds 3' are other options.
bench:
	@buildtools/bootstrap build bench
	@$(call waf,$(RELEASE),,build)
	@BUILD=$(CURDIR)/$(RELEASE) tests/bench/bench.py $(B) $(ROWS)

# The drop-in beside the tevent of the system, both under programs that were built for that.
bench-tevent:
	@buildtools/bootstrap build bench samba
	@$(call waf,$(RELEASE),,build)
	@tests/bench/bench_tevent.py --build $(RELEASE) $(B)

install:
	@$(call waf,$(BUILD),$(call kind,$(BUILD)),install --destdir="$(DESTDIR)")

uninstall:
	@$(call waf,$(BUILD),$(call kind,$(BUILD)),uninstall --destdir="$(DESTDIR)")

dist:
	@buildtools/waf dist

distcheck: dist
	@buildtools/distcheck

# Only what was configured can be cleaned; a fresh tree is clean.
clean:
	@for lock in .lock-waf_linux_build .lock-waf-build-*; do \
		[ -f "$$lock" ] || continue; \
		case $$lock in *_linux_build) b=build ;; *) b=$${lock#.lock-waf-} ;; esac; \
		BUILD=$$b buildtools/waf clean || exit 1; \
	done
	@rm -rf build/test-logs

distclean:
	@rm -rf build build-* .lock-waf* config.mk config.mk.new .waf .waf3-* .waf-*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
