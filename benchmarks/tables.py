"""Puts the tables of docs/results.jsonl and docs/fits.jsonl into the manual and the README.

    python benchmarks/tables.py

A table is known by its first line; the words around it are for a person to adapt, and the tests fail until the tables
on the pages are these. What a run scored is not touched: it comes from ``iem benchmark`` (docs/results.md has the
commands).
"""

import json
from collections.abc import Callable
from pathlib import Path

from iem.data.catalogue import DATASETS
from iem.data.published import reported
from iem.workflows.evidence.comparing import Choice, Gap
from iem.workflows.evidence.reporting import Findings, written
from iem.workflows.evidence.results import Row, read_results, rows_of

ROOT = Path(__file__).parent.parent
TABLES = ("bbbp", "bace", "clintox", "sider", "esol", "lipo", "freesolv")
STUDENT = "gin:readout=mean+norm"
ALONE, TAUGHT, OTHERS = "priors start", "priors start+2d", "priors start+2d shuffled"
ASKED = "priors start+priors"
SOLID, SOLID_OTHERS = "priors start+iem", "priors start+shuffled"
"""Taught by 3D views instead of depictions."""
NAMES = {"gcn": "GCN", "gin": "GIN", "gat": "GAT", "sage": "GraphSAGE"}
STUDENTS = {f"{name}:readout=mean+norm": title for name, title in NAMES.items()} | {"chemprop": "chemprop's"}
MARKS = " ¹²³⁴⁵"
"""How many seeds, where a page does not say it."""


def row_of(found: Findings, dataset: str, method: str, student: str = STUDENT) -> Row | None:
    return next((row for row in found.rows if row[:3] == (dataset, student, method)), None)


def choice_of(found: Findings, dataset: str, student: str = STUDENT, method: str = TAUGHT) -> Choice | None:
    return next((one for one in found.choices if one.taught[:3] == (dataset, student, method)), None)


def gap_of(found: Findings, dataset: str, method: str, against: str, student: str = STUDENT) -> Gap | None:
    return next((gap for gap in found.gaps if gap[:4] == (dataset, student, method, against)), None)


def score(row: Row | None, *, valid: bool = False, bold: bool = False, seeds: int = 3) -> str:
    """Test part (validation part), each mean ± standard deviation; a mark where there are not so many seeds."""
    if row is None:
        return "–"
    text = written(row.dataset, row.mean, row.std)
    if valid:
        part = row._replace(seeds=row.valid)
        text += f" ({written(row.dataset, part.mean, part.std)})"
    return (f"**{text}**" if bold else text) + mark(len(row.seeds), seeds)


def mark(found: int, usual: int) -> str:
    return "" if found == usual else f" {MARKS[found]}"


def interval(gap: Gap | None, part: str) -> str:
    """Mean (95 % interval), in points of ROC-AUC or per cent of RMSE."""
    one = gap and getattr(gap, part)
    if not one:
        return "–"
    return f"{one.mean:+.1f} ({one.low:+.1f} to {one.high:+.1f})".replace("-", "−")


def table(*lines: tuple[str, ...]) -> str:
    head, *rest = (f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)
    return "\n".join([head, "|" + len(lines[0]) * "---|", *rest])


def scores(found: Findings) -> str:
    heads = ("labels alone", "and depictions", "**the model**", "and depictions of other molecules")
    lines = [("", *heads, "chemprop", "ECFP4, random forest")]
    for name in TABLES:
        one = choice_of(found, name)
        students = [score(row_of(found, name, way), valid=True, seeds=5) for way in (ALONE, TAUGHT)]
        students.append(score(one and one.chosen, bold=True, seeds=5))
        students.append(score(row_of(found, name, OTHERS), valid=True))
        others = [score(row_of(found, name, way, "none")) for way in ("chemprop", "ecfp+rf")]
        lines.append((DATASETS[name].title, *students, *others))
    return table(*lines)


def one_number(found: Findings) -> str:
    """How far the best single number of a molecule goes, beside models."""
    lines = [("", "one number alone", "its score", "**the model**", "chemprop", "ECFP4, random forest")]
    results = read_results(ROOT / "docs" / "results.jsonl")
    names = {result["settings"]["dataset"]: result["number"] for result in results if "number" in result}
    for name in TABLES:
        one, number = choice_of(found, name), row_of(found, name, "one number", "none")
        others = [score(row_of(found, name, way, "none")) for way in ("chemprop", "ecfp+rf")]
        best = score(number, valid=True, seeds=1)
        lines.append((DATASETS[name].title, names[name], best, score(one and one.chosen, bold=True, seeds=5), *others))
    return table(*lines)


def differences(found: Findings) -> str:
    heads = ("depictions, test", "depictions, validation", "right ones against others', test", "the same, validation")
    lines = [("", *heads)]
    for name in TABLES:
        gaps = [gap_of(found, name, TAUGHT, against) for against in (ALONE, OTHERS)]
        if any(gaps):
            lines.append((DATASETS[name].title, *(interval(gap, part) for gap in gaps for part in ("test", "valid"))))
    return table(*lines)


def questions(found: Findings) -> str:
    """The teacher's questions as further tasks, answered from the molecule, where the other tables have pictures."""
    heads = ("labels alone", "and questions, no picture", "and depictions")
    lines = [("", *heads, "depictions against questions, test", "the same, validation")]
    for name in TABLES:
        rows = [row_of(found, name, way) for way in (ALONE, ASKED, TAUGHT)]
        gap = gap_of(found, name, TAUGHT, ASKED)
        if all(rows):
            cells = [score(row, valid=True) for row in rows] + [interval(gap, part) for part in ("test", "valid")]
            lines.append((DATASETS[name].title, *cells))
    return table(*lines)


def enhancers(found: Findings) -> str:
    ways = (ALONE, "priors start+ke", "priors start+te", SOLID)
    lines = [("", "labels alone", "knowledge enhancer", "task enhancer", "both")]
    for name in TABLES:
        rows = [row_of(found, name, way) for way in ways]
        if all(rows):
            lines.append((DATASETS[name].title, *(score(row, valid=True) for row in rows)))
    return table(*lines)


def pictures(found: Findings) -> str:
    begun = {"fresh": ("plain", "2d", "iem", "flat"), "head start": (ALONE, TAUGHT, SOLID, "priors start+flat")}
    lines = [("", "weights", "labels alone", "depictions", "3D views", "flat")]
    for name in TABLES:
        for weights, ways in begun.items():
            rows = [row_of(found, name, way) for way in ways]
            if all(rows[:3]):
                lines.append((DATASETS[name].title, weights, *(score(row, valid=True) for row in rows)))
    return table(*lines)


def solid(found: Findings) -> str:
    """3D views of the right molecules and of others, where the other tables have depictions."""
    lines = [("", "3D views", "3D views of other molecules", "against others', test", "the same, validation")]
    for name in TABLES:
        rows = [row_of(found, name, way) for way in (SOLID, SOLID_OTHERS)]
        gap = gap_of(found, name, SOLID, SOLID_OTHERS)
        if all(rows):
            cells = [score(row, valid=True) for row in rows] + [interval(gap, part) for part in ("test", "valid")]
            lines.append((DATASETS[name].title, *cells))
    return table(*lines)


def architectures(found: Findings, ways: dict[str, str], *against: str) -> str:
    """Scores of the ways that are named, and what the last ones change against the first."""
    alone, *_ = ways
    parts = {"test": "test", "valid": "validation"}
    lines = [("", "student", *ways.values(), *(f"{ways[way]}, {part}" for way in against for part in parts.values()))]
    for name in TABLES:
        for student, title in STUDENTS.items():
            rows = [row_of(found, name, way, student) for way in ways]
            if all(rows[:1]) and any(rows[1:]):
                gaps = [gap_of(found, name, way, alone, student) for way in against]
                cells = [score(row, valid=True) for row in rows]
                cells += [interval(gap, part) for gap in gaps for part in parts]
                lines.append((DATASETS[name].title, title, *cells))
    return table(*lines)


def with_fresh_weights(found: Findings) -> str:
    return architectures(found, {"plain": "labels alone", "iem": "3D views"}, "iem")


def with_head_starts(found: Findings) -> str:
    return architectures(found, {ALONE: "labels alone", TAUGHT: "depictions", SOLID: "3D views"}, TAUGHT, SOLID)


def fits() -> dict[str, dict]:
    """What ``iem fit TABLE --seeds 3`` scored, by table; the lines of ``--teacher-view 3d`` are for the decisions."""
    lines = (ROOT / "docs" / "fits.jsonl").read_text(encoding="utf-8").splitlines()
    return {fit["table"]: fit for fit in map(json.loads, lines) if fit["view"] == "2d"}


def with_trees(found: Findings) -> str:
    heads = ("network, a seed each", "trees", "`iem fit`, a seed each", "network, all seeds")
    lines = [("", *heads, "**`iem fit --seeds 3`**")]
    for name, fit in sorted(fits().items(), key=lambda one: TABLES.index(one[0])):
        each = {part: [seed[part] for seed in fit["one_seed"]] for part in ("networks", "model")}
        spread = {part: score(Row(name, "", "", "", dict(enumerate(values)), 0)) for part, values in each.items()}
        trees = f"{written(name, fit['test']['trees'], None)} ({written(name, fit['valid']['trees'], None)})"
        whole = [written(name, fit["all_seeds"][part], None) for part in ("networks", "model")]
        few = mark(fit["seeds"], 3)
        lines.append(
            (DATASETS[name].title, spread["networks"], trees, spread["model"], whole[0] + few, f"**{whole[1]}**{few}")
        )
    return table(*lines)


def front_page(found: Findings) -> str:
    heads = ("labels alone", "labels and pictures", "**the model**", "**`--seeds 3`, with trees**", "chemprop")
    lines = [("table", "metric", *heads, "ECFP4, random forest", "paper, IEM-GIN")]
    for name in TABLES:
        one = choice_of(found, name)
        paper = reported(name, "gin", "iem")
        metric = "ROC-AUC, %" if DATASETS[name].task == "classification" else f"RMSE, {DATASETS[name].unit}"
        cells = [score(row_of(found, name, way), seeds=5) for way in (ALONE, TAUGHT)]
        cells.append(score(one and one.chosen, bold=True, seeds=5))
        fit = fits().get(name)
        cells.append(f"**{written(name, fit['all_seeds']['model'], None)}**{mark(fit['seeds'], 3)}" if fit else "–")
        cells += [score(row_of(found, name, way, "none")) for way in ("chemprop", "ecfp+rf")]
        cells.append(written(name, *paper) if paper else "–")
        lines.append((DATASETS[name].title, metric, *cells))
    return table(*lines)


PAGES: dict[Callable[[Findings], str], str] = {
    scores: "docs/results.md",
    one_number: "docs/results.md",
    differences: "docs/results.md",
    questions: "docs/results.md",
    enhancers: "docs/results.md",
    pictures: "docs/results.md",
    with_fresh_weights: "docs/results.md",
    with_head_starts: "docs/results.md",
    solid: "docs/results.md",
    with_trees: "docs/results.md",
    front_page: "README.md",
}
"""Each table, and where it stands."""


def findings() -> Findings:
    rows, _ = rows_of(read_results(ROOT / "docs" / "results.jsonl"))
    return Findings.of(rows)


def placed(page: str, new: str) -> str:
    """A page with a table in the place of the one that has the same first line.

    Raises:
        ValueError: there is no such table.
    """
    head = new.split("\n", 1)[0]
    before, found, after = page.partition(f"\n{head}\n")
    if not found:
        raise ValueError(f"no table begins with {head!r}; put that line where the table belongs")
    lines = after.split("\n")
    past = next((number for number, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return "\n".join([before, new, *lines[past:]])


def main() -> None:
    found = findings()
    for make, name in PAGES.items():
        path = ROOT / name
        path.write_text(placed(path.read_text(encoding="utf-8"), make(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
