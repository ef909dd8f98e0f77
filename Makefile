# `make` without a target lists the targets.
.DEFAULT_GOAL := help
.NOTPARALLEL:
PY := .venv/bin/python
OURS := app blueprints workers infra harness bench drills docs tests migrations
PRESENT = $(wildcard $(OURS))

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## create .venv, install packages, download jars and browser libraries
	@./infra/bootstrap.sh
	@$(PY) -m infra setup

.PHONY: run
run: setup ## run the system until Ctrl-C; PORT=8001 for another port
	@$(PY) -m infra run

.PHONY: migrate
migrate: setup ## migrate the database
	@$(PY) -m infra migrate

.PHONY: demo
demo: setup ## add users, posts, likes, comments and an administrator to a running system
	@$(PY) -m infra exec -- $(PY) -m app.devtools.demo

.PHONY: storm
storm: setup ## send a storm of likes to a running system, both ways, and check it; ARGS="--likes 10000 --rate 300"
	@APP_MODE=testing $(PY) -m infra exec -- $(PY) -m app.devtools.storm $(ARGS)

.PHONY: unit
# Coverage slows every test of its run. These two folders reach all of app/domain; only delivery uses
# domain/resume.py.
UNIT_TESTS = $(PY) -m pytest -n 2 -m "not service and not browser and not drill and not slow"
MEASURED_TESTS = tests/unit/domain tests/unit/delivery
unit: setup ## quick tests without services, and full branch coverage of app/domain
	@$(UNIT_TESTS) $(MEASURED_TESTS) \
		--cov=app/domain --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100 $(ARGS)
	@$(UNIT_TESTS) tests/unit $(addprefix --ignore=,$(MEASURED_TESTS)) $(ARGS)

.PHONY: test
test: setup ## all tests but the drills, on services of their own; under 20 minutes
	@$(PY) -m pytest -n 2 --dist loadscope -m "not drill" $(ARGS)

.PHONY: e2e
e2e: setup ## only the tests of real processes and pages
	@$(PY) -m pytest tests/e2e tests/browser -m "not drill" $(ARGS)

.PHONY: bench
bench: setup ## run the benchmarks and compare them with their baselines
	@$(PY) -m bench $(ARGS)

.PHONY: drill
drill: setup ## break the services one by one and count what was lost, then run the long tests
	@$(PY) -m drills $(ARGS)
	@if [ -z "$(ARGS)" ]; then $(PY) -m pytest -m drill; fi

.PHONY: diagnose
diagnose: setup ## print the health of each stage: lag, backlog, oldest age
	@$(PY) -m infra exec -- $(PY) -m app.operations.diagnose

.PHONY: offsets
offsets: setup ## print the Kafka offsets of each group and partition
	@$(PY) -m infra exec -- $(PY) -m app.operations.diagnose offsets

.PHONY: check
check: setup check-format check-lint check-types check-imports check-templates check-containers ## lint, types, imports, templates, containers, as in CI (make -k check: do not stop at an error)

.PHONY: check-format check-lint check-types check-imports check-templates check-containers
check-format:
	$(PY) -m ruff format --check $(PRESENT)
check-lint:
	$(PY) -m ruff check $(PRESENT)
check-types:
	$(PY) -m mypy
check-imports:
	.venv/bin/lint-imports
check-templates:
	@if [ -d jinja ]; then $(PY) -m djlint --lint jinja; fi
check-containers:
	$(PY) -m infra lint-compose
	@if [ -x .venv/bin/hadolint ]; then .venv/bin/hadolint Dockerfile; fi

.PHONY: format
format: setup ## format the code and fix lint errors with ruff
	@$(PY) -m ruff format $(PRESENT)
	@$(PY) -m ruff check --fix $(PRESENT)

.PHONY: stop
stop: setup ## stop the embedded services that `python -m infra start` started
	@$(PY) -m infra stop
