"""`make bench`: everything in one run, in turn, with medians, spread and ratios.

    python -m scripts.bench [--rounds 5] [--idle 60] [--only hand-over,scale,...] [--out FOLDER]
    python -m scripts.bench --only against --against REVISION      an earlier build, with nobody busy
    python -m scripts.bench --only hand-over,jump,books,last,idle --against REVISION      looks and books

Needs a Docker engine and docker-compose. Builds the image microscaling/priority-1 where it is missing.
Writes results.json and results.svg into the folder, and prints the table.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from scripts import bench_scaling
from scripts.bench import against, agent, books, chart, containers, services, warm
from scripts.bench import jump as jumps
from scripts.bench.engine import Floor, Witness, clean, connect, make_image
from scripts.bench.ours import ROOT

HALF_A_BEAT_S = 0.25
Results = dict[str, dict[str, list[float]]]


def shares(rounds: int) -> list[float]:
    """Where in a beat each round's change falls: spread evenly, so that it is seen after half a beat on
    average, as by chance."""
    return [(number + 0.5) / rounds for number in range(rounds)]


def hand_over(witness: Witness, floor: Floor, rounds: int) -> Results:
    with against.tree(AGAINST) as then:
        cases = {who: containers.HandOver(containers.Build(tree)) for who, tree in builds(then).items()}
        times: dict[str, list[float]] = {"floor": [], **{who: [] for who in cases}}
        for share in shares(rounds):
            times["floor"].append(cases["ours"].floor(floor, witness))
            for who, case in cases.items():
                times[who].append(case.ours(witness, share))
    return {"8 change hands": times}


def frozen(witness: Witness, floor: Floor, rounds: int) -> Results:
    """With `yield: pause` on both sides; a build before that had no such key stops and starts."""
    with against.tree(AGAINST) as then:
        cases: dict[str, containers.HandOver] = {
            who: containers.Frozen() if who == "ours" else containers.HandOver(containers.Build(tree))
            for who, tree in builds(then).items()
        }
        times: dict[str, list[float]] = {"floor": [], **{who: [] for who in cases}}
        for share in shares(rounds):
            times["floor"].append(cases["ours"].floor(floor, witness))
            for who, case in cases.items():
                times[who].append(case.ours(witness, share))
    return {FROZEN: times}


def warmed(witness: Witness, floor: Floor, rounds: int) -> Results:
    """With `warm` and `yield: pause`; without them, and by an earlier build, all are started anew."""
    with against.tree(AGAINST) as then:
        times: dict[str, list[float]] = {"started": [], "ours": []}
        for share in shares(rounds):
            build = containers.Build(then or ROOT)
            times["started"].append(warm.jump_to_ready(build, witness, share, warm=False))
            times["ours"].append(warm.jump_to_ready(containers.OURS, witness, share, warm=True))
    return {WARM: times}


def scale(witness: Witness, floor: Floor, rounds: int) -> Results:
    case = containers.UpAndDown()
    pairs: dict[str, list[tuple[float, float]]] = {"floor": [], "ours": [], "Compose": [], "Swarm": []}
    for share in shares(rounds):
        pairs["floor"].append(case.floor(floor, witness))
        pairs["ours"].append(case.ours(witness, share))
        with containers.compose() as to:
            pairs["Compose"].append(case.others(to, "many", witness))
        with containers.swarm() as to:
            pairs["Swarm"].append(case.others(to, "mssmany", witness))
    return {
        f"1 to {containers.MANY}": {who: [up for up, _ in both] for who, both in pairs.items()},
        f"{containers.MANY} to 1": {who: [down for _, down in both] for who, both in pairs.items()},
    }


def labelled(witness: Witness, floor: Floor, rounds: int) -> Results:
    up, hands = f"by labels, 1 to {containers.MANY}", "by labels, 8 change hands"
    times: Results = {case: {"DOCKER": [], "ours": []} for case in (up, hands)}
    for share in shares(rounds):
        for who, (took, _) in services.up_and_down(witness, share).items():
            times[up][who].append(took)
        for who, took in services.hand_over(witness, share).items():
            times[hands][who].append(took)
    return times


def start(witness: Witness, floor: Floor, rounds: int) -> Results:
    script, ours = [], []
    for _ in range(rounds):
        script.append(containers.start_script(witness))
        clean(floor.client)
        ours.append(containers.start_ours(witness))
    decisions = [agent.first_decision() for _ in range(rounds)]
    return {
        "process start to 10 running": {"script": script, "ours": ours},
        "process start to first decision, TOY": {"ours": decisions},
    }


def calculation(witness: Witness, floor: Floor, rounds: int) -> Results:
    words = {"room": "room for all", "stuck": "none can give", "last": "only the last can give"}
    return {
        f"10,000 tasks, {words[name]}": {"ours": bench_scaling.times_s(make(10_000), 4 * rounds, decide)}
        for name, make, decide in bench_scaling.CASES
        if name in words
    }


def beat(witness: Witness, floor: Floor, rounds: int) -> Results:
    late, cpu = agent.beats(30)
    return {
        "beat of 2,000 tasks: p99 late": {"ours": [late]},
        "beat of 2,000 tasks: share of a core": {"ours": [cpu]},
    }


def hang(witness: Witness, floor: Floor, rounds: int) -> Results:
    return {"reaction while a source hangs": {"ours": agent.reaction_while_a_source_hangs(rounds)}}


def idle(witness: Witness, floor: Floor, rounds: int) -> Results:
    with against.tree(AGAINST) as then:
        found = {who: agent.idle(witness, IDLE_S, tree) for who, tree in builds(then).items()}
    return {
        "idle: resident MB": {who: [megabytes] for who, (megabytes, _) in found.items()},
        "idle: share of a core": {who: [share] for who, (_, share) in found.items()},
    }


def builds(then: Path | None) -> dict[str, Path]:
    return {"ours": ROOT} if then is None else {"before": then, "ours": ROOT}


def jump(witness: Witness, floor: Floor, rounds: int) -> Results:
    with against.tree(AGAINST) as then:
        return {"queue jumps to decision": jumps.waits_s(builds(then), 10 * rounds)}


def book(witness: Witness, floor: Floor, rounds: int) -> Results:
    times: Results = {}
    with against.tree(AGAINST) as then:
        for who, tree in builds(then).items():
            for name, seconds in books.measured(tree, FLEET).items():
                times.setdefault(f"{FLEET:,} containers known: {name}", {})[who] = [seconds]
    return times


def last(witness: Witness, floor: Floor, rounds: int) -> Results:
    with against.tree(AGAINST) as then:
        made = {who: bench_scaling.Build(tree) for who, tree in builds(then).items()}
        pairs = [
            {who: build.round_s("last", 10_000) for who, build in made.items()} for _ in range(4 * rounds)
        ]
        for build in made.values():
            build.process.communicate()
    return {LAST: {who: [pair[who] for pair in pairs[1:]] for who in made}}  # the first warms up


def earlier(witness: Witness, floor: Floor, rounds: int) -> Results:
    if not AGAINST:
        return {}
    with against.sources(AGAINST) as tree:
        return against.compare(witness, shares(rounds), tree)


FLEET = 100_000
LAST = "10,000 tasks, only the last can give, by turns"
FROZEN = "8 change hands, frozen"
WARM = "8 change hands, each 3 s until it is ready"
IDLE_S = 60.0
AGAINST = ""
CASES: dict[str, Callable[[Witness, Floor, int], Results]] = {
    "hand-over": hand_over,
    "frozen": frozen,
    "warm": warmed,
    "scale": scale,
    "labels": labelled,
    "start": start,
    "calculation": calculation,
    "beat": beat,
    "hang": hang,
    "idle": idle,
    "against": earlier,
    "jump": jump,
    "books": book,
    "last": last,
}


def limit(case: str, results: dict[str, list[float]]) -> float | None:
    """What ours must reach, from the same run's floor where there is one; seconds, or the case's unit."""
    floor = statistics.median(results["floor"]) if "floor" in results else 0.0
    docker = statistics.median(results.get("DOCKER", [0.0]))
    before = statistics.median(results.get("before", [0.0]))
    limits = {
        against.HANDS: 1.05 * before,
        against.UP: 1.05 * before,
        against.DOWN: 1.05 * before,
        "8 change hands": 1.15 * floor,
        FROZEN: 0.35 * floor,
        WARM: 0.12 * statistics.median(results.get("started", [0.0])),
        "queue jumps to decision": 0.06,
        f"{FLEET:,} containers known: event": 0.00002,
        LAST: 0.8 * before if before else math.inf,
        f"1 to {containers.MANY}": 1.15 * floor + HALF_A_BEAT_S,
        f"{containers.MANY} to 1": 1.2 * floor + HALF_A_BEAT_S,
        f"by labels, 1 to {containers.MANY}": 1.1 * docker,
        "by labels, 8 change hands": 1.1 * docker,
        "process start to 10 running": statistics.median(results.get("script", [0.0])) + 0.25,
        "process start to first decision, TOY": 0.4,
        "10,000 tasks, room for all": 0.015,
        "10,000 tasks, none can give": 0.020,
        "10,000 tasks, only the last can give": 0.020,
        "beat of 2,000 tasks: p99 late": 0.05,
        "beat of 2,000 tasks: share of a core": 0.5,
        "reaction while a source hangs": 0.5,
        "idle: resident MB": 36.0,
        "idle: share of a core": 0.01,
    }
    return limits.get(case)


def table(results: Results) -> str:
    lines = [
        "| case | who | median | least to most | against ours | must be at most |",
        "|---|---|---|---|---|---|",
    ]
    for case, by in results.items():
        ours = statistics.median(by["ours"])
        for who, values in by.items():
            most = limit(case, by) if who == "ours" else None
            reached = "" if most is None else f"{most:.3g}{'' if ours <= most else ' (missed)'}"
            median = statistics.median(values)
            spread = f"{min(values):.3g} to {max(values):.3g}"
            ratio = f"{median / ours:.2f}" if ours else ""
            lines.append(f"| {case} | {who} | {median:.3g} | {spread} | {ratio} | {reached} |")
    return "\n".join(lines)


def main() -> int:
    global IDLE_S, AGAINST
    parser = argparse.ArgumentParser(prog="python -m scripts.bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=float, default=IDLE_S, help="seconds")
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--against", default="", metavar="REVISION", help="the commit of an earlier build")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    asked = parser.parse_args()
    if asked.only == "against" and not asked.against:
        parser.error("--only against: needs --against REVISION, the commit of the earlier build")
    IDLE_S, AGAINST = asked.idle, asked.against
    client = connect()
    make_image(client)
    clean(client)
    witness = Witness(client)
    results: Results = {}
    try:
        for name in asked.only.split(","):
            print(f"-- {name}", file=sys.stderr, flush=True)
            results.update(CASES[name](witness, Floor(client), asked.rounds))
            clean(client)
    finally:
        witness.close()
        clean(client)
        client.close()
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (asked.out / "results.svg").write_text(chart.bars({c: by for c, by in results.items() if len(by) > 1}))
    print("Seconds, unless the case says otherwise.\n")
    print(table(results))
    print("\n".join(["", *against.by_round(results)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
