"""Search over the JSON API."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from web.json.api import Api


def test_search_finds_names_and_descriptions_that_one_may_see(ada: Api, nobody: Api) -> None:
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/lighthouse", "private": False})
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/tower", "description": f"a LightHouse of {ada.name}"})
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/lighthouse-plans", "private": True})

    def found(asker: Api, text: str) -> list[str]:
        names = [item["name"] for item in asker.ok("GET", f"/search?q={quote(text)}&n=100")["items"]]
        return [name.removeprefix(f"{ada.name}/") for name in names if name.startswith(f"{ada.name}/")]

    assert found(ada, "lighthouse") == ["lighthouse", "lighthouse-plans", "tower"]
    assert found(nobody, "lighthouse") == ["lighthouse", "tower"]
    assert found(nobody, "LIGHTHOUSE OF") == ["tower"]
    assert found(nobody, "%") == found(nobody, "_") == []


@pytest.mark.parametrize("text", ["%25", "_", "'", '"', "\\", ";--", "☂", "a" * 200, "*", "?", "[a-z]", "%F0%9F%9A%A2"])
def test_any_text_can_be_searched_for(nobody: Api, text: str) -> None:
    assert nobody("GET", f"/search?q={quote(text, safe='%')}").status == 200


def test_a_search_needs_a_text(nobody: Api) -> None:
    assert nobody("GET", "/search").status == 400
