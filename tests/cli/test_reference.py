from pathlib import Path

from cli_tree import COMMANDS

from dockyard.cli.reference import page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == page(), "write it anew: make docs"


def test_every_command_is_on_the_page() -> None:
    text = page()

    for words in COMMANDS:
        assert f"dockyard {' '.join(words)}" in text
