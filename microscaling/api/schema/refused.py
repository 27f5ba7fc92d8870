"""Words of the Compose specification that a task cannot say: each is refused, with the way out."""

from __future__ import annotations

from microscaling.api.schema.section import Section

# In no case is a word ignored with a warning: a container without it may do harm, or do nothing.
NETWORK = "give networks: containers of one network find each other by name"
LIMITS = "use cpus, cpu_shares or cpuset"
AGENT = "the agent decides how many run: give minContainers and maxContainers beside config"
ORDER = "the agent starts no other services: start them first, and leave it out"
COMPOSE = "it is Compose's own, and has no meaning here: leave it out"
NOT_HERE = "it is not supported here: leave it out"
REFUSED = {
    "annotations": "give labels",
    "attach": COMPOSE,
    "blkio_config": NOT_HERE,
    "build": "nothing is built here: build it first, and name the image",
    "cgroup": NOT_HERE,
    "cgroup_parent": NOT_HERE,
    "container_name": "the containers are called by the name of the task, with a number: leave it out",
    "cpu_count": LIMITS,
    "cpu_percent": LIMITS,
    "cpu_period": LIMITS,
    "cpu_quota": LIMITS,
    "cpu_rt_period": LIMITS,
    "cpu_rt_runtime": LIMITS,
    "credential_spec": NOT_HERE,
    "depends_on": ORDER,
    "develop": COMPOSE,
    "device_cgroup_rules": "give devices",
    "dockerfile": "nothing is built here: build it first, and name the image",
    "expose": "containers of one network reach each other's ports, and ports publishes them: leave it out",
    "extends": "write its keys here, by a YAML anchor for example",
    "external_links": NETWORK,
    "isolation": NOT_HERE,
    "kernel_memory": "use memory",
    "label_file": "give labels",
    "links": NETWORK,
    "log_driver": "use logging",
    "log_opt": "use logging",
    "mac_address": "several containers cannot have one address: leave it out",
    "mem_swappiness": "use memory and memswap_limit",
    "models": NOT_HERE,
    "net": "use networkMode",
    "oom_kill_disable": NOT_HERE,
    "oom_score_adj": NOT_HERE,
    "platform": "name an image of that platform",
    "post_start": "let the entrypoint do it",
    "pre_stop": "let the command do it when it gets its stop_signal",
    "profiles": "a task is there or not: leave it out, or leave out the task",
    "provider": ORDER,
    "pull_policy": "MSS_PULL_IMAGES says whether images are pulled",
    "runtime": NOT_HERE,
    "scale": AGENT,
    "stdin_open": "the containers of a task have no terminal: leave it out",
    "storage_opt": NOT_HERE,
    "tty": "the containers of a task have no terminal: leave it out",
    "use_api_socket": "give volumes: [/var/run/docker.sock:/var/run/docker.sock]",
    "userns_mode": NOT_HERE,
    "uts": NOT_HERE,
    "volume_driver": "create the volume first, and name it in volumes",
    "volumes_from": "give volumes",
}
"""By word, the way out. Nothing of them may be ignored: the container would be another one."""
RESTART = "restart"
NO = ("no", False)  # YAML 1.1, of which `no` is a part, has false in its place


def refuse(config: Section) -> None:
    """Notes every word that is refused. They do not count as unknown."""
    for key in config.left():
        way_out = REFUSED.get(key.casefold())
        if way_out:
            config.take(key)
            config.notes.problem(config.at(key), f"is refused: {way_out}")


def read_restart(config: Section) -> None:
    """Reads `restart`, which may only be "no"."""
    value = config.take(RESTART)
    if value is not None and value not in NO:
        config.notes.problem(
            config.at(RESTART),
            'is refused: the agent itself replaces a container that ends; leave it out, or say "no"',
        )
