"""A folder of weights with a card: written whole, loaded strictly by name, never unpickled."""

import hashlib
import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor, nn

from iem.errors import ArtifactError
from iem.files import write_bytes, write_json

WEIGHTS, CARD = "model.safetensors", "card.json"
SCHEMA = 1


def versions() -> dict[str, str]:
    """Versions of what decides a result."""
    return {name: version(name) for name in ("iem", "torch", "rdkit", "torch-geometric", "timm", "numpy")}


def save(
    folder: Path,
    tensors: Mapping[str, Tensor],
    card: Mapping[str, Any],
    *,
    kind: str,
    further: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> str:
    """Write ``model.safetensors``, then ``card.json`` that vouches for it; return the digest of the weights.

    Args:
        folder: made if needed.
        tensors: by name.
        card: what else there is to know.
        kind: what the folder is.
        further: tensors for files of their own, by the name of the file: what only some readers need.
    """
    digests = {}
    for name, some in {WEIGHTS: tensors, **(further or {})}.items():
        content = dump_tensors({key: tensor.detach().cpu().contiguous() for key, tensor in some.items()})
        digests[name] = hashlib.sha256(content).hexdigest()
        write_bytes(folder / name, content, parents=True)
    digest = digests.pop(WEIGHTS)
    head = {"program": "iem", "kind": kind, "schema": SCHEMA, "digest": digest, "versions": versions()}
    write_json(folder / CARD, dict(card) | ({"further": digests} if digests else {}) | head)
    return digest


def read_card(folder: Path, *, kind: str) -> dict[str, Any]:
    """The card of a folder, after checking that it is ours, of this kind and version.

    Raises:
        ArtifactError: with what is wrong and what to do.
    """
    path = folder / CARD
    if not os.path.isdir(folder):
        raise ArtifactError(f"there is no {kind} folder at {folder}; check the path")
    if not os.path.isfile(path):
        raise ArtifactError(
            f"{folder} has no {CARD}, so it is not a finished {kind}; repeat the command that began it, "
            "or name another folder"
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); restore it or make the {kind} again") from error
    if not isinstance(card, dict) or card.get("program") != "iem":
        raise ArtifactError(f"{path} was not written by iem; name a folder that iem wrote")
    if card.get("kind") != kind:
        raise ArtifactError(f"{folder} holds a {card.get('kind')}, but a {kind} is needed here")
    if card.get("schema") != SCHEMA:
        writer = card["versions"].get("iem") if isinstance(card.get("versions"), dict) else None
        raise ArtifactError(
            f"{folder} has format version {card.get('schema')}, and this iem reads version {SCHEMA}; "
            f"install the iem that wrote it ({writer or 'unknown'}) or make it again"
        )
    return card


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Half precision for the matrices and filters; statistics and biases are small and stay as they are."""
    return {
        name: tensor.half() if tensor.ndim > 1 and tensor.numel() > 4096 else tensor for name, tensor in tensors.items()
    }


def load(folder: Path, *, kind: str, part: str = WEIGHTS) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and card of a folder whose weights have the digest that the card names.

    Args:
        folder: that was written by ``save``.
        kind: what it should be.
        part: which of its files.

    Raises:
        ArtifactError: missing, truncated, altered, or of another program, kind or version.
    """
    card = read_card(folder, kind=kind)
    path = folder / part
    expected = card.get("digest") if part == WEIGHTS else card.get("further", {}).get(part)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}; restore it or make the {kind} again") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise ArtifactError(f"{path} is damaged: it is not the file that {CARD} describes; restore it or train again")
    try:
        return read_tensors(content), card
    except SafetensorError as error:
        raise ArtifactError(f"{path} is not a safetensors file ({error}); restore it or train again") from error


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], *, origin: str) -> None:
    """Fill a module strictly by name and shape; half precision is widened to the module's own.

    Raises:
        ArtifactError: naming the tensors that are missing, left over, or of another shape.
    """
    if faults := misfits(module, tensors):
        raise ArtifactError(f"{origin} does not fit the network that its card describes ({faults})")
    own = module.state_dict()
    module.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()}, strict=True)


def misfits(module: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Which tensors are missing, left over, or of another shape than the module's; empty if all fit."""
    own = module.state_dict()
    missing, extra = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    shapes = [
        f"{name} is {tuple(tensors[name].shape)} and should be {tuple(own[name].shape)}"
        for name in sorted(own.keys() & tensors.keys())
        if own[name].shape != tensors[name].shape
    ]
    faults = [f"missing: {', '.join(missing[:5])}"] * bool(missing)
    faults += [f"not expected: {', '.join(extra[:5])}"] * bool(extra) + shapes[:5]
    return "; ".join(faults)


def read_pth(path: Path) -> Any:
    """What a file of ``torch.save`` holds: tensors and plain containers; nothing in it is executed.

    Raises:
        ArtifactError: missing, damaged, or with objects that only unpickling would bring back.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}; check the path") from error
    except UnpicklingError as error:
        raise ArtifactError(
            f"{path} holds more than tensors, or is no file of PyTorch; iem executes nothing that is in such a file: "
            "have its author save the state dicts alone"
        ) from error
    except Exception as error:  # an unpickler stumbles over foreign bytes in many ways
        raise ArtifactError(f"{path} is damaged or no file of PyTorch; get it anew") from error
