"""The graph network: what it learns, and that every way of running it gives the same numbers."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from gnn.blocks import ROOT, Sizes, block_plan, node_sets
from gnn.export import TOLERANCE, export
from gnn.layers import LevelPooling, tf, tfgnn
from gnn.network import Network
from gnn.tensors import EgoBatch, EgoStore, collate
from gnn.train_gnn import GnnSettings, TrainedGnn, train
from graph.errors import BundleError, NotEnoughData
from graph.progress import Silent
from tests.gnn.ego_graphs import FEATURES, NODE_FEATURES, NONE, ONE, THREE, TWO, egos, features_of, level_of

WIDTH = GnnSettings().hidden


def planted(n: int, seed: int) -> tuple[EgoStore, NDArray[np.float32], NDArray[np.bool_]]:
    """Frauds that only far nodes tell: the other users of the device, or the restaurants of such users."""
    store = egos(TWO, n, seed, emptiness=0.1)
    names = [block.name for block in block_plan(TWO)]
    fraud = np.random.default_rng(seed + 1).random(n) < 0.08
    for ego in np.flatnonzero(fraud):
        ends = store.offsets[ego] + np.cumsum(store.counts[ego], dtype=np.int64)
        block = names.index("user_2@device" if ego % 2 else "restaurant_3")
        store.nodes[ends[block] - store.counts[ego, block] : ends[block], 2] += 4
    return store, features_of(n, seed + 2), fraud


@pytest.fixture(scope="module")
def world() -> tuple[EgoStore, NDArray[np.float32], NDArray[np.bool_]]:
    return planted(3000, 5)


@pytest.fixture(scope="module")
def learnt(world: tuple[EgoStore, NDArray[np.float32], NDArray[np.bool_]]) -> TrainedGnn:
    store, features, fraud = world
    settings_ = GnnSettings(min_steps=240, negatives_per_fraud=4, batch=128)
    return train(store, features, fraud, np.arange(len(store)) < 2000, settings_, progress=Silent())


def trained_on(entities: tuple[str, ...], seed: int = 0, n: int = 200, **options: object) -> TrainedGnn:
    fraud = np.arange(n) % 10 == 0
    settings_ = replace(GnnSettings(min_steps=12, epochs=1, seed=seed), **options)  # type: ignore[arg-type]
    return train(egos(entities, n, 3), features_of(n, 4), fraud, np.ones(n), settings_, progress=Silent())


@pytest.fixture(scope="module")
def exported(learnt: TrainedGnn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    assert export(learnt, folder) <= TOLERANCE
    return folder


def test_the_batch_becomes_a_heterogeneous_graph(learnt: TrainedGnn) -> None:
    batch = learnt.sample
    root = np.zeros((len(batch.features), 3), np.float32)
    graph = learnt.network.graph(root, batch.nodes, batch.slots, batch.sizes)
    plan = block_plan(TWO)
    assert set(graph.node_sets) == {ROOT, *node_sets(plan)}
    at = 0
    for block, count in zip(plan, batch.counts, strict=True):
        adjacency = graph.edge_sets[block.name].adjacency
        assert (adjacency.source_name, adjacency.target_name) == (block.node_set, block.parent_set)
        assert np.array_equal(adjacency.target.numpy(), batch.parents[at : at + count])
        sent = graph.node_sets[block.node_set]["features"].numpy()[adjacency.source.numpy()]
        assert np.array_equal(sent, batch.nodes[at : at + count])
        at += count


def test_pooling_is_mean_maximum_presence_and_count_per_relation(learnt: TrainedGnn) -> None:
    batch, units = learnt.sample, 4
    plan = block_plan(TWO)
    root = np.zeros((len(batch.features), 3), np.float32)
    graph = learnt.network.graph(root, batch.nodes, batch.slots, batch.sizes)
    states = {name: {tfgnn.HIDDEN_STATE: graph.node_sets[name]["features"]} for name in node_sets(plan)}
    for level in (1, 2, 3):
        blocks = [block for block in plan if block.level == level]
        dense = {block.relation: tf.keras.layers.Dense(2 * units) for block in blocks}
        first = plan.index(blocks[0])
        slots, received, rows = level_of(batch, TWO, level)
        counts = [batch.counts[i : i + 1].astype(np.int64) for i in range(first, first + len(blocks))]
        sent_from = graph.replace_features(node_sets=states)
        pooled = LevelPooling(blocks, dense, units)(sent_from, slots, received, rows, counts)
        expected: dict[str, list[NDArray[np.float32]]] = {}
        for block in blocks:
            adjacency = graph.edge_sets[block.name].adjacency
            sent = graph.node_sets[block.node_set]["features"].numpy()[adjacency.source.numpy()]
            value, gate = np.split(dense[block.relation](sent).numpy(), 2, axis=1)
            messages = np.maximum(value, 0) / (1 + np.exp(-gate))
            table = np.zeros((int(graph.node_sets[block.parent_set].total_size), 2 * units + 2), np.float32)
            for parent in range(len(table)):
                mine = messages[adjacency.target.numpy() == parent]
                if len(mine):
                    table[parent] = [*mine.mean(axis=0), *mine.max(axis=0), 1, np.log1p(len(mine))]
            expected.setdefault(block.parent_set, []).append(table)
        for name, columns in expected.items():
            got = pooled.node_sets[name]["pooled"].numpy()
            np.testing.assert_allclose(got, np.concatenate(columns, axis=1), atol=1e-5)


def test_messages_learn_what_only_far_nodes_tell(
    world: tuple[EgoStore, NDArray[np.float32], NDArray[np.bool_]], learnt: TrainedGnn
) -> None:
    store, features, fraud = world
    unseen = np.arange(2000, 3000)
    logits, _ = learnt.predict(store, features, unseen)
    blind = train(
        store,
        features,
        fraud,
        np.arange(len(store)) < 2000,
        GnnSettings(messages=False),
        validation=np.arange(1500, 2000),
        progress=Silent(),
    )
    without, embeddings = blind.predict(store, features, unseen)
    assert average_precision_score(fraud[unseen], logits) > 0.8
    assert average_precision_score(fraud[unseen], without) < 0.3
    assert embeddings.shape == (1000, WIDTH)


def test_logits_are_odds_in_the_candidates_not_in_the_sample(
    world: tuple[EgoStore, NDArray[np.float32], NDArray[np.bool_]], learnt: TrainedGnn
) -> None:
    # One in 5 of the sample is fraud, one in 12.5 of the candidates.
    store, features, fraud = world
    logits, _ = learnt.predict(store, features, np.arange(2000, 3000))
    mean = float((1 / (1 + np.exp(-logits))).mean())
    assert 0.6 < mean / fraud[2000:].mean() < 1.6


def test_genuine_rows_that_stand_for_several_lower_the_odds() -> None:
    fraud = np.arange(400) % 10 == 0
    store, features = egos(NONE, 400, 3), features_of(400, 4)
    options = GnnSettings(messages=False, learning_rate=1e-5)
    means = []
    for each in (1.0, 50.0):
        result = train(store, features, fraud, np.where(fraud, 1.0, each), options, progress=Silent())
        means.append(float(result.predict(store, features)[0].mean()))
    assert means[0] - means[1] == pytest.approx(np.log(50), abs=0.2)


@pytest.mark.parametrize(("entities", "messages"), [(NONE, True), (ONE, True), (THREE, False)])
def test_every_schema_exports(entities: tuple[str, ...], messages: bool, tmp_path: Path) -> None:
    trained = trained_on(entities, messages=messages)
    export(trained, tmp_path)
    network = Network(tmp_path / "gnn.onnx")
    store, features = egos(entities, 40, 8), features_of(40, 9)
    logits, embeddings = network.run(collate(store, features, np.arange(40)))
    expected, expected_embeddings = trained.predict(store, features)
    assert np.abs(logits - expected).max() <= TOLERANCE
    assert np.abs(embeddings - expected_embeddings).max() <= TOLERANCE
    assert (tmp_path / "saved_model" / "saved_model.pb").exists()
    assert network.n_features == FEATURES and network.hidden == WIDTH
    assert (network.n_node_features, network.n_sizes) == (
        (NODE_FEATURES, sum(astuple(Sizes.of(block_plan(entities))))) if messages else (0, 0)
    )
    if not messages:
        with pytest.raises(BundleError, match="states"):
            network.entity_states(collate(store, features, np.arange(2)))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), emptiness=st.sampled_from([0.0, 0.4, 0.9, 1.0]), n=st.integers(1, 64))
def test_a_roots_result_does_not_depend_on_its_batch(exported: Path, seed: int, emptiness: float, n: int) -> None:
    network = _network(exported)
    store, features = egos(TWO, n, seed, emptiness=emptiness), features_of(n, seed)
    logits, embeddings = network.run(collate(store, features, np.arange(n)))
    assert np.isfinite(logits).all() and np.isfinite(embeddings).all()
    chosen = np.random.default_rng(seed).integers(n)
    alone, embedding = network.run(collate(store, features, np.array([chosen])))
    assert abs(_probability(alone[0]) - _probability(logits[chosen])) <= 1e-6
    scale = 1 + abs(float(logits[chosen])) + float(np.abs(embeddings[chosen]).max())
    assert abs(alone[0] - logits[chosen]) <= 1e-6 * scale
    assert np.abs(embedding[0] - embeddings[chosen]).max() <= 1e-6 * scale


_loaded: dict[Path, Network] = {}


def _network(folder: Path) -> Network:
    return _loaded.setdefault(folder, Network(folder / "gnn.onnx"))


def _probability(logit: float) -> float:
    return float(1 / (1 + np.exp(-np.float64(logit))))


def test_threads_share_a_network(exported: Path) -> None:
    network = Network(exported / "gnn.onnx")
    store, features = egos(TWO, 64, 2), features_of(64, 2)
    batches = [collate(store, features, np.arange(i, 64)) for i in range(32)]
    expected = [network.run(batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(lambda batch: network.run(batch)[0], batches), expected, strict=True):
            assert np.array_equal(got, wanted)


def test_extreme_and_missing_features_give_finite_results(exported: Path) -> None:
    network = Network(exported / "gnn.onnx")
    store = egos(TWO, 4, 2)
    features = np.zeros((4, FEATURES), np.float32)
    features[0], features[1], features[2], features[3] = np.nan, np.inf, -np.inf, 3e38
    logits, embeddings = network.run(collate(store, features, np.arange(4)))
    assert np.isfinite(logits).all() and np.isfinite(embeddings).all()


def test_states_of_a_roots_own_entities_are_at_hand(exported: Path) -> None:
    batch = collate(egos(TWO, 10, 2), features_of(10, 2), np.arange(10))
    states = Network(exported / "gnn.onnx").entity_states(batch)
    assert states.shape == (batch.counts[: len(TWO)].sum(), WIDTH)


def test_the_same_seed_gives_the_same_network() -> None:
    first, second = trained_on(ONE, 1), trained_on(ONE, 1)
    for a, b in zip(first.network.get_weights(), second.network.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert [epoch.loss for epoch in first.history] == [epoch.loss for epoch in second.history]
    losses = [trained_on(NONE, seed, messages=False).history[0].loss for seed in (1, 2)]
    assert losses[0] != losses[1]


def test_without_frauds_there_is_nothing_to_learn() -> None:
    store, features = egos(NONE, 30, 3), features_of(30, 4)
    some = np.arange(30) < 3
    for fraud, weights, validation in (
        (np.zeros(30, bool), np.ones(30), None),
        (np.ones(30, bool), np.ones(30), None),
        (some, np.where(some, 0.0, 1.0), None),
        (some, np.ones(30), np.arange(3)),
    ):
        with pytest.raises(NotEnoughData) as caught:
            train(store, features, fraud, weights, GnnSettings(), validation=validation, progress=Silent())
        assert caught.value.hint


@pytest.mark.parametrize("n", [2, 40])
def test_a_few_frauds_are_enough_to_run(n: int) -> None:
    store, features = egos(NONE, n, 3), features_of(n, 4)
    features[:, 0] = np.nan
    fraud = np.arange(n) < max(1, n // 4)
    trained = train(store, features, fraud, np.ones(n), GnnSettings(), progress=Silent())
    logits, _ = trained.predict(store, features)
    assert np.isfinite(logits).all()
    assert len(trained.history) >= GnnSettings().epochs


def test_the_last_epoch_that_is_about_as_good_on_validation_as_any_is_kept() -> None:
    n = 300
    store, features = egos(NONE, n, 3), features_of(n, 4)
    fraud = np.random.default_rng(0).random(n) < 0.2  # nothing to learn, so that training longer makes it worse
    weight = np.where(fraud, 1.0, 3.0)
    validation = np.arange(0, n, 3)
    trained = train(store, features, fraud, weight, GnnSettings(epochs=12), validation=validation, progress=Silent())
    precision = [epoch.average_precision for epoch in trained.history]
    assert len(precision) >= 12
    kept = precision[trained.best_epoch - 1]
    assert kept >= max(precision) - 0.01
    assert all(later < max(precision) - 0.01 for later in precision[trained.best_epoch :])
    logits, _ = trained.predict(store, features, validation)
    measured = average_precision_score(fraud[validation], logits, sample_weight=weight[validation])
    assert measured == pytest.approx(kept, abs=1e-6)


def test_a_network_that_came_to_nothing_is_not_exported(tmp_path: Path) -> None:
    trained = trained_on(NONE, messages=False)
    trained.network.set_weights([np.full_like(w, np.nan) for w in trained.network.get_weights()])
    with pytest.raises(BundleError, match="differ"):
        export(trained, tmp_path)


def test_a_missing_damaged_or_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gnn.onnx"
    with pytest.raises(BundleError, match="cannot read"):
        Network(path)
    path.write_bytes(b"not a network")
    with pytest.raises(BundleError, match="onnxruntime"):
        Network(path)
    tensor = onnx.helper.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [tensor("x", kind, [1])], [tensor("y", kind, [1])]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="takes"):
        Network(path)


def test_serving_needs_no_tensorflow() -> None:
    code = "import sys, gnn.network, gnn.tensors; sys.exit('tensorflow' in sys.modules or 'tf_keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_batch_of_no_roots_is_answered(exported: Path) -> None:
    batch = collate(egos(TWO, 3, 1), features_of(3, 1), np.empty(0, np.int64))
    assert isinstance(batch, EgoBatch) and len(batch.nodes) == 0
    logits, embeddings = Network(exported / "gnn.onnx").run(batch)
    assert logits.shape == (0,) and embeddings.shape == (0, WIDTH)
