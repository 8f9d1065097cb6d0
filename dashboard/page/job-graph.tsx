import { type JSX } from "preact";
import { type MetricSample, type PipelineView } from "../wire-views.ts";
import { countText, durationText } from "./format.ts";

interface Box {
  readonly name: string;
  readonly what: string;
  readonly lines: readonly string[];
  readonly state: "ok" | "wait" | "bad";
}

/** The way of a play through the machine room, each part with what it says of itself. */
export function JobGraph({ view }: { view: PipelineView }): JSX.Element {
  return (
    <ol class="graph-boxes">
      {boxesOf(view).map(({ name, what, lines, state }) => (
        <li key={name} class={`graph-box ${state}`} data-part={name}>
          <b>{name}</b>
          <small>{what}</small>
          {lines.map((line) => (
            <span key={line}>{line}</span>
          ))}
        </li>
      ))}
    </ol>
  );
}

function boxesOf(view: PipelineView): Box[] {
  const { streams, producers, stages, deadLetters } = view;
  const stream = (name: string): { messages: number; lastSequence: number } | undefined =>
    streams?.find((each) => each.name === name);
  const [plays, insights] = [stream("PLAYS"), stream("INSIGHTS")];
  const reached = Math.max(0, ...producers.map(({ inputSequence }) => inputSequence));
  const toPrediction = stages?.find(({ stage }) => stage === "publish to prediction");
  const toRow = stages?.find(({ stage }) => stage === "publish to visible row");
  const lag = plays === undefined ? 0 : Math.max(0, plays.lastSequence - reached);
  const letters = (deadLetters ?? []).reduce((sum, { count }) => sum + count, 0);
  return [
    broker("PLAYS", "broker, what happened", plays),
    {
      name: "insight job",
      what: "state · windows · features",
      lines: [
        `input ${countText(reached)}`,
        `${countText(lag)} behind`,
        ...jobLines(view.metrics ?? []),
      ],
      state: producers.length === 0 ? "wait" : lag > 100 ? "bad" : "ok",
    },
    {
      name: "serving",
      what: "model over gRPC",
      lines:
        toPrediction === undefined
          ? ["no prediction yet"]
          : [`p50 ${durationText(toPrediction.p50)}`, `p99 ${durationText(toPrediction.p99)}`],
      state: toPrediction === undefined ? "wait" : "ok",
    },
    broker("INSIGHTS", "broker, what follows", insights),
    {
      name: "ClickHouse",
      what: "rows with each checkpoint",
      lines:
        stages === null
          ? ["does not answer"]
          : toRow === undefined
            ? ["no row yet"]
            : [`p50 ${durationText(toRow.p50)}`, `${countText(letters)} dead letters`],
      state: stages === null ? "bad" : toRow === undefined ? "wait" : "ok",
    },
  ];
}

function broker(
  name: string,
  what: string,
  stand: { messages: number; lastSequence: number } | undefined,
): Box {
  const lines =
    stand === undefined
      ? ["not there"]
      : [`${countText(stand.messages)} messages`, `last ${countText(stand.lastSequence)}`];
  return { name, what, lines, state: stand === undefined ? "wait" : "ok" };
}

/** Gauges that the job may tell of itself, in the words of the page. */
const GAUGES: readonly (readonly [metric: RegExp, text: (value: number) => string])[] = [
  [/^courtside_.*watermark_lag.*ms/u, (value) => `watermark ${durationText(value)} behind`],
  [/^courtside_.*blocked.*(?:ratio|share)/u, (value) => `held up ${Math.round(value * 100)}%`],
  [/^courtside_.*busy.*(?:ratio|share)/u, (value) => `busy ${Math.round(value * 100)}%`],
];

function jobLines(metrics: readonly MetricSample[]): string[] {
  const lines: string[] = [];
  for (const [pattern, text] of GAUGES) {
    const values = metrics.filter(({ name }) => pattern.test(name)).map(({ value }) => value);
    if (values.length > 0) lines.push(text(Math.max(...values)));
  }
  const mean = meanOf(metrics, /^courtside_checkpoint_duration/u);
  if (mean !== null) lines.push(`checkpoint ${durationText(mean)}`);
  return lines;
}

function meanOf(metrics: readonly MetricSample[], pattern: RegExp): number | null {
  const total = (ending: string): number =>
    metrics
      .filter(({ name }) => pattern.test(name) && name.endsWith(ending))
      .reduce((sum, { value }) => sum + value, 0);
  const count = total("_count");
  return count === 0 ? null : total("_sum") / count;
}
