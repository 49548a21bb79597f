"""``--format``: Go's templates over our data, by cases taken from docker 28 and by properties."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.cli.template_functions import Record, Row, show
from dockyard.cli.templates import Template
from dockyard.errors import Invalid

IMAGE = Record(
    Repository="busy",
    Tag="1",
    Labels={"a": "b", "with space": "<e>"},
    Layers=["x", "y", "z"],
    Config=Record(Env=["PATH=/bin", "A=b"], Cmd=None, Labels={"a": "b"}),
    Size=1982256,
    Virtual=1.5,
    Dangling=False,
    Empty="",
)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Repository}}:{{.Tag}}", "busy:1"),
        ("plain } text { {", "plain } text { {"),
        ("{{json .Labels}}", '{"a":"b","with space":"<e>"}'),
        ("{{json .Config.Cmd}} {{json .Layers}}", 'null ["x","y","z"]'),
        ("{{.Labels.a}} {{.Labels.none}}", "b <no value>"),
        ("{{.Config.Cmd}} {{.Config.Cmd.x}}", "<no value> <no value>"),
        ('{{index .Labels "with space"}}|{{index .Labels "none"}}|{{index .Layers 1}}', "<e>||y"),
        ("{{len .Layers}} {{len .Labels}} {{len .Repository}}", "3 2 4"),
        ("{{.Layers}} {{.Labels}}", "[x y z] map[a:b with space:<e>]"),
        ("{{.Dangling}} {{.Size}} {{.Virtual}}", "false 1982256 1.5"),
        ("{{range .Layers}}{{.}},{{end}}", "x,y,z,"),
        ("{{range $i, $l := .Layers}}{{$i}}={{$l}} {{end}}", "0=x 1=y 2=z "),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=b;with space=<e>;"),
        ("{{range $l := .Layers}}{{if eq $l \"y\"}}{{continue}}{{end}}{{$l}}{{end}}", "xz"),
        ("{{range .Layers}}{{if eq . \"y\"}}{{break}}{{end}}{{.}}{{else}}none{{end}}", "x"),
        ("{{range .Config.Cmd}}{{.}}{{else}}none{{end}}", "none"),
        ("{{range .Layers}}{{.}}{{$.Tag}}{{end}}", "x1y1z1"),
        ("{{if .Empty}}full{{else}}empty{{end}}", "empty"),
        ('{{if eq .Tag "2"}}two{{else if eq .Tag "1" "3"}}one{{else}}other{{end}}!', "one!"),
        ('{{if eq .Tag "2"}}two{{else if eq .Tag "3"}}three{{else}}other{{end}}!', "other!"),
        ("{{with .Config}}{{.Labels.a}}{{end}}{{with .Empty}}x{{else}}y{{end}}", "by"),
        ("{{if and .Tag (not .Dangling)}}{{or .Empty .Tag}}{{end}}", "1"),
        ("{{if and .Empty .Nothing.Here}}x{{end}}ok", "ok"),
        ("{{ne .Tag \"1\"}} {{lt 1 2}} {{ge .Size 5}} {{gt 1.5 1}} {{le 2 1}}", "false true true true false"),
        ("{{.Repository | upper | lower | title}}", "Busy"),
        ('{{join .Layers "-"}} {{split "a-b" "-"}} {{join (split "abc" "") "."}}', "x-y-z [a b] a.b.c"),
        ("[{{pad .Tag 1 2}}] [{{truncate .Repository 2}}] [{{pad .Empty 3 3}}]", "[ 1  ] [bu] []"),
        ('{{printf "%s=%d %5.1f|%-4s|%04d|" "n" 3 2.55 "ab" 7}}', "n=3   2.5|ab  |0007|"),
        ('{{printf "%q|%v|%x|%%" "q" .Layers 255}}', '"q"|[x y z]|ff|%'),
        ('{{printf "%d" "x"}} {{printf "%s"}} {{printf "a" 1}}', "%!d(x) %!s(MISSING) a%!(EXTRA 1)"),
        ("{{println .Tag}}", "1\n"),
        ("{{print .Tag 1}}", "1 1"),
        ("{{(index .Config.Env 0)}} {{slice .Repository 1 3}} {{slice .Layers 1}}", "PATH=/bin us [y z]"),
        ("{{$x := .Tag}}{{$x}}{{$x = \"2\"}}{{$x}}", "12"),
        ("{{`raw \\n`}}{{\"tab\\t\\u00e9\\x41\\101\\\"\"}}", 'raw \\ntab\téAA"'),
        ("a {{- .Tag -}} b", "a1b"),
        ("a {{/* said */}}b {{- /* said */ -}} c", "a bc"),
        ("{{true}} {{0x10}} {{-3}} {{1.5}}", "true 16 -3 1.5"),
        ("{{.}}", "{busy 1 map[a:b with space:<e>] [x y z] {[PATH=/bin A=b] <nil> map[a:b]} 1982256 1.5 false }"),
    ],
)  # fmt: skip
def test_a_template_gives_the_text_that_go_gives(template: str, text: str) -> None:
    assert Template(template).fill(IMAGE) == text


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{.Foo}}", "can't evaluate field Foo"),
        ("{{.Config.Foo}}", "<.Config.Foo>"),
        ("{{.Tag.x}}", "can't evaluate field x"),
        ("{{.Repository", "unclosed action"),
        ("{{/* said }}", "unclosed comment"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{if .Tag}}", "unexpected EOF"),
        ("{{if .Tag}}{{else}}{{else}}{{end}}", "unexpected {{else}}"),
        ("{{break}}", "outside {{range}}"),
        ("{{foo .Tag}}", 'function "foo" not defined'),
        ("{{template \"x\"}}", "not supported"),
        ("{{}}", "missing value for command"),
        ("{{if}}x{{end}}", "missing value"),
        ("{{.Tag .Tag}}", "no function"),
        ("{{.Tag | .Tag}}", "non executable command"),
        ("{{(.Tag}}", "unclosed left paren"),
        ("{{.Tag)}}", "unexpected ')'"),
        ("{{$nothing}}", "undefined variable"),
        ("{{\"open}}", "unterminated quoted string"),
        ("{{.Tag ~}}", "unexpected '~'"),
        ("{{index .Layers 9}}", "index out of range"),
        ("{{index .Layers \"x\"}}", "cannot index"),
        ("{{index .Size 1}}", "can't index"),
        ("{{slice .Layers 5 9}}", "out of range"),
        ("{{len .Size}}", "no length"),
        ("{{lower .Size}}", "wrong arguments for lower"),
        ("{{upper}}", "wrong arguments for upper"),
        ("{{len}}", "wrong number of args for len"),
        ("{{eq .Tag 1}}", "incompatible types"),
        ("{{lt .Tag 1}}", "incompatible types"),
        ("{{and}}", "wrong number of args for and"),
        ("{{range .Tag}}{{end}}", "can't iterate"),
        ("first\n{{.Tag", ":2:"),
    ],
)  # fmt: skip
def test_a_broken_template_is_refused_with_the_reason(template: str, says: str) -> None:
    with pytest.raises(Invalid, match=r"^template parsing error: template: ") as caught:
        Template(template).fill(IMAGE)

    assert says in caught.value.message


def test_the_json_of_a_row_is_sorted_and_escaped_as_dockers_lists_are() -> None:
    row = Row(Tag="<none>", Repository="a&b")

    assert Template("{{json .}}").fill(row) == '{"Repository":"a\\u0026b","Tag":"\\u003cnone\\u003e"}'
    assert Template("{{json .Tag}}").fill(row) == '"<none>"'


texts = st.text(st.characters(blacklist_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(texts.filter(lambda text: "{{" not in text))
def test_text_without_braces_is_itself(text: str) -> None:
    assert Template(text).fill({}) == text


@given(texts)
def test_a_quoted_string_is_itself(text: str) -> None:
    quoted = json.dumps(text)
    if "\\u" not in quoted and "\\/" not in quoted:
        assert Template("{{" + quoted + "}}").fill({}) == text


@given(values)
def test_json_gives_back_the_value(value: Any) -> None:
    assert json.loads(Template("{{json .}}").fill(value)) == value


@given(st.lists(texts, max_size=5))
def test_range_shows_each_item_and_print_never_fails(items: list[str]) -> None:
    assert Template("{{range .}}{{.}}\n{{end}}").fill(items) == "".join(f"{item}\n" for item in items)
    assert Template("{{.}}").fill(items) == show(items)


@given(texts)
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        Template("{{" + text).fill(IMAGE)
    except Invalid as error:
        assert error.message.startswith("template parsing error: ")
