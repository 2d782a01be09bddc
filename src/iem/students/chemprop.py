"""The message-passing network of chemprop as a student, and back again as a model of chemprop (extra ``chemprop``).

It brings torch along and takes seconds to import, so it is imported on first use; also by workers that make graphs.
"""

from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple, final

import numpy as np
import torch
from rdkit.Chem import ChiralType, Mol
from torch import Tensor, nn

from iem.errors import ConfigError, UnavailableError
from iem.students.base import STUDENTS, Assembled, check_dropout
from iem.students.predictor import Predictor


class MolGraphs(NamedTuple):
    """Several of chemprop's graphs as one that falls into parts; the names are those that chemprop's layers read."""

    V: Tensor
    """Atom features, float (atoms, 72)."""
    E: Tensor
    """Bond features, float (edges, 14)."""
    edge_index: Tensor
    """int64 (2, edges)."""
    rev_edge_index: Tensor
    """Of each edge the edge in the other direction, int64 (edges,)."""
    batch: Tensor
    """The molecule of each atom, int64 (atoms,), ascending."""

    def to(self, device: torch.device) -> "MolGraphs":
        """The same graph on another device."""
        return MolGraphs(*(tensor.to(device) for tensor in self))


def installed() -> ModuleType:
    """The package chemprop.

    Raises:
        UnavailableError: it is not installed.
    """
    try:
        import chemprop
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"the package chemprop is not installed ({error}); install it with: pip install 'iem[chemprop]'"
        ) from error
    return chemprop


@cache
def featurizer() -> Any:
    """What chemprop sees in a molecule by default: 72 features per atom, 14 per bond."""
    return installed().featurizers.SimpleMoleculeMolGraphFeaturizer()


@cache
def hands() -> tuple[int, int]:
    """The two atom features that are read as one: neighbours clockwise, and anticlockwise.

    Which of the two an atom has depends on the order in which its neighbours are written, so chemprop would predict
    another value for the same molecule under another SMILES. That it is a stereocentre does not.
    """
    atom = featurizer().atom_featurizer
    start = sum(len(choices) + 1 for choices in (atom.atomic_nums, atom.degrees, atom.formal_charges))
    clockwise, other = (
        start + atom.chiral_tags[int(tag)] for tag in (ChiralType.CHI_TETRAHEDRAL_CW, ChiralType.CHI_TETRAHEDRAL_CCW)
    )
    return clockwise, other


def featurize(mol: Mol) -> Any:
    """The graph that chemprop makes of a molecule, but the same however the molecule is written; see ``hands``.

    Args:
        mol: as ``iem.chem.molecules.parse`` gives it.
    """
    graph = featurizer()(mol)
    clockwise, other = hands()
    graph.V[:, clockwise] += graph.V[:, other]
    graph.V[:, other] = 0
    return graph._replace(E=graph.E.astype(np.float32))


def collate(graphs: Sequence[Any]) -> MolGraphs:
    """Put molecules side by side; atoms and edges keep their order."""
    atoms, edges = (np.array([len(array) for array in arrays]) for arrays in list(zip(*graphs, strict=True))[:2])
    first_atom, first_edge = np.cumsum(atoms) - atoms, np.cumsum(edges) - edges
    return MolGraphs(
        torch.from_numpy(np.concatenate([graph.V for graph in graphs])),
        torch.from_numpy(np.concatenate([graph.E for graph in graphs])),
        torch.from_numpy(np.concatenate([graph.edge_index for graph in graphs], axis=1) + np.repeat(first_atom, edges)),
        torch.from_numpy(np.concatenate([graph.rev_edge_index for graph in graphs]) + np.repeat(first_edge, edges)),
        torch.from_numpy(np.repeat(np.arange(len(graphs)), atoms)),
    )


@final
class Encoder(nn.Module):
    """Messages along bonds, and one of chemprop's read-outs.

    Args:
        messages: chemprop's message passing.
        read: chemprop's aggregation over atoms.
    """

    def __init__(self, messages: Any, read: Any) -> None:
        super().__init__()
        self.messages, self.read = messages, read

    def forward(self, batch: MolGraphs) -> Tensor:
        return self.read(self.messages(batch), batch.batch)


@STUDENTS.add("chemprop")
def build(*, dropout: float = 0.0, readout: str = "norm") -> Assembled:
    """The default encoder of chemprop: directed bonds, width 300, three steps, the sum over atoms divided by 100.

    Args:
        dropout: probability after each step.
        readout: ``norm``, that sum; ``sum``; or ``mean``.

    Raises:
        UnavailableError: chemprop is not installed.
        ConfigError: no such read-out, or no probability.

    References:
        Yang et al., J. Chem. Inf. Model. 2019, 59, 3370, doi:10.1021/acs.jcim.9b00237; Heid et al., ibid. 2024, 64, 9,
        doi:10.1021/acs.jcim.3c01250.
    """
    layers = installed().nn
    known = {"norm": layers.NormAggregation, "sum": layers.SumAggregation, "mean": layers.MeanAggregation}
    if readout not in known:
        raise ConfigError("readout", readout, f"it must be one of {', '.join(known)}")
    check_dropout(dropout)
    messages = layers.BondMessagePassing(dropout=dropout)
    network = Encoder(messages, known[readout]())
    return Assembled(
        network, dim=messages.output_dim, featurize=featurize, collate=collate, embed=lambda net, batch: net(batch)
    )


def as_chemprop(predictor: Predictor) -> Any:
    """The model of chemprop that predicts what a predictor with this student predicts, from chemprop's own graphs.

    Between the student and the first layer of the task head nothing bends: that layer and the projection become one.
    Both features of ``hands`` get the weights of the one that the student has read.
    """
    chemprop = installed()
    student = predictor.student
    assert isinstance(student, Assembled)
    network: Any = student.net
    settings = {name: value for name, value in network.messages.hparams.items() if name != "cls"}
    encoder = chemprop.nn.BondMessagePassing(**settings)
    encoder.load_state_dict(network.messages.state_dict())
    first, *rest = [layer for layer in predictor.head.modules() if isinstance(layer, nn.Linear)]
    shape: dict[str, Any] = {"n_layers": len(rest), **({"hidden_dim": first.out_features} if rest else {})}
    tasks = len(predictor.mean)
    if predictor.task == "regression":
        scale = chemprop.nn.UnscaleTransform(predictor.mean.tolist(), predictor.std.tolist())
        output = chemprop.nn.RegressionFFN(n_tasks=tasks, input_dim=student.dim, output_transform=scale, **shape)
    else:
        output = chemprop.nn.BinaryClassificationFFN(n_tasks=tasks, input_dim=student.dim, **shape)
    into, *others = [layer for layer in output.ffn.modules() if isinstance(layer, nn.Linear)]
    clockwise, other = hands()
    project = predictor.project
    with torch.no_grad():
        for layer in (encoder.W_i, encoder.W_o):
            layer.weight[:, other] = layer.weight[:, clockwise]
        into.weight.copy_(first.weight.double() @ project.weight.double())
        into.bias.copy_(first.weight.double() @ project.bias.double() + first.bias.double())
    for layer, own in zip(others, rest, strict=True):
        layer.load_state_dict(own.state_dict())
    return chemprop.models.MPNN(encoder, network.read, output).eval()
