# bevprior: `make demo` needs nothing but Python 3.11; every target sets up what it needs. `make help` lists them.
CONFIG ?= demo
DATA ?=
SET ?=
ARGS ?=

BIN := .venv/bin
READY := .venv/.stamp
RUN = $(BIN)/bevprior run $(CONFIG) $(if $(DATA),--set data.root=$(abspath $(DATA))) $(foreach s,$(SET),--set $(s)) $(ARGS)

export PREFECT_SERVER_ANALYTICS_ENABLED = false
export DO_NOT_TRACK = 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lock pseudo-labels geometry ground-points bev-labels pretrain finetune evaluate report predict teacher \
	backbone reproduce reproduce-small reproduce-second reproduce-curves reproduce-ablations look plan serve bench-reading bench-scale bench-overhead bench-verify bench-attention bench-step faults races corruption disks clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Stages take CONFIG=demo|nuscenes|keyframe|FILE, DATA=/path/to/data/set, SET='section.key=value ...'"

setup: $(READY)  ## install everything into .venv, exactly as locked
$(READY): requirements.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh

demo: $(READY)  ## the whole pipeline on the embedded world, to a table and a report
	@$(RUN)

test: $(READY)  ## the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY)  ## lint, format, types, architecture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY)  ## rewrite the sources in the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

pseudo-labels: $(READY)  ## label every camera frame with the teacher
	@$(RUN) --until teacher_labels
geometry: $(READY)  ## cameras, ego-motion and visible ground of every frame
	@$(RUN) --until geometry
ground-points: $(READY)  ## what the pseudo-labels say of the ground, as points with a class
	@$(RUN) --until ground_points
bev-labels: $(READY)  ## rasterise the map around every frame
	@$(RUN) --until bev_labels
reproduce: $(READY)  ## the whole study: half the labels, a third of the time? (a GPU, or days)
	@$(BIN)/python -m study full $(ARGS)
reproduce-small: $(READY)  ## the same study in small: the claim, tuned and scored, on two cores
	@$(BIN)/python -m study small $(ARGS)
reproduce-second: $(READY)  ## what the small study chose, in a world that nothing looked at before, five seeds
	@$(BIN)/python -m study second $(ARGS)
reproduce-curves: $(READY)  ## mIoU over labels and over training time, for both arms of the small study
	@$(BIN)/python -m study curves $(ARGS)
reproduce-ablations: $(READY)  ## what each term and lever of the small study is worth
	@$(BIN)/python -m study ablations $(ARGS)
look: $(READY)  ## pictures of the prepared data
	@$(RUN) --until look
pretrain: $(READY)  ## train on pseudo-labels alone
	@$(RUN) --until pretrain
finetune: $(READY)  ## train on fractions of the BEV labels
	@$(RUN) --until finetune
evaluate: $(READY)  ## score every trained model
	@$(RUN) --until evaluate
report: $(READY)  ## everything, to the report
	@$(RUN)
predict: $(READY)  ## what a saved model sees in other drives: SET=predict.saved_model=FOLDER
	@$(RUN) --until predict
teacher: CONFIG = teacher
teacher: $(READY)  ## train the embedded teacher by its recipe
	@$(RUN)
backbone: CONFIG = backbone
backbone: $(READY)  ## train the embedded backbone by its recipe
	@$(RUN)
plan: $(READY)  ## what a run would do, and why
	@$(BIN)/bevprior plan $(CONFIG) $(if $(DATA),--set data.root=$(abspath $(DATA))) $(foreach s,$(SET),--set $(s)) $(ARGS)

serve: $(READY)  ## Prefect server, worker and deployments on this machine (loopback only)
	@scripts/serve.sh

bench-reading: $(READY)  ## samples per second of our reader and of others, on the same labels
	@scripts/contenders.sh
	@build/bench/bin/python -m benchmarks.reading $(ARGS)

faults races corruption disks: export OMP_NUM_THREADS = 1
faults: $(READY)  ## SIGKILL at hundreds of instants, in every stage, gc and push: nothing done is lost or done again
	@$(BIN)/python -m faults.kills $(ARGS)
races: $(READY)  ## eight processes start the same run at once: one artifact, nothing computed twice
	@$(BIN)/python -m faults.races $(ARGS)
corruption: $(READY)  ## a thousand damaged files: each named, no array read as data, and repaired
	@$(BIN)/python -m faults.corruption $(ARGS)
disks: $(READY)  ## full, read-only and forbidden disks: one line, and it goes on afterwards (needs root)
	@$(BIN)/python -m faults.disks $(ARGS)
bench-scale: $(READY)  ## seconds and memory of the commands on caches as large as nuScenes, and 20 times larger
	@$(BIN)/python -m benchmarks.scale $(ARGS)
bench-overhead: $(READY)  ## what the store adds to writing label shards with plain zarr
	@$(BIN)/python -m benchmarks.overhead $(ARGS)
bench-verify: $(READY)  ## GB/s of `verify --full` beside sha256sum
	@$(BIN)/python -m benchmarks.verifying $(ARGS)
bench-step: $(READY)  ## where the time of a training step goes
	@$(BIN)/python -m benchmarks.training_step $(ARGS)
bench-attention: $(READY)  ## deformable attention beside that of transformers
	@$(BIN)/python -m benchmarks.attention $(ARGS)

lock: $(READY)  ## write requirements.lock from what .venv holds
	@$(BIN)/python scripts/lock.py && touch $(READY)

clean:  ## remove .venv and what tools leave behind; results in .cache stay
	rm -rf .venv build reports *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
