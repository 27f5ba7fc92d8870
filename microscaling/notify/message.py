"""The messages: CloudEvents for programs, and lines for people."""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from string import Template
from typing import Any
from urllib.parse import quote

from microscaling import __version__
from microscaling.errors import ConfigError
from microscaling.log import masked
from microscaling.utils.text import alternatives, clean, one_line
from microscaling.watch.events import Event

TYPE = "com.microscaling"
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
FIELDS = ("agent", "event", "task", "state", "text")
DEFAULT = "$task: $text"
STATES = {True: "begins", False: "is over", None: ""}
MAX_TEXT = 1000


@dataclass(frozen=True)
class Message:
    """An event on its way. Its id and time stay the same in each try, so that a receiver knows a
    repetition."""

    event: Event
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def text(self) -> str:
        """The text of the event, without secrets."""
        # Masked first: a cut may go through a secret, and its beginning would not be known as one.
        return clean(masked(self.event.text))[:MAX_TEXT]

    def cloud_event(self, site: str) -> bytes:
        """Returns it in the structured mode of CloudEvents 1.0; `site`: MSS_USER_ID of the agent."""
        # The library for it makes the same object of eight keys, and has changed its interface twice.
        event, about = self.event, "task" if self.event.task else "agent"
        data: dict[str, Any] = {"event": event.kind, "text": self.text, "agent": socket.gethostname()}
        data |= {"version": __version__}
        data |= {"task": clean(event.task)} if event.task else {}
        data |= {"active": event.active} if event.active is not None else {}
        envelope = {
            "specversion": "1.0",
            "id": self.id,
            "source": f"/microscaling/{quote(site, safe='')}/{quote(socket.gethostname(), safe='')}",
            "type": f"{TYPE}.{about}.{event.kind}",
            "time": self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": data,
        }
        envelope |= {"subject": clean(event.task)} if event.task else {}
        return json.dumps(envelope).encode()

    def line(self, template: Template) -> str:
        """Returns it as a person reads it."""
        event = self.event
        return template.substitute(
            agent=socket.gethostname(),
            event=event.kind,
            task=one_line(event.task) or "microscaling",
            state=STATES[event.active],
            text=one_line(self.text),
        )


def template_of(text: str) -> Template:
    """Returns the template of MSS_NOTIFY_TEMPLATE. Raises ConfigError."""
    # Not str.format, which would let a template reach into objects.
    template = Template(text or DEFAULT)
    try:
        template.substitute(dict.fromkeys(FIELDS, ""))
    except (KeyError, ValueError) as error:
        why = f"there is no field ${error.args[0]}" if isinstance(error, KeyError) else str(error)
        names = alternatives([f"${name}" for name in FIELDS])
        raise ConfigError(
            f"MSS_NOTIFY_TEMPLATE: {one_line(why)}: there are {names}, and $$ for a $"
        ) from None
    return template
