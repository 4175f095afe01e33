"""Neo4j Browser as a person uses it, in a real web browser: follow a link, connect, drop files, press Control+Enter."""

import base64
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 60.0
_EDITOR = "[data-testid=activeEditor]"
_FRAME = "document.querySelector('[data-testid=frame]')"
_DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), character => character.charCodeAt(0))
  const moved = new DataTransfer()
  moved.items.add(new File([bytes], name))
  document.querySelector('.filedrop').dispatchEvent(
    new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: moved}))
}"""
_COLOURS = f"""() => {{
  const found = {{}}
  for (const circle of {_FRAME}.querySelectorAll('svg .node circle.b-outline')) {{
    const colour = circle.getAttribute('fill')
    found[colour] = (found[colour] || 0) + 1
  }}
  return found
}}"""
_EDITOR_HAS = """([name, text]) =>
  (document.querySelector(name)?.innerText || '').replaceAll('\\u00a0', ' ').includes(text)"""
_ENDED = """() => {
  const frame = document.querySelector('[data-testid=frame]:not([data-old])')
  if (!frame) return ''
  if (frame.querySelector('svg .node')) return 'drawn'
  return /ERROR|no records|no changes/.test(frame.innerText) ? frame.innerText : ''
}"""


class BrowserPage:
    """Neo4j Browser, connected, at a link into it; it reaches no other host.

    Args:
        browser: of Playwright.
        link: to Neo4j Browser, with the database to connect to.
        password: of the database.
    """

    def __init__(self, browser: Any, link: str, password: str) -> None:
        host = urlsplit(link).hostname
        self._context = browser.new_context(viewport={"width": 1400, "height": 1000})
        self._context.set_default_timeout(PATIENCE_SECONDS * 1000)
        self._context.route(lambda url: urlsplit(url).hostname != host, lambda route: route.abort())
        self.page = self._context.new_page()
        self.page.goto(link)
        self.page.fill("[data-testid=password]", password)
        self.page.click("[data-testid=connect]")
        self.page.wait_for_selector("[data-testid=password]", state="detached")

    def close(self) -> None:
        self._context.close()

    def follow(self, link: str) -> None:
        """Opens another link; returns once Browser, which loads anew, has said that it is connected again."""
        self.page.goto(link)
        self.until("document.body.innerText.includes('You are connected as user')")

    def until(self, script: str, arg: object = None) -> Any:
        """Waits until a script gives what is true, and returns that.

        Playwright's own way needs what Browser's security policy forbids.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := self.page.evaluate(script, arg)):
            if time.monotonic() > deadline:
                raise AssertionError((script, arg, self.page.inner_text("body")[-500:]))
            self.page.wait_for_timeout(20)
        return found

    def drop(self, path: Path) -> None:
        """Drops a file onto the page, as a mouse does."""
        self.page.evaluate(_DROP, [path.name, base64.b64encode(path.read_bytes()).decode()])

    def style(self, path: Path) -> None:
        """Drops a style, and waits until Browser has it."""
        self.drop(path)
        self.until("(localStorage.getItem('neo4j.grass') || '').includes('node.Fraud')")

    def ask(self, query: str) -> float:
        """Puts a query into the editor and runs it; seconds from Control+Enter until its graph is drawn."""
        self.page.click(_EDITOR)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(query)
        self.editor_has(query.strip().splitlines()[-1])
        return self.run()

    def editor_has(self, line: str) -> None:
        """Waits until a text stands on one line of the editor."""
        self.until(_EDITOR_HAS, [_EDITOR, line])

    def run(self) -> float:
        """Presses Control+Enter in the editor, which empties it; seconds until the graph is drawn."""
        self.page.click(_EDITOR)
        self.page.evaluate(
            "document.querySelectorAll('[data-testid=frame]').forEach(frame => frame.dataset.old = 'yes')"
        )
        began = time.perf_counter()
        self.page.keyboard.press("Control+Enter")
        ended = self.until(_ENDED)
        seconds = time.perf_counter() - began
        if ended != "drawn":
            raise AssertionError(ended)
        return seconds

    def colours(self) -> dict[str, int]:
        """How many nodes of which colour are drawn in the newest frame."""
        found: dict[str, int] = self.page.evaluate(_COLOURS)
        return found

    def wait_for(self, colours: dict[str, int]) -> None:
        """Waits until just these nodes are drawn in the newest frame, counted by colour."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := self.colours()) != colours:
            assert time.monotonic() < deadline, found
            self.page.wait_for_timeout(20)

    def borders(self, colour: str) -> set[str]:
        """The colours of the borders of the nodes of a colour."""
        script = (
            f"colour => [...{_FRAME}.querySelectorAll(`svg .node circle.b-outline[fill='${{colour}}']`)]"
            ".map(circle => circle.getAttribute('stroke'))"
        )
        return set(self.page.evaluate(script, colour))

    def captions(self) -> str:
        """The texts of the nodes and links in the newest frame."""
        script = f"[...{_FRAME}.querySelectorAll('svg text')].map(text => text.textContent).join('|')"
        return str(self.page.evaluate(script))
