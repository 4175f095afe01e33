"""The yardstick: an endpoint of the service's own framework that reads a request and does nothing with it.

python -m bench.noop --port 8001
"""

import argparse

import uvicorn
from fastapi import FastAPI, Request, Response

ANSWER = b'{"status":"ok"}'

app = FastAPI(openapi_url=None)


@app.post("/noop")
async def noop(request: Request) -> Response:
    """Reads the body to its end and answers with a constant."""
    await request.body()
    return Response(ANSWER, media_type="application/json")


@app.get("/health/live")
async def live() -> Response:
    """Says that the server answers."""
    return Response(ANSWER, media_type="application/json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.noop", description="Serves an endpoint that does nothing.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    args = parser.parse_args()
    uvicorn.run(
        app,
        host=args.host,
        port=args.port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
