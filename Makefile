# One word per task. `make` alone lists them.
.DEFAULT_GOAL := help
.NOTPARALLEL:
PY := .venv/bin/python
OURS := app blueprints workers infra bench drills tests migrations
PRESENT = $(wildcard $(OURS))

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## .venv, packages, jars and the browser library; quick when all is there
	@./infra/bootstrap.sh
	@$(PY) -m infra setup

.PHONY: run
run: setup ## the whole system until Ctrl-C; PORT=8001 for another port
	@$(PY) -m infra run

.PHONY: migrate
migrate: setup ## bring the database up to date
	@$(PY) -m infra migrate

.PHONY: demo
demo: setup ## people, posts, likes, comments and an administrator for a running system
	@$(PY) -m infra exec -- $(PY) -m app.demo

.PHONY: test
test: setup ## the whole suite, on real services of its own
	@$(PY) -m pytest $(ARGS)

.PHONY: e2e
e2e: setup ## only the tests that need the real services
	@$(PY) -m pytest -m service $(ARGS)

.PHONY: bench
bench: setup ## every figure beside its baseline
	@$(PY) -m bench $(ARGS)

.PHONY: drill
drill: setup ## break the services one by one and count what was lost
	@$(PY) -m drills $(ARGS)

.PHONY: diagnose
diagnose: setup ## health of each stage: lag, backlog, oldest age
	@$(PY) -m infra exec -- $(PY) -m app.diagnose

.PHONY: offsets
offsets: setup ## Kafka offsets of each group and partition
	@$(PY) -m infra exec -- $(PY) -m app.diagnose offsets

.PHONY: check
check: setup check-format check-lint check-types check-imports check-templates check-containers ## what CI runs before the tests (make -k check: all of it)

.PHONY: check-format check-lint check-types check-imports check-templates check-containers
check-format:
	$(PY) -m ruff format --check $(PRESENT)
check-lint:
	$(PY) -m ruff check $(PRESENT)
check-types:
	$(PY) -m mypy
	$(PY) -m mypy --strict infra
check-imports:
	.venv/bin/lint-imports
check-templates:
	@if [ -d jinja ]; then $(PY) -m djlint --lint jinja; fi
check-containers:
	$(PY) -m infra lint-compose
	@if [ -x .venv/bin/hadolint ]; then .venv/bin/hadolint Dockerfile; fi

.PHONY: format
format: setup ## let ruff format and repair what it can
	@$(PY) -m ruff format $(PRESENT)
	@$(PY) -m ruff check --fix $(PRESENT)

.PHONY: stop
stop: setup ## end the embedded services (of an earlier `python -m infra start`)
	@$(PY) -m infra stop
