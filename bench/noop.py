"""The yardstick: an endpoint of the service's own framework that reads a request and does nothing with it.

It runs under the very settings of uvicorn and of the interpreter that the service runs under.

python -m bench.noop --port 8001
"""

import argparse

import uvicorn
from fastapi import FastAPI, Request, Response

from api.server import prepare, settle, uvicorn_config
from graph.settings import Settings

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
    prepare(Settings())
    settle()
    config = uvicorn_config(app, workers=1)
    config.host, config.port = args.host, args.port
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
