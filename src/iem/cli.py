"""The command line: verbs are functions, their signatures the options, their docstrings the help."""

import os
import sys
from collections.abc import Sequence

import cyclopts

from iem.errors import IEMError
from iem.workflows.benchmark import benchmark, report
from iem.workflows.corpus import corpus
from iem.workflows.draw import draw
from iem.workflows.evaluate import evaluate
from iem.workflows.export import export
from iem.workflows.fit import fit
from iem.workflows.predict import predict
from iem.workflows.prepare import prepare
from iem.workflows.pretrain import pretrain
from iem.workflows.priors import priors
from iem.workflows.tables import datasets
from iem.workflows.tables import export as write_table
from iem.workflows.teach import teach
from iem.workflows.teachers import import_, pack, show

app = cyclopts.App(  # takes a lone hyphen for an option that it does not know
    name="iem",
    help="Predict properties of molecules with graph networks that learned from pictures.",
    help_format="markdown",
    default_parameter=cyclopts.Parameter(negative=()),
    suppress_keyboard_interrupt=False,  # `main` says what can be done next
)
for verb in (predict, export, pretrain, teach, prepare, corpus):
    app.command(verb)
# `fit` compares by itself, so it alone has --no- forms of its flags
app.command(fit, default_parameter=cyclopts.Parameter(negative=None, negative_iterable=()), sort_key=0)
app.command(draw, name="render")
tables = cyclopts.App(name="datasets", help_format="markdown")
tables.default(datasets)
tables.command(write_table, name="export")
app.command(tables)
teachers = cyclopts.App(name="teacher", help="Look at teachers, measure them, make them smaller, import one.")
teachers.command(show)
teachers.command(evaluate)
teachers.command(pack)
teachers.command(import_, name="import")
app.command(teachers)
benchmarks = cyclopts.App(name="benchmark", help_format="markdown")
benchmarks.default(benchmark)
benchmarks.command(report)
benchmarks.command(priors)
app.command(benchmarks)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 for a foreseen error, 2 for wrong usage, 130 when interrupted.

    Args:
        argv: the words after ``iem``; those of the process if None.
    """
    words = ["/dev/stdin" if word == "-" else word for word in (sys.argv[1:] if argv is None else argv)]  # see `app`
    try:
        app(words, exit_on_error=False, result_action="return_value")
    except IEMError as error:  # foreseen: one sentence for people; anything else keeps its traceback
        sys.stderr.write(f"iem: {error}\n")
        return 1
    except cyclopts.CycloptsError:  # already explained on the terminal
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(
            "iem: interrupted; run it again: fit, pretrain, teach, prepare and benchmark go on where they were\n"
        )
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


def entry() -> None:
    """The ``iem`` program."""
    sys.exit(main())
