"""The investigator's pack: queries that Neo4j Browser keeps as favourites, a style for what it draws, and a guide.

Browser keeps favourites and style in the user's own web browser, so no server can install them. Dropping a file on its
page does: all queries of a `.zip` at once, in a folder of favourites, and a `.grass` as the style.
"""

import html
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from graph.browser.links import BrowserLinks
from graph.errors import InputError
from graph.records import KNOWN_TYPES, USER, GraphSchema, entity_type

FOLDER = "Quipu"
_HERE = Path(__file__).parent
_JOINING = "USES|CONNECTS_FROM"
"""Relationships by which users are linked, as the files have them: what stands there is replaced by the store's."""
_DEFAULTS = ("user", "device", "ip", "restaurant")
_COLOURS = (("#C990C0", "#B261A5"), ("#57C7E3", "#23B3D7"), ("#ECB5C9", "#DA7298"), ("#F79767", "#F36924"))
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Favourite:
    """A query of the pack.

    Attributes:
        name: of its file, without ending.
        title, about: the first two lines, comments: what it shows, and how to use it.
        text: all of it.
    """

    name: str
    title: str
    about: str
    text: str


def favourites(schema: GraphSchema) -> list[Favourite]:
    """The queries for stores of this schema; those about types that it lacks are left out."""
    lacking = [KNOWN_TYPES[name] for name in _DEFAULTS if name not in schema.entities]
    without = re.compile("|".join(rf"\(\w*:{kind.label}\b" for kind in lacking)) if lacking else None
    types = [entity_type(name) for name in schema.entities if name not in (USER, "restaurant")]
    joining = "|".join(_name(kind.aggregate) for kind in types)
    found = []
    for path in sorted((_HERE / "favourites").glob("*.cypher")):
        text = path.read_text(encoding="utf-8").strip()
        if (without and without.search(text)) or (_JOINING in text and not joining):
            continue
        text = text.replace(_JOINING, joining)
        title, about = (line.removeprefix("//").strip() for line in text.split("\n", 2)[:2])
        found.append(Favourite(path.stem, title, about, text))
    return found


def style(schema: GraphSchema) -> str:
    """The style, in Browser's GraSS. Rules come in order: the last one that matches a label wins."""
    text = (_HERE / "style.grass").read_text(encoding="utf-8")
    further = [entity_type(name) for name in schema.entities if name not in _DEFAULTS]
    rules = []
    for kind, (colour, border) in zip(further, _COLOURS * len(further), strict=False):
        rules.append(
            f"node.{kind.label} {{\n  color: {colour};\n  border-color: {border};\n  text-color-internal: #2A2C34;\n"
            f'  caption: "{{id}}";\n}}\n'
            f'relationship.{kind.aggregate} {{\n  caption: "{{transactions}}x, {{fraud_known}} fraud";\n}}\n'
        )
    return text + "".join(rules)


def guide(schema: GraphSchema, links: BrowserLinks) -> str:
    """A page that says how to install the pack, and opens each query without."""
    rows = "\n".join(
        f'<tr><td><a href="{html.escape(links.query(item.text))}" target="quipu-browser">{html.escape(item.title)}</a>'
        f"</td><td>{html.escape(item.about)}</td></tr>"
        for item in favourites(schema)
    )
    page = Template((_HERE / "guide.html").read_text(encoding="utf-8"))
    return page.substitute(browser=html.escape(links.browser), rows=rows)


def write_pack(folder: Path, schema: GraphSchema, links: BrowserLinks) -> list[Path]:
    """Writes the pack; the same pack gives the same bytes. Returns its files.

    Raises:
        InputError: the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file", hint="name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    items = favourites(schema)
    written = [_write(folder / "guide.html", guide(schema, links)), _zip(folder / "quipu.zip", items)]
    written.append(_write(folder / "quipu.grass", style(schema)))
    queries = folder / "favourites"
    queries.mkdir(exist_ok=True)
    return written + [_write(queries / f"{item.name}.cypher", item.text + "\n") for item in items]


def _name(relationship: str) -> str:
    return relationship if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", relationship) else f"`{relationship}`"


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _zip(path: Path, items: Sequence[Favourite]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in items:
            archive.writestr(zipfile.ZipInfo(f"{FOLDER}/{item.name}.cypher", _EPOCH), item.text)
    return path
