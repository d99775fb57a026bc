"""Where the time of a pretraining step goes, on real batches of the embedded world.

python -m benchmarks.training_step [--models demo tiny small] [--device cuda] [--json]

Batches are made by the trainer's own threads while the step runs: "data wait" is what the step waited for them. The
losses are timed forward and backward, down to the logits. Public weights are replaced by random ones of the same shape.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.figures import Spread, answer
from models.bev.config import BackboneShape
from pipeline.config import load_experiment
from pipeline.inline import run_inline
from pipeline.places import open_cache
from pipeline.plan import Plan, Step
from pipeline.steps import plan_experiment
from stages.learn.pretrain import PretrainSettings
from stages.learn.pretrain.run import assemble
from trainer.batches import prefetched
from trainer.distributed import Job
from trainer.optimiser import Optimiser
from trainer.process import Process, choose_device

PARTS = ("data wait", "backbone", "neck", "encoder", "decoder", "losses", "backward", "optimiser")
RESNETS = {"microsoft/resnet-50": (3, 4, 6, 3), "microsoft/resnet-101": (3, 4, 23, 3)}
WANTED = {"data wait": 5.0, "losses": 15.0}
BATCHES = {"demo": 2}


class Clock:
    """Seconds by part."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, float] = defaultdict(float)

    def now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = self.now()
        yield
        self.seconds[name] += self.now() - start

    def watch(self, name: str, module: nn.Module) -> None:
        module.register_forward_pre_hook(lambda *_: self._add(name, -1))
        module.register_forward_hook(lambda *_: self._add(name, 1))

    def _add(self, name: str, sign: int) -> None:
        self.seconds[name] += sign * self.now()


def prepared(model: str) -> tuple[PretrainSettings, Job]:
    """The demo's pretraining with another model; everything before it is made or found in the cache."""
    overrides = [f"model=models/{model}.yaml", "grid.resolution_m=0.15"] if model != "demo" else []
    experiment, layers = load_experiment("demo", overrides)
    plan = plan_experiment(experiment, layers, "pretrain")
    last: Step = plan.steps[-1]
    before = Plan(plan.steps[:-1])
    outcomes = run_inline(before, open_cache(None), experiment.runtime, Console(stderr=True))
    made = {outcome.step.name: outcome.artifact.path for outcome in outcomes}
    settings = last.settings
    assert isinstance(settings, PretrainSettings)
    backbone = settings.model.backbone
    if backbone.pretrained in RESNETS:
        shape = BackboneShape(
            stem_channels=64,
            hidden_sizes=(256, 512, 1024, 2048),
            depths=RESNETS[backbone.pretrained],
            layer_type="bottleneck",
        )
        update = {"pretrained": None, "shape": shape, "frozen_stages": 0}
        settings = settings.model_copy(
            update={"model": settings.model.model_copy(update={"backbone": backbone.model_copy(update=update)})}
        )
    batch_size = BATCHES.get(model, 1)
    settings = settings.model_copy(
        update={"optimiser": settings.optimiser.model_copy(update={"batch_size": batch_size})}
    )
    job = Job(
        entry="",
        settings={},
        inputs={role: str(made[name]) for role, name in last.inputs.items()},
        folder="",
        data_root=str(made[last.data_step or ""]),
        device="cpu",
        checkpoint_seconds=0.0,
        progress=False,
    )
    return settings, job


def profile(model: str, steps: int, device: torch.device) -> tuple[list[dict[str, float]], float]:
    """Seconds by part of each step, and the peak memory in bytes (of the accelerator, where there is one)."""
    settings, job = prepared(model)
    learner, maker = assemble(settings, job, Process(device, progress=False))
    learner.to(device).train()
    trunk, decoder, objective = learner.trunk, learner.heads["decoder"], learner.objective
    assert objective is not None
    objective.heads = nn.ModuleDict({"decoder": nn.Identity()})  # the loss alone: it is given logits
    optimiser = Optimiser(learner, settings.optimiser)
    clock, rows = Clock(device), []
    for name in ("backbone", "neck", "encoder"):
        clock.watch(name, getattr(trunk, name))
    batches = prefetched(maker, 0, steps + 1)
    for step in range(steps + 1):
        clock.seconds.clear()
        start = clock.now()
        with clock.part("data wait"):
            batch = next(batches).to(device)
        features = trunk(batch.clip)
        with clock.part("decoder"):
            with torch.no_grad():
                previous = [decoder(feature) for feature in features[:-1][-1:]]
            logits = decoder(features[-1])
        leaf = logits.detach().requires_grad_()
        with clock.part("losses"):
            objective.loss(batch, (*previous, leaf)).total.backward()
        with clock.part("backward"):
            logits.backward(leaf.grad)
        with clock.part("optimiser"):
            torch.nn.utils.clip_grad_norm_(learner.parameters(), settings.optimiser.gradient_clip)
            optimiser.step(step)
            optimiser.zero_grad()
        rows.append({**clock.seconds, "step": clock.now() - start})
    batches.close()
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else psutil.Process().memory_info().rss
    return rows[1:], float(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["demo", "tiny", "small"])
    parser.add_argument("--steps", type=int, default=0, help="0: 40 of the demo's, 3 of the others")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    shown = Table("part", *(f"{model}, ms" for model in arguments.models), *(f"{m}, %" for m in arguments.models))
    found = {}
    for model in arguments.models:
        rows, memory = profile(model, arguments.steps or (40 if model == "demo" else 3), device)
        parts = {name: Spread.of([1e3 * row.get(name, 0.0) for row in rows]) for name in (*PARTS, "step")}
        shares = {name: 100 * sum(r.get(name, 0.0) for r in rows) / sum(r["step"] for r in rows) for name in parts}
        found[model] = {"ms": {n: vars(s) for n, s in parts.items()}, "percent": shares, "memory_bytes": memory}
    for name in (*PARTS, "step"):
        times = [f"{found[m]['ms'][name]['median']:,.0f}" for m in arguments.models]
        shown.add_row(name, *times, *(f"{found[m]['percent'][name]:.1f}" for m in arguments.models))
    notes = [
        f"{name}: at most {limit:.0f} % of a step of the demo: "
        + ("yes" if found["demo"]["percent"][name] <= limit else "NO")
        for name, limit in WANTED.items()
        if "demo" in found
    ]
    notes.append("memory: " + ", ".join(f"{m} {found[m]['memory_bytes'] / 1e9:.1f} GB" for m in arguments.models))
    answer(found, [shown], notes, as_json=arguments.json)


if __name__ == "__main__":
    main()
