"""Which molecules a student learns from, by which its epoch is chosen, and on which it is scored."""

import numpy as np

from iem.chem.splits import random_split, scaffold_split, split_by_column
from iem.data.tables import Table
from iem.errors import ConfigError, TableError
from iem.records import Split
from iem.report.text import plural
from iem.workflows.running.console import say


def divide(table: Table, how: str) -> Split:
    """The three parts, identical molecules always in one.

    Raises:
        ConfigError: ``how`` is neither a method nor a column.
        TableError: a part would have no molecules or no labels.
    """
    if how == "scaffold":
        split = scaffold_split(table.keys)
    elif how == "random":
        split = random_split(table.keys, seed=0)
    elif how in table.columns:
        split = split_by_column(table.columns[how], table.rows.tolist())
    else:
        columns = ", ".join(map(str, table.columns)) or "none"
        raise ConfigError(
            "--split", how, f"it must be scaffold, random or a column of the table (other columns: {columns})"
        )
    for name, rows in split._asdict().items():
        if not len(rows) or np.isnan(table.labels[rows]).all():
            raise TableError(
                f"the {name} part of the {how} split has no labelled molecule; use another --split or more rows"
            )
    if len(split.train) < 2:
        raise TableError(f"the train part of the {how} split has one row, and learning takes two; use another --split")
    for doubt in doubts(table, split):
        say(doubt)
    return split


def doubts(table: Table, split: Split) -> list[str]:
    """What makes scores of a split say less than they seem to: known molecules in the test part, nothing to learn."""
    found = []
    keys = [{table.keys[row] for row in rows} for rows in split]
    if shared := (keys[0] & keys[1]) | (keys[0] & keys[2]) | (keys[1] & keys[2]):
        found.append(
            f"{plural(len(shared), 'molecule')} in more than one part of the split: scores for molecules that were "
            "learned from are too good; give all rows of a molecule the same part"
        )
    for target, labels in zip(table.targets, table.labels[split.train].T, strict=True):
        classes = np.unique(labels[~np.isnan(labels)])
        if not len(classes) or (table.task == "classification" and len(classes) < 2):
            what = "no label" if not len(classes) else "only one class"
            found.append(f"{target!r} has {what} in the training part: nothing is learned of it; use another --split")
    return found
