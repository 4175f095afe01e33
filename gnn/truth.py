"""What truly happened, where somebody knows: the simulator's truth, or an audit's verdicts.

Labels tell what was reported. Fraud that nobody reported looks genuine in them, and a model that finds it is punished
for that; judged by the truth it isn't.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from graph.errors import InputError

TYPOLOGY = "typology"
_HINT = "it needs transaction_id, and is_fraud (true or false) or typology (empty where genuine); as the simulator's"


def read_truth(path: Path) -> pa.Table:
    """Reads a file of verdicts: Parquet or CSV with transaction_id, and is_fraud or typology or both.

    Where there is no is_fraud, whatever has a typology is fraud.

    Returns:
        A table: transaction_id (text), is_fraud (bool, null where not known), typology (text, null where genuine or
        not known).

    Raises:
        InputError: the file is missing, cannot be read, lacks a column, or names a transaction twice.
    """
    try:
        table = pa_csv.read_csv(path) if path.suffix == ".csv" else pq.ParquetFile(path).read()
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}", hint="name a file of what truly happened") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="give Parquet or CSV") from error
    names = table.column_names
    if "transaction_id" not in names or ("is_fraud" not in names and TYPOLOGY not in names):
        raise InputError(f"{path} has the columns {', '.join(names)}", hint=_HINT)
    try:
        ids = table["transaction_id"].cast(pa.string())
        typology = table[TYPOLOGY].cast(pa.string()) if TYPOLOGY in names else pa.nulls(len(table), pa.string())
        typology = pc.if_else(pc.equal(typology, ""), None, typology)
        fraud = table["is_fraud"].cast(pa.bool_()) if "is_fraud" in names else pc.is_valid(typology)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"{path} cannot be used: {error}", hint=_HINT) from error
    distinct = pc.count_distinct(ids).as_py()
    if distinct < len(ids) - ids.null_count:
        raise InputError(f"{path} names {len(ids) - distinct:,} transactions more than once", hint="one row for each")
    return pa.table({"transaction_id": ids, "is_fraud": fraud, TYPOLOGY: pc.if_else(fraud, typology, None)})


def judged_by(scores: pa.Table, truth: pa.Table) -> pa.Table:
    """Scores with is_fraud (null where the truth does not tell) and typology of the truth in place of their own.

    Args:
        scores: with transaction_id.
        truth: what `read_truth` gave.

    Raises:
        InputError: they have no transaction in common, or the scores have no transaction_id.
    """
    if "transaction_id" not in scores.column_names:
        raise InputError("the scores have no column transaction_id", hint="make them: quipu backtest --out FILE")
    ids = scores["transaction_id"].cast(pa.string())
    place = pc.index_in(ids, value_set=truth["transaction_id"].combine_chunks())
    if place.null_count == len(place):
        raise InputError(
            "the truth tells of none of the scored transactions", hint="give the truth of the same transactions"
        )
    kept = scores.drop_columns([name for name in ("is_fraud", TYPOLOGY) if name in scores.column_names])
    for name in ("is_fraud", TYPOLOGY):
        kept = kept.append_column(name, truth[name].combine_chunks().take(place))
    return kept
