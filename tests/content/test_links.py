import pytest

from dockyard.content.links import next_page

BASE = "https://hub.example/v2/a/tags/list?n=2"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('</v2/a/tags/list?n=2&last=b>; rel="next"', "https://hub.example/v2/a/tags/list?n=2&last=b"),
        ("</v2/a/tags/list?last=b>; rel=next", "https://hub.example/v2/a/tags/list?last=b"),
        ('<https://other.example/x>;rel="next"', "https://other.example/x"),
        ('</p>; rel="prev", </n,m>; title="a, b"; rel="next"', "https://hub.example/n,m"),
        ('</v2/a>; REL="last next"', "https://hub.example/v2/a"),
        ('</v2/a>; rel="previous"', None),
        ('</v2/a>; rel="nextly"', None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_list_goes_on_where_its_next_link_says(header: str, expected: str | None) -> None:
    assert next_page([header], BASE) == expected


def test_a_list_without_links_is_at_its_end() -> None:
    assert next_page([], BASE) is None
