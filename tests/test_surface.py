"""What users see is documented: every command, setting and route, and nothing that is not there."""

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup
from typer.testing import CliRunner

from api.app import create_app
from cli.main import COMMANDS, app
from etl.mapping import (
    AttributeFiles,
    IsFraud,
    LabelFiles,
    LabelMapping,
    Mapping,
    Source,
    TimeColumn,
    TransactionMapping,
    parse_mapping,
)
from graph.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def commands() -> dict[str, tuple[str, bool]]:
    """Help by command, and whether it is a group."""
    return {path: (text, is_group) for path, text, is_group in GENERATOR["commands"]()}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], prog_name="quipu")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: quipu {command}")


def test_every_command_has_a_module_and_every_module_a_command() -> None:
    modules = {path.stem for path in (ROOT / "cli").glob("*.py") if re.search(r"^app\b", path.read_text(), re.M)}
    assert modules - {"main"} == set(COMMANDS)


def test_every_command_shows_an_example_that_would_parse(commands: dict[str, tuple[str, bool]]) -> None:
    lacking = [path for path, (text, group) in commands.items() if not group and not list(example_lines(path, text))]
    assert not lacking, f"without an example: {lacking}"
    wrong = [
        f"{line}: {problem}"
        for path, (text, group) in commands.items()
        for line in example_lines(path, text)
        if (problem := misuse(line))
    ]
    assert not wrong, "\n".join(wrong)


def example_lines(path: str, text: str) -> Iterator[str]:
    """The examples in a command's help, which begin with the command itself."""
    _, mark, after = text.partition("Example")
    after = re.split(r"\n\n(?:Arguments|Options):", after)[0]
    joined = " ".join(after.split()) if mark else ""
    for part in re.split(r"(?=\bquipu )", joined):
        if part.startswith(f"{path} ") or part == path:
            yield part


def misuse(line: str) -> str | None:
    """What is wrong with a line that calls `quipu`: a command or an option that it does not have."""
    words = shlex.split(line.replace("…", ""), comments=True)[1:]
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="quipu")
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        name = words.pop(0)
        command = command.get_command(context, name)
        if command is None:
            return f"there is no command {name!r}"
        context = typer.Context(command, info_name=name, parent=context)
    options = {option for parameter in command.get_params(context) for option in parameter.opts}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
    return f"no such option: {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize("page", GENERATOR["PAGES"])
def test_generated_pages_are_up_to_date(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    assert text == GENERATOR["PAGES"][page](), f"docs/{page} is behind the code: run `make docs`"


def test_every_setting_is_described() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"| `QUIPU_{name.upper()}` |" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_pages_name_only_what_exists(page: Path) -> None:
    text = page.read_text()
    wrong = [f"{line}: {problem}" for line in command_lines(text) if (problem := misuse(line))]
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M))
    wrong += [f"make {target}" for target in re.findall(r"`make ([a-z0-9-]+)", text) if target not in targets]
    variables = {f"QUIPU_{name.upper()}" for name in Settings.model_fields}
    wrong += [name for name in re.findall(r"\bQUIPU_[A-Z_]+\b", text) if name not in variables]
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    wrong += [f"link to {link}" for link in links if not (page.parent / link).exists()]
    assert not wrong, "\n".join(wrong)


def command_lines(text: str) -> Iterator[str]:
    """Calls of `quipu` in code blocks and in inline code."""
    for block in re.findall(r"^```(?:console|bash|sh)?\n(.*?)^```", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if found := re.match(r"(?:\$ )?(?:\.venv/bin/)?(quipu .*)", line.strip()):
                yield found[1]
    yield from re.findall(r"`(quipu [^`\n]+)`", text)


def test_mappings_in_the_documentation_can_be_used() -> None:
    page = (ROOT / "docs" / "mapping.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
    assert len(blocks) >= 2
    for block in blocks:
        parse_mapping(yaml.safe_load(block))


def test_every_key_of_a_mapping_is_documented() -> None:
    page = (ROOT / "docs" / "mapping.md").read_text()
    later = {"folder"}
    for model in (Mapping, Source, TransactionMapping, LabelMapping, LabelFiles, AttributeFiles, TimeColumn, IsFraud):
        lacking = [key for key in model.model_fields.keys() - later if not re.search(rf"\b{key}:", page)]
        assert not lacking, f"{model.__name__}: {lacking}"


def test_every_route_is_documented_and_every_documented_route_there(tmp_path: Path) -> None:
    def unexpected(error: Exception) -> None:
        raise error

    service = create_app(Settings(var=tmp_path), tmp_path / "bundle", on_failure=unexpected)
    there = {(method.upper(), nameless(path)) for path, item in service.openapi()["paths"].items() for method in item}
    page = (ROOT / "docs" / "http.md").read_text()
    told = {(m, nameless(p)) for m, p in re.findall(r"^\| `([A-Z]+) (/[^` ]*)` \|", page, re.M)}
    assert told == there


def nameless(route: str) -> str:
    """A route without the names of its parameters, which mean the same by any name."""
    return re.sub(r"\{[^}]*\}", "{}", route)
