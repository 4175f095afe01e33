"""The pack for Neo4j Browser and the links into it: what is written, and that a link says what it should say."""

import html
import re
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph.browser.links import BrowserLinks, cypher_text
from graph.browser.pack import FOLDER, favourites, guide, style, write_pack
from graph.errors import InputError
from graph.records import GraphSchema
from graph.settings import settings
from tests.graph.ring_world import SCHEMA

LINKS = BrowserLinks("https://graph.example/browser/?cmd=edit&arg=")
ANY = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)
NASTY = "'\"`\\ \\u0027 \\' &#?;+%20 //{}$id\n\r\t\x00?arg=x&arg=y 😀 ñ"


def read_by_browser(link: str) -> str:
    """The text of Browser's editor after a link, read as `populateEditorFromUrlEpic` of Neo4j Browser 5.24 does it."""
    assert re.findall(r"[?&]cmd=([^&#]*)", link) == ["edit"]
    return "\n".join(re.findall(r"[?&]arg=([^&#]*)", unquote(link.replace("+", " "))))


@given(text=ANY)
@example(text=NASTY)
def test_a_link_is_read_as_one_query_with_the_id_as_a_literal(text: str) -> None:
    for link in (LINKS.decision(text), LINKS.ring(text)):
        query = read_by_browser(link)
        assert query.count(cypher_text(text)) >= 1
        assert not set("&#;") & set(query)
        assert parse_qs(urlsplit(link).query)["arg"] == [query]
        assert re.fullmatch(r"[!-~]+", link)


def test_links_are_to_the_server_of_a_neo4j_store_or_as_the_setting_says(
    monkeypatch: pytest.MonkeyPatch, fresh_settings: None
) -> None:
    of = BrowserLinks.of
    assert of("sqlite:///var/quipu.db") is None
    mine = of("neo4j://ana:secret@graph.example:7690/fraud")
    assert mine is not None and "secret" not in mine.ring("r")
    server = "dbms=neo4j://ana@graph.example:7690&db=fraud"
    assert mine.ring("r").startswith(f"http://graph.example:7474/browser/?{server}&cmd=edit&arg=MATCH")
    assert mine.browser == f"http://graph.example:7474/browser/?{server}"
    safe, six = of("bolt+s://graph.example"), of("neo4j://[::1]")
    assert safe is not None and safe.page.startswith("https://graph.example:7473/browser/?")
    assert six is not None and six.page.startswith("http://[::1]:7474/browser/?")
    for given_url in ("https://look.example", "https://look.example/", "https://look.example/browser/"):
        monkeypatch.setenv("QUIPU_BROWSER_URL", given_url)
        settings.cache_clear()
        other = of("sqlite:///var/quipu.db")
        assert other is not None and other.page == "https://look.example/browser/?cmd=edit&arg="
        assert other.browser == "https://look.example/browser/"
    monkeypatch.setenv("QUIPU_BROWSER_URL", "javascript:alert(1)")
    settings.cache_clear()
    with pytest.raises(InputError, match="QUIPU_BROWSER_URL"):
        of("sqlite:///var/quipu.db")


def test_the_pack_is_the_same_each_time_and_has_each_query_once(tmp_path: Path) -> None:
    files = write_pack(tmp_path / "a" / "pack", SCHEMA, LINKS)
    again = write_pack(tmp_path / "b", SCHEMA, LINKS)
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]
    items = favourites(SCHEMA)
    assert len({item.title for item in items}) == len(items) >= 12
    with zipfile.ZipFile(tmp_path / "a" / "pack" / "quipu.zip") as archive:
        assert archive.namelist() == [f"{FOLDER}/{item.name}.cypher" for item in items]
        for item, name in zip(items, archive.namelist(), strict=True):
            text = archive.read(name).decode()
            assert text.startswith(f"// {item.title}\n// {item.about}\n")
            assert (tmp_path / "b" / "favourites" / f"{item.name}.cypher").read_text() == text + "\n"
            assert read_by_browser(LINKS.query(text)) == text
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        write_pack(tmp_path / "file", SCHEMA, LINKS)


def test_the_pack_follows_the_stores_schema() -> None:
    few = favourites(GraphSchema(("user", "device")))
    assert not any(re.search(r"\(\w*:(IP|Restaurant)\b|CONNECTS_FROM", item.text) for item in few)
    assert {item.name for item in few} >= {"01_riskiest_rings", "04_who_shares_device", "08_shortest_link"}
    assert not any("USES" in item.text for item in favourites(GraphSchema(("user",))))
    more = GraphSchema((*SCHEMA.entities, "card", "loyalty_id"))
    (link,) = [item for item in favourites(more) if item.name == "08_shortest_link"]
    assert "[:USES|CONNECTS_FROM|PAYS_WITH|HAS_LOYALTY_ID|MEMBER_OF*" in link.text
    assert "node.LoyaltyId {" in style(more) and "relationship.PAYS_WITH {" in style(more)
    assert "node.Card" not in style(SCHEMA)


def test_the_guide_links_to_every_question_and_loads_nothing() -> None:
    page = guide(SCHEMA, LINKS)
    for item in favourites(SCHEMA):
        assert html.escape(item.title) in page
    assert page.count("cmd=edit") == len(favourites(SCHEMA))
    assert not re.search(r"<(script|link|img)\b|url\(|\$[a-z]", page)
