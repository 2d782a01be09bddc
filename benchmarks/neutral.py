"""A benchmark table with its charges taken away: what is left of a score when protonation tells nothing?

    python benchmarks/neutral.py clintox --out clintox-neutral.csv

Every molecule is uncharged by RDKit where protons can do it; each row keeps its labels and, in the column ``part``, its
place in the scaffold split of the table as it is. Then ``iem fit clintox-neutral.csv --split part --target …``.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize

from iem.chem.molecules import parse
from iem.chem.splits import scaffold_split
from iem.data.tables import read_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    table, neutral = read_table(chosen.table), rdMolStandardize.Uncharger()
    part = np.empty(len(table.keys), dtype=object)
    for name, rows in scaffold_split(table.keys)._asdict().items():
        part[rows] = name
    with rdBase.BlockLogs():
        molecules = [neutral.uncharge(parse(key)) for key in table.keys]
    frame = pd.DataFrame({"smiles": map(Chem.MolToSmiles, molecules)})
    for name, labels in zip(table.targets, table.labels.T, strict=True):
        whole = np.isnan(labels).any() or (labels % 1).any()
        frame[name] = labels if whole else labels.astype(int)
    frame["part"] = part
    frame.to_csv(chosen.out, index=False)
    charged = {
        name: sum(any(atom.GetFormalCharge() for atom in mol.GetAtoms()) for mol in some)
        for name, some in (("before", map(parse, table.keys)), ("after", molecules))
    }
    print(f"{len(molecules):,} molecules, charged before {charged['before']:,}, after {charged['after']:,}: {chosen.out}")


if __name__ == "__main__":
    main()
