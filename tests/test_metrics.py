import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve as reference_calibration

from unmask import metrics
from unmask.errors import UsageError
from unmask.metrics import log_loss, roc_auc

SAMPLES = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])), min_size=2).filter(
    lambda rows: 0 < sum(label for label, _ in rows) < len(rows)
)
TWO_CLASSES = (
    metrics.balanced_log_loss, roc_auc, metrics.equal_error_rate, metrics.average_precision, metrics.tpr_at_fpr,
    metrics.balanced_accuracy, metrics.roc_curve,
)  # fmt: skip


def exactly(value):
    return pytest.approx(value, abs=1e-12)


def noisy(count=400, seed=0):
    """Scores that tell something, with ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    return labels, np.clip(rng.normal(0.4 + 0.2 * labels, 0.2), 0, 1).round(2)


@pytest.mark.slow
@settings(deadline=None)  # scikit-learn takes long on a busy machine
@given(SAMPLES)
def test_equal_to_scikit_learn(rows):
    labels, scores = np.array(rows).T
    assert roc_auc(labels, scores) == exactly(reference.roc_auc_score(labels, scores))
    assert log_loss(labels, scores) == exactly(reference.log_loss(labels, scores))
    clipped = np.clip(scores, 0.01, 0.99)
    assert log_loss(labels, scores, eps=0.01) == exactly(reference.log_loss(labels, clipped))
    assert metrics.average_precision(labels, scores) == exactly(reference.average_precision_score(labels, scores))
    assert metrics.brier(labels, scores) == exactly(reference.brier_score_loss(labels, scores))
    called = scores >= 0.5
    assert metrics.accuracy(labels, scores) == exactly(reference.accuracy_score(labels, called))
    assert metrics.balanced_accuracy(labels, scores) == exactly(reference.balanced_accuracy_score(labels, called))
    curve = metrics.roc_curve(labels, scores)
    alarms, hits, thresholds = reference.roc_curve(labels, scores, drop_intermediate=False)
    assert curve.false_positive_rate == exactly(alarms)
    assert curve.true_positive_rate == exactly(hits)
    assert list(curve.thresholds) == list(thresholds)
    assert metrics.tpr_at_fpr(labels, scores) == exactly(hits[alarms <= 0.01].max())


def test_log_loss_of_a_wrong_and_certain_answer():
    """Recorded from scikit-learn 1.9.1, and from its rule of 2020, which clipped at 1e-15."""
    labels, scores = [0, 1, 1, 0, 1], [1.0, 0.0, 1.0, 0.0, 0.5]
    assert log_loss(labels, scores) == exactly(14.556090791758852)
    assert log_loss(labels, scores, eps=1e-15) == exactly(13.9542999135623)


def test_log_loss_by_class():
    labels, scores = noisy()
    for measure, label in ((metrics.real_log_loss, 0), (metrics.fake_log_loss, 1)):
        own = labels == label
        expected = reference.log_loss(labels[own], scores[own], labels=[0, 1])
        assert measure(labels, scores) == exactly(expected)
    both = metrics.real_log_loss(labels, scores), metrics.fake_log_loss(labels, scores)
    assert metrics.balanced_log_loss(labels, scores) == exactly(sum(both) / 2)


def test_equal_error_rate():
    assert metrics.equal_error_rate([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) == 0
    assert metrics.equal_error_rate([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]) == 1
    assert metrics.equal_error_rate([0, 1], [0.5, 0.5]) == exactly(0.5)
    assert metrics.equal_error_rate([0, 0, 0, 1, 1], [0.1, 0.2, 0.8, 0.6, 0.9]) == exactly(1 / 3)


def test_calibration():
    labels, scores = noisy()
    bins = metrics.calibration_curve(labels, scores)
    shares, means = reference_calibration(labels, scores, n_bins=15)
    assert [item.fake_share for item in bins] == exactly(shares)
    assert [item.mean_probability for item in bins] == exactly(means)
    assert sum(item.count for item in bins) == len(labels)
    gaps = sum(item.count * abs(item.fake_share - item.mean_probability) for item in bins) / len(labels)
    assert metrics.calibration_error(labels, scores) == exactly(gaps)


def test_the_balanced_calibration_error_does_not_depend_on_how_many_fakes_there_are():
    labels, scores = noisy()
    fakes = labels == 1
    more = np.append(labels, labels[fakes]), np.append(scores, scores[fakes])
    once, twice = (metrics.calibration_error(*samples, balanced=True) for samples in ((labels, scores), more))
    assert once == exactly(twice)
    assert metrics.calibration_error(labels, scores) != pytest.approx(metrics.calibration_error(*more), abs=1e-3)


def test_risk_and_coverage():
    curve = metrics.risk_coverage([1, 0, 0, 1], [0.95, 0.2, 0.7, 0.55])
    assert curve.coverage == exactly([0.25, 0.5, 0.75, 1])
    assert curve.risk == exactly([0, 0, 1 / 3, 1 / 4])
    assert curve.area == exactly((1 / 3 + 1 / 4) / 4)


@given(SAMPLES)
def test_the_order_of_the_samples_does_not_matter(rows):
    labels, scores = np.array(rows).T
    for measure in (metrics.risk_coverage_area, metrics.average_precision, metrics.calibration_error):
        assert measure(labels, scores) == exactly(measure(labels[::-1], scores[::-1]))
    assert metrics.risk_coverage(labels, scores).risk[-1] == exactly(1 - metrics.accuracy(labels, scores))


def test_confusion_counts_words_and_their_absence():
    counts = metrics.confusion([0, 0, 1, 1, 1], ["real", "inconclusive", "fake", "fake", None])
    assert counts["real"] == {"real": 1, "inconclusive": 1, "fake": 0, "none": 0}
    assert counts["fake"] == {"real": 0, "inconclusive": 0, "fake": 2, "none": 1}


def test_an_interval_of_independent_samples_is_that_of_the_mean():
    labels, scores = noisy(1000)
    interval = metrics.bootstrap_interval(metrics.brier, labels, scores, range(1000))
    errors = (scores - labels) ** 2
    half = 1.96 * errors.std() / len(errors) ** 0.5
    assert interval.low == pytest.approx(errors.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(errors.mean() + half, abs=0.1 * half)
    assert interval.ignored == 0


def test_an_interval_draws_whole_groups():
    labels, scores = noisy(100)
    copies = 9
    alone = metrics.bootstrap_interval(roc_auc, labels, scores, range(100), seed=3)
    many = np.tile(labels, copies), np.tile(scores, copies), np.tile(np.arange(100), copies)
    assert metrics.bootstrap_interval(roc_auc, *many, seed=3) == alone
    loose = metrics.bootstrap_interval(roc_auc, *many[:2], range(100 * copies), seed=3)
    assert loose.high - loose.low < 0.5 * (alone.high - alone.low)


def test_an_interval_depends_on_the_seed_alone():
    labels, scores = noisy(50)
    first, again, other = (metrics.bootstrap_interval(roc_auc, labels, scores, range(50), 99, s) for s in (1, 1, 2))
    assert first == again != other


def test_resamples_of_one_class_are_ignored_and_counted():
    interval = metrics.bootstrap_interval(roc_auc, [0, 1], [0.2, 0.7], ["a", "b"], repeats=1000)
    assert (interval.low, interval.high) == (1, 1)
    assert 400 < interval.ignored < 600  # half of the draws of two hold one group twice


@pytest.mark.parametrize(
    ("labels", "groups", "repeats", "words"),
    [
        ([0, 1], ["a", "a"], 10, "two groups"),
        ([0, 1], ["a"], 10, "group for each"),
        ([0, 1], ["a", "b"], 0, "at least one resample"),
        ([1, 1], ["a", "b"], 10, "no real ones"),
    ],
)
def test_an_interval_needs_groups_and_both_classes(labels, groups, repeats, words):
    with pytest.raises(UsageError, match=words):
        metrics.bootstrap_interval(metrics.brier, labels, [0.5, 0.5], groups, repeats)


def test_a_constant_half():
    assert log_loss([0, 1, 1], [0.5] * 3) == pytest.approx(0.6931, abs=1e-4)
    assert roc_auc([0, 1, 1], [0.5] * 3) == 0.5
    assert metrics.equal_error_rate([0, 1, 1], [0.5] * 3) == 0.5
    assert metrics.brier([0, 1, 1], [0.5] * 3) == 0.25


@pytest.mark.parametrize(
    ("labels", "scores"), [([], []), ([1], [0.5, 0.5]), ([2], [0.5]), ([1], [float("nan")]), ([1], [1.5])]
)
def test_nonsense_is_refused(labels, scores):
    for measure in (log_loss, metrics.brier, metrics.calibration_error, metrics.risk_coverage):
        with pytest.raises(UsageError):
            measure(labels, scores)


def test_one_class_has_no_auc():
    with pytest.raises(UsageError, match="real and fake"):
        roc_auc([1, 1], [0.1, 0.2])


@pytest.mark.parametrize("measure", TWO_CLASSES)
@pytest.mark.parametrize(("label", "missing"), [(0, "fake"), (1, "real")])
def test_the_missing_class_is_named(measure, label, missing):
    with pytest.raises(UsageError, match=f"there are no {missing} ones"):
        measure([label, label], [0.1, 0.2])


def test_the_loss_of_a_class_needs_that_class_only():
    assert metrics.fake_log_loss([1], [1.0]) == pytest.approx(0, abs=1e-9)
    with pytest.raises(UsageError, match="no real ones"):
        metrics.real_log_loss([1], [1.0])
