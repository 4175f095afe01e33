"""What each figure of an evaluation means, in a sentence for those who own the business."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """How a figure is shown.

    Attributes:
        title: short name.
        kind: "share" (shown in percent), "score" (three decimals), "small" (five decimals) or "money".
        higher_is_better: None where neither is.
        text: what it says.
    """

    title: str
    kind: str
    higher_is_better: bool | None
    text: str

    def shown(self, value: float | None) -> str:
        """The value as people read it; a dash where it is not defined."""
        if value is None:
            return "–"
        if self.kind == "share":
            digits = 1 if abs(value) >= 0.01 else 2
            return f"{100 * value:.{digits}f}%"
        if self.kind == "money":
            return f"{value:,.0f}"
        return f"{value:.5f}" if self.kind == "small" else f"{value:.3f}"


MEANINGS: dict[str, Meaning] = {
    "average_precision": Meaning(
        "Average precision",
        "score",
        True,
        "Going down the list from the most suspicious transaction, how much of what one sees is fraud, on average over "
        "all frauds. 1 is perfect; guessing gives the share of fraud. The figure to compare models by.",
    ),
    "auc": Meaning(
        "AUC",
        "score",
        True,
        "How often a fraud gets a higher score than a genuine transaction. 1 is perfect, 0.5 is guessing.",
    ),
    "precision_at_100": Meaning(
        "Precision at 100 transactions a day",
        "share",
        True,
        "If investigators look at each day's 100 most suspicious transactions, how many of them are fraud.",
    ),
    "user_precision_at_100": Meaning(
        "Precision at 100 users a day",
        "share",
        True,
        "If investigators call each day's 100 most suspicious users, how many of them had a fraud that day.",
    ),
    "recall_at_0.1%_fpr": Meaning(
        "Recall at 0.1% false alarms",
        "share",
        True,
        "Share of frauds caught when one genuine transaction in 1,000 may be stopped.",
    ),
    "recall_at_0.5%_fpr": Meaning(
        "Recall at 0.5% false alarms",
        "share",
        True,
        "Share of frauds caught when one genuine transaction in 200 may be stopped.",
    ),
    "recall_at_1%_fpr": Meaning(
        "Recall at 1% false alarms",
        "share",
        True,
        "Share of frauds caught when one genuine transaction in 100 may be stopped.",
    ),
    "precision": Meaning(
        "Precision of the policy", "share", True, "Of the transactions sent to review or blocked, how many are fraud."
    ),
    "recall": Meaning("Recall of the policy", "share", True, "Of all frauds, how many are sent to review or blocked."),
    "f1": Meaning("F1 of the policy", "score", True, "Precision and recall of the policy in one figure (1 is best)."),
    "flagged_share": Meaning(
        "Transactions flagged", "share", None, "Share of all transactions that are reviewed or blocked: the workload."
    ),
    "flagged_to_promised": Meaning(
        "Flagged, against what was promised",
        "score",
        None,
        "Transactions flagged for each one that the thresholds promised when they were chosen; 1 is as promised.",
    ),
    "blocked_genuine_share": Meaning(
        "Genuine transactions blocked", "share", False, "Share of good customers' transactions that are turned away."
    ),
    "saved": Meaning(
        "Money saved",
        "money",
        True,
        "Fraud losses avoided, less the cost of reviews and of blocked good customers, against approving everything.",
    ),
    "saved_share": Meaning(
        "Share of losses saved", "share", True, "Money saved as a share of what fraud would have cost undetected."
    ),
    "brier": Meaning(
        "Brier score", "small", False, "Mean squared distance between probability and truth; 0 is perfect."
    ),
    "calibration_error": Meaning(
        "Calibration error",
        "share",
        False,
        "How far probabilities are off on average: of transactions said to be 10% risky, do 10% turn out fraud?",
    ),
}
"""By the names that `gnn.evaluation` gives; in the order in which they are shown."""
