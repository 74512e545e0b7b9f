"""The facts of the field's detectors: what each network is shown, whose its weights are, how the file is laid out.

All were read in the authors' public code, at the commits named here; where it says nothing, neither does a card.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from unmask.models.card import Card
from unmask.models.checkpoints.kinds import CheckpointKind, PublishedLayout
from unmask.types import CropSpec

_Values = tuple[float, float, float]
_Shapes = dict[str, tuple[int, ...]]
_NONE: tuple[_Values, _Values] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_HALF: tuple[_Values, _Values] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_IMAGENET: tuple[_Values, _Values] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP: tuple[_Values, _Values] = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))

_NOT_CALIBRATED = "not calibrated: the label's thresholds are defaults, as the authors gave a number only"
_ALIGNED = (
    "the authors turned, scaled and shifted faces so that five landmarks (eyes, nose, corners of the mouth) lay at "
    "fixed places, with 1.3 times the template in view; unmask cuts upright squares with 15 % beside the box on each "
    "side, so faces are neither turned nor of quite that size, and numbers differ from the published ones"
)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a detector comes from."""

    repository: str
    commit: str
    paper: str
    licence: str
    """Terms of code and weights, as the repository gives them."""

    @property
    def text(self) -> str:
        """Repository and commit."""
        return f"https://github.com/{self.repository}, commit {self.commit}"


SBI_SOURCE = _Source(
    "mapooon/SelfBlendedImages",
    "9fe4efe1192cb7448fb51a2b97a54e1312188160",
    "Shiohara and Yamasaki 2022, arXiv 2204.08376",
    "academic or non-profit, noncommercial research only (LICENSE of the repository); trained on FaceForensics++",
)
BENCH_SOURCE = _Source(
    "SCLBD/DeepfakeBench",
    "8a4a7bf5e966c5c5618bc27d1719c3683eae9a04",
    "Yan et al. 2023, arXiv 2307.01426",
    "CC BY-NC 4.0 (LICENSE of the repository); trained on FaceForensics++, which has terms of its own",
)
GEND_SOURCE = _Source(
    "yermandy/GenD",
    "e03532d53b372bb365c54ee1d42ef426ed44b3a2",
    "Yermakov et al. 2025, arXiv 2508.06248",
    "code MIT; see the page of the weights and of the encoder for theirs; trained on FaceForensics++",
)
EFFORT_SOURCE = _Source(
    "YZY-stack/Effort-AIGI-Detection",
    "96f5dea2b534d400cfd7003f053c7e93c8e16461",
    "Yan et al. 2025, arXiv 2411.15633",
    "CC BY-NC 4.0 (README of the repository); trained on FaceForensics++, which has terms of its own",
)
FSFM_SOURCE = _Source(
    "wolo-wolo/FSFM-CVPR25",
    "986aaab6d505911f73042ee91cc49c8621354c05",
    "Wang et al. 2025, arXiv 2412.12032",
    "CC BY-NC 4.0 (LICENSE of the repository); trained on VGGFace2 and FaceForensics++, which have terms of their own",
)
LAA_SOURCE = _Source(
    "10Ring/LAA-Net",
    "a33446ab94b3bc0d176a879d43e0700adc52c817",
    "Nguyen et al. 2024, arXiv 2401.13856",
    "SnT academic licence: research only (LICENSE of the repository); trained on FaceForensics++",
)


def _kind(
    name: str,
    source: _Source,
    *,
    purpose: str,
    architecture: str,
    crop: CropSpec,
    network: tuple[str, dict[str, Any]],
    colours: tuple[_Values, _Values],
    seen: str,
    limitations: tuple[str, ...],
    published: PublishedLayout | None = None,
    tensor_names: Literal["unmask", "encoder_library"] = "unmask",
    prefix: str = "module.",
) -> CheckpointKind:
    (mean, std), (first, second) = colours, ("fake", "real")
    if published is None or published.fake_class:
        first, second = second, first
    card = Card(
        name=name,
        version=source.commit[:7],
        purpose=purpose,
        architecture=architecture,
        licence=source.licence,
        crop=crop,
        files={},
        precision="fp32",
        training={
            "method": source.paper,
            "source": source.text,
            "shown": f"{crop.size_px} x {crop.size_px} pixels, RGB, mean {mean} and std {std} of 0..1; {seen}",
            "classes": f"0 {first}, 1 {second}" if published is None or published.head else "one logit, of fake",
        },
        limitations=(_NOT_CALIBRATED, *limitations),
    )
    return CheckpointKind(
        *network, card, published=published, tensor_names=tensor_names, prefix=prefix, mean=mean, std=std
    )


SBI = _kind(
    "sbi-b4",
    SBI_SOURCE,
    purpose="Self-Blended Images: a network that learned from pictures blended with themselves.",
    architecture="EfficientNet-B4 of efficientnet_pytorch, two classes",
    crop=CropSpec(380, margin=0.125, outline="square", enlarge="linear"),
    network=("two_class", {"encoder": "tf_efficientnet_b4"}),
    colours=_NONE,
    seen="the box of RetinaFace (ResNet-50) and an eighth of it on each side, stretched to a square, not aligned",
    limitations=(
        "the authors stretched the box to a square; unmask cuts a square as wide as the longer side instead",
        "the authors found faces with RetinaFace (ResNet-50); unmask finds them with its own detector",
        "their number of a frame is its most fake face, that of a clip the mean of the frames",
    ),
    tensor_names="encoder_library",
    prefix="net.",
)

_ADJUST_CHANNEL: _Shapes = {
    "0.weight": (512, 2048, 1, 1),
    "0.bias": (512,),
    "1.weight": (512,),
    "1.bias": (512,),
    "1.running_mean": (512,),
    "1.running_var": (512,),
    "1.num_batches_tracked": (),
}
"""A layer that their Xception always has, and uses in some detectors."""

XCEPTION = _kind(
    "deepfakebench-xception",
    BENCH_SOURCE,
    purpose="DeepfakeBench's Xception, the field's baseline.",
    architecture="Xception, two classes",
    crop=CropSpec(256, margin=0.15, outline="square"),
    network=("two_class", {"encoder": "legacy_xception"}),
    colours=_HALF,
    seen="faces of dlib aligned by five of 81 landmarks",
    limitations=(_ALIGNED,),
    published=PublishedLayout(
        {"encoder.": "backbone.", "fc.": "backbone.last_linear."},
        unused={f"backbone.adjust_channel.{name}": shape for name, shape in _ADJUST_CHANNEL.items()},
    ),
)

_GAN: _Shapes = {"con_gan.conv_last.weight": (3, 64, 1, 1), "con_gan.conv_last.bias": (3,)}
for _level, _channels in ((3, 256), (2, 128), (1, 64)):
    for _layer, _before in ((0, 2 * _channels), (2, _channels)):
        _GAN[f"con_gan.dconv_up{_level}.{_layer}.weight"] = (_channels, _before, 3, 3)
        _GAN[f"con_gan.dconv_up{_level}.{_layer}.bias"] = (_channels,)
_OF_THEIR_METHODS: _Shapes = {
    "head_spe.mlp.0.weight": (512, 256),
    "head_spe.mlp.0.bias": (512,),
    "head_spe.mlp.2.weight": (5, 512),
    "head_spe.mlp.2.bias": (5,),
}
"""The four methods of FaceForensics++ and the real."""

UCF = _kind(
    "deepfakebench-ucf",
    replace(BENCH_SOURCE, paper="Yan et al. 2023, arXiv 2304.13949; as DeepfakeBench (arXiv 2307.01426) trained it"),
    purpose="DeepfakeBench's UCF: a network that looks for what all ways of forging have in common.",
    architecture="Xception, two narrowing layers, two classes",
    crop=XCEPTION.card.crop,
    network=("ucf", {}),
    colours=_HALF,
    seen="faces of dlib aligned by five of 81 landmarks",
    limitations=(_ALIGNED,),
    published=PublishedLayout(
        {
            "encoder.": "encoder_f.",
            "narrow.": "encoder_f.adjust_channel.",
            "common.": "block_sha.conv2d.",
            "hidden.": "head_sha.mlp.",
            "fc.": "head_sha.mlp.2.",
        },
        unused={"encoder_f.last_linear.weight": (2, 2048), "encoder_f.last_linear.bias": (2,)}
        | _GAN
        | _OF_THEIR_METHODS,
        twins={"encoder_c.": "encoder_f.", "block_spe.": "block_sha."},
    ),
)

_LINEAR_NORM = (
    "made for files whose config.json says head LinearNorm, features brought to length one, which the paper's method "
    "is; the weights themselves cannot tell"
)


def _gend(
    name: str,
    encoder: str,
    size_px: int,
    colours: tuple[_Values, _Values],
    published: PublishedLayout,
    options: dict[str, Any],
) -> CheckpointKind:
    return _kind(
        name,
        GEND_SOURCE,
        purpose="GenD: a large encoder whose normalisation layers alone were tuned.",
        architecture=f"{encoder} of timm, features of length one, two classes",
        crop=CropSpec(size_px, margin=0.15, outline="square"),
        network=("layernorm", {"encoder": encoder, "size_px": size_px, "scale": 1.0, "options": options}),
        colours=colours,
        seen="faces of RetinaFace aligned by five landmarks",
        limitations=(_ALIGNED, _LINEAR_NORM),
        published=published,
    )


_POSITIONS: _Shapes = {"embeddings.position_ids": (1, 257)}
"""Numbers of the positions, which transformers wrote until 4.30."""

GEND_CLIP = _gend(
    "gend-clip",
    "vit_large_patch14_clip_quickgelu_224",
    224,
    _CLIP,
    PublishedLayout(
        {"encoder.": "feature_extractor.vision_model.", "fc.": "model.linear."},
        "transformers_clip",
        unused={"feature_extractor.visual_projection.weight": (768, 1024)},
        perhaps={f"feature_extractor.vision_model.{name}": shape for name, shape in _POSITIONS.items()},
    ),
    {},
)
GEND_PE = _gend(
    "gend-pe",
    "vit_pe_core_large_patch14_336",
    224,
    _HALF,
    PublishedLayout({"encoder.": "feature_extractor.backbone.", "fc.": "model.linear."}, grid=24),
    {},
)
GEND_DINOV3 = _gend(
    "gend-dinov3",
    "vit_large_patch16_dinov3_qkvb",
    224,
    _IMAGENET,
    PublishedLayout(
        {"encoder.": "feature_extractor.backbone.", "fc.": "model.linear."},
        "transformers_dinov3",
        unused={"feature_extractor.backbone.embeddings.mask_token": (1, 1, 1024)},
    ),
    {"global_pool": "token"},
)

_SVD_REST: _Shapes = {
    f"backbone.encoder.layers.{layer}.self_attn.{which}_proj.{part}": shape
    for layer in range(24)
    for which in ("k", "v", "q", "out")
    for part, shape in (("S_r", (1023,)), ("U_r", (1024, 1023)), ("V_r", (1023, 1024)))
}
"""The parts that ``weight_main`` was made of, which their code keeps for a loss of training."""

EFFORT = _kind(
    "effort-clip",
    EFFORT_SOURCE,
    purpose="Effort: CLIP, of whose attention one singular direction was tuned and the others kept.",
    architecture="vit_large_patch14_clip_quickgelu_224 of timm, two classes",
    crop=CropSpec(224, margin=0.15, outline="square"),
    network=(
        "layernorm",
        {"encoder": "vit_large_patch14_clip_quickgelu_224", "size_px": 224, "scale": None},
    ),
    colours=_CLIP,
    seen="faces of dlib aligned by five of 81 landmarks",
    limitations=(_ALIGNED,),
    published=PublishedLayout(
        {"encoder.": "backbone.", "fc.": "head."},
        "transformers_clip_svd",
        perhaps=_SVD_REST | {f"backbone.{name}": shape for name, shape in _POSITIONS.items()},
    ),
)

_VGGFACE2: tuple[_Values, _Values] = (
    (0.5482207536697388, 0.42340534925460815, 0.3654651641845703),
    (0.2789176106452942, 0.2438540756702423, 0.23493893444538116),
)
_OTHER_MEAN = (
    "mean and std are those of VGGFace2, which the authors' code takes where no pretrain_ds_mean_std.txt lies beside "
    "the weights; where one does and has others, this model is not theirs"
)

FSFM = _kind(
    "fsfm-vit-b",
    FSFM_SOURCE,
    purpose="FSFM: a vision transformer that learned faces by itself, then fakes of FaceForensics++.",
    architecture="vit_base_patch16_224 of timm, mean of the patches, two classes",
    crop=CropSpec(224, margin=0.06875, outline="square"),
    network=(
        "layernorm",
        {"encoder": "vit_base_patch16_224", "size_px": 224, "scale": None, "options": {"global_pool": "avg"}},
    ),
    colours=_VGGFACE2,
    seen="1.3 times dlib's box as a square, brought to 256 pixels of which the middle 224 are shown, not aligned",
    limitations=(
        "the authors found faces with dlib, whose boxes are tighter; unmask finds them with its own detector",
        _OTHER_MEAN,
    ),
    published=PublishedLayout({"encoder.": "", "fc.": "head."}, fake_class=0),
)

_MARKS: _Shapes = {}
"""The heads for marks of blending and for consistency."""
for _head, _outputs in (("hm", 1), ("cstency", 256)):
    _MARKS |= {f"{_head}.0.weight": (64, 112, 3, 3), f"{_head}.0.bias": (64,)}
    _MARKS |= {f"{_head}.1.{_part}": (64,) for _part in ("weight", "bias", "running_mean", "running_var")}
    _MARKS |= {f"{_head}.1.num_batches_tracked": ()}
    _MARKS |= {f"{_head}.3.weight": (_outputs, 64, 1, 1), f"{_head}.3.bias": (_outputs,)}

LAA = _kind(
    "laa-net-b4",
    LAA_SOURCE,
    purpose="LAA-Net: a network that learned where blended faces have their seams.",
    architecture="EfficientNet-B4 of efficientnet_pytorch, E-FPN over three maps, one logit",
    crop=CropSpec(384, margin=0.25, outline="square", enlarge="linear"),
    network=("laa", {}),
    colours=_HALF,
    seen="the box of RetinaFace and a quarter of it on each side, stretched to 256 pixels, then 384, not aligned",
    limitations=(
        "made for configs/efn4_fpn_sbi_adv.yaml and efn4_fpn_hm_adv.yaml; weights of others are refused",
        "the crop is that of the weights trained on self-blended images; those trained on blends saw another",
        "the authors stretched the box to a square; unmask cuts a square as wide as the longer side instead",
        "the authors found faces with RetinaFace; unmask finds them with its own detector",
        "the authors' number is the mean of a crop and its mirror image; unmask asks once",
    ),
    published=PublishedLayout(
        {
            "encoder.": "",
            "judge.": "cls.",
            "deconv_": "deconv_",
        },
        "efficientnet_pytorch",
        head="",
        numbers="float64",
        unused=_MARKS,
        twins={"inception_block.": "deconv_4.0."},
    ),
)

KINDS = {kind.card.name: kind for kind in (SBI, XCEPTION, UCF, GEND_CLIP, GEND_PE, GEND_DINOV3, EFFORT, FSFM, LAA)}
"""Name, as ``unmask models import --as`` takes it -> kind."""
