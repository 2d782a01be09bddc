"""Every error that iem raises on purpose: what happened, where, and what to do now."""


class IEMError(Exception):
    """Root of the family. The command line prints it as one sentence and exits with 1."""


class ConfigError(IEMError, ValueError):
    """A setting has a value that cannot work."""

    def __init__(self, setting: str, value: object, rule: str) -> None:
        super().__init__(f"{setting} is {value!r}, but {rule}")
        self.setting, self.value, self.rule = setting, value, rule

    def __reduce__(self) -> tuple[type, tuple[str, object, str]]:  # crosses process borders whole
        return type(self), (self.setting, self.value, self.rule)


class UnknownNameError(IEMError, KeyError):
    """A name that no registry or table of the package knows."""

    def __str__(self) -> str:  # KeyError would print the repr
        return str(self.args[0])


class MoleculeError(IEMError, ValueError):
    """One molecule could not pass one stage; carries what is needed to find and mend it."""

    def __init__(self, molecule: str, stage: str, reason: str) -> None:
        super().__init__(f"{stage} failed for {molecule!r}: {reason}")
        self.molecule, self.stage, self.reason = molecule, stage, reason

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (self.molecule, self.stage, self.reason)


class ContractError(IEMError, AssertionError):
    """A part that somebody brought along does not do what the rest relies on."""


class TableError(IEMError, ValueError):
    """A table of molecules cannot be read or used as asked."""


class ArtifactError(IEMError):
    """A model, teacher or corpus folder is missing, damaged, or of another kind or version."""


class UnavailableError(IEMError):
    """Something must be fetched or installed first and could not be."""


class OutputError(IEMError, OSError):
    """A result cannot be written where it was asked for."""

    def __str__(self) -> str:
        return str(self.args[0])
