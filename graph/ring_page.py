"""A ring as one interactive page that needs nothing else: the picture, the reasons, the members, the history."""

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from graph.ring_graph import BANDS
from graph.ring_json import event, event_text, whole
from graph.ring_records import Ring, RingEvent

_BAND_WORDS = {"approve": "approved", "review": "for review", "block": "blocked", None: "not decided"}
_TYPE_WORDS = {"ip": "IP address"}
_LONGEST_LABEL = 16


def render_ring(ring: Ring, graph: dict[str, Any], events: Sequence[RingEvent] = ()) -> str:
    """The page's text.

    Args:
        ring: the ring.
        graph: `ring_graph` of it.
        events: its history, oldest first.
    """
    library, script = _text("vendor/cytoscape.min.js"), _text("ring_page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(money=lambda amount: f"{amount:,.2f}", count=lambda n: f"{n:,}", moment=moment)
    types = Counter(node["type"] for node in graph["nodes"])
    counts = [(name, _plural(number, _TYPE_WORDS.get(name, name))) for name, number in types.items()]
    return environment.from_string(_text("ring_page.html")).render(
        ring=whole(ring),
        nodes=sorted(graph["nodes"], key=lambda node: -node["amount"]),
        links=sorted(graph["links"], key=lambda link: link["first_at"] or ""),
        types=counts,
        bands=[(band or "none", _BAND_WORDS[band]) for band in (*BANDS, None)],
        band_words=_BAND_WORDS,
        span=span(graph_first(graph), graph_last(graph)),
        history=[{**event(e), "text": event_text(e)} for e in events],
        data=_drawing(graph),
        library=library,
        script=script,
        policy=content_policy(library, script),
    )


def content_policy(*scripts: str) -> str:
    """A content security policy under which a page runs these inline scripts, and loads nothing at all."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts)
    allowed = " ".join(f"'sha256-{text}'" for text in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def _text(name: str) -> str:
    return files("graph").joinpath(name).read_text(encoding="utf-8")


def _drawing(graph: dict[str, Any]) -> dict[str, Any]:
    """What the script draws: texts and sizes beside the graph's own values."""
    most = max((node["amount"] for node in graph["nodes"]), default=0) or 1
    nodes = [
        {
            **node,
            "band": node["band"] or "none",
            "label": f"{shortened(node['key'])}\n{node['amount']:,.0f}",
            "size": round(24 + 52 * math.sqrt(node["amount"] / most)),
            "text": _words(node, f"{node['type']} {node['key']}", _BAND_WORDS[node["band"]]),
        }
        for node in graph["nodes"]
    ]
    links = [
        {
            **link,
            "label": f"{link['transactions']}× {span(link['first_at'], link['last_at'])}" if link["first_at"] else "",
            "width": round(1.5 + 1.5 * math.log2(1 + link["transactions"]), 1),
            "text": _words(link, f"{link['source'].partition(':')[2]} → {link['target'].partition(':')[2]}"),
        }
        for link in graph["links"]
    ]
    times = sorted({link["first_at"] for link in links if link["first_at"]})
    return {"nodes": nodes, "links": links, "times": [[time, moment(time)] for time in times]}


def _words(item: dict[str, Any], name: str, band: str | None = None) -> list[str]:
    """What is told of a node or link when it is chosen: its name, then line by line."""
    lines = [name] + ([band] if band else [])
    lines.append(f"{_plural(item['transactions'], 'transaction')} in the ring, {item['amount']:,.2f} in all")
    if item["first_at"]:
        lines.append(f"from {moment(item['first_at'])} to {moment(item['last_at'])} (UTC)")
    lines.append(f"{item['fraud_known']:,} known to be fraud" if item["fraud_known"] else "none known to be fraud")
    return lines


def shortened(key: str) -> str:
    """A key's beginning and end, where it is too long for a label."""
    return key if len(key) <= _LONGEST_LABEL else f"{key[:8]}…{key[-6:]}"


def moment(time: str | None) -> str:
    """A time in ISO 8601 as people read it, to the minute."""
    return "" if time is None else f"{datetime.fromisoformat(time):%-d %b %Y %H:%M}"


def span(first: str | None, last: str | None) -> str:
    """Two times as short as it stays clear: `3 Mar 2025 14:05–15:10`, `3–9 Mar 2025`, `28 Feb – 3 Mar 2025`."""
    if first is None or last is None:
        return ""
    a, b = datetime.fromisoformat(first), datetime.fromisoformat(last)
    if a.date() == b.date():
        times = f"{a:%H:%M}" if f"{a:%H:%M}" == f"{b:%H:%M}" else f"{a:%H:%M}–{b:%H:%M}"
        return f"{a:%-d %b %Y} {times}"
    if (a.year, a.month) == (b.year, b.month):
        return f"{a.day}–{b:%-d %b %Y}"
    if a.year == b.year:
        return f"{a:%-d %b} – {b:%-d %b %Y}"
    return f"{a:%-d %b %Y} – {b:%-d %b %Y}"


def graph_first(graph: dict[str, Any]) -> str | None:
    """When the first transaction of a graph occurred."""
    return min((link["first_at"] for link in graph["links"] if link["first_at"]), default=None)


def graph_last(graph: dict[str, Any]) -> str | None:
    """When the last transaction of a graph occurred."""
    return max((link["last_at"] for link in graph["links"] if link["last_at"]), default=None)


def _plural(count: int, noun: str) -> str:
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"
