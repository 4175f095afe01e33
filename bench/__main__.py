"""Every figure of speed, memory and quality that Quipu states, measured on this machine.

python -m bench                    all of it: some four hours on two cores
python -m bench index service      some of it
"""

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from bench.report import Section, machine, show
from bench.setup import ROOT, Workspace
from cli.console import err, fail, out
from graph.errors import QuipuError

BENCHES = {
    "ingest": "loading all of the Handbook: once, again, and after a kill",
    "neo4j_store": "Neo4j: the bulk first load, loading through the driver, reads at a hub",
    "index": "the as-of index: replay, memory, look-ups, appends, ego-graphs",
    "train": "training on all of it: time and memory",
    "startup": "from start to first decision, from the store and from a snapshot; memory",
    "service": "the full scoring path beside an endpoint that does nothing",
    "swap": "a thousand model swaps under load, and a challenger beside: failed requests, latency, memory",
    "outage": "Neo4j stops under load and the service restarts meanwhile: what is lost, what doubled",
    "parity": "the last 10,000 transactions through HTTP, every feature and probability beside the offline ones",
    "handbook": "quality by the Handbook's protocol",
    "ablation": "what links, network and messages are worth on simulated worlds, beside standard models",
    "world": "the simulator: how hard its worlds are, and how quickly they are made",
    "browser": "Neo4j Browser: each favourite from its busiest hub, on a million transactions",
    "rings": "fraud rings: how many are found, how truly, how steadily, and how long it takes",
    "schedule": "a month under a real Airflow, fed day by day, with kills; ten days filled in afterwards",
    "drift": "a drifting world: alert, training, a challenger that wins, a swap under load, quality after it",
}
NEEDS_NO_DATA = {"ablation", "browser", "drift", "outage", "schedule", "swap", "world"}
"""Benchmarks that do without the Handbook's transactions."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs benchmarks and prints their figures; the exit status is 1 where a target is not met."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures Quipu on this machine.",
        epilog="\n".join(f"  {name:<13}{about}" for name, about in BENCHES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which benchmarks (all by default)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "handbook", metavar="DIR")
    parser.add_argument("--work", type=Path, default=ROOT / "var" / "bench", metavar="DIR", help="kept between runs")
    parser.add_argument("--scores", type=Path, metavar="FILE", help="scores of `quipu backtest` for `handbook`")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="SEED", help="worlds for `rings` and `ablation`")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the store is away in `outage`")
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second in `outage`")
    args = parser.parse_args(arguments)
    unknown = [name for name in args.names if name not in BENCHES]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHES)}")
    try:
        return _run(args.names or list(BENCHES), args)
    except QuipuError as error:
        return fail(error)


def _run(names: Sequence[str], args: argparse.Namespace) -> int:
    work = Workspace(args.data.resolve(), args.work.resolve(), scores=args.scores)
    if not NEEDS_NO_DATA.issuperset(names):
        work.files()
    about = machine()
    sections: list[Section] = []
    for number, name in enumerate(names, 1):
        err.rule(f"{number} of {len(names)}: {name}")
        options = {"minutes": args.minutes, "per_second": args.rate} if name == "outage" else {}
        if name in ("rings", "ablation") and args.seeds:
            options = {"seeds": args.seeds}
        section: Section = import_module(f"bench.{name}").run(work, **options)
        sections.append(section)
        show(err if args.json else out, section)
    holds = all(section.holds for section in sections)
    if args.json:
        json.dump({"machine": about, "sections": [s.as_dict() for s in sections], "holds": holds}, sys.stdout)
        sys.stdout.write("\n")
    else:
        out.print(
            f"measured on {about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, {about['system']}, "
            f"Python {about['python']}; load average before {about['load_average'][0]}",
            markup=False,
        )
        missed = [f"{s.name}: {f.name}" for s in sections for f in s.figures if f.holds is False]
        out.print("every target is met" if holds else "not met: " + "; ".join(missed), markup=False)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
