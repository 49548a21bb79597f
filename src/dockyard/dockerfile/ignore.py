"""``.dockerignore``: which files of a context a build sees.

Source: docker's documentation, "Build context", section ".dockerignore files".
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field

from dockyard.dockerfile.patterns import Pattern, compile_pattern
from dockyard.errors import DockerfileInvalid, Invalid


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: what it means is left out, or with ``again`` (an exclamation mark) taken after all."""

    pattern: Pattern
    again: bool


@dataclass(frozen=True)
class IgnoreRules:
    """The lines of the file in order: of those that mean a path, the last decides."""

    rules: tuple[Rule, ...] = ()
    _folders: dict[str, tuple[bool, ...]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, *, name: str = ".dockerignore") -> IgnoreRules:
        """Read the file. DockerfileInvalid with the line of a malformed pattern."""
        rules = []
        for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
            # Only a line's very first letter makes a comment of it, as docker has it.
            stripped = line.strip()
            if line.startswith("#") or not stripped:
                continue
            again = stripped.startswith("!")
            wanted = stripped.removeprefix("!").strip() if again else stripped
            try:
                if not wanted:
                    raise Invalid('illegal exclusion pattern: "!"')
                rules.append(Rule(compile_pattern(_clean(wanted)), again))
            except Invalid as error:
                raise DockerfileInvalid(error.message, file=name, line=number, source=line.rstrip("\r")) from None
        return cls(tuple(rules))

    def excludes(self, path: str, is_folder: bool = False) -> bool:
        """Whether a path is left out. ``is_folder`` says that more questions are about what is in it."""
        if not self.rules:
            return False
        matched = self._matched(path)
        if is_folder:
            self._folders[path] = matched
        return self._left_out(matched)

    def may_hold(self, folder: str) -> bool:
        """Whether something in a folder that is left out may be taken after all."""
        parts = folder.split("/")
        return any(rule.again and _reaches(rule.pattern.text.split("/"), parts) for rule in self.rules)

    def _left_out(self, matched: tuple[bool, ...]) -> bool:
        for rule, means in zip(reversed(self.rules), reversed(matched), strict=True):
            if means:
                return not rule.again
        return False

    def _matched(self, path: str) -> tuple[bool, ...]:
        """For each rule whether it means the path: by itself, or because it means the folder.

        As docker does, a rule is only asked where it would change something: an exception before whose line nothing
        leaves the folder out is no exception for what is in it.
        """
        if path in self._folders:
            return self._folders[path]
        folder, slash, _ = path.rpartition("/")
        above = self._folder(folder) if slash else (False,) * len(self.rules)
        out, excluded = [], False
        for rule, inherited in zip(self.rules, above, strict=True):
            means = inherited or (rule.again == excluded and rule.pattern.matches(path))
            out.append(means)
            if means:
                excluded = not rule.again
        return tuple(out)

    def _folder(self, path: str) -> tuple[bool, ...]:
        todo = [path]
        while todo[-1] not in self._folders and "/" in todo[-1]:
            todo.append(todo[-1].rpartition("/")[0])
        for folder in reversed(todo):
            self._folders[folder] = self._matched(folder)
        return self._folders[path]


def _clean(pattern: str) -> str:
    """The pattern as a path below the context: without ``.``, ``..`` and the slash in front."""
    cleaned = posixpath.normpath(pattern)
    if len(cleaned) > 1:
        cleaned = cleaned.lstrip("/")
    return cleaned or "/"


def _reaches(pattern: list[str], folder: list[str]) -> bool:
    """Whether a pattern may mean something below a folder; where that is hard to say, it may."""
    for wanted, part in zip(pattern, folder, strict=False):
        if "**" in wanted:
            return True
        try:
            if not compile_pattern(wanted).matches(part):
                return False
        except Invalid:
            return True
    return len(pattern) > len(folder)
