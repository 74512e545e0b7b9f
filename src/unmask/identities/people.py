"""From the people of single files to the people of all of them: who is in which file, and under which name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
from unmask.faces.identity import group_vectors
from unmask.identities.gather import FilePeople, SeenPerson, mean_vector
from unmask.models.embedder import EmbedderCard, Likeness
from unmask.scan.inputs import Input, survey_inputs
from unmask.storage.content import content_of_name
from unmask.storage.walk import is_folder, walk

MAX_GROUPED = 3000
"""People of single files that are grouped, at most: each is compared with each, which takes a minute for so many."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """One person in one of the files."""

    file: FilePeople
    """The file."""
    seen: SeenPerson
    """The person in it."""


@dataclass(frozen=True, slots=True)
class Known:
    """A face with a name."""

    name: str
    vector_C: NDArray[np.float64]
    """(C,) of length one: the mean over the pictures of that name."""


@dataclass(frozen=True, slots=True)
class Match:
    """The name that a person is nearest to."""

    name: str
    distance: float
    """Cosine distance, 0 to 2."""
    likeness: Likeness
    """``same``, or ``inconclusive``; who is different has no match."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person in all files."""

    person: int
    """Number of the person, from 1: who is in most files comes first."""
    appearances: tuple[Appearance, ...]
    """In the order of the files, at least one."""
    match: Match | None = None
    """Who it is; None where no names are known or none is near."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two files show one person."""

    likeness: Likeness
    distance: float
    """Cosine distance of the nearest two people, 0 to 2."""
    one: SeenPerson
    """Of the first file."""
    other: SeenPerson
    """Of the second one."""


def list_files(paths: Iterable[str], *, recursive: bool = False) -> tuple[Input, ...]:
    """Expand folders to the clips and pictures in them, by name; links within folders are not followed.

    Raises:
        UsageError: There is no clip and no picture.
    """
    items: list[Input] = []
    for path in paths:
        if not is_folder(path):
            items.append(Input(path, Path(path).name or path))
            continue
        found = [item for item in survey_inputs([path], recursive=recursive).items if not _is_hidden(item.path)]
        for folder, folders, files in walk(path):
            folders[:] = [name for name in folders if recursive and not _is_hidden(name)]
            pictures = [Path(folder) / name for name in files if content_of_name(name) == "image"]
            found += [
                Input(str(file), str(file.relative_to(path)), below=path)
                for file in pictures
                if not _is_hidden(file.name)
            ]
        items += sorted(found, key=lambda item: item.path)
    if not items:
        raise UsageError(f"no clip and no picture in {', '.join(paths)}; name files, or folders that hold some")
    return tuple(items)


def _is_hidden(path: str) -> bool:
    return PurePath(path).name.startswith(".")


def passed_over(paths: Iterable[str], *, recursive: bool = False) -> str | None:
    """Say what `list_files` passes over in folders; None for nothing."""
    listing = survey_inputs([path for path in paths if is_folder(path)], recursive=recursive)
    return replace(listing, images=0).passed_over()


def group_people(files: Sequence[FilePeople], card: EmbedderCard, known: Sequence[Known] = ()) -> tuple[Person, ...]:
    """Find out who is in which file; two people of one file stay two.

    Args:
        files: What was seen in each.
        card: Of the embedder; its ``same_below`` joins.
        known: Faces with names.

    Raises:
        UsageError: There are more than `MAX_GROUPED` people in the files.
    """
    seen = [Appearance(file, person) for file in files for person in file.people]
    if not seen:
        return ()
    if len(seen) > MAX_GROUPED:
        raise UsageError(f"{len(seen)} people were seen; at most {MAX_GROUPED} are grouped: name fewer files at a time")
    vectors = np.stack([each.seen.vector_C for each in seen])
    places = [{number} for number, file in enumerate(files) for _ in file.people]
    groups: dict[int, list[Appearance]] = {}
    for each, number in zip(seen, group_vectors(vectors, card.same_below, places), strict=True):
        groups.setdefault(number, []).append(each)
    ordered = sorted(groups.values(), key=lambda group: -len(group))
    return tuple(
        Person(number, tuple(group), find_name(mean_vector([each.seen.vector_C for each in group]), known, card))
        for number, group in enumerate(ordered, 1)
    )


def find_name(vector_C: NDArray[np.float64], known: Sequence[Known], card: EmbedderCard) -> Match | None:
    """Return the nearest of the known faces, None where all are other people's."""
    distances = [1 - float(vector_C @ face.vector_C) for face in known]
    if not distances:
        return None
    nearest = int(np.argmin(distances))
    likeness = card.compare(distances[nearest])
    if likeness == "different":
        return None
    return Match(known[nearest].name, round(max(0.0, distances[nearest]), 6), likeness)


def read_known(
    folder: str, read: Callable[[Input], FilePeople], say: Callable[[str], Any] = lambda _: None
) -> tuple[Known, ...]:
    """Read a folder of pictures with names: ``Ada.jpg``, or ``Ada/1.jpg`` and ``Ada/2.jpg`` for several of one person.

    Args:
        folder: The folder.
        read: See `unmask.identities.gather.Gatherer.read`.
        say: Is told, in sentences, which pictures are of no use.

    Raises:
        UsageError: It is no folder, or no picture in it shows one face.
    """
    if not is_folder(folder):
        raise UsageError(f"{folder} is no folder; --known takes a folder of pictures named after who they show")
    vectors: dict[str, list[NDArray[np.float64]]] = {}
    for item in list_files([folder], recursive=True):
        file, place = read(item), PurePath(item.name)
        name = place.parts[0] if len(place.parts) > 1 else place.stem
        if len(file.people) == 1:
            vectors.setdefault(name, []).append(file.people[0].vector_C)
        elif file.people:
            say(f"{item.path} shows {len(file.people)} faces, so it does not tell which is {name}'s; cut out one")
        else:
            say(f"{item.path} is of no use for {name}: {file.reason}")
    if not vectors:
        raise UsageError(f"no picture in {folder} shows exactly one face; there is nobody to look for")
    return tuple(Known(name, mean_vector(of_one)) for name, of_one in vectors.items())


def compare_files(one: FilePeople, other: FilePeople, card: EmbedderCard) -> Comparison | None:
    """Compare the people of two files, each with each, and return the nearest two; None where a file shows nobody."""
    pairs = [(1 - float(a.vector_C @ b.vector_C), a, b) for a in one.people for b in other.people]
    if not pairs:
        return None
    distance, a, b = min(pairs, key=lambda pair: pair[0])
    distance = round(max(0.0, distance), 6)
    return Comparison(card.compare(distance), distance, a, b)
