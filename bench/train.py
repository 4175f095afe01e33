"""Training on all of the Handbook's transactions."""

from bench.report import Figure, Section
from bench.setup import Workspace


def run(work: Workspace) -> Section:
    """One training from start to bundle, in a process of its own; its model serves the other benchmarks."""
    training = work.train()
    work.keep_bundle(training.result)
    result = training.result
    counts = result["figures"]
    figures = [
        Figure("wall time", training.seconds / 60, "min", at_most=10),
        Figure("processor time", training.cpu_seconds / 60, "min"),
        Figure("peak memory", training.peak_bytes / 2**30, "GiB", note="most that the process had resident"),
        Figure("transactions a second, all included", counts["transactions"] / training.seconds),
    ]
    title = (
        f"`quipu train` on {counts['transactions']:,} transactions, {counts['labelled']:,} of them with a label, "
        f"{result['features']} features"
    )
    return Section("train", title, figures, {"result": result})
