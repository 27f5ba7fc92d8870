"""The labels of the image of a task's deployment, from the registry of that image."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from microscaling.clients.kubernetes.client import Item, Kube, Refused
from microscaling.config.images.registry import RegistryImages
from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.settings import Settings
from microscaling.utils.text import quoted

log = logging.getLogger("mssconfig")

TOO_MANY = 429


class DeploymentImages(RegistryImages):
    """Takes the image of a task from the first container of the deployment with its name; `config.image`
    of the app counts only without such a deployment."""

    def __init__(self, kube: Kube, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(environ)
        self._kube = kube
        self._found: dict[str, Item] | None = None

    def image_of(self, task: Task) -> str:
        try:
            return _first_image(self._deployments(), task.name)
        except PermanentError as error:
            if not task.image:
                raise
            log.warning("task %s: %s: reading the labels of %s", quoted(task.name), error, quoted(task.image))
            return task.image

    def close(self) -> None:
        self._kube.close()

    def _deployments(self) -> Mapping[str, Item]:
        """Lists all deployments once, and returns them by name."""
        if self._found is None:
            # One listing for all tasks, because the agent's Role allows `list` and need not allow `get`.
            try:
                listed, _ = self._kube.deployments()
            except Refused as error:
                if error.status != TOO_MANY:  # the one refusal that a retry can mend
                    raise
                raise TemporaryError(str(error), error.delay_s) from None
            named = ((_name_of(item), item) for item in listed)
            self._found = {name: item for name, item in named if name}
        return self._found


def _name_of(item: Item) -> str:
    """Returns its name; "" if that cannot be read, so that the other deployments still count."""
    about = item.get("metadata")
    name = about.get("name") if isinstance(about, dict) else None
    return name if isinstance(name, str) else ""


def _first_image(deployments: Mapping[str, Item], name: str) -> str:
    """Returns spec.template.spec.containers[0].image (apps/v1). Raises PermanentError if there is none."""
    if name not in deployments:
        raise PermanentError(f"there is no deployment {quoted(name)}")
    try:
        return str(deployments[name]["spec"]["template"]["spec"]["containers"][0]["image"])
    except (LookupError, TypeError):
        raise PermanentError("its deployment has no container with an image") from None


def make(settings: Settings) -> DeploymentImages:
    """Returns the deployments of the namespace in these settings."""
    return DeploymentImages(Kube(settings.kube_config, settings.kube_namespace))
