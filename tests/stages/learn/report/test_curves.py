import base64
import json

import cv2
import numpy as np
import pytest

from cache.keys import KeySpec
from cache.manifest import Artifact, FileEntry, Manifest
from stages.learn.report import Arm
from stages.learn.report.curves import Curve, draw_curves, figure_of, read_curves
from trainer.files import SCORES_FILE

ARMS = (
    Arm(name="scratch", title="From scratch", label_fraction=1.0, pretrained=False),
    Arm(name="half", title="Fine-tuned", label_fraction=0.5, pretrained=True),
    Arm(name="none", title="Pretrained only", label_fraction=0.0, pretrained=True),
)


@pytest.fixture
def training(tmp_path):
    """A training's artifact with its scores by step."""

    def make(name, scores):
        folder = tmp_path / name
        folder.mkdir()
        rows = [{"step": step, "miou": miou, "per_class": {}} for step, miou in scores.items()]
        (folder / SCORES_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return Artifact(folder, Manifest(KeySpec("finetune", 1, {}), {}, {"x": FileEntry(1, name)}))

    return make


def test_a_curve_for_each_arm_and_one_for_the_pretraining_that_two_share(training):
    pretrained = training("p", {0: 0.1, 5: 0.3})
    inputs = {
        "training:pretrain:half:0": pretrained,
        "training:pretrain:none:0": pretrained,
        "training:finetune:half:0": training("h0", {0: 0.3, 5: 0.4}),
        "training:finetune:half:1": training("h1", {0: 0.2, 5: 0.5}),
        "training:finetune:scratch:0": training("s", {0: 0.0, 5: 0.2}),
        "evaluate:half:0": pretrained,
    }
    assert read_curves(ARMS, inputs) == {
        "pretrain": [Curve("pretrained, no label", (0, 5), ((0.1, 0.3),))],
        "finetune": [
            Curve("From scratch, 100 %", (0, 5), ((0.0, 0.2),)),
            Curve("Fine-tuned, 50 %", (0, 5), ((0.3, 0.4), (0.2, 0.5))),
        ],
    }


def test_a_pretraining_that_went_on_from_a_saved_model_is_not_called_one_without_labels(training):
    began = {"pretrained": True, "initial_model": "somewhere"}
    adapted = [Arm(name=f"adapted-{i}", title=f"Adapted {i}", label_fraction=i, **began) for i in (0, 1)]
    shared = {"p": training("p", {0: 0.1}), "a": training("a", {0: 0.3})}
    inputs = {f"training:pretrain:{arm.name}:0": shared["p"] for arm in ARMS[1:]}
    inputs |= {f"training:pretrain:{arm.name}:0": shared["a"] for arm in adapted}
    titles = [curve.title for curve in read_curves((*ARMS, *adapted), inputs)["pretrain"]]
    assert titles == ["pretrained, no label", "Adapted 0"]


def test_steps_that_some_seed_has_no_score_of_are_left_out_and_an_arm_without_any(training):
    inputs = {
        "training:finetune:half:0": training("h0", {0: 0.3, 5: None}),
        "training:finetune:half:1": training("h1", {0: 0.2, 5: 0.5}),
        "training:finetune:scratch:0": training("s", {0: None}),
    }
    assert read_curves(ARMS, inputs) == {"finetune": [Curve("Fine-tuned, 50 %", (0,), ((0.3,), (0.2,)))]}
    assert read_curves(ARMS, {"evaluate:half:0": inputs["training:finetune:half:0"]}) == {}


def test_the_picture_is_the_same_for_the_same_curves_and_has_a_panel_for_each_stage():
    curve = Curve("From scratch, 100 %", (0, 5), ((0.1, 0.2), (0.1, 0.4)))
    one, again = (draw_curves({"finetune": [curve]}) for _ in range(2))
    assert one == again
    both = draw_curves({"pretrain": [curve], "finetune": [curve]})
    assert picture(both).shape[1] == 2 * picture(one).shape[1]
    assert np.ptp(picture(one)) > 200, "nothing is drawn"


def test_nothing_is_cut_off():
    low, high = (Curve("x", (0, 5), ((start, end),)) for start, end in ((0.1, 0.2), (0.05, 0.9)))
    for axes in figure_of({"pretrain": [low], "finetune": [low, high]}).axes:
        bottom, top = axes.get_ylim()
        assert bottom == 0
        assert top > 90


def picture(uri):
    return cv2.imdecode(np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
