"""A ring as a graph and as a page: sums that add up, and what a browser shows of them."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graph.ring_graph import ring_graph, worst_band
from graph.ring_page import content_policy, moment, render_ring, shortened, span
from graph.ring_records import RingStatus, Verdict
from graph.store import Store, open_store, rings_of
from tests.graph.ring_world import AS_OF, HOSTILE, RING_ID, fill, keep_ring, the_ring


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('ring')}/store.db")
    fill(store)
    keep_ring(store)
    rings_of(store).write_verdict(Verdict(RING_ID, AS_OF + 1, RingStatus.CONFIRMED, "Ana <b>", "same cards & names"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def drawn(world: Store) -> dict[str, Any]:
    ring = rings_of(world).ring(RING_ID)
    assert ring is not None
    return ring_graph(world, ring)


@pytest.fixture(scope="module")
def page(world: Store, drawn: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    rings = rings_of(world)
    path = tmp_path_factory.mktemp("page") / "ring.html"
    path.write_text(render_ring(rings.ring(RING_ID), drawn, rings.ring_events(RING_ID)), encoding="utf-8")
    return path


def test_sums_are_of_the_rings_own_transactions(drawn: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in drawn["nodes"]}
    assert list(nodes)[:3] == ["user:u1", "user:u2", f"user:{HOSTILE}"]
    # Not in the ring: u1's payments on a stranger's device, and what came after the refresh.
    assert nodes["user:u1"] == {
        "id": "user:u1", "type": "user", "key": "u1", "band": "block", "since": "2025-03-01T09:00:00Z",
        "transactions": 2, "amount": 35.0, "fraud_known": 2,
        "first_at": "2025-03-01T09:00:00Z", "last_at": "2025-03-02T15:00:00Z",
    }  # fmt: skip
    assert {id_: (node["transactions"], node["amount"]) for id_, node in nodes.items()} == {
        "user:u1": (2, 35.0), "user:u2": (2, 942.0), f"user:{HOSTILE}": (1, 77.0),
        "device:d1": (3, 935.0), "device:d2": (2, 119.0), "ip:10.0.0.1": (4, 154.0),
    }  # fmt: skip
    links = {(link["source"], link["target"]): link for link in drawn["links"]}
    assert len(links) == 7
    assert links["user:u1", "device:d1"] == {
        "source": "user:u1", "target": "device:d1", "relationship": "USES", "transactions": 2, "amount": 35.0,
        "fraud_known": 2, "first_at": "2025-03-01T09:00:00Z", "last_at": "2025-03-02T15:00:00Z",
    }  # fmt: skip
    per_link = {(link.user, link.entity, link.key): link.transactions for link in the_ring().links}
    assert {(s[5:], *t.split(":")): link["transactions"] for (s, t), link in links.items()} == per_link


def test_a_ring_whose_transactions_are_not_in_the_store_is_drawn_without_sums(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/empty.db")
    graph = ring_graph(store, the_ring())
    store.close()
    assert {node["transactions"] for node in graph["nodes"]} == {0}
    assert {link["first_at"] for link in graph["links"]} == {None}
    assert "<title>Ring ring-7f3a" in render_ring(the_ring(), graph)


@pytest.mark.parametrize(
    ("bands", "worst"),
    [([], None), ([None], None), (["approve", None, "review"], "review"), (["block", "approve"], "block")],
)
def test_worst_band(bands: list[str | None], worst: str | None) -> None:
    assert worst_band(bands) == worst


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        ("2025-03-03T14:05:00Z", "2025-03-03T14:05:30Z", "3 Mar 2025 14:05"),
        ("2025-03-03T14:05:00Z", "2025-03-03T15:10:00Z", "3 Mar 2025 14:05–15:10"),
        ("2025-03-03T14:05:00Z", "2025-03-09T15:10:00Z", "3–9 Mar 2025"),
        ("2025-02-28T23:59:59.999999Z", "2025-03-03T00:00:00Z", "28 Feb – 3 Mar 2025"),
        ("2024-12-31T00:00:00Z", "2025-01-01T00:00:00Z", "31 Dec 2024 – 1 Jan 2025"),
        (None, None, ""),
    ],
)
def test_spans_of_time(first: str | None, last: str | None, text: str) -> None:
    assert span(first, last) == text


def test_texts() -> None:
    assert moment("2025-03-03T04:05:06.000007Z") == "3 Mar 2025 04:05"
    assert shortened("U-1042") == "U-1042"
    assert shortened("0123456789abcdefghij") == "01234567…efghij"
    assert content_policy("a").startswith("default-src 'none'; script-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7")


def test_what_strangers_named_stays_a_text(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "alert(" in text
    assert HOSTILE not in text
    assert "Ana <b>" not in text


@pytest.fixture
def open_page(browser: Any, page: Path) -> Iterator[Any]:
    """Opens the page at a width; at the end nothing was asked of the network, and nothing complained."""
    complaints: list[str] = []
    asked: list[str] = []
    tabs = []

    def at(width: int) -> Any:
        tab = browser.new_page(viewport={"width": width, "height": 844})
        tab.set_default_timeout(10_000)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", lambda dialog: complaints.append(dialog.message))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page.as_uri())
        tabs.append(tab)
        return tab

    yield at
    for tab in tabs:
        tab.close()
    assert complaints == []
    assert asked == [page.as_uri()] * len(tabs)


def wait_until(tab: Any, condition: str) -> None:
    """Waits for a condition; the page's policy forbids the browser driver's own way, which evaluates text."""
    deadline = time.monotonic() + 60
    while not tab.evaluate(condition):
        assert time.monotonic() < deadline, condition
        tab.wait_for_timeout(20)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_picture_in_a_browser(open_page: Any, width: int) -> None:
    tab = open_page(width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("[ring.nodes(':visible').length, ring.edges(':visible').length]") == [6, 7]
    picture = tab.get_by_role("img", name="6 members and 7 links between them")
    box = picture.bounding_box()
    assert min(box["width"], box["height"]) >= 340
    # All of the ring is inside, and something is painted there.
    inside = "ring.elements().renderedBoundingBox()"
    assert tab.evaluate(f"({inside}).x1 >= 0 && ({inside}).x2 <= ring.width() && ({inside}).y2 <= ring.height()")
    painted = """() => { const c = document.querySelectorAll('#graph canvas'); const found = new Set();
        for (const x of c) { const d = x.getContext('2d').getImageData(0, 0, x.width, x.height).data;
          for (let i = 0; i < d.length; i += 4) if (d[i + 3] === 255) found.add(`${d[i]},${d[i + 1]},${d[i + 2]}`); }
        return ['213,94,0', '230,159,0', '86,180,233', '195,202,211'].map((colour) => found.has(colour)); }"""
    wait_until(tab, f"({painted})().every(Boolean)")  # blocked, for review, approved, not decided
    nodes = tab.evaluate("Object.fromEntries(ring.nodes().map((n) => [n.id(), [n.width(), n.style('shape')]]))")
    assert nodes["user:u2"] == [76, "ellipse"]  # the largest amount
    assert nodes["user:u1"][0] < nodes["device:d2"][0] < nodes["device:d1"][0]
    assert {shape for _, shape in nodes.values()} == {"ellipse", "round-rectangle", "diamond"}
    labels = tab.evaluate("ring.edges().map((e) => e.style('label'))")
    assert labels[0] == "2× 1–2 Mar 2025"
    assert "1× 9 Mar 2025 17:00" in labels
    legend = tab.get_by_role("list", name="Legend").inner_text()
    for words in (
        "approved",
        "for review",
        "blocked",
        "not decided",
        "user",
        "device",
        "IP address",
        "amount",
        "fraud",
    ):
        assert words in legend


def test_words_beside_the_picture(open_page: Any) -> None:
    tab = open_page(1280)
    assert tab.get_by_role("heading", level=1).inner_text() == f"Ring {RING_ID} confirmed"
    reasons = tab.get_by_role("listitem").filter(has_text="3 users pay from 2 devices, which nobody else uses.")
    assert reasons.bounding_box()["x"] > tab.get_by_role("img").first.bounding_box()["width"] / 2
    assert reasons.bounding_box()["y"] < 844
    assert tab.get_by_text("confirmed by Ana <b>: same cards & names").is_visible()
    table = tab.get_by_role("table", name="Members")
    first = table.get_by_role("row").nth(1)
    assert [cell.inner_text() for cell in first.get_by_role("cell").all()] == [
        "for review", "942.00", "2", "0", "2 Mar 2025 16:00", "3 Mar 2025 21:00",
    ]  # fmt: skip
    tab.get_by_text("7 links").click()
    assert tab.locator("#links").get_by_role("row").count() == 8
    tab.get_by_text("Figures of its graph").click()
    assert tab.get_by_text("0.58").is_visible()


def test_choosing_a_member_and_a_link(open_page: Any) -> None:
    tab = open_page(1280)
    chosen = tab.get_by_role("region", name="Chosen")
    tab.get_by_role("button", name=HOSTILE).click()
    assert chosen.inner_text().split("\n")[0] == f"user {HOSTILE}"
    assert "1 transaction in the ring, 77.00 in all" in chosen.inner_text()
    wait_until(tab, "ring.elements('.faded').length === 8")  # all but the user, two links and their ends
    assert tab.locator("tr.is-chosen").count() == 1
    box = tab.locator("#graph").bounding_box()
    assert box["y"] >= 0  # the picture came into view
    x, y = tab.evaluate("Object.values(ring.edges()[0].renderedMidpoint())")
    tab.mouse.click(box["x"] + x, box["y"] + y)
    wait_until(tab, "ring.$(':selected').length === 1 && ring.$(':selected').isEdge()")
    assert chosen.inner_text().split("\n")[0] == "u1 → d1"
    assert "from 1 Mar 2025 09:00 to 2 Mar 2025 15:00 (UTC)" in chosen.inner_text()
    assert "2 known to be fraud" in chosen.inner_text()
    tab.mouse.click(box["x"] + 3, box["y"] + 3)
    wait_until(tab, "ring.$(':selected').empty()")
    assert chosen.inner_text().startswith("Choose a member or a link")
    wait_until(tab, "ring.elements('.faded').length === 0")


def test_how_it_grew_and_the_buttons(open_page: Any) -> None:
    tab = open_page(1280)
    slider = tab.get_by_role("slider")
    tab.get_by_text("9 Mar 2025 17:00", exact=True).first.wait_for()
    slider.press("Home")
    assert tab.locator("output").inner_text() == "1 Mar 2025 09:00"
    wait_until(tab, "ring.nodes(':visible').length === 3")
    assert sorted(tab.evaluate("ring.nodes(':visible').map((n) => n.id())")) == ["device:d1", "ip:10.0.0.1", "user:u1"]
    slider.press("ArrowRight")
    wait_until(tab, "ring.edges(':visible').length === 3")
    slider.press("End")
    wait_until(tab, "ring.elements(':visible').length === 13")
    tab.get_by_role("button", name="Times").click()
    wait_until(tab, "ring.edges().every((e) => e.style('label') === '')")
    before = tab.evaluate("ring.zoom()")
    tab.get_by_role("button", name="Zoom in").click()
    wait_until(tab, f"ring.zoom() > {before}")
    tab.get_by_role("button", name="Whole ring").click()
    wait_until(tab, "ring.elements().renderedBoundingBox().x1 >= 0")


def test_the_picture_is_the_same_each_time(open_page: Any) -> None:
    places = "ring.nodes().map((n) => [Math.round(n.position('x')), Math.round(n.position('y'))])"
    assert open_page(1280).evaluate(places) == open_page(1280).evaluate(places)
