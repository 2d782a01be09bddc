"""chemprop's default model, trained by chemprop itself: the yardstick of the field (extra ``chemprop``)."""

from collections.abc import Sequence
from typing import Any, final

import lightning
import numpy as np
import torch

from iem.chem.molecules import parse
from iem.records import Split
from iem.students.chemprop import installed
from iem.workflows.running.trainer import one_thread, quiet_trainer

EPOCHS, BATCH_SIZE = 50, 64
"""Of ``chemprop train``; everything else here is what its classes take by default, as that command does."""


@final
class BestWeights(lightning.Callback):
    """Those of the epoch with the lowest loss on the validation part, by which ``chemprop train`` chooses, too."""

    def __init__(self) -> None:
        self.loss, self.epoch = float("inf"), -1
        self.weights: dict[str, torch.Tensor] = {}

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        loss = float(trainer.callback_metrics["val_loss"])
        if loss < self.loss:
            self.loss, self.epoch = loss, trainer.current_epoch
            self.weights = {name: tensor.detach().clone() for name, tensor in pl_module.state_dict().items()}


def new_model(task: str, tasks: int, transform: Any = None) -> Any:
    """The model that ``chemprop train`` makes: a D-MPNN of width 300 and depth 3, the sum over atoms divided by 100,
    and one hidden layer.

    Args:
        task: ``classification`` or ``regression``.
        tasks: number of targets.
        transform: brings standardised outputs back to their unit.
    """
    chemprop = installed()
    kind = chemprop.nn.BinaryClassificationFFN if task == "classification" else chemprop.nn.RegressionFFN
    return chemprop.models.MPNN(
        chemprop.nn.BondMessagePassing(),
        chemprop.nn.NormAggregation(),
        kind(n_tasks=tasks, output_transform=transform),
    )


def dataset(keys: Sequence[str], labels: np.ndarray) -> Any:
    """Molecules and labels ``(molecules, targets)``, NaN where missing, as chemprop has them; graphs are kept."""
    data = installed().data
    made = data.MoleculeDataset(
        [data.MoleculeDatapoint(parse(key), row) for key, row in zip(keys, labels.astype(np.float32), strict=True)]
    )
    made.cache = True
    return made


@one_thread()
def chemprop_outputs(
    keys: Sequence[str], labels: np.ndarray, split: Split, *, task: str, seed: int, epochs: int = EPOCHS
) -> tuple[np.ndarray, dict[str, Any]]:
    """Train on the training part, choose the epoch by the validation part, predict everything.

    Args:
        keys: canonical SMILES.
        labels: float (molecules, targets), NaN where missing.
        split: the three parts; the test part is not looked at.
        task: ``classification`` or ``regression``.
        seed: of weights and of the order of the molecules.
        epochs: how long to train, and with it the schedule of the learning rate.

    Returns:
        Probabilities or values, float64 (molecules, targets), and what else is known of the training.

    Raises:
        UnavailableError: chemprop is not installed.

    References:
        Heid et al., J. Chem. Inf. Model. 2024, 64, 9, doi:10.1021/acs.jcim.3c01250.
    """
    chemprop = installed()
    train, valid = (dataset([keys[row] for row in rows], labels[rows]) for rows in (split.train, split.valid))
    transform = None
    if task == "regression":
        scaler = train.normalize_targets()
        valid.normalize_targets(scaler)
        transform = chemprop.nn.UnscaleTransform.from_standard_scaler(scaler)
    torch.manual_seed(seed)
    model, best = new_model(task, labels.shape[1], transform), BestWeights()
    quiet_trainer(max_epochs=epochs, callbacks=[best]).fit(
        model,
        chemprop.data.build_dataloader(train, BATCH_SIZE, seed=seed),
        chemprop.data.build_dataloader(valid, BATCH_SIZE, shuffle=False),
    )
    model.load_state_dict(best.weights)
    loader = chemprop.data.build_dataloader(dataset(keys, labels), BATCH_SIZE, shuffle=False)
    batches: Any = quiet_trainer(max_epochs=1).predict(model, loader)
    outputs = torch.cat(batches)
    return outputs.double().numpy(), {"best_epoch": best.epoch + 1, "epochs": epochs}
