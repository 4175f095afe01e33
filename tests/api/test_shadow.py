"""The challenger scores the same traffic beside: kept, compared, never returned, and in nobody's way."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.metrics import Meters
from api.shadow import Shadow
from api.shadow_log import KEPT, SHADOW, Shadowed, ShadowLog, latest_pair, shadowed
from gnn.scorer import Scorer
from gnn.scoring import Question
from gnn.servable import Servable, load_servable
from graph.errors import StoreError
from graph.index import AsOfIndex
from graph.records import SECOND
from tests.api.bundles import stricter

AT = 1_746_100_000 * SECOND


@pytest.fixture(scope="module")
def bundle(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(small_bundle, tmp_path_factory.mktemp("shadow") / small_bundle.name))


@pytest.fixture(scope="module")
def servable(bundle: Path) -> Servable:
    return load_servable(bundle)


@pytest.fixture
def scorer(servable: Servable) -> Scorer:
    return Scorer(servable, AsOfIndex(servable.serving.schema))


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def opened(tmp_path: Path, meters: Meters) -> Iterator[Callable[[Servable], Shadow]]:
    shadows: list[Shadow] = []

    def open_shadow(servable: Servable) -> Shadow:
        shadows.append(Shadow(servable, tmp_path / SHADOW, meters.models))
        return shadows[-1]

    yield open_shadow
    for shadow in shadows:
        shadow.close()


def offer(shadow: Shadow, scorer: Scorer, first: int, number: int) -> list[Any]:
    questions = [
        Question(f"t{i}", AT + i * SECOND, 1000 + i, {"user": f"u{i % 7}", "device": f"d{i % 3}"})
        for i in range(first, first + number)
    ]
    answers = scorer.score(questions)
    shadow.offer([q.transaction_id for q in questions], scorer.model_version, answers, scorer.seen)
    return answers


def value(meters: Meters, line: str) -> float:
    lines = dict(part.rsplit(" ", 1) for part in meters.exposition().decode().splitlines() if part[0] != "#")
    return float(lines[line])


def test_the_same_model_beside_itself_decides_the_same(
    opened: Callable[[Servable], Shadow], servable: Servable, scorer: Scorer, tmp_path: Path, meters: Meters
) -> None:
    """Also for batches whose ego-graphs were overwritten by the next before the challenger came to them."""
    shadow = opened(servable)
    answers = [answer for first, size in ((0, 1), (1, 64), (65, 7)) for answer in offer(shadow, scorer, first, size)]
    shadow.close()
    rows = shadowed(tmp_path / SHADOW, servable.name, servable.name)
    assert [row.transaction_id for row in rows] == [f"t{i}" for i in range(72)]
    assert [row.champion_probability for row in rows] == [answer.probability for answer in answers]
    np.testing.assert_allclose(
        [row.challenger_probability for row in rows], [answer.probability for answer in answers], atol=1e-6
    )
    assert all(row.challenger_band == row.champion_band for row in rows)
    counted = sum(
        value(meters, f'quipu_shadow_decisions_total{{challenger="{band}",champion="{band}"}}')
        for band in ("approve", "review", "block")
    )
    assert counted == 72


def test_a_transaction_that_is_offered_again_is_kept_once(
    opened: Callable[[Servable], Shadow], servable: Servable, scorer: Scorer, tmp_path: Path
) -> None:
    shadow = opened(servable)
    offer(shadow, scorer, 0, 3)
    offer(shadow, scorer, 1, 3)
    shadow.close()
    assert len(shadowed(tmp_path / SHADOW, servable.name, servable.name)) == 4


def test_what_is_too_much_is_dropped_and_counted(
    opened: Callable[[Servable], Shadow], servable: Servable, scorer: Scorer, tmp_path: Path, meters: Meters
) -> None:
    shadow = opened(servable)
    answers = offer(shadow, scorer, 0, 200)
    names = [f"t{i}" for i in range(200)]
    for _ in range(200):  # 40,000 at once
        shadow.offer(names, scorer.model_version, answers, scorer.seen)
    shadow.close()
    dropped = value(meters, 'quipu_shadow_missed_total{reason="overloaded"}')
    assert 0 < dropped < 40_000
    assert dropped % 200 == 0
    assert len(shadowed(tmp_path / SHADOW, servable.name, servable.name)) == 200


def test_a_challenger_that_fails_is_counted_and_breaks_nothing(
    opened: Callable[[Servable], Shadow], servable: Servable, scorer: Scorer, meters: Meters
) -> None:
    shadow = opened(servable)
    answers = offer(shadow, scorer, 0, 5)
    assert scorer.seen is not None
    features, egos = scorer.seen
    shadow.offer([f"x{i}" for i in range(5)], scorer.model_version, answers, (features[:, :3].copy(), egos))
    shadow.close()
    assert value(meters, 'quipu_shadow_missed_total{reason="failed"}') >= 5


def row(number: int, challenger: str = "b") -> Shadowed:
    return Shadowed(f"t{number}", number, "a", 0.25, "approve", challenger, 0.75, "review")


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    log = ShadowLog(tmp_path / SHADOW, kept=50)
    for first in range(0, 200, 20):
        log.append([row(number) for number in range(first, first + 20)])
    log.close()
    assert [kept.transaction_id for kept in shadowed(tmp_path / SHADOW, "a", "b")] == [f"t{i}" for i in range(150, 200)]
    assert KEPT > 100_000
    assert (tmp_path / SHADOW).stat().st_mode & 0o777 == 0o600


def test_pairs_are_told_apart(tmp_path: Path) -> None:
    assert latest_pair(tmp_path / SHADOW) is None
    assert shadowed(tmp_path / SHADOW, "a", "b") == []
    with closing(ShadowLog(tmp_path / SHADOW)) as log:
        log.append([row(1), row(1, "c"), row(2, "c")])
    assert latest_pair(tmp_path / SHADOW) == ("a", "c")
    assert latest_pair(tmp_path / SHADOW, "b") == ("a", "b")
    assert latest_pair(tmp_path / SHADOW, "d") is None
    assert len(shadowed(tmp_path / SHADOW, "a", "c")) == 2


def test_a_file_that_is_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / SHADOW).write_text("not a database, and longer than a database's first page would need to be")
    with pytest.raises(StoreError, match=SHADOW) as told:
        ShadowLog(tmp_path / SHADOW)
    assert "delete it" in (told.value.hint or "")
    with pytest.raises(StoreError):
        latest_pair(tmp_path / SHADOW)


def test_two_writers_take_turns(tmp_path: Path) -> None:
    with closing(ShadowLog(tmp_path / SHADOW)) as one, closing(ShadowLog(tmp_path / SHADOW)) as other:
        for number in range(50):
            (one if number % 2 else other).append([row(number)])
    with closing(sqlite3.connect(tmp_path / SHADOW)) as db:
        assert db.execute("SELECT count(*) FROM shadows").fetchone() == (50,)


def test_another_model_beside_differs(
    opened: Callable[[Servable], Shadow], bundle: Path, scorer: Scorer, tmp_path: Path
) -> None:
    other = load_servable(bundle.parent / stricter(bundle))
    shadow = opened(other)
    offer(shadow, scorer, 0, 30)
    shadow.close()
    rows = shadowed(tmp_path / SHADOW, scorer.model_version, other.name)
    assert len(rows) == 30
    assert all(r.challenger_probability > r.champion_probability for r in rows)
