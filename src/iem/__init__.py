"""iem: graph networks for molecules that learned from pictures (Xiang et al., IJCAI 2024)."""

import importlib

_HOME = {
    "draw": "iem.workflows.draw",  # not "render": that is the room of the renderers
    "export": "iem.workflows.export",
    "fit": "iem.workflows.fit",
    "load": "iem.workflows.predict",
    "predict": "iem.workflows.predict",
    "prepare": "iem.workflows.prepare",
    "pretrain": "iem.workflows.pretrain",
    "load_teacher": "iem.workflows.pictures.embed",
    "Distiller": "iem.workflows.distillation.distiller",
    "IEMClassifier": "iem.estimators",
    "IEMRegressor": "iem.estimators",
    "IEMError": "iem.errors",
}
__all__ = ["IEMClassifier", "IEMError", "IEMRegressor", "draw", "export", "fit", "load", "load_teacher", "predict"]
__all__ += ["Distiller", "prepare", "pretrain"]


def __getattr__(name: str) -> object:
    """Public names are loaded on first use, so that importing iem costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'iem' has no attribute {name!r}; it offers {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
