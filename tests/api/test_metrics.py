"""What the service counts of its decisions."""

from prometheus_client.parser import text_string_to_metric_families

from api.metrics import Meters
from gnn.scoring import Answer, Reason


def answer(band: str, *codes: str, probability: float = 0.5, truncated: bool = False) -> Answer:
    return Answer(probability, band, [Reason(code, "…", {}) for code in codes], {"truncated": truncated}, b"")


def values(meters: Meters) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(meters.exposition().decode())
    return {(s.name, *(v for _, v in sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def test_decisions_count_by_band_amount_and_first_reason() -> None:
    meters = Meters()
    meters.answered([(answer("approve", "USUAL", probability=0.01), 1_050), (answer("block", "RING", "SHARED"), 99)])
    meters.answered([(answer("block", "SHARED", truncated=True), 1), (answer("review", "RING"), 500)])
    told = values(meters)
    assert [told["quipu_decisions_total", band] for band in ("approve", "review", "block")] == [1, 1, 2]
    assert [told["quipu_decided_amount_currency_total", band] for band in ("approve", "review", "block")] == [
        10.5,
        5,
        1,
    ]
    reasons = {key[1:]: value for key, value in told.items() if key[0] == "quipu_decision_reasons_total"}
    assert reasons == {("block", "RING"): 1, ("block", "SHARED"): 1, ("review", "RING"): 1}
    assert told["quipu_truncated_neighbourhoods_total",] == 1
    assert told["quipu_decision_probability_count",] == 4


def test_bands_are_told_before_there_is_any_decision() -> None:
    told = values(Meters())
    assert [told["quipu_decisions_total", band] for band in ("approve", "review", "block")] == [0, 0, 0]


def test_requests_count_by_route_method_and_status() -> None:
    meters = Meters()
    for status, seconds in ((200, 0.001), (200, 0.03), (503, 0.2)):
        meters.request("/v1/score", "POST", status, seconds)
    told = values(meters)
    assert told["quipu_http_requests_total", "POST", "/v1/score", "200"] == 2
    assert told["quipu_http_requests_total", "POST", "/v1/score", "503"] == 1
    assert told["quipu_http_request_duration_seconds_bucket", "0.025", "POST", "/v1/score"] == 1
    assert told["quipu_http_request_duration_seconds_count", "POST", "/v1/score"] == 3
