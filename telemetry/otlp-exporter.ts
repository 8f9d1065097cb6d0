import { ExportResultCode } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { ExportListener } from "./clickhouse-span-exporter.ts";

/**
 * Sends spans to a Collector by OTLP over HTTP. Other variables of the specification (`OTEL_EXPORTER_OTLP_HEADERS`,
 * `_TIMEOUT`, `_COMPRESSION`, `_CERTIFICATE`) are read by the exporter itself.
 */
export function otlpExporter(endpoint: string, listener: ExportListener): SpanExporter {
  const url = `${endpoint.replace(/\/$/, "")}/v1/traces`;
  const exporter = new OTLPTraceExporter({ url });
  return {
    export: (spans, done) => {
      exporter.export(spans, (result) => {
        // Not by its code: the exporter brings a copy of the package that the codes come from.
        const { error } = result;
        const failed = error !== undefined;
        listener(spans.length, error);
        done({
          code: failed ? ExportResultCode.FAILED : ExportResultCode.SUCCESS,
          ...(error && { error }),
        });
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush(),
  };
}
