"""A stock OpenTelemetry app: sends one chat call and its request with each exporter.

usage: send.py GRPC_ENDPOINT HTTP_ENDPOINT
"""

import sys

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

grpc, http = sys.argv[1:]
for name, exporter in {
    "grpc": Grpc(endpoint=grpc, insecure=True),
    "http": Http(endpoint=http + "/v1/traces"),
    "gzip": Http(endpoint=http + "/v1/traces", compression=Compression.Gzip),
}.items():
    provider = TracerProvider(resource=Resource.create({"service.name": "python-" + name}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("app")
    with tracer.start_as_current_span("ask", attributes={"user.id": "u-1"}):
        with tracer.start_as_current_span("chat gpt-4o-mini", kind=SpanKind.CLIENT) as span:
            span.set_attributes({
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o-mini",
                "gen_ai.usage.input_tokens": 1000,
                "gen_ai.usage.output_tokens": 100,
            })
    if not provider.force_flush():
        sys.exit(name + ": not flushed")
    provider.shutdown()
