import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import binary_cross_entropy_with_logits  # noqa: E402

from unmask.training.losses import (  # noqa: E402
    cascade_loss,
    class_loss,
    mask_loss,
    semi_hard_triplets,
    squared_triplet_loss,
    triplet_loss,
)
from unmask.training.optimizer import Average, build_optimizer, sharpen  # noqa: E402
from unmask.training.recipe import LossRecipe, OptimizerRecipe  # noqa: E402

LOGITS = torch.tensor([2.0, -1.0, 0.5, -3.0])
LABELS = torch.tensor([0.99, 0.99, 0.01, 0.01])
ALL = torch.ones(4, dtype=torch.bool)
EACH = binary_cross_entropy_with_logits(LOGITS, LABELS, reduction="none")


def test_fakes_and_reals_weigh_the_same_whatever_their_number():
    expected = (EACH[:1].mean() + EACH[2:].mean()) / 2
    valid = torch.tensor([True, False, True, True])
    assert class_loss(LOGITS, LABELS, valid, LossRecipe(only_changed_frames=True)) == pytest.approx(float(expected))
    assert class_loss(LOGITS, LABELS, valid, LossRecipe()) == pytest.approx(float(EACH.mean()))


def test_a_missing_class_counts_nothing():
    assert class_loss(LOGITS[:2], LABELS[:2], ALL[:2], LossRecipe()) == pytest.approx(float(EACH[:2].mean() / 2))


def test_no_sample_that_counts():
    assert class_loss(LOGITS, LABELS, ~ALL, LossRecipe(only_changed_frames=True)) is None


def test_the_hardest_samples():
    expected = (EACH[:2].max() + EACH[2:].max()) / 2
    assert class_loss(LOGITS, LABELS, ALL, LossRecipe(ohem_samples=1)) == pytest.approx(float(expected))


def test_class_weights_of_the_fourth_place():
    recipe = LossRecipe(classes="together", positive_weight=0.1)
    weights = torch.tensor([0.2, 0.2, 1.8, 1.8])
    assert class_loss(LOGITS, LABELS, ALL, recipe) == pytest.approx(float((EACH * weights).sum() / weights.sum()))


def test_the_mask_head():
    target = torch.rand(2, 2, 4, 4)
    assert mask_loss(torch.zeros(2, 2, 4, 4), target) == pytest.approx(0.6931, abs=1e-4)


def test_triplets_compare_the_farthest_ally_with_the_nearest_stranger():
    degrees = torch.tensor([0.0, 60.0, 20.0, 90.0, 200.0])  # on a circle: chords are 2 sin(angle / 2)
    x = 3 * torch.stack([degrees.deg2rad().cos(), degrees.deg2rad().sin()], 1)
    identity = torch.tensor([7, 7, 7, 9, 4])  # nobody has an ally but the first three

    def chord(angle):
        return float(2 * torch.sin(torch.tensor(angle / 2).deg2rad()))

    hinges = [0.5 + chord(60) - chord(90), 0.5 + chord(60) - chord(30), 0.5 + chord(40) - chord(70)]
    assert triplet_loss(x, identity, 0.5) == pytest.approx(sum(hinges) / 3, abs=1e-5)
    assert triplet_loss(x[[0, 2, 4]], identity[[0, 2, 4]], 0.5) == 0, "all is well apart"


def test_triplets_need_two_faces_of_one_and_one_of_another():
    x = torch.eye(3)
    assert triplet_loss(x, torch.tensor([1, 2, 3])) is None
    assert triplet_loss(x, torch.tensor([1, 1, 1])) is None


def test_triplets_have_a_slope_even_where_faces_coincide():
    x = torch.ones(4, 8).requires_grad_()
    triplet_loss(x, torch.tensor([0, 0, 1, 1])).backward()
    assert torch.isfinite(x.grad).all()


def test_sharpness_aware_steps_return_to_where_they_were():
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    seen = []

    def gradients():
        seen.append(weight.detach().clone())
        (weight**2).sum().backward()

    gradients()
    sharpen([weight], 0.5, gradients)
    assert seen[1].tolist() == pytest.approx([3.3, 4.4])  # half a unit uphill
    assert weight.tolist() == [3.0, 4.0]
    assert weight.grad.tolist() == pytest.approx([6.6, 8.8])


def test_optimizers():
    weight = [torch.nn.Parameter(torch.zeros(1))]
    assert type(build_optimizer(weight, OptimizerRecipe(name="adamw"))).__name__ == "AdamW"
    sgd = build_optimizer(weight, OptimizerRecipe(name="sam"))
    assert sgd.param_groups[0]["momentum"] == 0.9
    assert type(build_optimizer(weight, OptimizerRecipe(name="sam_adamw"))).__name__ == "AdamW"
    assert [OptimizerRecipe(name=name).sharpness_aware for name in ("adamw", "sgd", "sam", "sam_adamw")] == [
        False, False, True, True,
    ]  # fmt: skip


def test_the_average_follows_the_weights():
    network = torch.nn.BatchNorm1d(2)
    average = Average(network, 0.5)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.num_batches_tracked.fill_(7)
    average.update(network, 1000)
    assert average.tensors["weight"].tolist() == [2.0, 2.0]
    assert int(average.tensors["num_batches_tracked"]) == 7


def on_circle(*degrees):
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], 1)


def test_the_squared_form_of_facenet():
    """Squared chords are 2 - 2 cos(angle)."""
    anchor, positive, negative = on_circle(0.0, 0.0), on_circle(60.0, 90.0), on_circle(90.0, 90.0)
    hinges = [max(0.0, 1.0 - 2.0 + 0.2), 2.0 - 2.0 + 0.2]
    assert squared_triplet_loss(3 * anchor, positive, 5 * negative) == pytest.approx(sum(hinges) / 2, abs=1e-6)


def test_semi_hard_triplets_are_farther_than_the_positive():
    """Of strangers nearer than the positive FaceNet takes none, and of those farther the nearest."""
    x, identity = on_circle(0.0, 40.0, 20.0, 60.0, 170.0), torch.tensor([5, 5, 8, 8, 9])
    found = semi_hard_triplets(x, identity).tolist()
    assert [row for row in found if row[0] < 2] == [[0, 1, 3], [1, 0, 4]]  # 20 degrees is nearer than 40; 60 is next
    assert semi_hard_triplets(x, torch.zeros(5)).shape == (0, 3)


def test_the_losses_of_mtcnn():
    logits = torch.tensor([[0.0, 2.0], [0.0, 2.0], [5.0, 0.0], [1.0, 1.0]])
    kind = torch.tensor([2, 0, 0, 1])
    each = torch.nn.functional.cross_entropy(logits[:3], torch.tensor([1, 0, 0]), reduction="none")
    shift, true_shift = torch.zeros(4, 4), torch.full((4, 4), 0.1)
    points, true_points = torch.zeros(4, 10), torch.full((4, 10), 0.2)
    found = cascade_loss(logits, shift, points, kind, true_shift, true_points, hardest=0.7)
    assert found["face"] == pytest.approx(float(each.topk(2).values.mean())), "two of three, the hardest"
    assert found["box"] == pytest.approx(0.04), "of the face and the part"
    assert found["landmarks"] == pytest.approx(0.4), "of the face alone"
    without = cascade_loss(logits, shift, None, kind, true_shift, true_points, hardest=0.7)
    assert without["landmarks"] == 0
    unknown = cascade_loss(logits, shift, points, kind, true_shift, true_points * float("nan"), hardest=0.7)
    assert unknown["landmarks"] == 0
