"""Conformers that were made before, in the user's cache: another teacher looks at the same ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import numpy as np

from iem.cache import Shelf, address, cache_dir
from iem.chem.conformers import ConformerSettings
from iem.records import Geometry

ARRAYS = ("keys", "notes", "atoms", "numbers", "coordinates", "bond_counts", "bonds")


@final
class ConformerBank:
    """Conformers under one setting, by canonical SMILES; where there is none, the reason, for it took longest to find.

    Args:
        settings: that the conformers were made with.
        root: of the cache, the user's if None.
    """

    def __init__(self, settings: ConformerSettings, *, root: Path | None = None) -> None:
        self._shelf = Shelf((root or cache_dir()) / "conformers" / address(settings.signature), ARRAYS)
        self._rows: dict[str, Geometry | str] = {}
        for shard in self._shelf:
            self._rows.update(_rows_of(shard))

    def get(self, key: str) -> Geometry | str | None:
        """The conformer of a molecule, as it was made to the last bit, or why there is none; None if nobody tried."""
        return self._rows.get(key)

    def put(self, rows: Mapping[str, Geometry | str]) -> None:
        """Keep conformers, and reasons, for good.

        Raises:
            OutputError: the cache cannot be written.
        """
        if not rows:
            return
        self._rows.update(rows)
        solid = [row for row in rows.values() if isinstance(row, Geometry)]
        self._shelf.add(
            {
                "keys": np.array(list(rows)),
                "notes": np.array([row.status if isinstance(row, Geometry) else row for row in rows.values()]),
                "atoms": np.array([len(row.numbers) if isinstance(row, Geometry) else -1 for row in rows.values()]),
                "numbers": np.concatenate([np.zeros(0, np.uint8), *(row.numbers for row in solid)]),
                "coordinates": np.concatenate([np.zeros((0, 3), np.float32), *(row.coordinates for row in solid)]),
                "bond_counts": np.array([len(row.bonds) for row in solid], dtype=np.int64),
                "bonds": np.concatenate([np.zeros((0, 3), np.uint16), *(row.bonds for row in solid)]),
            }
        )


def _rows_of(shard: Mapping[str, np.ndarray]) -> dict[str, Geometry | str]:
    keys, notes, atoms = (shard[name].tolist() for name in ("keys", "notes", "atoms"))
    counts = [count for count in atoms if count >= 0]
    numbers, coordinates = (np.split(shard[name], np.cumsum(counts)) for name in ("numbers", "coordinates"))
    bonds = np.split(shard["bonds"], np.cumsum(shard["bond_counts"]))
    parts = zip(numbers, bonds, coordinates, strict=True)
    return {
        key: note if count < 0 else Geometry(*next(parts), note)
        for key, note, count in zip(keys, notes, atoms, strict=True)
    }
