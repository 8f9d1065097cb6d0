import { type JSX } from "preact";
import { type WireSpan } from "../wire.ts";
import { durationText } from "./format.ts";

/** Hues by service, told apart by their order too: each bar names its service. */
const SERVICE_CLASSES = 6;

/** Spans of one trace as bars on one time axis, children under their parents. */
export function Waterfall({ spans }: { spans: readonly WireSpan[] }): JSX.Element {
  const startUs = Math.min(...spans.map((span) => span.startUs));
  const endUs = Math.max(...spans.map((span) => span.startUs + span.durationUs));
  const wholeUs = Math.max(1, endUs - startUs);
  const services = [...new Set(spans.map(({ service }) => service))];
  return (
    <ol
      class="waterfall"
      aria-label={`Trace of ${spans.length} spans, ${durationText(wholeUs / 1000)}`}
    >
      {ordered(spans).map(({ span, depth }) => {
        const left = ((span.startUs - startUs) / wholeUs) * 100;
        const width = Math.max(0.3, (span.durationUs / wholeUs) * 100);
        const attributes = Object.entries(span.attributes)
          .map(([name, value]) => `${name} = ${value}`)
          .join("\n");
        return (
          <li key={span.spanId} data-span={span.name} title={attributes}>
            <span class="span-name" style={{ paddingInlineStart: `${depth * 0.8}rem` }}>
              {span.name} <small>{span.service}</small>
              {span.status === "Error" && <b class="warn"> failed</b>}
            </span>
            <span class="span-lane">
              <i
                class={`span-bar s${services.indexOf(span.service) % SERVICE_CLASSES}`}
                style={{ left: `${left}%`, width: `${Math.min(width, 100 - left)}%` }}
              />
            </span>
            <span class="span-time">{durationText(span.durationUs / 1000)}</span>
          </li>
        );
      })}
    </ol>
  );
}

/** Depth first, brothers by start; a span whose parent is not here is a root. */
function ordered(spans: readonly WireSpan[]): { span: WireSpan; depth: number }[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const children = Map.groupBy(spans, ({ parentSpanId }) =>
    ids.has(parentSpanId) ? parentSpanId : "",
  );
  const rows: { span: WireSpan; depth: number }[] = [];
  const seen = new Set<string>();
  const visit = (parent: string, depth: number): void => {
    for (const span of (children.get(parent) ?? []).toSorted((a, b) => a.startUs - b.startUs)) {
      if (seen.has(span.spanId)) continue;
      seen.add(span.spanId);
      rows.push({ span, depth });
      visit(span.spanId, depth + 1);
    }
  };
  visit("", 0);
  return rows;
}
