"""The teacher that the paper's authors published becomes a teacher folder."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from iem import artifact
from iem.chem.priors import PAPER, PRIORS
from iem.errors import ArtifactError, OutputError
from iem.nn.encoders import ImageEncoder
from iem.nn.heads import prior_heads
from iem.workflows.running.console import say

ENCODERS = {"encoder_2d": "image2d_teacher", "encoder_3d": "image3d_teacher"}
HEADS = {
    "atom": "atomDistPredictor",
    "bond": "boundDistPredictor",
    "geometry": "geometryPredictor",
    "property": "propertiesPredictor",
}
"""Which part of the published file is which of ours."""
LAYERS = {"network.linear1.": "first.", "network.linear2.": "second."}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
"""What pixels are standardised with in networks that look at pictures as torchvision's do."""
SIZE, ARCHITECTURE = 224, "resnet18"


def import_teacher(file: Path, *, out: Path) -> None:
    """See ``iem.workflows.teachers.import_``."""
    if os.path.exists(out):
        raise OutputError(f"--out {out} exists; name a new folder")
    content = artifact.read_pth(file)
    parts = {part: _state(content, part, file) for part in (*ENCODERS.values(), *HEADS.values())}
    encoders = {name: ImageEncoder(ARCHITECTURE, **IMAGENET) for name in ENCODERS}
    heads = prior_heads(encoders["encoder_3d"].dim, {name: PRIORS[name].size for name in PAPER})
    faults = []
    for name, part in ENCODERS.items():
        found = {key.removeprefix("model."): tensor for key, tensor in parts[part].items()}
        faults.append(_fill(encoders[name].network, found, part))
    for name, part in HEADS.items():
        found = {_renamed(key): tensor for key, tensor in parts[part].items()}
        buffers = {"mean": torch.zeros(PRIORS[name].size), "std": torch.ones(PRIORS[name].size)}  # it answers raw
        faults.append(_fill(heads[name], found | buffers, part))
    if any(faults):
        raise ArtifactError(
            f"{file} is not the published teacher ({'; '.join(fault for fault in faults if fault)}); get IEM.pth anew"
        )
    tensors = {f"heads.{key}": tensor for key, tensor in heads.state_dict().items()}
    for name, encoder in encoders.items():
        tensors |= {f"{name}.{key}": tensor for key, tensor in encoder.state_dict().items()}
    card = {
        "architecture": ARCHITECTURE,
        "views": ["2d", "3d"],
        "priors": {name: PRIORS[name].size for name in PAPER},
        "size": SIZE,
        "view_set": "paper",
        "renderer": "PyMOL, by its authors; iem shows it pictures of its own renderer, which look nearly the same",
        "depiction": "RDKit, by its authors",
        "imported_from": {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()},
        "licence": "unknown: ask its authors before you pass it on",
    }
    artifact.save(out, tensors, card, kind="teacher")
    say(f"the teacher is in {out}; try it with iem fit --teacher {out}")


def _state(content: Any, part: str, file: Path) -> Mapping[str, Tensor]:
    """The state dict of one network, without the prefix that data-parallel training leaves."""
    state = content.get(part) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ArtifactError(f"{file} is not the published teacher: it has no state dict {part}; get IEM.pth anew")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _renamed(key: str) -> str:
    """The name of a head's tensor in ours."""
    for theirs, ours in LAYERS.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return key


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], part: str) -> str:
    """Fill a network if all fits; what does not, otherwise."""
    if faults := artifact.misfits(network, tensors):
        return f"{part}: {faults}"
    network.load_state_dict(tensors)
    return ""
