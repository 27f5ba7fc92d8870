"""Every setting once: its variable, type, unit, default and meaning."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from microscaling.errors import ConfigError
from microscaling.secrets.masking import passwords_in
from microscaling.secrets.secret_file import SUFFIX, place_of, read_secret
from microscaling.utils.text import quoted
from microscaling.utils.values import (
    Fallback,
    address,
    any_value,
    boolean,
    containers_or_auto,
    day,
    gain,
    memory,
    one_of,
    path,
    raw,
    samples,
    seconds,
    text,
    token,
    type_name,
    window,
)

log = logging.getLogger("msstarget")

T = TypeVar("T")


def _setting(
    default: T,
    meaning: str,
    *,
    read: Callable[[str], T] | None = None,
    variable: str = "",
    secret: bool = False,
    may_hold_secret: bool = False,
    shown: bool = True,
    said: str = "",
) -> T:
    """Declares a field of Settings.

    `variable`: its environment variable, if not MSS_ and the name of the field; `said`: the default in
    words, for the table of settings; `shown`: whether the repr may include the value. The value of one that
    is `secret`, or `may_hold_secret`, is never shown, and can be given as a file too: VARIABLE_FILE.
    """
    about = {
        "meaning": meaning,
        "read": read or text,
        "variable": variable,
        "secret": secret,
        "in_file": secret or may_hold_secret,
        "said": said,
    }
    made: T = field(default=default, repr=shown and not about["in_file"], metadata=about)
    return made


@dataclass(frozen=True)
class Settings:
    """The settings of one process, read from its environment; `Settings()` has every default.

    The Go agent's variables keep their names, meanings and defaults. The factory checks the values of
    scheduler, config, monitor and demand_engine.
    """

    scheduler: str = _setting("DOCKER", "backend that runs the containers", read=type_name)
    config: str = _setting("SERVER", "source of the tasks", read=type_name)
    config_file: str = _setting(
        "",
        "with `FILE`: path of the configuration; YAML if it ends in .yml or .yaml, else JSON",
        read=path,
    )
    config_data: str = _setting(
        "", "with `ENVVAR`: the configuration itself, as JSON", read=raw, may_hold_secret=True
    )
    max_containers: int | None = _setting(
        None,
        "number of containers that all tasks share, in place of `maxContainers` of the configuration; needed "
        "with `SERVICES`; with `SWARM` also `auto`: what the nodes have room for",
        read=containers_or_auto,
        said="empty",
    )
    demand_engine: str = _setting("LOCAL", "engine that decides: `LOCAL`, or `SERVER`", read=type_name)
    monitor: str = _setting(
        "SERVER",
        "destinations of metrics, or `none` for no monitor (a word with SERVER in it counts as SERVER)",
    )
    api_address: str = _setting(
        "app.microscaling.com",
        "the server: host:port, `http://...` or `https://...`. The public one that is the default is gone",
        shown=False,
    )
    api_token: str = _setting("", "sent to the server as a bearer token", read=token, secret=True)
    user_id: str = _setting("5k5gk", "site at the server: agents of one name share its configuration")
    send_metrics_to_api: bool = _setting(True, "false: no metrics go to the server", read=boolean)
    dry_run: bool = _setting(False, "decide and log, but touch nothing", read=boolean)
    pull_images: bool = _setting(
        True,
        "pull the image of each task at start, side by side, and in the background when it is missing later",
        read=boolean,
    )
    pass_env: str = _setting(
        "",
        "which of the agent's variables containers get: `none`, or names and patterns with commas "
        "between. Empty: all, as the Go agent did, but those of the agent's own process (PATH, HOME, "
        "HOSTNAME, PWD, SHLVL, _, VIRTUAL_ENV, PYTHON*)",
    )
    reload: str = _setting(
        "ask",
        "when the configuration is read again: `ask`, at SIGHUP and `microscaling reload`; `watch`, also "
        "when the file of `FILE` changes (extra: watch), and then a change that removes a task waits for "
        "`reload --yes`",
        read=one_of("ask", "watch"),
    )
    on_exit: str = _setting(
        "stop",
        "containers at the end of the agent: `stop` them, or `leave` them for the next one to adopt",
        read=one_of("stop", "leave"),
    )
    exit_timeout_s: float = _setting(
        30.0, "seconds that the end may take if containers cannot be counted", read=seconds
    )
    state_dir: str = _setting(
        "",
        "folder for the agent's id, for tasks that are paused or pinned by hand, for the containers that "
        "`COMPOSE` has stopped, and for the lock and state of `PROCESS`. Empty: in the image "
        "/var/lib/microscaling, which should be a volume; else a folder of your own under XDG_RUNTIME_DIR or "
        "the temporary folder",
        read=path,
    )
    orphans: str = _setting(
        "keep",
        "containers of tasks that the configuration does not have any more: `keep` them (they count "
        "under the cap), or `stop` them",
        read=one_of("keep", "stop"),
    )
    warm_memory: int | None = _setting(
        None,
        "memory that all warm containers may hold, such as `2g`: no more is made warm above it",
        read=memory,
        said="no limit",
    )
    health_file: str = _setting(
        "",
        "file that the agent writes for `microscaling --health`. Empty: each agent has its own, in a "
        "folder of your own under XDG_RUNTIME_DIR, /dev/shm or the temporary folder, and `--health` "
        "asks about all that run as this user",
        read=path,
    )
    warn_after_s: float = _setting(
        600.0,
        "seconds after which the agent warns of a task that stays at its maximum or below its wish, or whose "
        "reading never moves; 0: never",
        read=day,
    )
    notify_url: str = _setting(
        "",
        "addresses for messages about the tasks, with spaces between: `http` and `https` get CloudEvents, "
        "all others are services of apprise (extra `notify`); empty: none",
        secret=True,
    )
    notify_events: str = _setting(
        "",
        "events that are sent, with commas between, or `all`. Empty: hold, held, fallback, backoff, warning",
    )
    notify_token: str = _setting("", "sent to a webhook as a bearer token", read=token, secret=True)
    notify_template: str = _setting(
        "", "a line for people, with $agent, $event, $task, $state and $text in it. Empty: `$task: $text`"
    )
    metrics_address: str = _setting(
        "",
        "host:port at which Prometheus reads metrics of the agent, or a port alone for this machine only "
        "(extra `metrics`); empty: nowhere",
        read=address,
    )
    server_address: str = _setting("127.0.0.1:8000", "host:port at which `microscaling server` listens")
    server_token: str = _setting(
        "",
        "token of the server: agents send it as `MSS_API_TOKEN`, people type it",
        read=token,
        secret=True,
    )
    server_open: bool = _setting(
        False, "the server may listen where others can reach it without a token", read=boolean
    )
    server_store: str = _setting(
        "",
        "file in which the server keeps configurations and history. Empty: microscaling/server.db "
        "under XDG_STATE_HOME or ~/.local/state",
        read=path,
    )
    log_format: str = _setting(
        "plain", "`plain`, or `json` for one object a line", read=one_of("plain", "json")
    )
    log_debug: str = _setting(
        "none",
        "components to log at DEBUG, with commas between (mssagent, mssapi, mssconfig, mssdemand, "
        "mssengine, mssmetric, mssmonitor, mssscheduler, mssserver, msstarget, mssutils), `all`, and "
        "`detail` for process id, file and line",
    )
    docker_host: str = _setting(
        "unix:///var/run/docker.sock",
        "the Docker engine, or a Podman (4.3 or later) that serves its API. Unset: the context in "
        "`DOCKER_CONTEXT`, or, if the default socket is not there, that of `docker context use`; from "
        "`DOCKER_CONFIG`, else `~/.docker`",
        variable="DOCKER_HOST",
    )
    docker_tls_verify: bool = _setting(
        False,
        "any value: talk TLS to the engine and check its certificate, as Docker's own client does",
        read=any_value,
        variable="DOCKER_TLS_VERIFY",
        said="empty",
    )
    docker_cert_path: str = _setting(
        "",
        "folder of ca.pem, cert.pem and key.pem for the engine; with `DOCKER_TLS_VERIFY` and empty: "
        "`DOCKER_CONFIG`, else `~/.docker`",
        variable="DOCKER_CERT_PATH",
        read=path,
    )
    docker_chosen: str = ""
    """How the engine was chosen, in words; no variable: the scheduler finds it out."""
    nsq_stats_endpoint: str = _setting(
        "127.0.0.1:4151",
        "host:port of nsqd's HTTP interface; user and password may stand before it",
        variable="NSQ_STATS_ENDPOINT",
        may_hold_secret=True,
    )
    ku: float = _setting(0.05, "controller of the rule `Queue`: its ultimate gain", read=gain)
    tu: float = _setting(10.0, "its oscillation period", read=gain)
    kp: float = _setting(0.8 * 0.05, "its proportional gain", read=gain, said="0.8 × MSS_KU")
    ki: float = _setting(0.0, "its integral gain", read=gain)
    kd: float = _setting(
        10.0 / 8,
        "its derivative gain. A bad number here or above is a warning, and the default is used",
        read=gain,
        said="MSS_TU / 8",
    )
    scale_down_window_s: float = _setting(
        0.0,
        "seconds for which a queue has to do with fewer containers before it gives any back (0 to "
        "3600); 0: at once, as the Go agent",
        read=window,
    )
    early_looks: bool = _setting(
        True,
        "look at queues that cost nothing to ask and answer at once every 50 ms too, so that a jump does not "
        "wait for the beat; false: twice a second only, as the Go agent",
        read=boolean,
    )
    vel_samples: int = _setting(
        1, "samples that the velocity is averaged over; 0 or not a number: 1", read=samples
    )
    marathon_api: str = _setting(
        "http://localhost:8080",
        "with `MARATHON`: its address; user and password may stand in it (`http://user:password@host:8080`)",
        may_hold_secret=True,
    )
    marathon_token: str = _setting(
        "", "with `MARATHON`: a token of DC/OS, sent in place of user and password", secret=True
    )
    kube_config: str = _setting(
        "",
        "with `KUBERNETES`: path of a kubeconfig; empty: the service account of the pod that the "
        "agent runs in",
        read=path,
    )
    kube_namespace: str = _setting("default", "with `KUBERNETES`: namespace of the deployments")
    aws_region: str = _setting("", "region of the SQS queues; needed for them", variable="AWS_REGION")
    azure_storage_account_name: str = _setting(
        "", "account of the Azure queues", variable="AZURE_STORAGE_ACCOUNT_NAME"
    )
    azure_storage_account_key: str = _setting(
        "", "key of that account", variable="AZURE_STORAGE_ACCOUNT_KEY", secret=True
    )
    azure_storage_connection_string: str = _setting(
        "",
        "account, key and endpoint of the Azure queues in one; counts before the two above",
        variable="AZURE_STORAGE_CONNECTION_STRING",
        secret=True,
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Reads the settings from these variables and the files that they name. Raises ConfigError with
        every bad one.

        A bad number for the controller leads to a warning and the default, as in the Go agent.
        """
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name, about in _TABLE.items():
            try:
                place, value = given(about["variable"], about["in_file"], environ)
            except ConfigError as error:
                problems += error.problems
                continue
            if value == "":
                continue  # as in the Go agent, an empty variable counts as unset
            got = "a value that is not shown" if about["in_file"] else quoted(value)
            try:
                values[name] = about["read"](value)
            except Fallback as bad:
                log.warning("%s: %s, got %s: using the default", place, bad, got)
            except ValueError as bad:
                problems.append(f"{place}: {bad}, got {got}")
        if problems:
            raise ConfigError(*problems)
        if "config" not in values:
            values["config"] = _config_by_data(values)
        # The rule of Ziegler and Nichols for a PD controller: 0.8 Ku, Td = Tu / 8.
        values.setdefault("kp", 0.8 * values.get("ku", cls.ku))
        values.setdefault("kd", values.get("tu", cls.tu) / 8)
        return cls(**values)

    def secrets(self) -> list[str]:
        """Returns the values to mask in logs: secrets, and the passwords in URLs."""
        found: list[str] = []
        for name, about in _TABLE.items():
            value = getattr(self, name)
            if about["secret"] and value:
                found.append(value)
            elif isinstance(value, str):
                # Addresses such as user:password@host:port need no scheme.
                found += passwords_in(value if "//" in value else f"//{value}")
        return found


def _config_by_data(values: Mapping[str, Any]) -> str:
    """Returns the source of the tasks without MSS_CONFIG. Raises ConfigError if file and data are set."""
    # A file, or data, is given for no other reason than to be the configuration.
    file, data = bool(values.get("config_file")), bool(values.get("config_data"))
    if file and data:
        raise ConfigError(
            "MSS_CONFIG: is not set, but MSS_CONFIG_FILE and MSS_CONFIG_DATA both are; "
            "set it to FILE or ENVVAR, or take one of them away"
        )
    return "FILE" if file else "ENVVAR" if data else Settings.config


def variables() -> dict[str, tuple[str, str]]:
    """Maps the variable of every setting to its default and meaning, both in words for documentation."""
    return {a["variable"]: (a["said"] or in_words(a["default"]), a["meaning"]) for a in _TABLE.values()}


def files() -> list[str]:
    """Returns the variables, such as MSS_API_TOKEN_FILE, that name a file with the value of another."""
    return [f"{about['variable']}{SUFFIX}" for about in _TABLE.values() if about["in_file"]]


def given(variable: str, in_file: bool, environ: Mapping[str, str]) -> tuple[str, str]:
    """Returns the place of a setting, for errors, and its value; "" if it is not set. With `in_file` the
    value may be in the file that VARIABLE_FILE names. Raises ConfigError."""
    value = environ.get(variable, "")
    if not (in_file and environ.get(variable + SUFFIX)):
        return variable, value
    if value != "":
        raise ConfigError(f"{variable} and {variable}{SUFFIX}: both are set: take one of them away")
    return place_of(variable, environ), read_secret(variable, environ)


def in_words(default: object) -> str:
    """Returns a default in the form of the documentation."""
    if isinstance(default, bool):
        return "true" if default else "false"
    return f"{default:g}" if isinstance(default, float) else str(default) or "empty"


_TABLE: dict[str, dict[str, Any]] = {
    f.name: {
        **f.metadata,
        "variable": f.metadata["variable"] or f"MSS_{f.name.upper()}",
        "default": f.default,
    }
    for f in fields(Settings)
    if f.metadata
}
