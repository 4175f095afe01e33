"""`quipu score`: a file scored by the same path as the service, without writing to the store."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, err, out
from cli.paths import file_to_write

if TYPE_CHECKING:
    import pyarrow as pa

    from gnn.scoring import Answer, Question
    from graph.records import GraphSchema

app = typer.Typer()

_FIELDS = ("restaurant_id", "device_id", "ip", "currency", "payment_method", "transaction_type", "city")
_BATCH = 64
_SHOWN = 10


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet file of transactions.", show_default=False)],
    mapping: Annotated[
        Path | None, typer.Option(help="Mapping of the file; without it, columns are named as in the HTTP API.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option("--out", help="Parquet file for the decisions; without it they are printed.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Folder of the model; by default the current one.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a file of transactions against the store's graph, each as of its own time, in order of occurrence.

    Example: quipu score today.csv --out decisions.parquet
    """
    import pyarrow.parquet as pq

    from etl.contract.reasons import describe
    from etl.loading import read_transactions
    from etl.mapping import parse_mapping, read_mapping
    from etl.sources import open_file
    from gnn.bundle import open_bundle
    from gnn.champion import current_bundle
    from gnn.scorer import Scorer
    from gnn.serving import load_predictor
    from graph.index import AsOfIndex
    from graph.settings import settings
    from graph.store import open_store

    if scores is not None:
        file_to_write(scores, "--out")
    path = bundle or current_bundle(settings().var / "models")
    _, serving = load_predictor(open_bundle(path))
    progress = ConsoleProgress()
    used = read_mapping(mapping) if mapping else parse_mapping(_plain_mapping(open_file(file).columns))
    questions, refused = [], Counter[str]()
    for table, quarantined in read_transactions(used, [file], progress):
        questions += _questions(table, serving.schema)
        refused.update(row.reason for row in quarantined)
    questions.sort(key=lambda question: question.occurred_at)
    opened = open_store(store or settings().store)
    index = AsOfIndex.open(opened, settings().var / "index", progress, schema=serving.schema)
    known = opened.sequence_numbers([question.transaction_id for question in questions])
    opened.close()
    if not index.transactions:
        err.print("the store is empty, so everything in the file is taken as never seen before")
    scorer = Scorer(path, index)
    answers: list[Answer] = []
    with progress.stage("scoring", total=len(questions)) as advance:
        for first in range(0, len(questions), _BATCH):
            part = [_indexed(question, known) for question in questions[first : first + _BATCH]]
            answers += scorer.score(part)
            advance(len(part))
    if scores is not None:
        pq.write_table(_table(questions, answers, scorer.model_version), scores)

    def text(result: dict[str, Any]) -> None:
        for decision in result["decisions"][:_SHOWN]:
            out.print(f"{decision['transaction_id']}  {decision['probability']:.4f}  {decision['band']}")
            for reason in decision["reasons"]:
                out.print(f"    {reason}")
        if len(result["decisions"]) > _SHOWN:
            out.print(f"… and {len(result['decisions']) - _SHOWN:,} more" + ("" if scores else "; see --out"))
        bands = ", ".join(f"{count:,} {band}" for band, count in result["bands"].items())
        out.print(f"{result['scored']:,} scored ({bands or 'nothing'}), {result['refused']:,} rows refused")
        for code, count in result["refused_reasons"].items():
            out.print(f"  {code:<26}{count:>12,}  {describe(code)}")

    decisions = [
        {
            "transaction_id": question.transaction_id,
            "probability": answer.probability,
            "band": answer.band,
            "reasons": [reason.text for reason in answer.reasons],
        }
        for question, answer in zip(questions, answers, strict=True)
    ]
    bands = {band: sum(a.band == band for a in answers) for band in ("approve", "review", "block")}
    emit(
        {
            "scored": len(answers),
            "refused": refused.total(),
            "refused_reasons": dict(refused),
            "bands": {band: count for band, count in bands.items() if count},
            "model_version": scorer.model_version,
            "decisions": decisions if scores is None else decisions[:_SHOWN],
        },
        as_json=as_json,
        text=text,
    )


def _plain_mapping(columns: tuple[str, ...]) -> dict[str, Any]:
    """The mapping of a file whose columns are named as in the HTTP API."""
    from graph.errors import MappingError

    missing = [name for name in ("transaction_id", "occurred_at", "user_id", "amount") if name not in columns]
    if missing:
        raise MappingError(
            f"the file has no column {', '.join(missing)}",
            hint="name its columns as in the HTTP API, or give the mapping it is loaded with: --mapping FILE",
        )
    known = {name: name for name in _FIELDS if name in columns}
    return {
        "name": "file",
        "source": {"files": "*"},
        "transaction": {
            **{name: name for name in ("transaction_id", "user_id", "amount")},
            "occurred_at": {"column": "occurred_at", "timezone": "UTC"},
            **known,
            "times": [name for name in columns if name.endswith("_at") and name not in ("occurred_at", "arrived_at")],
        },
    }


def _questions(table: "pa.Table", schema: "GraphSchema") -> list["Question"]:
    import pyarrow as pa

    from gnn.scoring import Question
    from graph.records import category_column, entity_column, numeric_column

    def texts(column: str) -> list[Any]:
        return table[column].to_pylist() if column in table.column_names else [None] * table.num_rows

    entities = {name: texts(entity_column(name)) for name in schema.entities}
    categories = {name: texts(category_column(name)) for name in schema.categories}
    numeric = {name: texts(numeric_column(name)) for name in schema.numeric}
    ids, at = table["transaction_id"].to_pylist(), table["occurred_at"].cast(pa.int64()).to_pylist()
    amounts = table["amount"].to_pylist()
    return [
        Question(
            ids[i],
            at[i],
            amounts[i],
            {name: column[i] for name, column in entities.items() if column[i] is not None},
            {name: column[i] for name, column in categories.items() if column[i] is not None},
            {name: column[i] for name, column in numeric.items() if column[i] is not None},
        )
        for i in range(table.num_rows)
    ]


def _indexed(question: "Question", known: dict[str, int]) -> "Question":
    from msgspec.structs import replace

    return replace(question, indexed=True) if question.transaction_id in known else question


def _table(questions: list["Question"], answers: list["Answer"], version: str) -> "pa.Table":
    import json

    import pyarrow as pa

    from graph.records import TIMESTAMP

    reasons = [
        json.dumps([{"code": r.code, "text": r.text, "evidence": r.evidence} for r in answer.reasons])
        for answer in answers
    ]
    return pa.table(
        {
            "transaction_id": pa.array([question.transaction_id for question in questions], pa.string()),
            "occurred_at": pa.array([question.occurred_at for question in questions], pa.int64()).cast(TIMESTAMP),
            "probability": pa.array([answer.probability for answer in answers], pa.float64()),
            "band": pa.array([answer.band for answer in answers], pa.string()),
            "model_version": pa.array([version] * len(answers), pa.string()),
            "reasons": pa.array(reasons, pa.string()),
        }
    )
