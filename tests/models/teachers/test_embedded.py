import pytest
import torch

from models.teachers.embedded import PixelClassifier, build_embedded_teacher, start_from_classifier
from tests.models.teachers.tiny import NAMES, SIZE

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_mask2former_starts_exactly_where_the_per_pixel_classifier_ended(device):
    torch.manual_seed(0)
    network = build_embedded_teacher(SIZE, NAMES).eval().to(device)
    classifier = PixelClassifier(network).eval().to(device)
    start_from_classifier(network, classifier.classifier.weight, torch.Generator().manual_seed(1))
    pixels = torch.randn(2, 3, 64, 96).to(device)
    with torch.no_grad():
        output, expected = network(pixels), classifier(pixels)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(output.masks_queries_logits[:, : len(NAMES)], expected, atol=1e-5, rtol=1e-5)
    assert output.masks_queries_logits[:, len(NAMES) :].abs().max() < 1e-5
    assert output.class_queries_logits.argmax(-1).tolist() == [[0, 1, 2, 3, 4, 5, 6, 6]] * 2


def test_fewer_queries_than_classes_are_refused():
    torch.manual_seed(0)
    network = build_embedded_teacher(SIZE.model_copy(update={"num_queries": 3}), NAMES)
    with pytest.raises(ValueError, match="3 queries cannot hold 6 classes"):
        start_from_classifier(network, torch.zeros(6, 32), torch.Generator())
