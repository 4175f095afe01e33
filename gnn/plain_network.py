"""A plain Keras network over the features: what deep learning without a graph comes to."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnn.layers import tf

_EPOCHS = 20
_PATIENCE = 3
_BATCH = 512
_HELD_BACK = 0.15


def train_plain_network(X: NDArray[np.float32], y: NDArray[np.bool_], weight: NDArray[np.float64], seed: int) -> Any:
    """Trains two hidden layers with drop-out on rows in order of time; the last 15% of them say when to stop.

    Args:
        X: float32[n, P], scaled, no value missing.
        y: bool[n], fraud.
        weight: float64[n], how much each row counts.
        seed: of initial weights, drop-out and order.

    Returns:
        A function from float32[n, P] to log-odds float64[n].
    """
    tf.keras.utils.set_random_seed(seed)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.InputLayer((X.shape[1],)),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(1),
        ]
    )
    model.compile(
        optimizer=tf.keras.optimizers.Adam(1e-3),
        loss=tf.keras.losses.BinaryCrossentropy(from_logits=True),
        weighted_metrics=[],
    )
    weight = weight / weight.mean()
    cut = round(len(X) * (1 - _HELD_BACK))
    held_back = None
    callbacks = []
    if y[cut:].any():
        held_back = (X[cut:], y[cut:].astype(np.float32), weight[cut:])
        stop = tf.keras.callbacks.EarlyStopping(monitor="val_loss", patience=_PATIENCE, restore_best_weights=True)
        callbacks.append(stop)
    else:
        cut = len(X)
    model.fit(
        X[:cut],
        y[:cut].astype(np.float32),
        sample_weight=weight[:cut],
        batch_size=_BATCH,
        epochs=_EPOCHS,
        validation_data=held_back,
        callbacks=callbacks,
        verbose=0,
    )

    def predict(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        logits: NDArray[np.float32] = model.predict_on_batch(rows)
        return logits[:, 0].astype(np.float64)

    return predict
