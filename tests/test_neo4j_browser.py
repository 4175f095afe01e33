"""The real Neo4j Browser, on the real server: links open, favourites and the style come in, and graphs are drawn."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from cli.main import app
from graph.browser.links import BrowserLinks
from graph.browser.pack import FOLDER
from graph.neo4j_url import Address
from graph.settings import settings
from graph.store import open_store
from tests.graph.ring_world import RING_ID, fill, keep_ring
from tests.neo4j import Neo4j
from tests.neo4j_page import BrowserPage

BLUE, GREEN, SAND, LIGHT_GREEN = "#4C8EDA", "#569480", "#D9C8AE", "#8DCC93"
PURPLE, RED, DARK_RED = "#8E44AD", "#F16667", "#A80000"


@pytest.fixture(scope="module")
def server(neo4j_database: Neo4j) -> Iterator[Neo4j]:
    """The server, with the little world and its ring in its store, and the settings that name the store and Browser."""
    rows = neo4j_database.run("SHOW SETTINGS YIELD name, value WHERE name = 'server.http.listen_address' RETURN value")
    port = str(rows[0][0]).rpartition(":")[2]
    with closing(open_store(neo4j_database.empty())) as store:
        fill(store)
        keep_ring(store)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("QUIPU_BROWSER_URL", f"http://{urlsplit(neo4j_database.url).hostname}:{port}")
        environment.setenv("QUIPU_STORE", neo4j_database.url)
        settings.cache_clear()
        yield neo4j_database
    settings.cache_clear()
    neo4j_database.empty()


def quipu(*arguments: str) -> dict[str, Any]:
    """What the program answers."""
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def pack(server: Neo4j, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack, as the program writes it."""
    folder = tmp_path_factory.mktemp("browser") / "pack"
    answer = quipu("graph", "browser-pack", str(folder))
    assert {Path(name) for name in answer["files"]} == {path for path in folder.rglob("*") if path.is_file()}
    assert Path(answer["guide"]).read_text().count("cmd=edit") == len(list((folder / "favourites").iterdir())) >= 12
    return folder


@pytest.fixture(scope="module")
def page(browser: Any, server: Neo4j, pack: Path) -> Iterator[BrowserPage]:
    """Browser as somebody has it who followed the program's link to a ring, and dropped the pack onto it."""
    opened = BrowserPage(browser, quipu("rings", "show", RING_ID)["browser"], Address.of(server.url).password)
    opened.style(pack / "quipu.grass")
    opened.drop(pack / "quipu.zip")
    opened.until(f"(localStorage.getItem('neo4j.folders') || '').includes({json.dumps(FOLDER)})")
    yield opened
    opened.close()


def test_a_rings_link_and_control_enter_show_the_whole_ring_in_the_packs_style(page: BrowserPage) -> None:
    page.run()
    page.wait_for({PURPLE: 1, BLUE: 3, GREEN: 2, SAND: 1})
    told = page.captions()
    assert "0.875" in told and "u1" in told and "d1" in told
    assert "fraud" in told


def test_a_decisions_link_shows_it_with_its_ring(page: BrowserPage) -> None:
    links = BrowserLinks.of(settings().store)
    assert links is not None
    page.follow(links.decision("t1"))
    page.editor_has("Transaction")
    page.run()
    page.wait_for({RED: 1, PURPLE: 1, BLUE: 3, GREEN: 2, SAND: 1, LIGHT_GREEN: 1})
    assert DARK_RED in page.borders(RED), "known to be fraud"


def test_favourites_have_come_in_at_once_and_run(page: BrowserPage, pack: Path) -> None:
    page.page.click("[data-testid=navigationFavorites]")
    page.page.click(f"[data-testid=savedScriptsFolder-{FOLDER}]")
    for path in (pack / "favourites").iterdir():
        title = path.read_text().split("\n")[0].removeprefix("// ")
        page.page.get_by_text(title, exact=True).wait_for()
    page.page.get_by_text("Ring overview: the riskiest rings").click()
    page.editor_has("riskiest")
    page.run()
    page.wait_for({PURPLE: 1, BLUE: 3, GREEN: 2, SAND: 1})
