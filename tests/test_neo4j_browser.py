"""The real Neo4j Browser, on the real server: links open, favourites and the style come in, and graphs are drawn."""

import base64
import json
import time
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

BLUE, GREEN, SAND, LIGHT_GREEN = "#4C8EDA", "#569480", "#D9C8AE", "#8DCC93"
PURPLE, RED, DARK_RED = "#8E44AD", "#F16667", "#A80000"
DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), character => character.charCodeAt(0))
  const moved = new DataTransfer()
  moved.items.add(new File([bytes], name))
  document.querySelector('.filedrop').dispatchEvent(
    new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: moved}))
}"""
COLOURS = """() => {
  const found = {}
  const circles = document.querySelector('[data-testid=frame]').querySelectorAll('svg .node circle.b-outline')
  for (const colour of [...circles].map(circle => circle.getAttribute('fill')).sort())
    found[colour] = (found[colour] || 0) + 1
  return found
}"""


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
def page(browser: Any, server: Neo4j, pack: Path) -> Iterator[Any]:
    """Neo4j Browser as somebody has it who followed the program's link to a ring, connected, and dropped the pack onto
    it; it reaches nobody else."""
    link = quipu("rings", "show", RING_ID)["browser"]
    mine = urlsplit(link).hostname
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(60_000)
    context.route(lambda url: urlsplit(url).hostname != mine, lambda route: route.abort())
    opened = context.new_page()
    opened.goto(link)
    opened.fill("[data-testid=password]", Address.of(server.url).password)
    opened.click("[data-testid=connect]")
    opened.wait_for_selector("[data-testid=password]", state="detached")
    drop(opened, pack / "quipu.grass")
    until(opened, "(localStorage.getItem('neo4j.grass') || '').includes('node.Confirmed')")
    drop(opened, pack / "quipu.zip")
    until(opened, f"(localStorage.getItem('neo4j.folders') || '').includes({json.dumps(FOLDER)})")
    yield opened
    context.close()


def until(page: Any, script: str, arg: object = None) -> None:
    """Waits until a script gives what is true; Playwright's own way needs what Browser's security policy forbids."""
    deadline = time.monotonic() + 60
    while not page.evaluate(script, arg):
        assert time.monotonic() < deadline, (script, arg, page.inner_text("body")[-500:])
        page.wait_for_timeout(50)


def drop(page: Any, path: Path) -> None:
    """Drops a file onto the page, as a mouse does."""
    page.evaluate(DROP, [path.name, base64.b64encode(path.read_bytes()).decode()])


def run(page: Any) -> None:
    """Presses Control+Enter in the editor, and waits until a graph is drawn for what stood there."""
    page.click("[data-testid=activeEditor]")
    page.evaluate("document.querySelectorAll('[data-testid=frame]').forEach(frame => frame.dataset.old = 'yes')")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("[data-testid=frame]:not([data-old]) svg .node")


def wait_for(page: Any, colours: dict[str, int]) -> None:
    """Waits until just these nodes are drawn in the newest frame, counted by colour."""
    until(page, f"wanted => JSON.stringify(({COLOURS})()) === JSON.stringify(wanted)", dict(sorted(colours.items())))


def captions(page: Any) -> str:
    """The texts of the nodes and links in the newest frame."""
    return str(
        page.evaluate(
            "[...document.querySelector('[data-testid=frame]').querySelectorAll('svg text')]"
            ".map(text => text.textContent).join('|')"
        )
    )


def test_a_rings_link_and_control_enter_show_the_whole_ring_in_the_packs_style(page: Any) -> None:
    run(page)
    wait_for(page, {PURPLE: 1, BLUE: 3, GREEN: 2, SAND: 1})
    told = captions(page)
    assert "0.875" in told and "u1" in told and "d1" in told
    assert "fraud" in told


def test_a_decisions_link_shows_it_with_its_ring(page: Any) -> None:
    links = BrowserLinks.of(settings().store)
    assert links is not None
    page.goto(links.decision("t1"))
    until(page, "document.querySelector('[data-testid=activeEditor]')?.innerText.includes('Transaction')")
    run(page)
    wait_for(page, {RED: 1, PURPLE: 1, BLUE: 3, GREEN: 2, SAND: 1, LIGHT_GREEN: 1})
    border = page.evaluate(
        "red => document.querySelector('[data-testid=frame]')"
        ".querySelector(`svg .node circle.b-outline[fill='${red}']`).getAttribute('stroke')",
        RED,
    )
    assert border == DARK_RED, "known to be fraud"


def test_favourites_have_come_in_at_once_and_run(page: Any, pack: Path) -> None:
    page.click("[data-testid=navigationFavorites]")
    page.click(f"[data-testid=savedScriptsFolder-{FOLDER}]")
    for path in (pack / "favourites").iterdir():
        page.get_by_text(path.read_text().split("\n")[0].removeprefix("// "), exact=True).wait_for()
    page.get_by_text("Ring overview: the riskiest rings").click()
    until(page, "document.querySelector('[data-testid=activeEditor]').innerText.includes('riskiest')")
    run(page)
    wait_for(page, {PURPLE: 1, BLUE: 3, GREEN: 2, SAND: 1})
