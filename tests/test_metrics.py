import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from unmask.errors import UsageError
from unmask.metrics import log_loss, roc_auc

SAMPLES = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])), min_size=2).filter(
    lambda rows: 0 < sum(label for label, _ in rows) < len(rows)
)


@given(SAMPLES)
def test_equal_to_scikit_learn(rows):
    labels, scores = np.array(rows).T
    assert roc_auc(labels, scores) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    clipped = np.clip(scores, 0.01, 0.99)
    assert log_loss(labels, scores, eps=0.01) == pytest.approx(reference.log_loss(labels, clipped), abs=1e-12)


def test_a_constant_half():
    assert log_loss([0, 1, 1], [0.5] * 3) == pytest.approx(0.6931, abs=1e-4)
    assert roc_auc([0, 1, 1], [0.5] * 3) == 0.5


@pytest.mark.parametrize(("labels", "scores"), [([], []), ([1], [0.5, 0.5]), ([2], [0.5]), ([1], [float("nan")])])
def test_nonsense_is_refused(labels, scores):
    with pytest.raises(UsageError):
        log_loss(labels, scores)


def test_one_class_has_no_auc():
    with pytest.raises(UsageError, match="real and fake"):
        roc_auc([1, 1], [0.1, 0.2])
