"""The patterns of ``${v#p}``, ``${v%p}`` and ``${v/p/r}``: ``*``, ``?``, and letters. All in linear time.

Source: POSIX.1-2017, section 2.13.1 of the shell command language, without bracket expressions, as docker has it.

Positions in the value are bits of one number, so that a token moves all of them at once: a pattern of many stars is
as quick as another, where a regular expression would try each way to divide the value among them.
"""

from __future__ import annotations

from dockyard.errors import Invalid

_STAR, _ANY = "**", "??"  # two letters, so that no letter of a pattern is taken for one


def remove_prefix(pattern: str, value: str, *, longest: bool) -> str:
    """``${v#p}``, with ``longest`` ``${v##p}``. Raise :class:`Invalid`."""
    ends = _Value(value).ends(_tokens(pattern), 0)
    return value[_highest(ends) if longest else _lowest(ends) :] if ends else value


def remove_suffix(pattern: str, value: str, *, longest: bool) -> str:
    """``${v%p}``, with ``longest`` ``${v%%p}``. Raise :class:`Invalid`."""
    starts = _Value(value).starts(_tokens(pattern), 1 << len(value))
    return value[: _lowest(starts) if longest else _highest(starts)] if starts else value


def replace_matches(pattern: str, value: str, replacement: str, *, every: bool, most: int) -> str:
    """``${v/p/r}``, with ``every`` ``${v//p/r}``: the leftmost match, as long as can be, and on from its end.

    Raise :class:`Invalid`, also where the result would be over ``most`` characters long.
    """
    tokens, text = _tokens(pattern), _Value(value)
    starts = text.starts(tokens, text.all)
    out, size, done = [], 0, 0
    while left := starts >> done:
        start = done + _lowest(left)
        end = _highest(text.ends(tokens, start))
        out += [value[done:start], replacement]
        size += start - done + len(replacement)
        done = end
        if end == start:
            # Nothing was matched, before a letter that stays.
            out.append(value[end : end + 1])
            done += 1
        elif end == len(value):
            break
        if size > most:
            raise Invalid(f"the result is over {most} characters long")
        if not every:
            break
    return "".join(out) + value[done:]


def _tokens(pattern: str) -> list[str]:
    out: list[str] = []
    rest = iter(pattern)
    for char in rest:
        if char == "*":
            # Several are as one.
            if out[-1:] != [_STAR]:
                out.append(_STAR)
        elif char == "?":
            out.append(_ANY)
        elif char == "\\":
            escaped = next(rest, "")
            if escaped not in tuple("*?\\}/"):
                raise Invalid(f"invalid pattern ({pattern}) in substitution: invalid escape '\\{escaped}'")
            out.append(escaped)
        else:
            out.append(char)
    return out


class _Value:
    """A text whose positions are bits: bit 0 before its first letter, the highest behind its last."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.all = (1 << (len(text) + 1)) - 1
        self._where: dict[str, int] = {}

    def ends(self, tokens: list[str], start: int) -> int:
        """Where a match that begins at ``start`` may end."""
        positions = 1 << start
        for token in tokens:
            if token == _STAR:
                positions = self.all & -(positions & -positions)
            elif token == _ANY:
                positions = (positions << 1) & self.all
            else:
                positions = (positions & self._letters(token)) << 1
            if not positions:
                return 0
        return positions

    def starts(self, tokens: list[str], ends: int) -> int:
        """Where a match may begin that ends at one of ``ends``."""
        positions = ends
        for token in reversed(tokens):
            if token == _STAR:
                positions = (1 << positions.bit_length()) - 1
            elif token == _ANY:
                positions >>= 1
            else:
                positions = (positions >> 1) & self._letters(token)
        return positions

    def _letters(self, letter: str) -> int:
        if letter not in self._where:
            bits = "".join("1" if char == letter else "0" for char in reversed(self._text))
            self._where[letter] = int(bits or "0", 2)
        return self._where[letter]


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _highest(bits: int) -> int:
    return bits.bit_length() - 1
