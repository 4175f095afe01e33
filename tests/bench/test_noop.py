"""The yardstick answers, and is served as the service is."""

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from bench.load import run

ROOT = Path(__file__).resolve().parents[2]


def test_the_yardstick_answers_every_request() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "bench.noop", "--port", str(port)], cwd=ROOT)
    try:
        deadline = time.monotonic() + 30
        while not answers(f"http://127.0.0.1:{port}/health/live"):
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        result = run(f"http://127.0.0.1:{port}/noop", [b'{"n": 1}'] * 200, connections=4)
        assert (result.statuses, result.unanswered) == ({200: 200}, 0)
    finally:
        server.terminate()
        server.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False
