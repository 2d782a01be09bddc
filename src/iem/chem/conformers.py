"""Conformers, always the same and always in time: ETKDGv3, MMFF94, and a ladder for hard cases."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from rdkit import Chem, rdBase
from rdkit.Chem import Mol, rdDepictor, rdDistGeom, rdMolAlign
from rdkit.Chem import rdForceFieldHelpers as force_fields

from iem.chem.molecules import canonical, parse
from iem.chem.space import is_3d
from iem.errors import ConfigError, MoleculeError
from iem.records import Geometry

MOST_DRAWN = 1000
"""Atoms. RDKit's flat layout takes 1.5 s here and minutes at 5,000; no picture could show more."""
MOST_EMBEDDED = 400
"""Atoms, hydrogens included. Beyond, single steps of RDKit outlast the time limit and hardly any embedding succeeds."""
ATTEMPTS = 30
"""Embeddings per rung of the ladder; 10 fail for 3 % of drug-like molecules."""
MOST_MATCHES = 1000
"""Ways to map a molecule onto itself that a comparison of two conformers tries."""
GAP = 3.0
"""Ångström between the fragments of a salt, which RDKit embeds one on top of the other."""

_ORDERS = {
    Chem.BondType.SINGLE: 0,
    Chem.BondType.DOUBLE: 1,
    Chem.BondType.TRIPLE: 2,
    Chem.BondType.AROMATIC: 3,
}


@dataclass(frozen=True)
class ConformerSettings:
    """How conformers are made."""

    seed: int = 0
    """Seed of the embedding."""
    timeout: float = 10.0
    """Seconds for one molecule, by the clock; RDKit counts whole seconds, and finishes the step that it is in."""
    relax: int = 200
    """Iterations of MMFF94, or of UFF where MMFF94 lacks parameters; 0 leaves the embedding as it is."""
    flat: bool = False
    """Nothing is embedded: the 2D layout alone, which takes a tenth of the time."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**31 - 1:
            raise ConfigError("seed", self.seed, "RDKit needs a number from 0 to 2,147,483,646")
        if not 2 <= self.timeout <= 1e6:
            raise ConfigError("timeout", self.timeout, "RDKit counts whole seconds and needs at least 2")
        if self.relax < 0:
            raise ConfigError("relax", self.relax, "the number of iterations cannot be negative")

    @property
    def signature(self) -> str:
        """Everything that coordinates depend on, as text."""
        if self.flat:
            return f"flat+rdkit({rdBase.rdkitVersion})"
        return (
            f"etkdgv3(seed={self.seed},attempts={ATTEMPTS},largest={MOST_EMBEDDED},timeout={self.timeout:g})"
            f"+mmff94({self.relax})+rdkit({rdBase.rdkitVersion})"
        )


@dataclass(frozen=True)
class EnsembleSettings:
    """How several conformers of one molecule are made."""

    count: int = 10
    """Conformers that are embedded, each from a seed of its own."""
    rmsd: float = 0.5
    """Ångström; of two conformers whose heavy atoms are no further apart the one with less energy is kept."""
    conformers: ConformerSettings = ConformerSettings()
    """Of each of them; the time limit is for all together."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError("count", self.count, "at least one conformer must be embedded")
        if not self.rmsd >= 0:
            raise ConfigError("rmsd", self.rmsd, "a distance cannot be negative")

    @property
    def signature(self) -> str:
        """Everything that coordinates depend on, as text."""
        return f"ensemble({self.count},{self.rmsd:g})+{self.conformers.signature}"


class Conformer(NamedTuple):
    """One of several shapes of a molecule."""

    geometry: Geometry
    energy: float
    """kcal/mol in MMFF94, or in UFF where MMFF94 lacks parameters; NaN where both do, and for a flat drawing. Only
    conformers of one molecule can be compared."""


def conformer(mol: Mol, settings: ConformerSettings | None = None) -> Geometry:
    """Heavy atoms of one molecule in space, whatever the spelling of its SMILES.

    The molecule is rebuilt from its canonical SMILES, so atoms are in canonical order and the same molecule has the
    same coordinates everywhere. Hydrogens take part in embedding and relaxation and are left out of the result,
    unless the molecule is nothing but hydrogen. Ladder, recorded in ``status``: ETKDGv3 (``etkdg``), ETKDGv3 from
    random coordinates (``etkdg-random-coords``), RDKit's 2D layout with z = 0 (``flat``). Each rung has a fixed number
    of attempts, so that only a molecule which meets the time limit can differ between a fast and a slow machine.
    Fragments stand side by side; the centre of the atoms is the origin.

    Raises:
        MoleculeError: stage ``conformer``: more than ``MOST_DRAWN`` atoms, or RDKit cannot even draw it flat.

    References:
        Wang et al., J. Chem. Inf. Model. 2020, doi:10.1021/acs.jcim.0c00025 (ETKDGv3);
        Halgren, J. Comput. Chem. 1996, doi:10.1002/(SICI)1096-987X(199604)17:5/6<490::AID-JCC1>3.0.CO;2-P (MMFF94).
    """
    settings = settings or ConformerSettings()
    if settings.flat:
        return flat_geometry(mol)
    ordered = _ordered(mol)
    with rdBase.BlockLogs():
        full = Chem.AddHs(ordered)
        if full.GetNumAtoms() > MOST_EMBEDDED:
            return _flat(ordered)
        if status := _climb(full, settings, settings.seed, time.monotonic() + settings.timeout):
            return _spatial(ordered, full, status)
        return _flat(ordered)


def ensemble(mol: Mol, settings: EnsembleSettings | None = None) -> list[Conformer]:
    """Different conformers of one molecule, that of least energy first, whatever the spelling of its SMILES.

    One of those that are embedded is that of ``conformer``. They are compared by the RMSD of their heavy atoms, best
    aligned and over equivalent atoms, each fragment by itself. A molecule that cannot be embedded comes as one flat
    drawing.

    Raises:
        MoleculeError: stage ``conformer``, as in ``conformer``.
    """
    settings = settings or EnsembleSettings()
    ordered = _ordered(mol)
    with rdBase.BlockLogs():
        full = Chem.AddHs(ordered)
        deadline = time.monotonic() + settings.conformers.timeout
        found: list[tuple[float, Mol, str]] = []
        for number in range(settings.count if full.GetNumAtoms() <= MOST_EMBEDDED else 0):
            shaped = Mol(full)
            if status := _climb(shaped, settings.conformers, _seed(settings.conformers.seed, number), deadline):
                found.append((_energy(shaped), shaped, status))
            elif not found:  # what all attempts of two rungs could not do, more of them hardly will
                break
        if not found:
            return [Conformer(_flat(ordered), np.nan)]
        found.sort(key=lambda one: one[0])
        kept: list[tuple[list[Mol], Conformer]] = []
        for energy, shaped, status in found:
            parts = Chem.GetMolFrags(_heavy(ordered, shaped), asMols=True)
            if all(_rmsd(parts, others) > settings.rmsd for others, _ in kept):
                kept.append((parts, Conformer(_spatial(ordered, shaped, status), energy)))
        return [one for _, one in kept]


def flat_geometry(mol: Mol) -> Geometry:
    """RDKit's 2D layout (bonds of 1.5 Å) with z = 0, in the atom order of ``conformer``.

    Raises:
        MoleculeError: stage ``conformer``, as in ``conformer``.
    """
    ordered = _ordered(mol)
    with rdBase.BlockLogs():
        return _flat(ordered)


def given_geometry(mol: Mol) -> Geometry:
    """The coordinates that the molecule came with (``given``), in the atom order of its canonical SMILES.

    Raises:
        MoleculeError: stage ``conformer``: it has no 3D coordinates (see ``is_3d``) or too many atoms.
    """
    with rdBase.BlockLogs():
        bare = Chem.RemoveHs(mol)
    check_size(bare)
    name = canonical(bare)
    if not is_3d(mol):
        raise MoleculeError(name, "conformer", "it comes without 3D coordinates")
    order = list(map(int, bare.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"]))
    return _geometry(Chem.RenumberAtoms(bare, order), bare.GetConformer().GetPositions()[order], "given")


def conformers(
    molecules: Iterable[str | Mol], settings: ConformerSettings | None = None, jobs: int = -1
) -> Iterator[Geometry | MoleculeError]:
    """One conformer after the other, in the order of the input, made by several processes.

    Args:
        molecules: SMILES or molecules; read as they are needed, so there may be any number.
        settings: see ``ConformerSettings``.
        jobs: processes; 1 stays in this one, -1 takes every core.

    Yields:
        The geometry, or the ``MoleculeError`` that kept it from being made: one bad molecule stops nobody else.
    """
    spellings = (item if isinstance(item, str) else canonical(item) for item in molecules)
    if jobs == 1:
        return (_attempt(spelling, settings) for spelling in spellings)
    parallel = Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="8*n_jobs")
    return parallel(delayed(_attempt)(spelling, settings) for spelling in spellings)


def _attempt(spelling: str, settings: ConformerSettings | None) -> Geometry | MoleculeError:
    try:
        return conformer(parse(spelling), settings)
    except MoleculeError as error:
        return error


def _ordered(mol: Mol) -> Mol:
    """The same molecule, freshly read from its canonical SMILES."""
    check_size(mol)
    return parse(canonical(mol))


def check_size(mol: Mol) -> None:
    """Comes before the canonical SMILES, which takes seconds for a polymer."""
    if (count := mol.GetNumAtoms()) > MOST_DRAWN:
        raise MoleculeError(f"a molecule of {count:,} atoms", "conformer", f"pictures end at {MOST_DRAWN:,} atoms")


def _climb(full: Mol, settings: ConformerSettings, seed: int, deadline: float) -> str | None:
    """Give the molecule, hydrogens included, its conformer; the rung of the ladder, or None."""
    for status, random_start in (("etkdg", False), ("etkdg-random-coords", True)):
        if _embed(full, seed, deadline, random_start):
            _relax(full, settings.relax, deadline)
            if np.isfinite(full.GetConformer().GetPositions()).all():
                return status
    return None


def _seed(seed: int, number: int) -> int:
    """The seed of one of several conformers; that of the first is the seed itself."""
    digest = blake2b(f"{seed} {number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % (2**31 - 1) if number else seed


def _embed(full: Mol, seed: int, deadline: float, random_start: bool) -> bool:
    """Give the molecule, hydrogens included, its conformer; false where there is no time left or no success."""
    # RDKit counts the limit for each fragment anew, in whole seconds, and takes 0 for "no limit".
    seconds = int(deadline - time.monotonic()) // _fragments(full)
    if seconds < 1:
        return False
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed + 1  # RDKit's generator takes 0 for 1
    parameters.maxIterations = ATTEMPTS
    parameters.timeout = seconds
    parameters.useRandomCoords = random_start
    try:
        return rdDistGeom.EmbedMolecule(full, parameters) == 0
    except (RuntimeError, ValueError):  # bounds that contradict each other: metals, wildcards, impossible cages
        return False


def _fragments(full: Mol) -> int:
    """Number of fragments that have a shape; a single ion costs no time."""
    return max(1, sum(len(atoms) > 2 for atoms in Chem.GetMolFrags(full)))


def _relax(full: Mol, iterations: int, deadline: float) -> None:
    """Minimise the energy in place; ends at a minimum, after the iterations, or when time is up."""
    field = _field(full) if iterations else None
    if field is None:
        return
    for done in range(0, iterations, 100):
        if time.monotonic() > deadline or not field.Minimize(maxIts=min(100, iterations - done)):
            return


def _energy(full: Mol) -> float:
    """In kcal/mol; NaN without a force field."""
    field = _field(full)
    return np.nan if field is None else field.CalcEnergy()


def _field(full: Mol) -> Any:
    """MMFF94, or UFF where it lacks parameters, or None where both do; fragments do not feel each other."""
    parameters = force_fields.MMFFGetMoleculeProperties(full)
    if parameters is not None:
        field = force_fields.MMFFGetMoleculeForceField(full, parameters)
    elif force_fields.UFFHasAllMoleculeParams(full):
        field = force_fields.UFFGetMoleculeForceField(full)
    else:
        return None
    field.Initialize()
    return field


def _heavy(ordered: Mol, full: Mol) -> Mol:
    """The molecule without the hydrogens of the embedding, but with its conformer."""
    mol, conformer = Mol(ordered), Chem.Conformer(ordered.GetNumAtoms())
    for atom, point in enumerate(full.GetConformer().GetPositions()[: ordered.GetNumAtoms()].tolist()):
        conformer.SetAtomPosition(atom, point)
    mol.AddConformer(conformer)
    return mol


def _rmsd(parts: Sequence[Mol], others: Sequence[Mol]) -> float:
    """Of two conformers in ångström, over the atoms of all fragments, each fragment aligned by itself."""
    squares = [
        one.GetNumAtoms() * rdMolAlign.GetBestRMS(Mol(one), other, maxMatches=MOST_MATCHES) ** 2
        for one, other in zip(parts, others, strict=True)
        if one.GetNumAtoms() > 1
    ]
    return float(np.sqrt(sum(squares) / sum(part.GetNumAtoms() for part in parts)))


def _spatial(ordered: Mol, full: Mol, status: str) -> Geometry:
    points = full.GetConformer().GetPositions()[: ordered.GetNumAtoms()]
    return _geometry(ordered, _side_by_side(ordered, points), status)


def _side_by_side(mol: Mol, points: np.ndarray) -> np.ndarray:
    """Move fragments along x so that none lies inside another; ``points`` (atoms, 3) in the order of ``mol``."""
    placed, edge = points.copy(), None
    for atoms in map(list, Chem.GetMolFrags(mol)):
        own = points[atoms] - points[atoms].mean(axis=0)
        if edge is not None:
            own[:, 0] += edge + GAP - own[:, 0].min()
        placed[atoms], edge = own, own[:, 0].max()
    return placed


def _flat(ordered: Mol) -> Geometry:
    try:
        rdDepictor.Compute2DCoords(ordered)
    except (RuntimeError, ValueError) as error:
        raise MoleculeError(canonical(ordered), "conformer", f"RDKit cannot draw it ({error})") from error
    return _geometry(ordered, ordered.GetConformer().GetPositions(), "flat")


def _geometry(mol: Mol, points: np.ndarray, status: str) -> Geometry:
    """Heavy atoms and the bonds between them; ``points`` (atoms, 3) in the order of ``mol``."""
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.uint8)
    kept = np.flatnonzero(numbers != 1)
    if not kept.size:
        kept = np.arange(len(numbers))
    place = {int(atom): index for index, atom in enumerate(kept)}
    bonds = [
        (place[bond.GetBeginAtomIdx()], place[bond.GetEndAtomIdx()], _ORDERS.get(bond.GetBondType(), 0))
        for bond in mol.GetBonds()
        if bond.GetBeginAtomIdx() in place and bond.GetEndAtomIdx() in place
    ]
    drawn = points[kept]
    return Geometry(
        numbers=numbers[kept],
        bonds=np.array(bonds, dtype=np.uint16).reshape(-1, 3),
        coordinates=(drawn - drawn.mean(axis=0)).astype(np.float32),
        status=status,
    )
