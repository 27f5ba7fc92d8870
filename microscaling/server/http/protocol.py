"""uvicorn's websocket protocol, with a shortcut for the messages of agents."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode, apply_mask  # type: ignore[attr-defined]  # in C where it is
from websockets.http11 import Request
from websockets.protocol import State
from websockets.streams import StreamReader

EXTENSION = "microscaling"
"""The key of the protocol in the scope's extensions."""
BAD_TEXT = 1007
READ = 64 * 1024
"""Most bytes of one read."""
WHOLE_TEXT, MASKED, TWO_BYTES = 0x81, 0x80, 126
"""The first byte of a frame with a whole text, and the parts of its second (RFC 6455, section 5.2)."""
AT_EOF = StreamReader.at_eof.__code__


class AgentProtocol(WebSocketsSansIOProtocol):
    """Passes messages to `take` as they are read, and sends without waiting.

    uvicorn stops reading the socket after each message and wakes a task for it, which costs more than
    all the work on a report. The rest (handshake, other frames, the end) is left to uvicorn.
    """

    take: Callable[[str | None], None] | None = None
    """Called with the text of each message, None for one that is not text."""
    together = 0
    """The number of messages passed on of those that one read has brought."""
    writable_again: Callable[[], None] | None = None
    """Called when the other side reads again after a pause."""

    def connection_made(self, transport: Any) -> None:
        """Called by asyncio for a new connection."""
        super().connection_made(transport)
        transport.max_size = READ  # for asyncio's own 256 KiB, Python's allocator maps new memory each time

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with new data: takes whole texts itself, and gives the rest to the library."""
        self.together = 0
        read = self._take_whole_texts(data) if self.take is not None and self._between_frames() else 0
        if read < len(data):
            super().data_received(data[read:])

    def _between_frames(self) -> bool:
        """Whether the library's parser is neither within a frame nor within a message."""
        # Then the innermost of its generators waits in `at_eof`, for the end or a next frame.
        conn = self.conn
        if conn.state is not State.OPEN or conn.current_size is not None:
            return False
        waits: Any = conn.parser
        while (inner := waits.gi_yieldfrom) is not None:
            waits = inner
        return waits.gi_code is AT_EOF

    def _take_whole_texts(self, data: bytes) -> int:
        """Takes the frames at the beginning of the data that are whole texts below 64 KiB, the form of every
        report. Returns the number of bytes taken."""
        # The library's parser, generators within generators, costs as much as reading the report. It gets all
        # other frames, and with them the handling of errors.
        start, end = 0, len(data)
        while end - start >= 8 and data[start] == WHOLE_TEXT and not self.close_sent:
            length, head = data[start + 1] - MASKED, 6
            if length == TWO_BYTES:
                length, head = data[start + 2] << 8 | data[start + 3], 8
            elif not 0 <= length < TWO_BYTES:
                break
            first = start + head
            after = first + length
            if after > end:
                break
            self.frames = [apply_mask(data[first:after], data[first - 4 : first])]
            self.curr_msg_data_type = "text"
            self.send_receive_event_to_app()
            start = after
        return start

    def handle_connect(self, event: Request) -> None:
        """Called by uvicorn with the handshake: puts this protocol into the scope."""
        super().handle_connect(event)
        if not self.close_sent:
            extensions: Any = self.scope["extensions"]
            extensions[EXTENSION] = self

    def send_receive_event_to_app(self) -> None:
        """Called by uvicorn with a complete message: passes it to `take`."""
        if self.take is None or self.close_sent:
            super().send_receive_event_to_app()
            return
        self.together += 1
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.curr_msg_data_type != "text":
            self.take(None)
            return
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            self.conn.send_close(BAD_TEXT)
            self.handle_parser_exception()
            return
        self.take(text)

    def resume_writing(self) -> None:
        """Called by asyncio when the other side reads again."""
        super().resume_writing()
        if self.writable_again is not None:
            self.writable_again()

    async def send(self, message: Any) -> None:
        """Called by the application with an ASGI message."""
        await super().send(message)
        # A refusal ends the handshake too, but uvicorn takes it for an error if the other side has not
        # closed the connection by the time the application returns.
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True

    @property
    def can_send(self) -> bool:
        """Whether the other side reads, so that the buffer for sending is not full."""
        return self.writable.is_set()

    def send_text(self, text: str) -> None:
        """Sends a text, without waiting; nothing if the connection is closing."""
        if self.handshake_complete and not (
            self.close_sent or self.disconnected or self.transport.is_closing()
        ):
            self.transport.write(Frame(Opcode.TEXT, text.encode()).serialize(mask=False))

    def pause(self) -> None:
        """Stops reading from the socket until `resume`."""
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Reads from the socket again."""
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def has_unread(self) -> bool:
        """Whether the socket has data that have not been read yet."""
        sock = self.transport.get_extra_info("socket")
        if self.read_paused or sock is None or sock.fileno() < 0:
            return self.read_paused
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        return bool(poll.poll(0))


def protocol_of(scope: Any) -> AgentProtocol:
    """Returns the protocol in a websocket's scope."""
    protocol: AgentProtocol = scope["extensions"][EXTENSION]
    return protocol
