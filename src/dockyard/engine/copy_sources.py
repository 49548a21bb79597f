"""What COPY and ADD take from a tree: names, wildcards, whole folders, with parents or without, less what is excluded.

Source: docker's Dockerfile reference, "COPY" and "ADD", sections on sources, ``--parents`` and ``--exclude``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dockyard.dockerfile.ignore import IgnoreRules
from dockyard.dockerfile.patterns import has_wildcard, match
from dockyard.engine.walking import joined, normal
from dockyard.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dockyard.engine.walking import Found, Founds, WalkTree


@dataclass(frozen=True, slots=True)
class Picked:
    """One source: a file or the like by ``name``, or the content of a folder.

    ``items`` are what is copied, parents first: for a folder all that is in it, whose paths begin with ``root``.
    ``bare`` are those paths among them that are only there as parents of others.
    """

    tree: WalkTree
    name: str
    root: str
    is_folder: bool
    items: Sequence[Found]
    bare: frozenset[str] = field(default_factory=frozenset)

    def inside(self, found: Found) -> str:
        """The path of an item below the folder."""
        return found.path[len(self.root) + 1 :] if self.root else found.path


def pick(tree: WalkTree, source: str, *, parents: bool = False, excludes: Sequence[str] = ()) -> list[Picked]:
    """Find what one source of COPY or ADD means. BuildFailed where it is not there.

    A wildcard that matches nothing is no error, as in BuildKit.
    """
    rules = IgnoreRules.parse("\n".join(excludes), name="--exclude") if excludes else None
    if parents:
        return [_with_parents(tree, source, rules)]
    return [_picked(tree, path, rules) for path in _expand(tree, source) if not _excluded(rules, tree, path)]


def _excluded(rules: IgnoreRules | None, tree: WalkTree, path: str) -> bool:
    """Whether a file that is a source by itself is excluded, by its name; a folder is not, only what is in it."""
    if rules is None or not rules.excludes(path.rpartition("/")[2]):
        return False
    found = tree.look(tree.real(path))
    return found is None or not found.is_folder


def _picked(tree: WalkTree, path: str, rules: IgnoreRules | None) -> Picked:
    real = tree.real(path)
    found = tree.look(real)
    if found is None:
        raise missing(real)
    if not found.is_folder:
        return Picked(tree, path.rpartition("/")[2], real.rpartition("/")[0], False, (found,))
    picked = Picked(tree, path.rpartition("/")[2], real, True, tree.walk(real))
    return _filtered(picked, rules)


def _filtered(picked: Picked, rules: IgnoreRules | None) -> Picked:
    if rules is None:
        return picked
    kept = []
    for found in picked.items:
        path = picked.inside(found)
        if not rules.excludes(path, found.is_folder) or (found.is_folder and rules.may_hold(path)):
            kept.append(found)
    return Picked(picked.tree, picked.name, picked.root, True, kept, picked.bare)


def _expand(tree: WalkTree, source: str) -> list[str]:
    """The paths that a source with wildcards means, sorted; the path itself where there is no wildcard."""
    path = normal(source)
    parts = path.split("/")
    first = next((index for index, part in enumerate(parts) if has_wildcard(part)), None)
    if first is None:
        return [path]
    return list(_matches(tree, tree.real("/".join(parts[:first])), parts[first:]))


def _matches(tree: WalkTree, folder: str, parts: Sequence[str]) -> Iterator[str]:
    """As Go's ``filepath.Walk`` with ``Match`` finds them: links among the matched folders are not followed."""
    for name in tree.list(folder):
        if match(_single(parts[0]), name):
            path = joined(folder, name)
            if len(parts) == 1:
                yield path
            elif (found := tree.look(path)) and found.is_folder:
                yield from _matches(tree, path, parts[1:])


def _single(pattern: str) -> str:
    """A pattern for one name: here two stars are no more than one."""
    while "**" in pattern:
        pattern = pattern.replace("**", "*")
    return pattern


def _with_parents(tree: WalkTree, source: str, rules: IgnoreRules | None) -> Picked:
    """What ``--parents`` takes: with the folders that lead to it, from ``/./`` in the source on."""
    base, pivot, wanted = source.partition("/./")
    if not pivot:
        base, wanted = "", source
    root = tree.real(normal(base))
    pattern = normal(wanted)
    parts = pattern.split("/") if pattern else []
    first = next((index for index, part in enumerate(parts) if has_wildcard(part)), len(parts))
    fixed = "/".join(parts[:first])
    start = joined(root, fixed) if fixed else root
    found = tree.look(start)
    if found is None or _through_link(tree, start):
        if first == len(parts):
            raise missing(start)
        return Picked(tree, "", root, True, ())
    below = tree.walk(start) if found.is_folder else []
    items = [*_leading(tree, root, start), *below]
    if first == len(parts):
        whole = Picked(tree, "", root, True, items, frozenset(_above(start, root)))
        return _without_childless(_filtered(whole, rules))
    return _without_childless(_filtered(_selected(Picked(tree, "", root, True, items), pattern), rules))


def _selected(picked: Picked, pattern: str) -> Picked:
    """Those items that a pattern means, or that are in a folder that it means; other folders are bare."""
    kept, bare, inside = [], set(), ""
    for found in picked.items:
        path = picked.inside(found)
        if inside and path.startswith(inside):
            kept.append(found)
        elif match(pattern, path):
            kept.append(found)
            inside = f"{path}/" if found.is_folder else ""
        elif found.is_folder:
            kept.append(found)
            bare.add(found.path)
    return Picked(picked.tree, picked.name, picked.root, True, kept, frozenset(bare))


def _without_childless(picked: Picked) -> Picked:
    """The same without bare folders in which nothing is."""
    kept: Founds = []
    wanted: set[str] = set()
    for found in reversed(picked.items):
        if found.path not in picked.bare or found.path in wanted:
            kept.append(found)
            wanted.add(found.path.rpartition("/")[0])
    return Picked(picked.tree, picked.name, picked.root, True, kept[::-1], picked.bare)


def _above(path: str, root: str) -> Iterator[str]:
    while (path := path.rpartition("/")[0]) and len(path) > len(root):
        yield path


def _leading(tree: WalkTree, root: str, path: str) -> Founds:
    """The folders from below ``root`` to ``path``, and what is there itself."""
    if path == root:
        return []
    found = [tree.look(one) for one in (*reversed(list(_above(path, root))), path)]
    return [one for one in found if one is not None]


def _through_link(tree: WalkTree, path: str) -> bool:
    parent = path.rpartition("/")[0]
    return bool(parent) and tree.real(parent) != parent


def missing(path: str) -> BuildFailed:
    """The error for a source that is not there."""
    return BuildFailed(
        f'"/{path}": not found',
        hint="Sources are paths in the build context, and .dockerignore may leave them out.",
    )
