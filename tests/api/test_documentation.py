"""The OpenAPI document says what the service does, with examples that work."""

from typing import Any

from api.answers import EXAMPLE, LABEL_EXAMPLE
from api.wire import Label, Transaction
from tests.api.conftest import Running


def test_every_route_is_documented_with_its_key_and_its_errors(shared: Running) -> None:
    document = shared.request("GET", "/openapi.json", headers={}).json()
    paths: dict[str, Any] = document["paths"]
    assert paths.keys() == {
        "/v1/score",
        "/v1/score/batch",
        "/v1/labels",
        "/v1/decisions/{transaction_id}",
        "/v1/models/reload",
        "/v1/entities/{type}/{key}",
        "/v1/entities/{type}/{key}/graph",
        "/v1/entities/{type}/{key}/similar",
        "/v1/rings",
        "/v1/rings/{ring_id}",
        "/v1/rings/{ring_id}/graph",
        "/v1/rings/{ring_id}/verdict",
        "/health/live",
        "/health/ready",
        "/metrics",
    }
    for path, methods in paths.items():
        for method, route in methods.items():
            assert route["summary"]
            assert route["description"]
            if path.startswith("/v1/"):
                assert route["security"] == [{"key": []}], path
                assert {"401", "403", "422", "503"} <= route["responses"].keys(), path
                problem = route["responses"]["401"]["content"]["application/problem+json"]["schema"]
                assert problem == {"$ref": "#/components/schemas/ProblemOut"}
            if method == "post" and path != "/v1/models/reload":  # which takes no body
                assert route["requestBody"]["content"]["application/json"]["example"], path


def test_every_reference_leads_somewhere(shared: Running) -> None:
    document = shared.request("GET", "/openapi.json", headers={}).json()

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for item in value.values() for found in references(item)]
        return [found for item in value for found in references(item)] if isinstance(value, list) else []

    found = references(document)
    assert found
    for reference in found:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_the_examples_are_valid_requests(shared: Running) -> None:
    Transaction.model_validate(EXAMPLE, strict=False)
    Label.model_validate(LABEL_EXAMPLE, strict=False)
    answer = shared.post("/v1/score", EXAMPLE)
    assert answer.status == 200, answer.body
    assert shared.post("/v1/labels", LABEL_EXAMPLE).status == 200


def test_the_page_is_served(shared: Running) -> None:
    page = shared.request("GET", "/docs", headers={})
    assert page.status == 200
    assert "text/html" in page.headers["content-type"]
