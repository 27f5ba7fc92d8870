"""What happens to the swarm. Each scene returns its figures, and fails with an AssertionError."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping

import yaml

from tests.contract.swarm import restarted, running_in, scale_service, update_service
from tests.integration.agents import wait_for
from tests.integration.swarms import World
from tests.swarm.cluster import Cluster

SLEEPER = "mss-test/sleeper"
LONG_S = 240.0
ROUNDS = 5
Scene = Callable[[Cluster, World], str]


def within(what: Callable[[], object], why: str) -> float:
    """Waits; returns the seconds that it took."""
    began = time.monotonic()
    wait_for(what, why, LONG_S)
    return time.monotonic() - began


def _seconds(values: list[float]) -> str:
    return " ".join(f"{value:.1f}" for value in values)


def up_and_down(cluster: Cluster, world: World) -> str:
    """1 to 60 over all nodes, and back."""
    web = world.serve("web", 1, world.labels("web", max="60"))
    world.numbers.counts["web"] = 1
    with world.agent(cap=60) as agent:
        agent.says("adopted running containers: 1 of web")
        world.numbers.counts["web"] = 60
        asked = within(lambda: world.replicas(web) == 60, "for 60 to be asked for")
        up = asked + within(lambda: world.running(web) == 60, "for 60 to run")
        spread = [len(running_in(client, web)) for client in world.clients]
        assert min(spread) >= 10, spread
        world.numbers.counts["web"] = 1
        down = within(lambda: world.running(web) == 1, "for 1 to be left")
        assert agent.stop() == 0
    nodes = " + ".join(map(str, spread))
    return f"asked for after {asked:.1f} s, all run ({nodes}) after {up:.0f} s, back to 1 in {down:.0f} s"


def side_by_side(cluster: Cluster, world: World) -> str:
    """From a jump of the queue to the last of 33 that runs, and the same by `docker service scale`."""
    web = world.serve("web", 1, world.labels("web", max="33"))
    by_hand = world.serve("plain", 1, {"no": "label"})
    world.numbers.counts["web"] = 1
    ours: list[float] = []
    hands: list[float] = []
    with world.agent(cap=33) as agent:
        agent.says("this agent has the lease")
        for _ in range(ROUNDS):
            within(lambda: world.running(by_hand) == world.running(web) == 1, "for the beginning")
            command = ["docker", "-H", cluster.hosts[0], "service", "scale", "-d", "plain=33"]
            began = time.monotonic()
            subprocess.run(command, check=True, capture_output=True)
            within(lambda: world.running(by_hand) == 33, "for 33 by hand")
            hands.append(time.monotonic() - began)
            scale_service(world.client, by_hand, 1)
            within(lambda: world.running(by_hand) == 1, "for the way back")
            world.numbers.counts["web"] = 33
            ours.append(within(lambda: world.running(web) == 33, "for 33 of ours"))
            world.numbers.counts["web"] = 1
    mine, theirs = statistics.median(ours), statistics.median(hands)
    each = f"{_seconds(ours)}; {_seconds(hands)}"
    return (
        f"median of {ROUNDS} in turn: {mine:.1f} s from the jump of the queue, {theirs:.1f} s from the "
        f"command; {(mine - 0.25) / theirs:.2f} x without half a beat ({each})"
    )


def hand_over(cluster: Cluster, world: World) -> str:
    """20 containers from the low priority to the high one, never more than the cap asked for."""
    low = world.serve("low", 0, world.labels("low", max="24", priority="2"))
    high = world.serve("high", 0, world.labels("high", max="20"))
    world.numbers.counts["low"] = 24
    most = 0

    def done() -> bool:
        nonlocal most
        both = world.replicas(low) + world.replicas(high)
        most = max(most, both)
        return (world.running(high), world.running(low)) == (20, 4)

    with world.agent(cap=24):
        within(lambda: world.running(low) == 24, "for the low one")
        world.numbers.counts["high"] = 20
        took = within(done, "for 20 to be handed over")
    assert most <= 24, most
    return f"20 handed over in {took:.0f} s, at most {most} of 24 asked for"


def node_lost(cluster: Cluster, world: World) -> str:
    """A node dies, comes back, is drained, and is taken back."""
    web = world.serve("web", 0, world.labels("web", max="12"))
    world.numbers.counts["web"] = 12
    lost = cluster.nodes[2]
    with world.agent(cap=12):
        within(lambda: world.running(web) == 12, "for all to run")
        lost.crash()
        down = within(lambda: cluster.states().get(lost.address) == "down", "for the swarm's notice")
        back = down + within(lambda: world.running(web) == 12, "for others in their place")
        assert world.replicas(web) == 12
        lost.start()
        within(cluster.all_ready, "for the node")
        world.connect()
        cluster.set_availability(1, "drain")
        drained = within(
            lambda: not running_in(world.clients[1], web) and world.running(web) == 12, "for the drain"
        )
        cluster.set_availability(1, "active")
        assert world.replicas(web) == 12
    seen = f"seen as down by the swarm after {down:.0f} s, all run again after {back:.0f} s"
    return f"{seen}; drained in {drained:.0f} s"


def manager_lost(cluster: Cluster, world: World) -> str:
    """The manager dies together with the agent that decides."""
    web = world.serve("web", 0, world.labels("web", max="12"))
    world.numbers.counts["web"] = 6
    with world.agent(cap=12, DOCKER_HOST=cluster.hosts[0]) as first:
        within(lambda: world.running(web) == 6, "for 6")
        with world.agent(cap=12, DOCKER_HOST=cluster.hosts[1]) as second:
            second.says("stands by: another agent decides")
            first.kill()
            world.primary = 1
            cluster.nodes[0].crash()
            began = time.monotonic()
            second.says("this agent has the lease, and decides from now on")
            took = time.monotonic() - began
            world.numbers.counts["web"] = 9
            asked = within(lambda: world.replicas(web) == 9, "for 9 to be asked for")
            within(lambda: world.running(web) == 9, "for 9 to run")
            cluster.nodes[0].start()
            within(lambda: cluster.all_ready(1), "for the manager")
            world.primary = 0
            world.connect()
    return f"the other agent decides after {took:.1f} s; what it then asks for is taken after {asked:.1f} s"


def agent_lost(cluster: Cluster, world: World) -> str:
    """Ten times the agent that decides is killed."""
    took: list[float] = []
    with contextlib.ExitStack() as stack:
        last = stack.enter_context(world.agent())
        last.says("this agent has the lease")
        for _ in range(10):
            agent = stack.enter_context(world.agent())
            agent.says("stands by: another agent decides")
            began = time.monotonic()
            last.kill()
            agent.says("this agent has the lease")
            took.append(time.monotonic() - began)
            last = agent
    assert max(took) < 5.0, took
    return f"after `kill -9` the next one decides in {min(took):.1f} to {max(took):.1f} s, 10 times"


def stack_deploy(cluster: Cluster, world: World) -> str:
    """`docker stack deploy` sets the number back while all run."""
    labels = world.labels("jobs", max="8")
    stack = {"version": "3.8", "services": {"worker": {"image": SLEEPER, "deploy": {"labels": labels}}}}
    file = world.folder / "stack.yml"
    file.write_text(yaml.safe_dump(stack))
    command = ["docker", "-H", cluster.hosts[0], "stack", "deploy", "-c", str(file), "shop"]
    world.numbers.counts["jobs"] = 8
    subprocess.run(command, check=True, capture_output=True)
    worker = world.client.services(filters={"name": "shop_worker"})[0]["ID"]
    with world.agent() as agent:
        within(lambda: world.running(worker) == 8, "for all to run")
        subprocess.run(command, check=True, capture_output=True)
        agent.says("shop_worker: somebody else has set it to 1")
        asked = within(lambda: world.replicas(worker) == 8, "for the number")
        all_run = asked + within(lambda: world.running(worker) == 8, "for all to run again")
    return f"noticed, asked for again after {asked:.1f} s, all run after {all_run:.0f} s"


def roll_back(cluster: Cluster, world: World) -> str:
    """A broken image with failure_action: rollback, while the queue jumps."""
    config = {"Parallelism": 1, "FailureAction": "rollback", "Monitor": 2 * 10**9, "MaxFailureRatio": 0}
    web = world.serve("web", 4, UpdateConfig=config, RollbackConfig={"Parallelism": 0})
    world.numbers.counts["web"] = 4
    with world.agent() as agent:
        within(lambda: world.running(web) == 4, "for 4")
        agent.says("web: ")
        found = world.client.inspect_service(web)
        found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] = "mss-test/exits"
        update_service(world.client, web, found["Spec"], found["Version"]["Index"])
        world.numbers.counts["web"] = 10
        agent.says("web: it is being updated, and is not scaled until that has ended")

        def over() -> bool:
            found = world.client.inspect_service(web)
            state = (found.get("UpdateStatus") or {}).get("State")
            if state in ("updating", "rollback_started"):
                assert world.replicas_in(found) == 4, state
            return bool(state == "rollback_completed" or world.replicas_in(found) == 10)

        took = within(over, "for the roll-back")
        within(lambda: world.running(web) == 10, "for the queue")
        found = world.client.inspect_service(web)
        assert found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == SLEEPER
    return f"rolled back after {took:.0f} s with its number left alone, then scaled to 10"


def no_place(cluster: Cluster, world: World) -> str:
    """What no node has a place for gives its share to the next, until there is room."""
    large = {**restarted(SLEEPER), "Resources": {"Reservations": {"NanoCPUs": 2 * 10**9}}}
    high = world.serve("high", 0, world.labels("high", max="5"), TaskTemplate=large)
    low = world.serve("low", 0, world.labels("low", priority="2"))
    cores = int(world.client.nodes()[0]["Description"]["Resources"]["NanoCPUs"] / 1e9)
    fits = min(4, 3 * (cores // 2))
    cluster.set_availability(2, "drain")
    left = min(fits, 2 * (cores // 2))
    world.numbers.counts.update(high=5, low=10)
    with world.agent(cap=8) as agent:
        within(lambda: world.running(high) == left, "for those that have a place")
        gave = within(lambda: world.replicas(low) == 8 - left, "for the share of the others")
        agent.says("pending: no suitable node")
        cluster.set_availability(2, "active")
        back = within(lambda: world.running(high) == min(5, 3 * (cores // 2)), "for the node")
    return (
        f"of 5 asked for {left} have a place: the lower priority has the rest after {gave:.0f} s; "
        f"{back:.0f} s after a node has come, {min(5, 3 * (cores // 2))} run"
    )


SCENES: Mapping[str, Scene] = {
    "1 to 60 and back": up_and_down,
    "1 to 33, beside `docker service scale`": side_by_side,
    "hand-over of 20 by priority": hand_over,
    "a node dies, comes back, is drained": node_lost,
    "the agent dies": agent_lost,
    "the manager dies with the agent": manager_lost,
    "`stack deploy` in between": stack_deploy,
    "a broken image with `failure_action: rollback` while the queue jumps": roll_back,
    "no place for some": no_place,
}
