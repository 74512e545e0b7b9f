"""Make a model's int8 network, which takes a third to a half of the time, and check that it scores about the same."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unmask.errors import ModelError, UsageError
from unmask.metrics import log_loss, roc_auc
from unmask.models.card import INT8_FILES, Card, file_facts, load_card, write_card
from unmask.models.cpu import Network, read_judge
from unmask.runtime.openvino import ov
from unmask.storage.atomic import atomic_file, scratch_folder

MAX_LOG_LOSS_RISE = 0.005
"""How much the log loss of labelled crops may rise, by default."""
AUC_SHARE = 0.4
"""The AUC may fall by this share of what the log loss may rise: 0.002 by default."""
MAX_CHANGE = 0.05
"""How much a crop's fake probability may change, by default, where there are no labels."""

SPARED = (0, 2, 6)
"""How many of the first convolutions stay in fp32, tried in this order: fixed filters in front of a network, and what
reads their faint output, lose too much in int8."""


@dataclass(frozen=True, slots=True)
class Check:
    """Changes by int8, measured on crops that did not calibrate it."""

    crops: int
    """How many were scored."""
    largest_change: float
    """Largest change of a crop's fake probability."""
    mean_change: float
    """Mean change of a crop's fake probability, without sign."""
    log_loss: tuple[float, float] | None = None
    """In fp32 and in int8; None without labels."""
    auc: tuple[float, float] | None = None
    """In fp32 and in int8; None without labels."""

    def __str__(self) -> str:
        changes = f"int8 changes the fake probability of {self.crops} crops by {self.largest_change:.4f} at most"
        if self.log_loss is None or self.auc is None:
            return changes
        pairs = {"log loss": self.log_loss, "AUC": self.auc}
        return ", ".join([changes, *(f"{name} {exact:.4f} -> {int8:.4f}" for name, (exact, int8) in pairs.items())])

    def fault(self, max_change: float | None) -> str:
        """Return what is beyond the bounds, in words; empty when all is well."""
        if self.log_loss is None or self.auc is None:
            bound = MAX_CHANGE if max_change is None else max_change
            moved = f"a fake probability changes by {self.largest_change:.4f}, more than {bound:g}"
            return "" if self.largest_change <= bound else moved
        bound = MAX_LOG_LOSS_RISE if max_change is None else max_change
        rise, fall = self.log_loss[1] - self.log_loss[0], self.auc[0] - self.auc[1]
        if rise > bound:
            return f"the log loss rises by {rise:.4f}, more than {bound:g}"
        return f"the AUC falls by {fall:.4f}, more than {AUC_SHARE * bound:g}" if fall > AUC_SHARE * bound else ""


def quantise_model(
    folder: Path,
    calibrating_NSS3: NDArray[np.uint8],
    checking_MSS3: NDArray[np.uint8],
    labels_M: ArrayLike | None,
    *,
    data: str,
    max_change: float | None = None,
) -> tuple[Card, Check]:
    """Write the int8 network of a model beside its fp32 one, and what it changes into its card.

    Post-training quantisation by NNCF: activations without symmetry around zero, ranges from the first crops, and
    weights in half of int8's range, since sums of products overflow on processors without VNNI otherwise: so a score is
    the same on every processor.

    Args:
        folder: The model's.
        calibrating_NSS3: Authentic and fake crops that the ranges are measured on, as the model takes them.
        checking_MSS3: Others, which both networks score.
        labels_M: Labels of those, 0 real and 1 fake, both present; None where they are not known.
        data: What the crops are, in words, for the card.
        max_change: How much the log loss may rise (the AUC may fall by `AUC_SHARE` of it), without labels how much
            any fake probability may change; None for `MAX_LOG_LOSS_RISE` or `MAX_CHANGE`.

    Returns:
        The card as written, and the check.

    Raises:
        ModelError: The folder is damaged, or int8 changes more than it may; nothing is written then.
        UsageError: NNCF is not installed.
    """
    nncf = require_nncf()
    card = load_card(folder)
    model = read_judge(folder, card, "fp32")
    exact = _probabilities(Network(folder, "fp32"), checking_MSS3)
    fault = ""
    for spared in SPARED:
        quantised = _quantise(nncf, model, calibrating_NSS3, spared)
        with scratch_folder(folder) as temporary:
            contents = _serialise(quantised, temporary)
            facts = {name: file_facts(content) for name, content in contents.items()}
            written = replace(card, files=card.files | facts)
            write_card(temporary, written)
            check = compare(exact, _probabilities(Network(temporary, "int8"), checking_MSS3), labels_M)
        fault = check.fault(max_change)
        if not fault:
            made = {
                "method": f"NNCF {nncf.__version__}, post-training, mixed preset, weights in seven bits",
                "fp32_convolutions": spared,
            }
            how = made | {"data": data, "calibration_crops": len(calibrating_NSS3)} | asdict(check)
            written = replace(written, evaluation=card.evaluation | {"int8": how})
            for name, content in contents.items():
                with atomic_file(folder / name) as file:
                    file.write(content)
            write_card(folder, written)
            return load_card(folder), check
    raise ModelError(
        f"int8 does not suit model {card.name!r}: {fault}; nothing was written. Use bf16, calibrate with other crops, "
        "or allow more with --max-change"
    )


def compare(exact_M: NDArray[np.float64], int8_M: NDArray[np.float64], labels_M: ArrayLike | None) -> Check:
    """Measure the change of the fake probabilities of M crops."""
    change_M = np.abs(exact_M - int8_M)
    check = Check(len(change_M), float(change_M.max()), float(change_M.mean()))
    if labels_M is None:
        return check
    both = (exact_M, int8_M)
    losses, aucs = ([metric(labels_M, scores) for scores in both] for metric in (log_loss, roc_auc))
    return replace(check, log_loss=(losses[0], losses[1]), auc=(aucs[0], aucs[1]))


def require_nncf() -> Any:
    """Return the package NNCF, which quantises.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import nncf
    except ImportError as error:
        raise UsageError("int8 needs NNCF; install it: pip install 'unmask[int8]'") from error
    nncf.set_log_level(logging.ERROR)
    return nncf


def _quantise(nncf: Any, model: ov.Model, crops_NSS3: NDArray[np.uint8], spared: int) -> ov.Model:
    """Return the network in int8, but for the first ``spared`` convolutions."""
    convolutions = [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() in _CONVOLUTIONS]
    from nncf.quantization.advanced_parameters import OverflowFix

    dataset = nncf.Dataset(list(crops_NSS3), lambda crop_SS3: crop_SS3[None])
    with redirect_stdout(sys.stderr):  # its bars are talk
        quantised: ov.Model = nncf.quantize(
            model.clone(),
            dataset,
            preset=nncf.QuantizationPreset.MIXED,
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
            subset_size=len(crops_NSS3),
            ignored_scope=nncf.IgnoredScope(names=convolutions[:spared]) if spared else None,
        )
    return quantised


_CONVOLUTIONS = ("Convolution", "GroupConvolution")


def _serialise(model: ov.Model, folder: Path) -> dict[str, bytes]:
    """Write a network as OpenVINO does; return both files."""
    ov.save_model(model, folder / INT8_FILES[0], compress_to_fp16=False)
    return {name: (folder / name).read_bytes() for name in INT8_FILES}


def _probabilities(network: Network, crops: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.array([score.fake_probability for score in network.score(crops)])
