"""Calls to an external scaler of KEDA over gRPC (KEDA's documentation, "External Scalers")."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from typing import Any

from microscaling.errors import TemporaryError
from microscaling.utils.text import one_line

PACKAGE, SERVICE = "externalscaler", "ExternalScaler"
TEXT, FLAG, WHOLE, NUMBER = "TYPE_STRING", "TYPE_BOOL", "TYPE_INT64", "TYPE_DOUBLE"
MESSAGES: dict[str, dict[str, str]] = {
    "ScaledObjectRef": {"name": TEXT, "namespace": TEXT, "scalerMetadata": "map"},
    "IsActiveResponse": {"result": FLAG},
    "MetricSpec": {"metricName": TEXT, "targetSize": WHOLE, "targetSizeFloat": NUMBER},
    "GetMetricSpecResponse": {"metricSpecs": "*MetricSpec"},
    "GetMetricsRequest": {"scaledObjectRef": "ScaledObjectRef", "metricName": TEXT},
    "MetricValue": {"metricName": TEXT, "metricValue": WHOLE, "metricValueFloat": NUMBER},
    "GetMetricsResponse": {"metricValues": "*MetricValue"},
}
"""The fields of each message, numbered from 1 in this order; * for several."""
ANSWERS = {
    "IsActive": "IsActiveResponse",
    "GetMetricSpec": "GetMetricSpecResponse",
    "GetMetrics": "GetMetricsResponse",
}
"""The message that answers each call. The first two are asked with a ScaledObjectRef."""
MAX_BYTES = 2**20
OPTIONS = (("grpc.max_receive_message_length", MAX_BYTES), ("grpc.enable_retries", 0))


class ScalerError(TemporaryError):
    """The scaler has not answered, or with an error."""


@functools.cache
def messages() -> dict[str, Any]:
    """Returns the classes of all messages. Raises ImportError without protobuf."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    # Built here, and not generated, as generated code is bound to one version of the library.
    file = descriptor_pb2.FileDescriptorProto(name="external_scaler", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (key, kind) in enumerate(fields.items(), 1):
            field = message.field.add(name=key, number=number, label="LABEL_OPTIONAL")
            if kind == "map":
                _make_map(message, field)
            elif kind.startswith("TYPE_"):
                field.type = descriptor_pb2.FieldDescriptorProto.Type.Value(kind)
            else:
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{PACKAGE}.{kind.lstrip('*')}"
                if kind.startswith("*"):
                    field.label = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
    # A pool of its own: a program may have KEDA's generated classes beside these.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in MESSAGES
    }


def _make_map(message: Any, field: Any) -> None:
    """Makes a field one of texts by text, which on the wire is a list of pairs."""
    entry = message.nested_type.add(name=field.name[0].upper() + field.name[1:] + "Entry")
    entry.options.map_entry = True
    for number, key in enumerate(("key", "value"), 1):
        entry.field.add(name=key, number=number, label="LABEL_OPTIONAL", type="TYPE_STRING")
    field.type, field.label = type(field).TYPE_MESSAGE, type(field).LABEL_REPEATED
    field.type_name = f".{PACKAGE}.{message.name}.{entry.name}"


class ExternalScaler:
    """One scaler at "host:port", in the clear or over TLS, over a connection that is kept.

    `tls`: the root certificates, the key and its certificates in PEM, None for each that is not needed; None:
    no TLS. For one thread at a time.
    """

    def __init__(self, address: str, tls: tuple[bytes | None, ...] | None, proxied: bool) -> None:
        self._address = address
        self._tls = tls
        self._options = [*OPTIONS, ("grpc.enable_http_proxy", int(proxied))]
        self._channel: Any = None

    def call(self, name: str, until: float, request: Any) -> Any:
        """Returns the answer to a call, by `until` (monotonic seconds). Raises ScalerError, and ImportError
        without grpcio."""
        import grpc

        # Nothing is sent yet: the library connects at the first call.
        if self._channel is None:
            self._channel = self._connect(grpc)
        method = self._channel.unary_unary(
            f"/{PACKAGE}.{SERVICE}/{name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=messages()[ANSWERS[name]].FromString,
        )
        try:
            return method(request, timeout=max(0.0, until - time.monotonic()))
        except grpc.RpcError as error:
            # A new connection at the next call: the library waits longer with each try of its own.
            self.close()
            raise ScalerError(_told(error)) from None

    def close(self) -> None:
        """Closes the connection; a later call opens a new one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _connect(self, grpc: Any) -> Any:
        if self._tls is None:
            return grpc.insecure_channel(self._address, self._options)
        return grpc.secure_channel(self._address, grpc.ssl_channel_credentials(*self._tls), self._options)


def reference(name: str, namespace: str, metadata: Mapping[str, str]) -> Any:
    """Returns the message that names a scaled object."""
    return messages()["ScaledObjectRef"](name=name, namespace=namespace, scalerMetadata=dict(metadata))


def metric_of(scaled: Any, name: str) -> Any:
    """Returns the message that asks for a metric of a scaled object."""
    return messages()["GetMetricsRequest"](scaledObjectRef=scaled, metricName=name)


def _told(error: Any) -> str:
    code = error.code().name.replace("_", " ").lower()
    details = one_line(str(error.details() or ""))[:200]
    return f"{code}{details and ': '}{details}"
