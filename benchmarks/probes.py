r"""What frozen features know, alone and side by side: does a teacher see what a student does not?

    python benchmarks/probes.py esol freesolv --teacher pictures=TEACHER --start start=default --start more=STUDENT \\
        --sets start,pictures,start+pictures,start+~pictures,start+more,start+descriptors

``--teacher NAME=FOLDER`` is a teacher's mean over its 3D views, ``NAME=FOLDER:2d`` its depiction's features and
``NAME=FOLDER:flat`` those of the flat layout, ``--start NAME=FOLDER`` a student that ``iem teach``
wrote, or ``default``; ``ecfp`` are ECFP4 counts, ``quick`` and ``descriptors`` RDKit's quick descriptors and all of
them. ``~`` gives every molecule the features of another one. Each set of features, side by side and standardised over
the training part, is given to a linear model; its strength is chosen on the validation part of the scaffold split.
Two networks know more than one whatever they look at, so a set with pictures is to be compared with one that has a
second student in their place. The last line is JSON: by table and set the validation and test score.
"""

import argparse
import json
from collections.abc import Sequence

import numpy as np
import torch

from iem.chem.fingerprints import quick_descriptors
from iem.chem.molecules import parse
from iem.chem.splits import scaffold_split
from iem.data.tables import read_table
from iem.records import Split
from iem.students import architectures as architectures  # registers the students
from iem.students.base import build_student
from iem.students.predictor import Predictor
from iem.students.starts import find_start
from iem.workflows.inference.graphs import make_inputs
from iem.workflows.measures.baselines import descriptors, fingerprints, probe_outputs
from iem.workflows.measures.metrics import mean_score, scores
from iem.workflows.pictures.embed import ImageTeacher, load_teacher


def seen_by(text: str) -> ImageTeacher:
    """A teacher from what the command line says of it: its folder, and behind a colon the kind of picture."""
    folder, colon, view = text.rpartition(":")
    return load_teacher(folder, view=view) if colon and view in ("3d", "2d", "flat") else load_teacher(text)


def student_features(name: str, student: str, keys: Sequence[str]) -> np.ndarray:
    """What a frozen student makes of some molecules before it has seen a label, float32 (molecules, dim)."""
    start = find_start(name, student)
    assert start is not None
    predictor = Predictor(build_student(student), tasks=1, task="regression").eval()
    start.give(predictor)
    graphs = make_inputs(predictor.student.featurize, None, keys).graphs
    with torch.inference_mode():
        parts = [predictor.student.collate(graphs[first : first + 128]) for first in range(0, len(graphs), 128)]
        return np.concatenate([predictor(part)[0].numpy() for part in parts])


def named(text: str) -> tuple[str, str]:
    name, _, folder = text.partition("=")
    return name, folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--teacher", type=named, action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--start", type=named, action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--student", default="gin", help="that all these starts are of")
    parser.add_argument("--sets", default="", help="with commas between; all features alone, if not given")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    teachers = {name: seen_by(folder) for name, folder in options.teacher}
    wanted = options.sets.split(",") if options.sets else [name for name, _ in (*options.teacher, *options.start)]
    used = {name.removeprefix("~") for one in wanted for name in one.split("+")}
    found: dict[str, dict[str, list[float | None]]] = {}
    for name in options.tables:
        table = read_table(name)
        task, split = table.task or "classification", scaffold_split(table.keys)
        values = {of: teacher.features(table.keys, jobs=options.jobs)[0] for of, teacher in teachers.items()}
        for seen in values.values():  # no picture can be made of some molecules; they are left out of all sets
            drawn = ~np.isnan(seen).any(axis=1)
            split = Split(*(rows[drawn[rows]] for rows in split))
        values |= {of: student_features(start, options.student, table.keys) for of, start in options.start}
        if "ecfp" in used:
            values["ecfp"] = fingerprints(table.keys)
        if "descriptors" in used:
            values["descriptors"] = descriptors(table.keys)
        if "quick" in used:
            values["quick"] = np.stack([quick_descriptors(parse(key)) for key in table.keys])
        order = np.random.default_rng(0).permutation(len(table.keys))
        values = {of: np.nan_to_num(seen) for of, seen in values.items()}
        values |= {f"~{of}": seen[order] for of, seen in values.items()}
        found[name] = {}
        for one in wanted:
            outputs = probe_outputs(np.hstack([values[of] for of in one.split("+")]), table.labels, split, task)
            marks = [mean_score(scores(task, table.labels[rows], outputs[rows])) for rows in (split.valid, split.test)]
            found[name][one] = [None if mark is None else round(mark, 4) for mark in marks]
            print(f"{name}, {one}: validation {marks[0]:.3f}, test {marks[1]:.3f}", flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
