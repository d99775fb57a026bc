"""The cache key of a step, once the artifacts that it reads are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cache.digests import remembering
from cache.keys import KeySpec
from cache.store import Artifact, Store
from pipeline.plan import Step
from stages.stage import resolve


@dataclass(frozen=True)
class Keyed:
    """A step whose inputs are known.

    Attributes:
        step: the step.
        spec: what its key is made of.
        inputs: the artifacts that it reads, by role.
        data_root: the data set's folder, where the stage reads one.
    """

    step: Step
    spec: KeySpec
    inputs: Mapping[str, Artifact]
    data_root: Path | None


def missing_inputs(step: Step, artifacts: Mapping[str, Artifact]) -> list[str]:
    """Names of the steps that `step` waits for, given the artifacts there are by step name."""
    return [name for name in step.needs if name not in artifacts]


def keyed(step: Step, artifacts: Mapping[str, Artifact], store: Store) -> Keyed:
    """The step with its key; `store` brings the data set here, where the key depends on it and it is an artifact.

    Raises:
        KeyError: if an artifact that it reads is not in `artifacts` (by step name).
        scene.errors.InputError: if what the stage reads from outside the cache is not there.
    """
    inputs = {role: artifacts[name] for role, name in step.inputs.items()}
    fingerprint = step.stage.fingerprint
    data_root = step.data_root
    if step.data_step is not None:
        data = artifacts[step.data_step]
        data_root = (data if fingerprint is None else store.materialise(data)).path
    with remembering(store.root):
        external = {} if fingerprint is None else resolve(fingerprint)(step.settings, data_root)
    spec = KeySpec(
        stage=step.stage.name,
        version=step.stage.version,
        settings=step.settings.canonical(),
        inputs={role: artifact.output_digest for role, artifact in inputs.items()},
        external=external,
    )
    return Keyed(step, spec, inputs, data_root)
