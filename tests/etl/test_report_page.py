"""The page of a load: all of it is there, nothing comes from elsewhere, and it reads on a phone, too."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etl.loading import load
from etl.mapping import Mapping
from etl.reporting.comparison import attention
from etl.reporting.page import KEPT, keep_page, page_name, render_page
from graph.store import Store

Shop = Callable[..., Mapping]
Write = Callable[..., Path]


def mess(n: int, *, first: int, worse: bool) -> list[dict[str, Any]]:
    """Transactions of a shop with hubs, two currencies and labels; the worse ones lack days, devices and sense."""
    rng = np.random.default_rng(first)
    made = []
    for i in range(first, first + n):
        day = int(rng.integers(0, 28))
        if worse and 9 <= day <= 11:
            continue
        at = datetime(2024, 2 if worse else 1, 1, tzinfo=UTC) + timedelta(days=day, hours=float(rng.uniform(8, 23)))
        fraud = rng.random() < 0.05
        row = {
            "id": f"t{i}", "at": at.isoformat(), "user": f"u{rng.integers(0, 300)}",
            "amount": f"{rng.lognormal(3.5, 0.8):.2f}", "device": f"d{rng.integers(0, 500)}",
            "ip": "10.0.0.1" if i % 9 == 0 else f"190.1.{rng.integers(0, 99)}.7",
            "currency": "USD" if i % 30 == 0 else "PEN",
            "fraud": int(fraud), "known": (at + timedelta(days=float(rng.gamma(2, 8 if fraud else 3)))).isoformat(),
        }  # fmt: skip
        if i % 10 == 0:
            row["device"] = "test"
        if worse and i % 3 == 0:
            row["device"] = ""
        if worse and i % 25 == 0:
            row["amount"] = "<b>&\"twelve'</b> " + "x" * 90
        made.append(row)
    return made


@pytest.fixture
def page(store: Store, shop: Shop, write_csv: Write, tmp_path: Path) -> Path:
    """The page of a messy load, after a better one."""
    label = {"is_fraud": {"column": "fraud", "fraud": ["1"], "genuine": ["0"]}, "known_at": "known"}
    mapping = shop({"ip": "ip", "currency": "currency"}, label=label)
    write_csv("tx.csv", mess(2000, first=0, worse=False))
    before = load(mapping, store).as_dict()
    write_csv("tx.csv", mess(2000, first=2000, worse=True))
    report = load(mapping, store).as_dict()
    path = tmp_path / "page.html"
    path.write_text(render_page(report, attention(report, before), before), encoding="utf-8")
    return path


class Outline(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tables = self.captions = self.plots = self.described = 0
        self._level = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href", "action") and value]
        self.ids += [value for name, value in attributes if name == "id" and value]
        self.tables += tag == "table"
        self.captions += tag == "caption"
        self.plots += tag == "svg"
        self.described += tag == "svg" and given.get("role") == "img" and bool(given.get("aria-label"))
        if re.fullmatch("h[1-6]", tag):
            self._level = tag
            self.headings.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._level:
            self._level = ""

    def handle_data(self, data: str) -> None:
        if self._level:
            self.headings[-1] += data


def test_the_page_says_first_what_is_wrong(page: Path) -> None:
    outline = Outline(page.read_text(encoding="utf-8"))
    headings = [" ".join(heading.split()) for heading in outline.headings]
    assert headings[0] == "h1Load 2 of shop"
    assert headings[1] == "h2What needs your attention"
    first = [heading for heading in headings[2:] if heading.startswith("h3")][:2]
    assert "Problem device is suddenly missing in" in first[0]
    assert re.search(r"\d\d of 1,8\d\d transactions .* held back because the amount is not", first[1])
    assert "far more than in the load before (0%)" in first[1]
    assert {"h2Rows by outcome and reason", "h2Times covered", "h2Labels", "h2Who shares what"} <= set(headings)
    assert outline.tables == outline.captions >= 6
    assert outline.plots == outline.described >= 7


def test_the_page_needs_nothing_else_and_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    outline = Outline(text)
    assert outline.links
    assert {link for link in outline.links if not link.startswith("#")} == set()
    anchors = [link[1:] for link in outline.links if re.fullmatch(r"#[a-z]+", link)]
    assert len(anchors) == 7
    assert set(anchors) <= set(outline.ids)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_what_stands_in_the_data_stays_text(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text
    assert "x" * 40 not in text


def test_pages_of_a_first_load_a_dry_run_and_an_empty_one(store: Store, shop: Shop, write_csv: Write) -> None:
    write_csv("tx.csv", mess(50, first=0, worse=False)[:1])
    report = load(shop(), store, dry_run=True).as_dict()
    text = render_page(report, attention(report, None))
    assert "dry run" in text
    assert "Compared with" not in text
    write_csv("tx.csv", [{"id": "", "at": "", "user": "", "amount": "", "device": ""}])
    report = load(shop(), store).as_dict()
    text = render_page(report, attention(report, None), stopped="Too many rows <are> bad.")
    assert "No transaction was usable." in text
    assert "Too many rows &lt;are&gt; bad." in text


def test_a_load_without_troubles_says_so(store: Store, shop: Shop, write_csv: Write) -> None:
    rows = mess(300, first=1, worse=False)
    write_csv("tx.csv", [row | {"device": f"d-{row['id']}", "user": f"u-{row['id']}"} for row in rows])
    report = load(shop(), store).as_dict()
    assert "No troubles found." in render_page(report, attention(report, None))


def test_the_last_pages_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "mine.html").write_text("mine")
    for number in range(1, KEPT + 4):
        path = keep_page(folder, f"load-{number}", f"page {number}")
        os.utime(path, (number, number))
    kept = {path.name for path in folder.iterdir()}
    assert kept == {f"load-{number}.html" for number in range(4, KEPT + 4)} | {"mine.html"}
    assert keep_page(folder, f"load-{KEPT}", "again").read_text() == "again"
    assert folder.stat().st_mode & 0o077 == 0


def test_pages_of_different_stores_have_different_names(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "graph.etl.db", tmp_path / "b" / "graph.etl.db"
    names = {page_name(mapping, ledger, 1) for mapping in ("shop", "Café / Ñandú") for ledger in (first, second)}
    assert len(names) == 4
    assert all(re.fullmatch(r"load-[\w.-]+-graph-[0-9a-f]{6}-1", name) for name in names)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser(browser: Any, page: Path, width: int) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 844})
    tab.set_default_timeout(10_000)
    complaints: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())
    assert asked == [page.as_uri()]
    assert complaints == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    beyond = tab.evaluate(
        "width => [...document.querySelectorAll('body *:not(svg *)')]"
        ".filter(e => e.getBoundingClientRect().right > width + 1 && !e.closest('thead'))"
        ".map(e => e.tagName + ' ' + e.textContent.slice(0, 40))",
        width,
    )
    assert beyond == []
    top = tab.get_by_role("heading", name="What needs your attention")
    assert top.is_visible()
    finding = tab.get_by_role("heading", name="device is suddenly missing in")
    assert finding.bounding_box()["y"] + finding.bounding_box()["height"] < 844
    assert tab.get_by_text("What to do:").first.is_visible()
    hubs = tab.get_by_role("table", name="Devices: candidates for leaving out")
    row = hubs.get_by_role("row").filter(has_text="placeholder")
    assert row.get_by_role("rowheader").inner_text() == "test"
    assert row.get_by_role("cell").count() == 4
    reasons = tab.get_by_role("table", name="Why transactions were held back")
    assert reasons.get_by_text("bad_amount").is_visible()
    assert reasons.get_by_text("“<b>&\"twelve'</b>").first.is_visible()
    days = tab.get_by_role("img", name="Transactions by day: 25 days with rows, 1 gaps.")
    assert days.bounding_box()["width"] > 280
    tab.get_by_role("link", name="Who shares what").click()
    assert tab.evaluate("document.getElementById('sharing').getBoundingClientRect().top") < 844
    tab.close()
