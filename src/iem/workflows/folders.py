"""Output folders: made, claimed for one set of settings, and never mixed with another's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iem.errors import ConfigError, OutputError
from iem.files import write_json

RUN = "run.json"


def open_run(folder: Path, settings: Mapping[str, Any], *, kind: str) -> None:
    """Claim a folder for a run, or find that it is the same run, interrupted or finished.

    Args:
        folder: made if needed.
        settings: everything that decides the result; kept in ``run.json``.
        kind: what the run makes, ``teacher`` or ``model``.

    Raises:
        OutputError: the folder is a file, holds something else, or cannot be written.
        ConfigError: the folder holds a run with other settings; names the first that differs.
    """
    wanted = json.loads(json.dumps({"kind": kind, **settings}))
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"--out {folder} is a file; name a folder")
    path = folder / RUN
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise OutputError(f"{path} is not readable ({error}); delete {folder} or name another folder") from error
        for name in {**wanted, **found}:  # in the order of the command
            if wanted.get(name) != found.get(name):
                raise ConfigError(
                    f"--{name.replace('_', '-')}" if name != "kind" else "--out",
                    wanted.get(name),
                    f"{folder} holds a run with {found.get(name)!r}; "
                    "repeat that run's command to go on with it, or name another --out",
                )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"--out {folder} exists and is not a {kind} run of iem; name a new folder")
    write_json(path, wanted, parents=True)
