"""What a student is: a graph network together with the graphs it eats."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from numbers import Integral
from typing import Any, Protocol, final, runtime_checkable

import torch
from jaxtyping import Float
from rdkit.Chem import Mol
from torch import Tensor, nn

from iem.errors import ConfigError, ContractError
from iem.registry import Registry


@runtime_checkable
class Student(Protocol):
    """A graph network, how it sees one molecule, and how it puts molecules into one batch. Also an ``nn.Module``."""

    dim: int
    """d_g: features per molecule."""

    def featurize(self, mol: Mol) -> Any:
        """The graph of one molecule; may be kept and used again."""

    def collate(self, graphs: Sequence[Any]) -> Any:
        """One batch of graphs, which has a method ``to(device)``."""

    def __call__(self, batch: Any) -> Float[Tensor, "batch dim"]:
        """Features of the molecules of a batch."""


@final
class Assembled(nn.Module):
    """A student made of parts that somebody already owns.

    Args:
        net: the network.
        dim: features per molecule that ``embed`` returns.
        featurize: molecule to graph.
        collate: graphs to batch.
        embed: network and batch to features ``(batch, dim)``.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        dim: int,
        featurize: Callable[[Mol], Any],
        collate: Callable[[Sequence[Any]], Any],
        embed: Callable[[nn.Module, Any], Tensor],
    ) -> None:
        super().__init__()
        self.net, self.dim = net, dim
        self.featurize, self.collate, self._embed = featurize, collate, embed

    def forward(self, batch: Any) -> Float[Tensor, "batch dim"]:
        return self._embed(self.net, batch)


STUDENTS: Registry[Student] = Registry("student")
"""Students by name; other packages join through entry points of the group ``iem.student``.

A factory takes the keyword argument ``dropout`` (a probability) and returns a student.
"""


def build_student(choice: str | Callable[..., Student], **options: Any) -> Student:
    """A new student.

    Args:
        choice: a name, with options of the network behind a colon (``gin:layers=3,readout=sum``), or a factory.
        options: further ones, such as ``dropout``.

    Raises:
        UnknownNameError: no student has this name.
        ConfigError: an option that this student does not have, or a value that it does not take.
        ContractError: a factory that does not take these options, or what it makes is no student.
    """
    if not isinstance(choice, str):
        return _checked(_made(choice, options), choice)
    name, own = parse_name(choice)
    try:
        return _checked(STUDENTS.build(name, **(options | own)), name)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        wrong = str(error).rpartition(" ")[2]
        raise ConfigError("--student", choice, f"the student {name!r} has no option {wrong}") from error


def parse_name(choice: str) -> tuple[str, dict[str, Any]]:
    """The name of a student and the options behind its colon.

    Raises:
        ConfigError: options that are not written as options.
    """
    name, _, rest = choice.partition(":")
    options = {}
    for part in filter(None, rest.split(",")):
        option, equals, value = part.partition("=")
        if not equals:
            raise ConfigError("--student", choice, "options are written name=value, with commas between them")
        options[option.strip()] = _value(value.strip())
    return name, options


def _made(factory: Callable[..., Student], options: dict[str, Any]) -> Student:
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        raise ContractError(
            f"the factory {_called(factory)} must take the keyword argument dropout: {error}"
        ) from error
    return factory(**options)


def check_dropout(probability: Any) -> None:
    """Raise ConfigError unless a student can forget with this probability and still learn."""
    if not isinstance(probability, int | float) or not 0 <= probability < 1:
        raise ConfigError("dropout", probability, "it must be a number from 0 to below 1")


def name_of(student: str | Callable[..., Student]) -> str:
    """What stands for a student on disk: its name, or where a factory of somebody else is found."""
    if isinstance(student, partial):
        given = [*map(repr, student.args), *(f"{name}={value!r}" for name, value in sorted(student.keywords.items()))]
        return f"{name_of(student.func)}({', '.join(given)})"
    return student if isinstance(student, str) else f"{student.__module__}.{_called(student)}"


def _called(factory: object) -> str:
    """What people know a factory by."""
    if isinstance(factory, partial):
        return _called(factory.func)
    return factory if isinstance(factory, str) else getattr(factory, "__qualname__", type(factory).__name__)


def _checked(student: Any, source: object) -> Student:
    """The student, if it is one."""
    lacks = [name for name in ("featurize", "collate") if not callable(getattr(student, name, None))]
    dim = getattr(student, "dim", None)
    if not isinstance(student, nn.Module):
        lacks.append("the base class torch.nn.Module")
    if not isinstance(dim, Integral) or dim < 1:
        lacks.append(f"dim, a number of features (it is {dim!r})")
    if lacks:
        raise ContractError(
            f"what {_called(source)} makes, a {type(student).__name__}, is no student; it lacks {', '.join(lacks)}; "
            f"iem.students.base.Assembled makes a student of any network"
        )
    return student


def features_of(student: Student, graphs: Sequence[Any], names: Sequence[str]) -> Float[Tensor, "batch dim"]:
    """What a student says of a batch of graphs, once it is sure that it is of the right kind.

    Args:
        student: in the mode in which it is to work.
        graphs: as its ``featurize`` makes them.
        names: of the molecules, for the error.

    Raises:
        ContractError: a batch that cannot move to a device, or features that are no finite ``(batch, dim)`` numbers.
    """
    batch = student.collate(graphs)
    if not callable(getattr(batch, "to", None)):
        raise ContractError(
            f"collate of the student returns a {type(batch).__name__} without a method to(device); return a tensor, or "
            "a NamedTuple that has one"
        )
    features = student(batch)
    if not isinstance(features, Tensor) or not features.is_floating_point():
        kind = f"a tensor of {features.dtype}" if isinstance(features, Tensor) else f"a {type(features).__name__}"
        raise ContractError(f"the student returns {kind}, but features are a tensor of floating-point numbers")
    wanted = (len(graphs), student.dim)
    if features.shape != wanted:
        raise ContractError(
            f"the student returns features of shape {tuple(features.shape)} for {len(graphs)} molecules, but with "
            f"dim = {student.dim} the shape must be {wanted}"
        )
    if (broken := ~features.isfinite().all(dim=1)).any():
        first = names[int(torch.argmax(broken.int()))]
        raise ContractError(
            f"the student returns features that are not finite for {int(broken.sum())} of {len(graphs)} molecules, the "
            f"first of them {first!r}"
        )
    return features


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
