"""A real external scaler of KEDA, a gRPC server as its documentation describes one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from microscaling.clients.external_scaler import PACKAGE, SERVICE, messages


class Scaler:
    """Has one metric, of which a test sets the value. `asked` holds the requests by call."""

    def __init__(self, *, key: bytes = b"", certificate: bytes = b"", clients: bytes = b"") -> None:
        self.value: float = 0
        self.active = True
        self.specs = [("queue-length", 5.0)]
        self.in_floats = False
        self.values = 1
        self.asked: list[tuple[str, Any]] = []
        self.tls = (key, certificate, clients)

    def __enter__(self) -> Scaler:
        import grpc

        self.pool = ThreadPoolExecutor(1)
        self.pool.submit(int).result()  # a thread that came during a test would pass for left behind
        self.server = grpc.server(self.pool)
        kinds = messages()
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                getattr(self, name), kinds[request].FromString, lambda answer: answer.SerializeToString()
            )
            for name, request in (
                ("IsActive", "ScaledObjectRef"),
                ("GetMetricSpec", "ScaledObjectRef"),
                ("GetMetrics", "GetMetricsRequest"),
            )
        }
        handler = grpc.method_handlers_generic_handler(f"{PACKAGE}.{SERVICE}", handlers)
        self.server.add_generic_rpc_handlers((handler,))
        key, certificate, clients = self.tls
        if key:
            credentials = grpc.ssl_server_credentials([(key, certificate)], clients or None, bool(clients))
            port = self.server.add_secure_port("127.0.0.1:0", credentials)
        else:
            port = self.server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop(0).wait()
        self.pool.shutdown()

    def IsActive(self, request: Any, context: Any) -> Any:
        self.asked.append(("IsActive", request))
        return messages()["IsActiveResponse"](result=self.active)

    def GetMetricSpec(self, request: Any, context: Any) -> Any:
        self.asked.append(("GetMetricSpec", request))
        kind = messages()["MetricSpec"]
        key = "targetSizeFloat" if self.in_floats else "targetSize"
        specs = [kind(metricName=name, **{key: self._sized(target)}) for name, target in self.specs]
        return messages()["GetMetricSpecResponse"](metricSpecs=specs)

    def GetMetrics(self, request: Any, context: Any) -> Any:
        self.asked.append(("GetMetrics", request))
        if self.value is None:
            import grpc

            context.abort(grpc.StatusCode.INTERNAL, "no such queue\nat all")
        key = "metricValueFloat" if self.in_floats else "metricValue"
        value = messages()["MetricValue"](metricName=request.metricName, **{key: self._sized(self.value)})
        return messages()["GetMetricsResponse"](metricValues=[value] * self.values)

    def _sized(self, value: float) -> float:
        return value if self.in_floats else int(value)
