from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_tree import COMMANDS, GROUPS
from servers import DOCKYARD, must, plain_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("words", [*GROUPS, *COMMANDS], ids=lambda words: "-".join(words) or "dockyard")
def test_help_is_as_it_was_read_and_found_good(
    words: tuple[str, ...], golden: Callable[[str, str], None], tmp_path: Path
) -> None:
    text = must(DOCKYARD, *words, "--help", env=plain_environment(tmp_path))

    golden(f"help/{'-'.join(words) or 'dockyard'}.txt", text)
    assert max(map(len, text.splitlines())) <= 90
