"""One table from name to factory, open to other packages through entry points."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib.metadata import entry_points
from inspect import signature
from typing import Any, Generic, TypeVar

from iem.errors import IEMError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind of plug-in (``student``, ``renderer``); entry points of group ``iem.<kind>`` join it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._factories: dict[str, Callable[..., T]] = {}

    def add(self, name: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """Decorator. Taking a name twice is a bug, so it is an error."""

        def register(factory: Callable[..., T]) -> Callable[..., T]:
            if name in self._factories:
                raise IEMError(f"{self.kind} {name!r} is already registered as {self._factories[name]!r}")
            self._factories[name] = factory
            return factory

        return register

    def build(self, choice: "str | T", **options: object) -> T:
        """Turn a name into an object; hand an object straight back.

        Raises:
            UnknownNameError: nothing here or among the installed entry points has this name.
        """
        return self._factory(choice)(**options) if isinstance(choice, str) else choice

    def defaults(self, name: str) -> dict[str, Any]:
        """The options of a factory and what they are by themselves; of a class, those that it hands on, too.

        Raises:
            UnknownNameError: as ``build`` does.
        """
        factory = self._factory(name)
        classes = reversed(factory.__mro__[:-1]) if isinstance(factory, type) else ()
        makers = [vars(one)["__init__"] for one in classes if "__init__" in vars(one)] or [factory]
        given = (option for maker in makers for option in signature(maker).parameters.values())
        return {option.name: option.default for option in given if option.default is not option.empty}

    def _factory(self, name: str) -> Callable[..., T]:
        if name not in self._factories:
            for point in entry_points(group=f"iem.{self.kind}", name=name):
                self._factories[name] = point.load()
        if name not in self._factories:
            near = get_close_matches(name, self._factories, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UnknownNameError(f"no {self.kind} is called {name!r}.{hint} Known: {', '.join(sorted(self))}")
        return self._factories[name]

    def is_own(self, name: str) -> bool:
        """Whether a name is the package's own, and so known wherever the package is."""
        factory = self._factories.get(name)
        return factory is not None and factory.__module__.partition(".")[0] == "iem"

    def __iter__(self) -> Iterator[str]:
        return iter(self._factories)
