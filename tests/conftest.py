"""Clips that many tests share, made once a run, and the order of the tests."""

import gc
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for numpy and torch: threads on a busy core cost more than they give

import numpy as np
import pytest
from examples.make_clips import PORTRAIT, blend_portrait
from filelock import FileLock
from hypothesis import settings

from tests.media_factory import write_film
from tests.prepared import prepare
from unmask import Scanner
from unmask.augment.selfblend import self_blend
from unmask.datasets import Index, read_index
from unmask.datasets.synthetic import Group, read_portrait, write_clip, write_sample
from unmask.faces import DETECTORS, load_detector
from unmask.faces.mtcnn import Mtcnn, Stage
from unmask.media.server import SERVER
from unmask.models.checkpoints.kinds import CHECKPOINT_KINDS
from unmask.models.fusion import FUSE_RULES
from unmask.prepare.clip_steps import Settings
from unmask.prepare.preparation import STEPS
from unmask.types import DetectorSpec, Face

GROUP_FRAMES = 16
"""Length of the clips of `group_clips`."""
GROUP_EVERY = 2
"""Frames of them that `group_prepared` keeps."""

gc.disable()  # until all tests are imported: of the million objects that this makes most stay
settings.register_profile("unmask", deadline=None)  # no test is timed: the neighbour may hold the core
settings.load_profile("unmask")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a function that gives a folder by its name, filled by one of the processes of this run for all of them.

    What is in it must not be changed. `scripts/test` names a folder in which its several runs share it.
    """
    base = tmp_path_factory.getbasetemp()
    root = Path(os.environ.get("UNMASK_TESTS_MADE") or (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base))

    def once(name: str, fill: Callable[[Path], object]) -> Path:
        folder, filled = root / name, root / f"{name}.filled"
        with FileLock(root / f"{name}.lock"):
            if not filled.exists():
                shutil.rmtree(folder, ignore_errors=True)  # another process failed at it
                folder.mkdir()
                fill(folder)
                filled.touch()
        return folder

    return once


@pytest.fixture
def plug_in(made_once, monkeypatch) -> Iterator[None]:
    """The package of examples/plug_in is installed, as pip would from its wheel."""
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")

    def fill(folder: Path) -> None:
        source = Path(__file__).parents[1] / "examples" / "plug_in"
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(build, cwd=source, check=True, capture_output=True, timeout=300)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)

    registries = (DETECTORS, FUSE_RULES, CHECKPOINT_KINDS)
    before = [dict(registry) for registry in registries]
    monkeypatch.syspath_prepend(made_once("plug_in", fill))
    yield
    for registry, entries in zip(registries, before, strict=True):
        registry.clear()
        registry.update(entries)


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    return read_portrait(PORTRAIT)


@pytest.fixture(scope="session")
def portrait_face(portrait) -> Face:
    return load_detector(DetectorSpec()).detect(portrait)[0]


@pytest.fixture(scope="session")
def blended(portrait) -> np.ndarray:
    return blend_portrait(portrait)


@pytest.fixture(scope="session")
def clips(made_once, portrait, blended) -> dict[str, Path]:
    """Clips of 40 frames by name: ``authentic`` and ``blended``."""
    return films(made_once, {"authentic": portrait, "blended": blended}, frames=40)


@pytest.fixture(scope="session")
def short_clips(made_once, portrait, blended) -> dict[str, Path]:
    """As `clips`, of 10 frames: for tests of what is done with many clips, or with all frames of one."""
    return films(made_once, {"authentic": portrait, "blended": blended}, frames=10)


def films(made_once, pictures: dict[str, np.ndarray], frames: int) -> dict[str, Path]:
    def fill(folder: Path) -> None:
        for name, picture in pictures.items():
            write_film(picture, folder / f"{name}.mp4", frames)

    folder = made_once(f"clips_{frames}", fill)
    return {name: folder / f"{name}.mp4" for name in pictures}


@pytest.fixture(scope="session")
def scanner() -> Scanner:
    """The bundled model; its numbers do not depend on the processor."""
    return Scanner(frames=16)


@pytest.fixture(scope="session")
def sample(made_once) -> Path:
    """Two parts: four originals, six fakes of which one is broken, and a clip without faces."""
    fill = partial(write_sample, sources=[PORTRAIT], blend=self_blend, parts=2, seconds=1.0)
    return made_once("sample", lambda folder: fill(folder / "dfdc")) / "dfdc"


@pytest.fixture(scope="session")
def index(sample) -> Index:
    return read_index(sample)


@pytest.fixture(scope="session")
def prepared(index, made_once) -> Path:
    return made_once("prepared", lambda folder: prepare(index, folder / "out")) / "out"


@pytest.fixture(scope="session")
def prepared_often(index, made_once) -> Path:
    """Every fifth frame of the sample, folds by part, by all steps."""
    fill = partial(prepare, index, steps=STEPS, settings=Settings(every=5))
    return made_once("prepared_often", lambda folder: fill(folder / "out")) / "out"


@pytest.fixture(scope="session")
def group_clips(made_once) -> Path:
    """A clip of two people and three fakes, as DFDC lays them out, with a mask of each as a video."""

    def fill(folder: Path) -> None:
        group = Group([PORTRAIT], GROUP_FRAMES, light=0)
        write_clip((image for image, _ in group.original()), folder / "group.mp4")
        entries = {"group.mp4": {"label": "REAL"}}
        (folder / "masks").mkdir()
        for name, face in (("larger", 0), ("smaller", 1), ("passage", 0)):
            views = list(group.fake(face, self_blend, 5, part_time=name == "passage"))
            write_clip((image for image, _ in views), folder / f"{name}.mp4")
            grey = (np.repeat(np.round(255 * mask).astype(np.uint8)[..., None], 3, 2) for _, mask in views)
            write_clip(grey, folder / "masks" / f"{name}.mp4")
            entries[f"{name}.mp4"] = {"label": "FAKE", "original": "group.mp4"}
        (folder / "metadata.json").write_text(json.dumps(entries))

    return made_once("group_clips", fill)


@pytest.fixture(scope="session")
def group(group_clips) -> Index:
    return read_index(group_clips)


@pytest.fixture(scope="session")
def group_prepared(group, made_once) -> Path:
    settings = Settings(every=GROUP_EVERY)
    return made_once("group_prepared", lambda folder: prepare(group, folder / "out", settings=settings)) / "out"


@pytest.fixture(scope="session")
def retinaface_home(made_once) -> Path:
    """A home with RetinaFace of random weights, imported from a file as published, which lies beside ``models``.

    Each stage has one separable convolution: to write a network out takes time by the layer, and the others are alike.
    """
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from unmask.models.checkpoints import import_checkpoint
    from unmask.models.checkpoints.convert import ANSWER, JOB
    from unmask.models.checkpoints.convert import main as convert_main
    from unmask.models.networks.retinaface import RetinaFaceNetwork

    def fill(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            stages = (((8, 64, 4),), ((64, 128, 2),), ((128, 256, 2),))
            patch.setattr("unmask.models.networks.retinaface._STAGES", stages)
            torch.manual_seed(0)
            tensors = {f"module.{name}": tensor for name, tensor in RetinaFaceNetwork().state_dict().items()}
            torch.save(tensors, folder / "mobilenet0.25_Final.pth")
            patch.setenv("UNMASK_HOME", str(folder))

            def convert_here(job, working_folder, _):
                """Spare a process that imports torch; `tests.models.checkpoints.test_install` has one."""
                patch.chdir(working_folder)
                return ANSWER.validate_json(convert_main(JOB.dump_json(job)))

            patch.setattr("unmask.models.checkpoints.install.run_converter", convert_here)
            import_checkpoint(folder / "mobilenet0.25_Final.pth", "retinaface-mnet025")

    return made_once("retinaface", fill)


@pytest.fixture(scope="session")
def remembered_search() -> Callable[..., list[Stage]]:
    """MTCNN's search of an image, which remembers all that it has searched in this process."""
    search, found = Mtcnn._cascade, {}

    def remember(detector: Mtcnn, image_HW3: np.ndarray, ways_N24: np.ndarray | None = None) -> list[Stage]:
        arrays = map(np.ascontiguousarray, (image_HW3,) if ways_N24 is None else (image_HW3, ways_N24))
        key = detector.settings, *((array.shape, blake2b(array).digest()) for array in arrays)
        if key not in found:
            found[key] = search(detector, image_HW3, ways_N24)
        return list(found[key])

    return remember


@pytest.fixture
def searched_once(remembered_search, monkeypatch) -> None:
    """For tests of what is done with faces, rather than of how they are found: the same few clips are searched once."""
    monkeypatch.setattr(Mtcnn, "_cascade", remembered_search)


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Keep each compiled network as long as this process runs: scanners of many tests use the same few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unmask.models.cpu._IN_USE", {})
        yield


@pytest.fixture(scope="session", autouse=True)
def torchlib_read_once() -> Iterator[None]:
    """Keep torch's table of what writes each operation as ONNX, which it makes anew, in a third of a second, each time.

    It has no public name; where it is not found, networks are written more slowly.
    """
    with pytest.MonkeyPatch.context() as patch:
        if "torch" in sys.modules:
            with suppress(ImportError, AttributeError):
                from torch.onnx._internal.exporter._registration import ONNXRegistry

                patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_decoder_outlives_the_tests() -> Iterator[None]:
    """End the server of decoders while all of Python is there, lest its end find torch's handlers half taken down."""
    yield
    SERVER.stop()


CLIPS = {"clips", "short_clips", "sample", "scanner"}
"""Fixtures that take seconds; `scripts/test fast` leaves out the tests that use one ..."""
WHOLE = {"journeys", "faults", "hostile"}
"""... and the folders of tests of whole commands. Lines and branches are not counted in those, since that takes a
fourth of the time and they hardly run any that no other test runs."""


def pytest_collection_finish() -> None:
    """Look for garbage again, but not in what was imported."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items) -> None:
    """Mark the tests that scan; put files with slow tests first, and those that train last.

    So no worker is left alone with a long file, and those of the base install run before torch has started its threads.
    """
    for item in items:
        if CLIPS & set(item.fixturenames) or WHOLE & set(item.path.parts):
            item.add_marker("scans")
        if WHOLE & set(item.path.parts):
            item.add_marker("no_cover")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    trains = {"training", "networks", "checkpoints"}
    items.sort(key=lambda item: (not trains.isdisjoint(item.path.parts), item.path not in slow))
