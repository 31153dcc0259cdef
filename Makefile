# Needs make, PyPI and Python >= 3.11 with venv; everything else is set up in .venv and .cache.

VENV := .venv
BIN := $(VENV)/bin
UV := $(VENV)/.uv/bin/uv
KAFKA_LIBS := .cache/kafka/libs
STRIMZI := .cache/strimzi
LIBRARIES := .cache/bench/libraries
CONNECT_LIBS := .cache/connect/libs
TELEGRAF := .cache/telegraf/telegraf
CHECKOV := .cache/checkov
CLUSTER := PYTHONPATH=images python tests/devcluster/cluster_run.py
CHART_GO := PYTHONPATH=images:tests:tests/devcluster python -m support.chart.go
ACTIONLINT := v1.7.8
ARGS ?=

export UV_PROJECT_ENVIRONMENT := $(CURDIR)/$(VENV)
export UV_PYTHON_DOWNLOADS := never
export PATH := $(CURDIR)/$(BIN):$(PATH)
export NO_MKDOCS_2_WARNING := 1

.PHONY: help
help: ## list the targets
	@echo 'usage: make TARGET [ARGS="…"]'
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

.PHONY: up
up: $(VENV)/.local ## run the whole pipeline on this machine: make up ARGS="--duration 60s"
	@exec sensorpipe up $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## run the tests; what is absent here skips and says which command brings it
	@exec pytest $(ARGS)

.PHONY: test-unit
test-unit: $(VENV)/.dev ## run the tests that start no process and use no socket, with fewer random examples
	@exec pytest tests/unit --hypothesis-profile=quick $(ARGS)

.PHONY: test-promise
test-promise: $(VENV)/.dev ## run all tests, those that take minutes as well
	@exec pytest -m "promise or not promise" $(ARGS)

.PHONY: test-kafka
test-kafka: $(KAFKA_LIBS)/.complete ## bring Kafka 4.3.1 for the tests (Java 17 and Maven; about 45 MB)

.PHONY: test-strimzi
test-strimzi: $(STRIMZI)/.complete ## bring Strimzi's CRDs for the tests (Java 21 and Maven; about 40 MB)

.PHONY: test-schemas
test-schemas: $(VENV)/.dev ## bring the schemas that the chart is checked against (Go; about 16 MB)
	@$(CHART_GO) schemas

.PHONY: test-helm3
test-helm3: $(VENV)/.dev ## build Helm 3 for the tests of the chart (Go; minutes)
	@$(CHART_GO) helm3

.PHONY: test-promtool
test-promtool: $(VENV)/.dev ## build promtool for the tests of the alerts (Go; minutes)
	@$(CHART_GO) promtool

.PHONY: test-scanners
test-scanners: $(CHECKOV)/.complete ## bring kube-score and checkov for the chart (Go; checkov is about 190 MB from PyPI)
	@$(CHART_GO) kube-score

.PHONY: test-cluster
test-cluster: $(VENV)/.dev ## run the cluster tests: a cluster given, kind's, or one of our own
	@$(CLUSTER) prepare
	@exec pytest -m "cluster and not promise" $(ARGS)

.PHONY: chart-docs
chart-docs: $(VENV)/.dev ## make the chart's README from its values and README.md.gotmpl (Go)
	@"$$($(CHART_GO) helm-docs)" --chart-search-root charts --sort-values-order file \
		--log-level warning

.PHONY: manifests
manifests: ## render manifests/development.yaml from the chart: make manifests [HELM=PROGRAM]
	@command -v '$(or $(HELM),helm)' >/dev/null || { \
		echo 'this needs Helm: put it on the PATH, or make manifests HELM=PROGRAM' >&2; exit 1; }
	@mkdir -p .cache
	@HELM='$(or $(HELM),helm)' manifests/render.sh >.cache/development.yaml
	@mv .cache/development.yaml manifests/development.yaml

.PHONY: test-programs
test-programs: $(VENV)/.dev ## build what a cluster of the tests' own runs, helm included (Go; minutes)
	@$(CLUSTER) programs

.PHONY: cluster-up
cluster-up: $(VENV)/.dev ## start a cluster that stays, for the cluster tests or for you
	@$(CLUSTER) prepare
	@$(CLUSTER) up

.PHONY: cluster-down
cluster-down: $(VENV)/.dev ## remove the cluster of cluster-up, and what crashes left
	@$(CLUSTER) down

.PHONY: kind-demo
kind-demo: ## everything on a kind cluster of its own, with Strimzi, to the API's answer (Docker)
	@exec manifests/kind-demo.sh $(ARGS)

.PHONY: images
images: ## build the images of all programs: make images ARGS="generator --archives dist"
	@$(FIND_PYTHON); exec "$$found" images/build.py $(ARGS)

.PHONY: check
check: $(VENV)/.dev ## lint, formatting, types, import contracts, generated code, documentation
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache
	pytest -q tests/repo/test_schema_protobuf.py -k fresh
	python docs/reference.py --check
	mkdocs build --quiet --site-dir .cache/site

.PHONY: check-workflows
check-workflows: ## lint the GitHub workflows by actionlint (Go)
	@go run github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT) $(wildcard .github/workflows/*.yml)

.PHONY: docs
docs: $(VENV)/.dev ## serve the documentation at http://127.0.0.1:8000
	@exec mkdocs serve $(ARGS)

.PHONY: reference
reference: $(VENV)/.dev ## bring the generated parts of docs/ up to date
	@exec python docs/reference.py

.PHONY: picture
picture: $(VENV)/.dev ## make docs/live-view.svg anew from a run of 90 s, in a terminal
	@exec python docs/picture.py

.PHONY: page-picture
page-picture: $(VENV)/.dev ## make docs/page.png anew from a run of 16 minutes (Chromium)
	@exec python docs/page_picture.py $(ARGS)

.PHONY: campaign
campaign: $(VENV)/.dev ## try the pipeline under random faults: make campaign ARGS="--runs 20"
	@PYTHONPATH=tests:tests/campaign exec python tests/campaign/campaign_run.py $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev ## time the programs against their limits: make bench ARGS="compactor store"
	@PYTHONPATH=images:tests:tests/devcluster exec python tests/bench/run.py $(ARGS)

.PHONY: bench-libraries
bench-libraries: $(LIBRARIES)/.complete ## time the libraries in use against those first named
	@PYTHONPATH=images:tests:tests/bench:tests/devcluster exec $(LIBRARIES)/bin/python \
		tests/bench/libraries/bench_libraries.py

.PHONY: bench-connect
bench-connect: $(CONNECT_LIBS)/.complete ## bring Kafka Connect for the bench (Java 17 and Maven; about 40 MB)

.PHONY: bench-telegraf
bench-telegraf: $(TELEGRAF) ## build Telegraf for the bench, with only the plugins it uses (Go; minutes)

.PHONY: lock
lock: $(VENV)/.dev ## update uv.lock to the newest versions pyproject.toml allows
	$(UV) lock --upgrade

.PHONY: clean
clean: ## remove what the targets above made
	rm -rf $(VENV) .cache .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist
	find schema operator images tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what they stand on ---

# the first Python >= 3.11 that can make a virtual environment
define FIND_PYTHON
for python in python3.13 python3.12 python3.11 python3 python3.14; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	found=$$python; \
	"$$python" -c 'import ensurepip, venv' 2>/dev/null && usable=$$python && break; \
done; \
if [ -z "$$found" ]; then \
	echo 'sensorpipe needs Python 3.11 or newer, and there is none on the PATH' >&2; exit 1; \
elif [ -z "$$usable" ]; then \
	echo "$$found comes without venv here; on Debian: apt-get install python3-venv" >&2; exit 1; \
fi
endef

# uv installs exactly what uv.lock says. From an index of one's own (pip's or uv's setting) it
# does so by name, version and hash, since the addresses in uv.lock are PyPI's.
define SYNC
[ -n "$$SSL_CERT_FILE" ] || [ -z "$$PIP_CERT" ] || export SSL_CERT_FILE="$$PIP_CERT"; \
index=$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$(cat $(VENV)/.uv/index)}}}; \
if [ -z "$$index" ]; then $(UV) sync --quiet --frozen $(1) $(2); else \
	$(UV) export --quiet --frozen --no-emit-project $(1) -o $(VENV)/requirements.txt && \
	$(UV) pip install --quiet --default-index "$$index" -r $(VENV)/requirements.txt && \
	$(UV) pip install --quiet --default-index "$$index" --no-deps -e .; \
fi
endef

$(UV):
	@[ -x $(BIN)/python ] || { $(FIND_PYTHON); "$$usable" -m venv $(VENV); }
	@echo 'Setting up .venv: uv, about 25 MB from PyPI, once'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install --quiet --target $(VENV)/.uv 'uv>=0.13,<0.14'
	@$(BIN)/python -m pip config get global.index-url >$(VENV)/.uv/index 2>/dev/null || true

$(VENV)/.local: pyproject.toml uv.lock | $(UV)
	@echo 'Setting up .venv: the programs with MQTT broker, Kafka and MongoDB, about 100 MB, once'
	@$(call SYNC,--no-dev --extra local,--inexact)
	@touch $@

# compiled at once: the tests start hundreds of programs, in images often told to write no bytecode
$(VENV)/.dev: export UV_COMPILE_BYTECODE := 1
$(VENV)/.dev: pyproject.toml uv.lock | $(UV)
	@echo 'Setting up .venv: the programs and what tests them, about 220 MB, once'
	@$(call SYNC)
	@touch $(VENV)/.local $@

# what .venv holds, in the same versions, and beside it the libraries that are not used
$(LIBRARIES)/.complete: pyproject.toml uv.lock tests/bench/libraries/requirements.txt | $(VENV)/.dev
	@echo 'Setting up $(LIBRARIES): about 1 MB from PyPI beside what .venv holds, once'
	@$(BIN)/python -m venv --clear --without-pip $(LIBRARIES)
	@export UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(LIBRARIES) VIRTUAL_ENV=$(CURDIR)/$(LIBRARIES); \
	$(call SYNC,,--inexact) && \
	$(UV) pip install --quiet $${index:+--default-index "$$index"} \
		-r tests/bench/libraries/requirements.txt
	@touch $@

# beside .venv, since it wants other versions of what is there
$(CHECKOV)/.complete: tests/support/chart/checkov.txt | $(VENV)/.dev
	@echo 'Setting up $(CHECKOV): about 190 MB from PyPI, once'
	@$(BIN)/python -m venv --clear --without-pip $(CHECKOV)
	@index=$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$(cat $(VENV)/.uv/index)}}}; \
	[ -n "$$SSL_CERT_FILE" ] || [ -z "$$PIP_CERT" ] || export SSL_CERT_FILE="$$PIP_CERT"; \
	VIRTUAL_ENV=$(CURDIR)/$(CHECKOV) $(UV) pip install --quiet \
		$${index:+--default-index "$$index"} --requirement tests/support/chart/checkov.txt
	@touch $@

$(KAFKA_LIBS)/.complete: tests/support/kafka/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { \
		echo 'Kafka needs Java 17 and Maven: apt-get install openjdk-17-jre-headless maven' >&2; \
		exit 1; }
	mvn --quiet --batch-mode --file tests/support/kafka/pom.xml dependency:copy-dependencies \
		-DoutputDirectory=$(CURDIR)/$(KAFKA_LIBS) -DincludeScope=runtime
	@touch $@

$(CONNECT_LIBS)/.complete: tests/bench/connect/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { \
		echo 'Kafka Connect needs Java 17 and Maven:' \
			'apt-get install openjdk-17-jre-headless maven' >&2; exit 1; }
	mvn --quiet --batch-mode --file tests/bench/connect/pom.xml dependency:copy-dependencies \
		-DoutputDirectory=$(CURDIR)/$(CONNECT_LIBS) -DincludeScope=runtime
	@touch $@

# as Telegraf's own custom builder does it: one tag for each plugin that is built in
TELEGRAF_TAGS := custom,inputs.mqtt_consumer,parsers.json,aggregators.basicstats,$\
	serializers.json,outputs.kafka

$(TELEGRAF):
	@command -v go >/dev/null || { echo 'Telegraf needs Go 1.25.5 or newer to be built' >&2; exit 1; }
	@mkdir -p $(@D)
	GOBIN=$(CURDIR)/$(@D) CGO_ENABLED=0 go install -trimpath -tags '$(TELEGRAF_TAGS)' \
		-ldflags '-s -w -X github.com/influxdata/telegraf/internal.Version=1.37.2' \
		github.com/influxdata/telegraf/cmd/telegraf@v1.37.2

# the first Java >= 21: CRDs that no Java here can make, the tests do without, and say so
define FIND_JAVA_21
for java in "$$JAVA_HOME/bin/java" java /usr/lib/jvm/*/bin/java; do \
	version=$$("$$java" -XshowSettings:properties -version 2>&1 | \
		sed -n 's/^ *java.specification.version = \([0-9]*\).*/\1/p'); \
	[ "$${version:-0}" -ge 21 ] && found=$$java && break; \
done; \
[ -n "$$found" ] || { echo "Strimzi's CRDs need Java 21 or newer" >&2; exit 1; }
endef

STRIMZI_CRDS := kafka.Kafka nodepool.KafkaNodePool topic.KafkaTopic user.KafkaUser

$(STRIMZI)/.complete: tests/support/strimzi/pom.xml
	@command -v mvn >/dev/null || { \
		echo "Strimzi's CRDs need Maven: apt-get install maven" >&2; exit 1; }
	@$(FIND_JAVA_21); rm -rf $(STRIMZI); mkdir -p $(STRIMZI)/crds && \
	mvn --quiet --batch-mode --file tests/support/strimzi/pom.xml dependency:copy-dependencies \
		-DoutputDirectory=$(CURDIR)/$(STRIMZI)/libs -DincludeScope=runtime && \
	"$$found" -cp '$(STRIMZI)/libs/*' io.strimzi.crdgenerator.CrdGenerator \
		--label app:strimzi --target-kube 1.16+ --crd-api-version v1 --api-versions v1 \
		--storage-version v1 --yaml $(foreach crd,$(STRIMZI_CRDS),\
		io.strimzi.api.kafka.model.$(crd)=$(CURDIR)/$(STRIMZI)/crds/$(lastword $(subst ., ,$(crd))).yaml)
	@touch $@
