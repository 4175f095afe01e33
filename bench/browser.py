"""The investigator's favourites in the real Neo4j Browser, on a million transactions, each from its busiest hub.

The graph is a simulated world, loaded, searched for rings and imported as a platform would do it. Its busiest device,
address and restaurant are no match for a kiosk or a carrier, so each gets a neighbour with a tenth of all
transactions; and the busiest users get embeddings at random, because how long it takes to find alike ones does not
depend on what they say. Screenshots of what was drawn stay in the folder.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import neo4j
import numpy as np

from bench.report import Figure, Section
from bench.setup import Workspace
from deploy.local import neo4j_server
from graph.browser.links import BrowserLinks, cypher_text
from graph.browser.pack import Favourite, favourites, write_pack
from graph.embedding_records import EmbeddingRefresh, TypeEmbeddings
from graph.errors import QuipuError
from graph.neo4j_url import Address
from graph.records import KNOWN_TYPES
from graph.store import embeddings_of, open_store
from tests.browser import ARGUMENTS, CHROMIUM
from tests.neo4j_page import BrowserPage

_WORLD = ("--users", "75000", "--days", "160", "--seed", "9")
_RUNS = 3
_SHARE = 10
"""One transaction in so many is at the hubs."""
_EMBEDDED, _DIMENSION = 20_000, 32
_HUBS = ("device", "ip", "restaurant")
_STARTS = {
    "'ring'": "MATCH (r:Ring)<-[:MEMBER_OF]-() WITH r, count(*) AS n ORDER BY n DESC, r.id LIMIT 1 RETURN r.id",
    "'device'": "MATCH (n:Device) RETURN n.id ORDER BY n.transactions DESC LIMIT 1",
    "'ip'": "MATCH (n:IP) RETURN n.id ORDER BY n.transactions DESC LIMIT 1",
    "'restaurant'": "MATCH (n:Restaurant) RETURN n.id ORDER BY n.transactions DESC LIMIT 1",
    "'user'": "MATCH (n:User) RETURN n.id ORDER BY n.transactions DESC LIMIT 1",
    "'other'": "MATCH (n:User) RETURN n.id ORDER BY n.transactions DESC SKIP 1 LIMIT 1",
    "'transaction'": "MATCH (r:Ring)<-[:MEMBER_OF]-(:User)-[:MADE]->(t)-->(:Device {id: 'hub-Device'})"
    " WITH t, r ORDER BY r.users DESC LIMIT 1 RETURN t.id",
}
"""Where each placeholder of the favourites starts from: the busiest there is."""


def run(work: Workspace) -> Section:
    """Builds the graph where it is not there yet, and runs every favourite in Browser and as a bare query."""
    if lacking := neo4j_server.missing():
        raise QuipuError(f"the benchmark needs a Neo4j of its own: {lacking}")
    if not CHROMIUM.exists():
        raise QuipuError(f"the benchmark needs a browser: there is no {CHROMIUM}")
    home = _prepared(work)
    http = neo4j_server.free_port()
    try:
        url = neo4j_server.start(home, bolt=neo4j_server.free_port(), http=http, heap="2g")
        return _measured(work, url, http)
    finally:
        neo4j_server.stop(home)


def _prepared(work: Workspace) -> Path:
    """The home of the server with the graph, made once."""
    folder = work.path("browser")
    home, complete = folder / "neo4j", folder / "complete"
    if complete.exists():
        return home
    work.emptied("browser")
    store = f"sqlite:///{folder / 'quipu.db'}"
    made = work.quipu("simulate", str(folder / "world"), *_WORLD, "--json").result
    work.quipu("ingest", made["mapping"], "--store", store, "--json")
    work.quipu("rings", "find", "--store", store, "--json")
    work.quipu("graph", "export-import", str(folder / "import"), "--store", store, "--json")
    with work.progress.stage("importing into Neo4j"):
        neo4j_server.import_files(folder / "import", home)
    shutil.rmtree(folder / "import")
    try:
        url = neo4j_server.start(home, bolt=neo4j_server.free_port(), http=neo4j_server.free_port(), heap="2g")
        open_store(url).close()
        work.quipu("graph", "copy", store, url, "--only", "rings", "--json")
        _embed(work, url)
        _add_hubs(work, url)
    finally:
        neo4j_server.stop(home)
    complete.touch()
    return home


def _embed(work: Workspace, url: str) -> None:
    """Gives the busiest users an embedding each, at random."""
    store = open_store(url)
    try:
        with work.progress.stage("embeddings"), _session(url) as session:
            busiest = "MATCH (n:User) RETURN n.id ORDER BY n.transactions DESC LIMIT $limit"
            keys = session.run(busiest, limit=_EMBEDDED).value()
            vectors = np.random.default_rng(1).normal(size=(len(keys), _DIMENSION)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            users = TypeEmbeddings("user", keys, vectors)
            embeddings_of(store).write_embeddings(EmbeddingRefresh(int(time.time() * 1e6), "random", (users,)))
    finally:
        store.close()


def _add_hubs(work: Workspace, url: str) -> None:
    """Adds a device, an address and a restaurant with a tenth of all transactions each, past the store: nothing loads
    into this graph any more."""
    in_parts = "IN TRANSACTIONS OF 10000 ROWS"
    with work.progress.stage("hubs", total=len(_HUBS)) as advance, _session(url) as session:
        for name in _HUBS:
            kind = KNOWN_TYPES[name]
            hub = f"(h:{kind.label} {{id: 'hub-{kind.label}'}})"
            session.run(f"MERGE {hub} SET h.number = -1, h.transactions = 0").consume()
            session.run(
                f"MATCH {hub} MATCH (t:Transaction) WHERE t.seq % {_SHARE} = 0"
                f" CALL (h, t) {{ CREATE (t)-[:{kind.relationship}]->(h) }} {in_parts}"
            ).consume()
            session.run(
                f"MATCH {hub}<-[:{kind.relationship}]-(t)<-[:MADE]-(u) WITH h, u, count(t) AS n, sum(t.amount) AS a,"
                " min(t.occurred_at) AS b, max(t.occurred_at) AS e, count(CASE WHEN t.is_fraud THEN 1 END) AS f"
                f" CALL (h, u, n, a, b, e, f) {{ CREATE (u)-[:{kind.aggregate} {{transactions: n, amount: a,"
                f" first_at: b, last_at: e, fraud_known: f}}]->(h) }} {in_parts}"
            ).consume()
            session.run(
                f"MATCH {hub}<-[r:{kind.aggregate}]-() WITH h, sum(r.transactions) AS n, sum(r.amount) AS a,"
                " sum(r.fraud_known) AS f, min(r.first_at) AS b, max(r.last_at) AS e"
                " SET h.transactions = n, h.amount = a, h.fraud_known = f, h.first_at = b, h.last_at = e"
            ).consume()
            advance(1)


def _measured(work: Workspace, url: str, http: int) -> Section:
    from playwright.sync_api import sync_playwright

    store = open_store(url)
    try:
        schema, transactions = store.schema(), store.status()["transactions"]
    finally:
        store.close()
    address = Address.of(url)
    page = f"http://127.0.0.1:{http}/browser/?dbms={address.server.replace('://', '://neo4j@')}&db={address.database}"
    links = BrowserLinks(f"{page}&cmd=edit&arg=")
    pack, shots = work.emptied("browser-pack"), work.emptied("browser-shots")
    write_pack(pack, schema, links)
    figures: list[Figure] = []
    details: dict[str, dict[str, Any]] = {}
    queries: list[float] = []
    with _session(url) as session, sync_playwright() as running:
        starts = {placeholder: session.run(query).single(strict=True)[0] for placeholder, query in _STARTS.items()}
        opened = running.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        browser = BrowserPage(opened, links.query("RETURN 1"), address.password)
        browser.style(pack / "quipu.grass")
        for item in favourites(schema):
            with work.progress.stage(item.title):
                asked = _asked(item, starts)
                drawn = [browser.ask(asked) for _ in range(_RUNS)]
                browser.page.wait_for_timeout(3000)  # the picture comes to rest
                browser.page.screenshot(path=shots / f"{item.name}.png")
                bare = [_seconds(session, asked) for _ in range(_RUNS)]
                queries += bare
            nodes = sum(browser.colours().values())
            figures.append(Figure.median(item.title, drawn, "s", at_most=2, note=f"{nodes} nodes drawn"))
            details[item.name] = {"drawn": drawn, "query": bare, "nodes": nodes}
        browser.close()
        opened.close()
    figures.append(Figure("the slowest bare query", max(queries), "s", note="through the driver, all rows fetched"))
    title = f"{transactions:,} transactions; from Control+Enter to the result drawn, median of {_RUNS}"
    return Section("browser", title, figures, {"starts": starts, "favourites": details})


def _asked(item: Favourite, starts: dict[str, str]) -> str:
    text = item.text
    for placeholder, id_ in starts.items():
        text = text.replace(placeholder, cypher_text(id_))
    return text


def _seconds(session: neo4j.Session, query: str) -> float:
    began = time.perf_counter()
    session.run(query).fetch(100_000)
    return time.perf_counter() - began


@contextmanager
def _session(url: str) -> Iterator[neo4j.Session]:
    address = Address.of(url)
    auth: Any = (address.user, address.password)
    with (
        neo4j.GraphDatabase.driver(address.server, auth=auth, notifications_min_severity="OFF") as driver,
        driver.session(database=address.database) as session,
    ):
        yield session
