"""What a student is: a graph network together with the graphs it eats."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, final, runtime_checkable

from jaxtyping import Float
from rdkit.Chem import Mol
from torch import Tensor, nn

from iem.errors import ConfigError
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
    """
    if not isinstance(choice, str):
        return choice(**options)
    name, _, rest = choice.partition(":")
    for part in filter(None, rest.split(",")):
        option, equals, value = part.partition("=")
        if not equals:
            raise ConfigError("--student", choice, "options are written name=value, with commas between them")
        options[option.strip()] = _value(value.strip())
    try:
        return STUDENTS.build(name, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        wrong = str(error).rpartition(" ")[2]
        raise ConfigError("--student", choice, f"the student {name!r} has no option {wrong}") from error


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
