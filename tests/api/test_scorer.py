"""A batch is answered as its transactions would be one by one, whichever threads look them up."""

from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnn.scorer import Scorer
from gnn.scoring import Answer, Question
from gnn.servable import Servable, load_servable
from graph.index import AsOfIndex
from graph.records import SECOND

AT = 1_746_100_000 * SECOND


@pytest.fixture(scope="module")
def servable(small_bundle: Path) -> Servable:
    return load_servable(small_bundle)


@dataclass(frozen=True)
class Spec:
    after: int
    user: int
    device: int

    def question(self, number: int) -> Question:
        entities = {"user": f"u{self.user}", "device": f"d{self.device}"}
        return Question(f"t{number}", AT + self.after * SECOND, 1000 + number, entities)


specs = st.lists(st.builds(Spec, st.integers(0, 9_999), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=40)


def scorer_of(servable: Servable) -> Scorer:
    return Scorer(servable, AsOfIndex(servable.serving.schema))


def same(one: Answer, other: Answer) -> bool:
    return (
        one.features == other.features
        and one.neighbourhood == other.neighbourhood
        and [reason.code for reason in one.reasons] == [reason.code for reason in other.reasons]
        and abs(one.probability - other.probability) <= 1e-6
    )


@given(drawn=specs)
@settings(max_examples=40, deadline=None)
def test_a_batch_sees_what_occurred_before_wherever_it_stands(servable: Servable, drawn: list[Spec]) -> None:
    questions = [spec.question(number) for number, spec in enumerate(drawn)]
    together = scorer_of(servable).score(questions)
    alone = scorer_of(servable)
    # What occurs at one time is not before each other, so any order of it will do.
    order = np.argsort([question.occurred_at for question in questions], kind="stable").tolist()
    for place in order:
        assert same(together[place], alone.score([questions[place]])[0])


def test_a_busy_second_thread_is_not_waited_for(servable: Servable) -> None:
    questions = [Spec(number, number % 5, number % 3).question(number) for number in range(20)]
    wanted = scorer_of(servable).score(questions)
    scorer = scorer_of(servable)
    free = Event()
    busy = scorer._beside.submit(free.wait, 60.0)
    try:
        answers = scorer.score(questions)
        assert not busy.done()
    finally:
        free.set()
    assert all(same(a, b) for a, b in zip(answers, wanted, strict=True))


def test_what_was_seen_is_that_of_the_whole_batch(servable: Servable) -> None:
    assert scorer_of(servable).seen is None
    scorer = scorer_of(servable)
    for number, size in enumerate((1, 3, 17)):
        questions = [Spec(number, i % 5, i % 3).question(100 * number + i) for i in range(size)]
        answers = scorer.score(questions)
        seen = scorer.seen
        assert seen is not None
        features, egos = seen
        assert [row.tobytes() for row in features] == [answer.features for answer in answers]
        found = scorer.predictor.predict(features, egos).probability
        assert np.allclose(found, [answer.probability for answer in answers], rtol=0, atol=1e-6)


def test_a_failure_on_either_thread_is_raised_and_leaves_the_scorer_usable(
    servable: Servable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    scorer = scorer_of(servable)
    for lookup in scorer._lookups:
        with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="broken"):
            patched.setattr(lookup, "look_up", broken)
            scorer.score([Spec(1, i, 0).question(i) for i in range(8)])
    answers = scorer.score([Spec(2, i, 0).question(100 + i) for i in range(8)])
    assert all(0 <= answer.probability <= 1 for answer in answers)
