"""The verb ``iem prepare``: lists of molecules in, a corpus for ``iem pretrain`` out."""

from pathlib import Path

from iem.errors import ConfigError


def prepare(
    *inputs: str,
    out: Path,
    exclude: tuple[str, ...] = (),
    limit: int | None = None,
    smiles: str | None = None,
    seed: int = 0,
    timeout: float = 10.0,
    relax: int = 200,
    flat: bool = False,
    shard_size: int = 1000,
    jobs: int = -1,
    engine: str = "cores",
    address: str | None = None,
) -> None:
    """Make a corpus of molecules with 3D coordinates and priors, to pre-train teachers on.

    Duplicates are removed by canonical SMILES. Interrupted at any moment, the same command goes on where it was and
    makes the same files.

    Args:
        inputs: Lists of SMILES, CSV, TSV, Parquet or SDF files, each also gzip-compressed.
        out: Folder for the corpus.
        exclude: Table, by name or path, whose molecules are kept out, whatever their stereo; repeat for several.
        limit: Take a random sample of so many molecules from all inputs. Each row draws a number that depends on its
            text and the seed only, and the lowest are taken, so the order of the inputs does not matter.
        smiles: Column with the SMILES; found by its content if not given.
        seed: Of the sample and the conformers.
        timeout: Seconds for the conformer of one molecule; one that takes longer is drawn flat.
        relax: Iterations of MMFF94 at most on each conformer; 0 keeps the embedding as it is and takes half the time
            for drug-like molecules.
        flat: Make no conformers, only RDKit's 2D layout: a tenth of the time. Enough for "iem teach --teacher
            none", whose questions about shape are left out then; a teacher of pictures needs conformers.
        shard_size: Molecules per file; what is lost at most when a run is killed.
        jobs: Processes; -1 is one per core.
        engine: "cores" of this machine, or "ray" for a Ray cluster whose machines share the folder of the corpus.
        address: Of the Ray cluster ("auto" on one of its machines); without it Ray is started on this machine.
    """
    if not inputs:
        raise ConfigError("INPUT", "", "name at least one file with molecules")
    for name, value in (("--limit", limit), ("--shard-size", shard_size)):
        if value is not None and value <= 0:
            raise ConfigError(name, value, "it must be positive")
    from iem.chem.conformers import ConformerSettings
    from iem.workflows.corpora.preparing import prepare_corpus

    prepare_corpus(
        inputs,
        out=Path(out),
        exclude=(exclude,) if isinstance(exclude, str) else tuple(exclude),
        limit=limit,
        smiles=smiles,
        settings=ConformerSettings(seed=seed, timeout=timeout, relax=relax, flat=flat),
        shard_size=shard_size,
        jobs=jobs,
        engine=engine,
        address=address,
    )
