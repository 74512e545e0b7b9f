"""Lay results out as the tables that the field prints, and write a table as Markdown, LaTeX or CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from unmask.bench.measure import Result
from unmask.bench.published import Level as Unit
from unmask.bench.published import beside
from unmask.bench.store import AS_IT_IS
from unmask.evaluation import Evaluation
from unmask.evaluation.levels import Level, Score

DASH = "-"
LEVELS: tuple[Unit, ...] = ("video", "frame")
MEASURES = {
    "auc": "AUC",
    "eer": "EER",
    "average_precision": "AP",
    "tpr_at_fpr_0.01": "TPR at 1 %",
    "tpr_at_fpr_0.05": "TPR at 5 %",
}
"""Measure of `unmask.evaluation.evaluate.METRICS` -> its head in the tables."""
LONG_COLUMNS = (
    "model", "dataset", "cell", "method", "level", "measure", "value", "low", "high", "real", "fake", "protocol",
    "source",
)  # fmt: skip
"""Columns of the table for programs: one number a row."""
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip

LongRow = tuple[str | float, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    title: str
    """What it shows."""
    header: tuple[str, ...]
    """Heads of the columns."""
    rows: tuple[tuple[str, ...], ...]
    """Cells, as many as heads in each row; the first names the row."""
    notes: tuple[str, ...] = ()
    """What is to be known of it, in sentences."""


def shown(score: Score, digits: int = 3) -> str:
    """Return a measure as ``.931 [.901, .954]``, or a dash where it is not known."""
    if score.value is None:
        return DASH
    value = _short(score.value, digits)
    if score.low is None or score.high is None:
        return value
    return f"{value} [{_short(score.low, digits)}, {_short(score.high, digits)}]"


def result_tables(results: Sequence[Result]) -> list[Table]:
    """Return the tables of a comparison: across datasets, all measures, by method of the fakes."""
    known = [level for level in LEVELS if any(result.score(level, "auc").value is not None for result in results)]
    return [*(_across(results, level) for level in known), _everything(results), *_by_method(results)]


def long_rows(results: Sequence[Result]) -> Iterator[LongRow]:
    """Yield one row of `LONG_COLUMNS` for each number of the results, and for each published one beside them."""
    for result in results:
        if result.evaluation is not None:
            yield from _long_rows(result, result.evaluation)
    for level in LEVELS:
        for method, numbers in beside(_datasets(results), level).items():
            for dataset, fact in numbers.items():
                yield (method, dataset, AS_IT_IS, "", level, "auc", fact.auc, "", "", "", "", "", fact.source)


def _long_rows(result: Result, known: Evaluation) -> Iterator[LongRow]:
    def row(method: str, level: str, name: str, score: Score, counts: Level) -> LongRow:
        about = (result.model, result.dataset, AS_IT_IS, method, level, name)
        return (*about, *cells_of(score), counts.reals, counts.fakes, result.protocol_hash, "")

    for unit, found in (("video", known.answered), ("frame", known.frames)):
        if found is not None:
            yield from (row("", unit, name, score, found) for name, score in found.scores.items())
    yield row("", "video", "decided", result.decided, known.answered)
    yield row("", "video", "accuracy_of_decided", result.accuracy_of_decided, known.answered)
    for part in known.slices:
        if part.trait == "method":
            yield row(part.value, "video", "auc", part.level.scores["auc"], part.level)


def cells_of(score: Score) -> tuple[float | str, float | str, float | str]:
    """Return value and ends of the interval as cells of the table for programs; empty where they are not known."""
    cells = ["" if value is None else round(value, 6) for value in (score.value, score.low, score.high)]
    return cells[0], cells[1], cells[2]


def markdown(tables: Iterable[Table]) -> str:
    """Return tables as Markdown."""
    parts = []
    for table in tables:
        lines = [table.header, tuple("---" for _ in table.header), *table.rows]
        rows = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        parts.append("\n\n".join([f"## {table.title}", rows, *table.notes]) + "\n")
    return "\n".join(parts)


def latex(tables: Iterable[Table]) -> str:
    """Return tables as LaTeX, for the package booktabs."""
    parts = []
    for table in tables:
        head, *rows = (" & ".join(map(_escaped, line)) + r" \\" for line in (table.header, *table.rows))
        columns, caption = "l" + "c" * (len(table.header) - 1), _escaped(" ".join([f"{table.title}.", *table.notes]))
        body = [r"\toprule", head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
        start = [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{{columns}}}"]
        parts.append("\n".join([*start, *body]))
    return "\n".join(parts)


def _across(results: Sequence[Result], level: Unit) -> Table:
    """Return the field's first table: a row for each method, a column for each dataset, and the mean."""
    datasets, models = _datasets(results), _models(results)
    found = {(result.model, result.dataset): result.score(level, "auc") for result in results}
    rows = []
    for model in models:
        scores = [found.get((model, dataset), Score(None)) for dataset in datasets]
        rows.append((model, *map(shown, scores), _mean([score.value for score in scores]), ""))
    published = beside(datasets, level)
    for method, numbers in published.items():
        values = [numbers[dataset].auc if dataset in numbers else None for dataset in datasets]
        cells = tuple(DASH if value is None else _short(value, 3) for value in values)
        sources = {fact.source: fact for fact in numbers.values()}
        said = "; ".join(f"trained on {fact.trained_on}; {source}" for source, fact in sources.items())
        rows.append((f"{method} (published)", *cells, _mean(values), said))
    notes = [INTERVALS]
    if published:
        notes.append("Published numbers are as their authors state them, with their frames, crops and splits.")
    else:
        notes.append("Of none of these datasets a published number is known; see published.csv of unmask.bench.")
    header = ("Method", *datasets, "Mean", "Source")
    return Table(f"AUC of {_UNITS[level]} across datasets", header, tuple(rows), tuple(notes))


_UNITS = {"video": "clips", "frame": "frames"}
INTERVALS = "In brackets: 95 % interval over resampled source videos; of fewer than some twenty, it is too narrow."
"""Note of every table with intervals."""


def _everything(results: Sequence[Result]) -> Table:
    header = (
        "Method", "Dataset", "Real", "Fake", "Answered", *(f"{head}, clips" for head in MEASURES.values()),
        "AUC, frames", "EER, frames", "Decided", "Accuracy of decided", "Protocol", "Answers",
    )  # fmt: skip
    rows = []
    for result in results:
        known = result.evaluation
        asked = result.protocol.get("split", {}).get("clips") or _asked(result)
        counts = (str(known.answered.reals), str(known.answered.fakes)) if known else ("0", "0")
        answered = known.answered.reals + known.answered.fakes if known else 0
        rows.append((
            result.model, result.dataset, *counts, f"{answered} of {asked}",
            *(shown(result.score("video", name)) for name in MEASURES),
            *(shown(result.score("frame", name)) for name in ("auc", "eer")),
            shown(result.decided), shown(result.accuracy_of_decided), result.protocol_hash, result.predictions_hash,
        ))  # fmt: skip
    words = "Decided: share of the answered clips that the card's thresholds call real or fake."
    hashes = "Equal hashes of protocol and answers mean that a number was repeated."
    notes = (INTERVALS, words, hashes)
    return Table("All measures", header, tuple(rows), notes)


def _asked(result: Result) -> int:
    known = result.evaluation
    return 0 if known is None else known.kaggle.reals + known.kaggle.fakes


def _by_method(results: Sequence[Result]) -> list[Table]:
    """Return one table for each dataset whose fakes are of more than one method: AUC against all reals."""
    tables = []
    for dataset in _datasets(results):
        own = [result for result in results if result.dataset == dataset and result.evaluation is not None]
        found = {
            (result.model, part.value): part
            for result in own
            for part in (result.evaluation.slices if result.evaluation else ())
            if part.trait == "method"
        }
        methods = list(dict.fromkeys(method for _, method in found))
        if len(methods) < 2:
            continue
        rows = []
        for method in methods:
            parts = [found.get((result.model, method)) for result in own]
            fakes = max(part.level.fakes for part in parts if part)
            cells = tuple(shown(part.level.scores["auc"]) if part else DASH for part in parts)
            rows.append((method, str(fakes), *cells))
        header = ("Kind", "Fakes", *(result.model for result in own))
        notes = ("The fakes of each kind against all reals.",)
        tables.append(Table(f"AUC of clips by kind of fake, {dataset}", header, tuple(rows), notes))
    return tables


def _datasets(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(result.dataset for result in results))


def _models(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(result.model for result in results))


def _mean(values: Sequence[float | None]) -> str:
    """Return the mean over all datasets; a dash where one is missing, since means of other sets cannot be compared."""
    known = [value for value in values if value is not None]
    return _short(sum(known) / len(known), 3) if known and len(known) == len(values) else DASH


def _short(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".removeprefix("0") if 0 <= value < 1 else f"{value:.{digits}f}"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
