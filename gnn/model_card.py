"""The model card of a bundle: what it was trained on, how good it is, what it looks at and where its limits are.

After M. Mitchell et al., Model Cards for Model Reporting (2019).
"""

from collections.abc import Mapping
from typing import Any

from gnn.catalogue import Catalogue
from gnn.companions import Companions

CARD, RULES, SCORECARD = "model_card.md", "rules.md", "scorecard.csv"
"""Files of a bundle for people; the last two only where there were enough transactions."""

_FEATURES = 20


def rules_page(companions: Companions) -> str:
    """The decision tree as a page."""
    return (
        "# The model as a few rules\n\n"
        "A small decision tree trained to the model's probability: it says what the model does, roughly. "
        f"{_fidelity_text(companions, tree=True)}\n\n{companions.rules}\n"
    )


def model_card(fields: Mapping[str, Any], catalogue: Catalogue, companions: Companions | None) -> str:
    """The card, as Markdown.

    Args:
        fields: the manifest's: data, figures, policy, blend, network.
        companions: simple models beside it, where there are any.
    """
    figures, data, policy = fields["figures"], fields["data"], fields["policy"]
    parts = [
        "# Model card",
        "## What it is for",
        "The probability that a payment is fraud, as of the moment it is made, and from it approve, review or block. "
        "It supports decisions on payments; it says nothing of a person's character, and was not made for credit, "
        "employment or insurance.",
        "## Data",
        _table(
            {
                "Transactions": f"{data['transactions']:,}, from {_day(data['first_at'])} to {_day(data['last_at'])}",
                "Labelled (as known then)": f"{figures['labelled']:,}, of them {figures['frauds']:,} fraud",
                "Known until": _day(figures["trained_until"]),
                "Labels come after": _delay(figures["label_delay_days"]),
                "Entities": ", ".join(fields["schema"]["entities"]),
            }
        ),
        "## Parts",
        _parts(fields),
        "## How good it is",
        _quality(figures),
        "## Decisions",
        f"Review from a probability of {policy['review_at']:.4f}, block from {policy['block_at']:.4f}; chosen for the "
        f"least expected cost ({', '.join(f'{name} {value:g}' for name, value in policy['costs'].items())}).",
        "## What it looks at",
        _importance(figures["gain"], catalogue),
        "## In simple words",
        _companions(companions),
        "## Limits",
        _limits(figures),
    ]
    return "\n\n".join(parts) + "\n"


def _table(rows: Mapping[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def _day(at: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d}"


def _delay(delay: Mapping[str, float]) -> str:
    if not delay:
        return "no label of a fraud is known"
    return f"{delay['p50']:.1f} days for half of the frauds, {delay['p90']:.1f} days for nine tenths"


def _parts(fields: Mapping[str, Any]) -> str:
    head = fields["figures"]["head"]
    blend = dict(zip(fields["blend"]["inputs"], fields["blend"]["weights"], strict=True))
    lines = [
        f"- a boosted head of {sum(head['rounds']):,} trees over {len(fields['catalogue'])} features"
        if head["rounds"]
        else "- a ranking that needs no labels, over new accounts on shared entities and unusual transactions",
        "- a graph network over the transaction's neighbourhood"
        if fields["network"]
        else "- no graph network: too few frauds were known",
        "- an isolation forest, which knows no labels",
        f"- their scores are added with the weights {', '.join(f'{name} {w:.2f}' for name, w in blend.items())}",
    ]
    return "\n".join(lines)


def _quality(figures: Mapping[str, Any]) -> str:
    validation = figures["validation"]
    measured = {name: value for name, value in validation["average_precision"].items() if value is not None}
    if not measured:
        return "Not measured: no fraud was known."
    rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in measured.items())
    return (
        f"Average precision on the latest {validation['rows']:,} labelled transactions (from "
        f"{_day(validation['from'])}, {validation['frauds']:,} frauds), on which weights and thresholds were chosen; "
        "a backtest measures without that advantage.\n\n| Score | Average precision |\n|---|---|\n" + rows
    )


def _importance(gain: Mapping[str, float], catalogue: Catalogue) -> str:
    titles = {feature.name: feature.title for feature in catalogue}
    top = sorted(gain.items(), key=lambda item: -item[1])[:_FEATURES]
    rows = [f"| `{name}` | {titles.get(name, name)} | {share:.1%} |" for name, share in top if share > 0]
    if not rows:
        return "Nothing was learnt from labels."
    return "Share of what the head's splits gained.\n\n" + "\n".join(
        ["| Feature | Meaning | Share |", "|---|---|---|", *rows]
    )


def _companions(companions: Companions | None) -> str:
    if companions is None:
        return "There were too few transactions for simple models beside it."
    return (
        f"`{RULES}` has a small decision tree, `{SCORECARD}` a scorecard. {_fidelity_text(companions, tree=True)} "
        f"{_fidelity_text(companions, tree=False)}"
    )


def _fidelity_text(companions: Companions, *, tree: bool) -> str:
    one = companions.tree if tree else companions.card
    # The scorecard is fitted to probabilities, so its log-odds may lie far from the model's and still rank alike.
    explains = f"explains {one.explained:.0%} of the variance of the model's log-odds and " if tree else ""
    return (
        f"The {'tree' if tree else 'scorecard'} {explains}puts a transaction of the model's most suspicious hundredth "
        f"above another one in {one.auc:.1%} of cases (rank correlation {one.rank_correlation:.2f})."
    )


def _limits(figures: Mapping[str, Any]) -> str:
    lines = [
        "- It knows only fraud that was reported: what nobody reports, it may take for genuine.",
        "- New kinds of fraud are seen late; `quipu monitor` tells of drift, and training again helps.",
        "- Users without history and entities never seen are scored by what is left; that is less certain.",
    ]
    if figures["frauds"] < 100:
        lines.append(f"- Only {figures['frauds']:,} frauds were known: levels of probability are rough.")
    return "\n".join(lines)
