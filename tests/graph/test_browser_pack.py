"""The pack for Neo4j Browser and the links into it: what is written, and that a link says what it should say."""

import html
import re
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from graph.browser.links import BrowserLinks, cypher_text
from graph.browser.pack import FOLDER, Favourite, favourites, guide, style, write_pack
from graph.embedding_records import EmbeddingRefresh, TypeEmbeddings
from graph.errors import InputError
from graph.neo4j_names import bounded
from graph.records import GraphSchema
from graph.settings import settings
from graph.store import embeddings_of, open_store
from tests.graph.ring_world import AS_OF, HOSTILE, RING_ID, SCHEMA, fill, keep_ring
from tests.neo4j import Neo4j

LINKS = BrowserLinks("https://graph.example/browser/?cmd=edit&arg=")
ANY = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)
NASTY = "'\"`\\ \\u0027 \\' &#?;+%20 //{}$id\n\r\t\x00?arg=x&arg=y 😀 ñ"
MINE = "only of one test"
ASKED = {
    "02_whole_ring": {"ring": RING_ID},
    "03_money_through_ring": {"ring": RING_ID},
    "04_who_shares_device": {"device": "d1"},
    "05_accounts_after_fraud": {"device": "d1"},
    "06_who_uses_address": {"ip": "10.0.0.1"},
    "07_users_last_month": {"user": "u1"},
    "08_shortest_link": {"user": "u1", "other": "u2"},
    "09_users_like": {"user": "u1"},
    "10_decision": {"transaction": "t1"},
    "11_restaurants_riskiest": {"restaurant": "r1"},
}
"""What is put between the quotes of a query, on the little world."""


def read_by_browser(link: str) -> str:
    """The text of Browser's editor after a link, read as `populateEditorFromUrlEpic` of Neo4j Browser 5.24 does it."""
    assert re.findall(r"[?&]cmd=([^&#]*)", link) == ["edit"]
    return "\n".join(re.findall(r"[?&]arg=([^&#]*)", unquote(link.replace("+", " "))))


@pytest.fixture(scope="module")
def world(neo4j_database: Neo4j) -> Iterator[Neo4j]:
    """The little world with its ring, decisions and embeddings, in Neo4j."""
    with closing(open_store(neo4j_database.empty())) as store:
        fill(store)
        keep_ring(store)
        users = TypeEmbeddings("user", ["u1", "u2", "u9", HOSTILE], np.eye(4, 8, dtype=np.float32))
        embeddings_of(store).write_embeddings(EmbeddingRefresh(AS_OF, "m1", (users,)))
    yield neo4j_database
    neo4j_database.empty()


def ask(database: Neo4j, text: str) -> dict[str, set[str]]:
    """Ids by label of all the nodes that a query returns, those of its paths as well."""
    found: dict[str, set[str]] = {}
    for row in database.run(text):
        for value in row:
            nodes = getattr(value, "nodes", None) or ([value] if hasattr(value, "labels") else [])
            for node in nodes:
                for label in node.labels:
                    found.setdefault(label, set()).add(node["id"])
    return found


@given_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(ANY, min_size=1, max_size=20))
@example(texts=[NASTY, "\\", "'", "\\'", "\\u0027", "\\\\u005c'", "' RETURN 1 //", "\u2028\x85"])
def test_a_literal_is_its_text_to_the_server_whatever_it_is(neo4j_database: Neo4j, texts: list[str]) -> None:
    assert neo4j_database.run(f"RETURN [{', '.join(map(cypher_text, texts))}]") == [[texts]]


@given(text=ANY)
@example(text=NASTY)
def test_a_link_is_read_as_one_query_with_the_id_as_a_literal(text: str) -> None:
    for link in (LINKS.decision(text), LINKS.ring(text)):
        query = read_by_browser(link)
        assert query.count(cypher_text(text)) >= 1
        assert not set("&#;") & set(query)
        assert parse_qs(urlsplit(link).query)["arg"] == [query]
        assert re.fullmatch(r"[!-~]+", link)


@given_settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY)
@example(text=NASTY)
@example(text="x'}) DETACH DELETE p //")
@example(text="long " * 400)
def test_links_find_what_has_the_id_and_do_nothing_else(world: Neo4j, text: str) -> None:
    id_ = bounded(text)
    world.run(
        "CREATE (:User {id: $mine})-[:MADE]->(:Transaction {id: $id}),"
        " (:Ring {id: $id})<-[:MEMBER_OF]-(:Device {id: $mine, transactions: 1})",
        id=id_, mine=MINE,
    )  # fmt: skip
    try:
        before = world.run("MATCH (n) RETURN count(n)")
        decision, ring = (ask(world, read_by_browser(link)) for link in (LINKS.decision(text), LINKS.ring(text)))
        assert decision == {"Transaction": {id_}, "User": {MINE}}
        assert ring == {"Ring": {id_}, "Device": {MINE}}
        assert world.run("MATCH (n) RETURN count(n)") == before
    finally:
        world.run("MATCH (:User|Device {id: $mine})--(n) DETACH DELETE n", mine=MINE)
        world.run("MATCH (n:User|Device {id: $mine}) DELETE n", mine=MINE)


def test_links_of_real_things_show_their_whole_neighbourhood(world: Neo4j) -> None:
    members = {"User": {"u1", "u2", HOSTILE}, "Device": {"d1", "d2"}, "IP": {"10.0.0.1"}, "Ring": {RING_ID}}
    assert ask(world, read_by_browser(LINKS.ring(RING_ID))) == members
    decision = ask(world, read_by_browser(LINKS.decision("t1")))
    assert decision == {**members, "Transaction": {"t1"}, "Blocked": {"t1"}, "Fraud": {"t1"}, "Restaurant": {"r1"}}


@pytest.mark.parametrize("item", favourites(SCHEMA), ids=lambda item: item.name)
def test_each_query_runs_and_returns_what_its_title_says(world: Neo4j, item: Favourite) -> None:
    text = item.text
    for placeholder, value in ASKED.get(item.name, {}).items():
        assert text.count(f"'{placeholder}'") == 1
        text = text.replace(f"'{placeholder}'", f"'{value}'")
    found = ask(world, text)
    expected: dict[str, dict[str, set[str]]] = {
        "01_riskiest_rings": {"Ring": {RING_ID}, "User": {"u1", "u2", HOSTILE}, "Device": {"d1", "d2"}},
        "02_whole_ring": {"Ring": {RING_ID}, "User": {"u1", "u2", HOSTILE}, "Device": {"d1", "d2"}},
        "03_money_through_ring": {"Ring": {RING_ID}, "User": {"u1", "u2", HOSTILE}, "Restaurant": {"r1"}},
        "04_who_shares_device": {"Device": {"d1"}, "User": {"u1", "u2"}, "Ring": {RING_ID}},
        "05_accounts_after_fraud": {"Device": {"d1"}, "User": {"u1", "u2"}, "Transaction": {"t1"}, "Blocked": {"t1"}},
        "06_who_uses_address": {"IP": {"10.0.0.1"}, "User": {"u1", "u2", HOSTILE}, "Ring": {RING_ID}},
        "07_users_last_month": {"User": {"u1"}, "Transaction": {"t1", "t2", "t7", "t8"}, "Restaurant": {"r1"}},
        "08_shortest_link": {"User": {"u1", "u2"}, "Device": {"d1"}, "IP": {"10.0.0.1", "10.0.0.9"}, "Ring": {RING_ID}},
        "09_users_like": {"User": {"u1", "u2", "u9", HOSTILE}, "Ring": {RING_ID}, "Device": {"d1", "d9"}},
        "10_decision": {"Transaction": {"t1"}, "Ring": {RING_ID}, "User": {"u1", "u2", HOSTILE}},
        "11_restaurants_riskiest": {"Restaurant": {"r1"}, "User": {"u1", "u2", "u9", HOSTILE}, "Ring": {RING_ID}},
    }
    for label, ids in expected.get(item.name, {}).items():
        assert found[label] == ids, label
    assert item.name in expected or not found


def test_what_changed_shows_who_came_into_a_ring_and_what_was_blocked(world: Neo4j) -> None:
    (item,) = [item for item in favourites(SCHEMA) if item.name == "12_since_yesterday"]
    found = ask(world, item.text.replace("'P1D'", "'P10D'"))
    assert found["User"] == {HOSTILE} and found["Ring"] == {RING_ID} and "Blocked" not in found
    assert ask(world, item.text.replace("'P1D'", "'P20D'"))["Blocked"] == {"t1"}


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
