"""The verb ``iem benchmark``: the paper's tables, baselines and controls, run by run."""

from pathlib import Path
from typing import Literal, get_args

from iem.errors import ConfigError
from iem.workflows.distillation.recipe import Norms
from iem.workflows.settings import check_choice, check_jobs, check_positive

Plan = Literal["table1", "table2", "table3", "table4", "table5", "table6", "baselines", "controls"]


def benchmark(
    plan: Plan,
    *,
    out: Path = Path("benchmark"),
    datasets: tuple[str, ...] = (),
    students: tuple[str, ...] = (),
    methods: tuple[str, ...] = (),
    seeds: int = 10,
    split: str = "scaffold",
    teacher: str = "default",
    starts: Path | None = None,
    preset: Literal["default", "paper"] = "default",
    epochs: int | None = None,
    hidden: int | None = None,
    norms: Norms | None = None,
    average: float | None = None,
    ke: float | None = None,
    te: float | None = None,
    list_runs: bool = False,
    jobs: int = 1,
    engine: str = "cores",
    address: str | None = None,
) -> None:
    """Reproduce a table of the paper, or put baselines and controls beside it.

    table1 and table2: a student without and with the teacher on the classification and the regression tables; table3:
    four students; table4: kinds of pictures; table5: fewer pictures; table6: each enhancer alone; baselines:
    fingerprints, descriptors and teacher features without a graph network; controls: what else could explain a gain.

    A run is one table, student, method and seed. OUT keeps every finished run under everything that it depends on, so
    the same command goes on where it was, several commands may share one OUT, and "iem benchmark report OUT" shows all.

    Args:
        plan: What to run.
        out: Folder for the results.
        datasets: Only these tables, by name; repeat the option for several.
        students: Only these graph networks.
        methods: Only these methods.
        seeds: Seeds 0, 1, ... of every run; the paper took ten.
        split: "scaffold" (Hu et al., 8:1:1), "random" (a split for each seed), "cluster" (by similarity of ECFP4,
            8:1:1), or "cv5x5" (five times five-fold cross-validation; seeds count its 25 folds).
        teacher: "default" or a folder that "iem pretrain" wrote.
        starts: Folder of students with a head start, such as pictures-gin and priors-gin, each made by "iem teach";
            those that come with iem if not given.
        preset: Of the training, as in "iem fit".
        epochs: At most so many passes over the training part [100].
        hidden: Width of the hidden layer of the task head, as in "iem fit"; 0 for none [300; paper: 0].
        norms: As in "iem fit", for methods with a head start [kept].
        average: Steps over which weights are averaged, as in "iem fit"; 0 for none [10; paper: 0].
        ke: λ_KE, as in "iem fit".
        te: λ_TE, as in "iem fit".
        list_runs: Show the runs and which of them are done, and stop.
        jobs: Runs at a time; each takes one core.
        engine: "cores" of this machine, or "ray" for a Ray cluster whose machines share OUT.
        address: Of the Ray cluster.
    """
    if seeds < 1:
        raise ConfigError("--seeds", seeds, "at least one is needed")
    from iem.workflows.evidence.benchmarking import Protocol, planned, run_all
    from iem.workflows.running.engines import ENGINES

    if norms is not None:
        check_choice("--norms", norms, get_args(Norms))
    if hidden is not None:
        check_positive("--hidden", hidden, zero=True, whole=True)
    if average is not None:
        check_positive("--average", average, zero=True)
    if epochs is not None:
        check_positive("--epochs", epochs, whole=True)
    for option, weight in (("--ke", ke), ("--te", te)):
        if weight is not None:
            check_positive(option, weight, zero=True)
    check_jobs(jobs)
    check_choice("--engine", engine, ENGINES)
    if starts is not None and not Path(starts).is_dir():
        raise ConfigError("--starts", str(starts), "there is no such folder; make students for it with iem teach")
    given = {"epochs": epochs, "hidden": hidden, "norms": norms, "average": average, "ke": ke, "te": te}
    protocol = Protocol.of(
        split=split,
        teacher=teacher,
        preset=preset,
        starts=starts,
        **{name: value for name, value in given.items() if value is not None},
    )
    runs = planned(plan, datasets, students, methods, seeds)
    run_all(runs, protocol, out=Path(out), list_runs=list_runs, jobs=jobs, engine=engine, address=address)


def report(results: Path = Path("benchmark"), *, out: Path | None = None) -> None:
    """Write the tables of all finished runs in RESULTS: results.jsonl, results.md and report.html.

    Scores beside the paper's; paired differences between a student with and without pictures, and to what controls for
    them; and what the validation part would have chosen.

    Args:
        results: Folder that "iem benchmark" wrote, or the results.jsonl of one.
        out: Where to write; into the folder itself if not given, and for a file into a folder of its name beside it.
    """
    from iem.workflows.evidence.reporting import write_report

    results = Path(results)
    write_report(results, Path(out) if out else results.with_suffix("") if results.is_file() else results)
