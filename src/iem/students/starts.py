"""Where a student's weights may begin: at what ``iem teach`` left, or at what comes with the package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from iem import artifact
from iem.errors import ArtifactError, ConfigError
from iem.students import architectures as architectures  # these two register the students that come with the package
from iem.students import chemprop as chemprop
from iem.students.base import STUDENTS, parse_name
from iem.students.predictor import TEACHER_DIM, Predictor

BUNDLED = Path(__file__).parent.parent / "assets" / "students"
"""Students that come with the package, already taught, in folders named after who taught them and the student."""

KINDS = ("pictures", "priors")
"""Who taught a student that comes with the package: a teacher of pictures, or the questions alone."""
DEFAULT = "priors"


class Start(NamedTuple):
    """Weights of a student and, if it reads its atoms out as it did then, of its way to the teacher's width."""

    tensors: Mapping[str, Tensor]
    card: Mapping[str, Any]
    origin: str

    @property
    def digest(self) -> str:
        """Of the weights."""
        return self.card["digest"]

    @property
    def dim(self) -> int:
        """The width to which its features are brought."""
        way = self.tensors.get("project.weight")
        return TEACHER_DIM if way is None else len(way)

    @property
    def pictures(self) -> bool:
        """Whether it ever learned from a teacher that looks at pictures."""
        return self.card["teacher"] is not None or bool(self._before and self._before["pictures"])

    @property
    def _before(self) -> Mapping[str, Any] | None:
        """What it had learned when that began; cards of the first form do not say."""
        return self.card.get("start")

    def __str__(self) -> str:
        """In words that follow a verb."""
        corpus, visits = self.card["corpus"]["molecules"], self.card["recipe"]["visits"]
        pictures = self.card["teacher"] is not None
        source = "a teacher of pictures and the prior questions" if pictures else "the prior questions alone"
        before = f", having begun {self._before['about']}" if self._before else ""
        return (
            f"with what it learned from {source} on {corpus:,} molecules without labels, in {visits:,} visits{before}"
        )

    def give(self, predictor: Predictor) -> None:
        """Let a predictor begin here; its task head stays as it is, and so does its way to a teacher of another width.

        Raises:
            ArtifactError: the weights do not fit.
        """
        way = "project.weight" in self.tensors and predictor.project.out_features == self.dim
        names = ("student", "project") if way else ("student",)
        parts = nn.ModuleDict({name: predictor.get_submodule(name) for name in names})
        tensors = {name: tensor for name, tensor in self.tensors.items() if name.partition(".")[0] in names}
        artifact.load_into(parts, tensors, origin=self.origin)


def common_width(teacher: int | None, start: Start | None) -> int:
    """d_v, the width to which a student's features are brought: the teacher's, its start's, or else ResNet-18's."""
    return teacher if teacher is not None else TEACHER_DIM if start is None else start.dim


def find_start(name: str, student: str | None, *, bundled: Path = BUNDLED) -> Start | None:
    """The weights that a student begins with; None for fresh ones.

    Args:
        name: ``none``; ``pictures``, ``priors`` or ``default`` (one of the two): what comes with the package for this
            student, if anything; or a folder. A student that only reads its atoms out in another way will do, too,
            where none comes along that reads them out as this one does.
        student: name with options, as on the command line; None for one that has no name.
        bundled: where the package's own are.

    Raises:
        ArtifactError: no such folder, or a damaged one.
        ConfigError: the folder holds another student.
    """
    if name == "none":
        return None
    if name == "default":
        name = DEFAULT
    if name in KINDS:
        if student is None:
            return None
        folders = [path.parent for path in sorted(bundled.glob(f"{name}-*/{artifact.CARD}"))]
        taught = {folder: artifact.read_card(folder, kind="student")["student"] for folder in folders}
        fitting = [folder for folder in folders if alike(taught[folder], student)]
        fitting.sort(key=lambda folder: layers(taught[folder]) != layers(student))
        return _as(student, _read(fitting[0])) if fitting else None
    start = _read(Path(name))
    if not (student and alike(start.card["student"], student)):
        raise ConfigError(
            "--start", name, f"it holds the student {start.card['student']}; say --student {start.card['student']}"
        )
    return _as(student, start)


def _as(student: str, start: Start) -> Start:
    """Without the way to the teacher's width, which another read-out has to find for itself."""
    if layers(student) == layers(start.card["student"]):
        return start
    network = {name: tensor for name, tensor in start.tensors.items() if name.startswith("student.")}
    return start._replace(tensors=network, card={**start.card, "looks": None})


def alike(taught: str, student: str) -> bool:
    """Whether two students, by their names, have the same layers: their read-outs may differ, unless one is learned."""
    if parse_name(taught)[0] != parse_name(student)[0]:
        return False
    options, others = layers(taught), layers(student)
    readouts = options.pop("readout", None), others.pop("readout", None)
    learned = any("attention" in str(readout) for readout in readouts)
    return options == others and (readouts[0] == readouts[1] or not learned)


def layers(student: str) -> dict[str, Any]:
    """All that decides the layers of a student with a name, whether it was said or goes without saying."""
    name, said = parse_name(student)
    options = STUDENTS.defaults(name) | said
    options.pop("dropout", None)
    return {"student": name, **options}


def _read(folder: Path) -> Start:
    try:
        tensors, card = artifact.load(folder, kind="student")
    except ArtifactError as error:
        raise ArtifactError(f"{error}; --start takes what iem teach made, default, or none") from error
    return Start(tensors, card, str(folder))
