import { type JSX } from "preact";
import { type JobStand, type MetricSample, type PipelineView } from "../wire-views.ts";
import { GrafanaLink } from "./about.tsx";
import { Lines } from "./charts.tsx";
import { Def, Panel, StateOf } from "./frame.tsx";
import { bytesText, countText, durationText } from "./format.ts";
import { JobGraph } from "./job-graph.tsx";
import { type LiveState } from "./live.ts";
import { useView } from "./view.ts";

const EVERY_MS = 2_000;

/** The machine room: what flows, how fast, who holds it up. */
export function PipelinePage({ live }: { live: LiveState }): JSX.Element {
  const loaded = useView<PipelineView>("api/pipeline", EVERY_MS);
  return (
    <main id="main" class="page" tabIndex={-1}>
      <h1>
        Pipeline <GrafanaLink board="courtside-pipeline" />
      </h1>
      <StateOf loaded={loaded}>{(view) => <Pipeline view={view} live={live} />}</StateOf>
    </main>
  );
}

function Pipeline({ view, live }: { view: PipelineView; live: LiveState }): JSX.Element {
  return (
    <div class="grid-page">
      <Panel title="Job graph" hint={graphHint(view)} class="wide" id="graph">
        <JobGraph view={view} />
      </Panel>
      <Panel title="Latency by stage" hint="last five minutes with plays" id="stages">
        <Stages view={view} live={live} />
      </Panel>
      <Panel title="Load" hint="ten-second steps" id="load">
        {view.load === null || view.load.length === 0 ? (
          <p class="note">The store has no plays yet.</p>
        ) : (
          <>
            <Lines
              name="Plays/s"
              format={(value) => value.toFixed(1)}
              series={[{ label: "in", values: view.load.map(({ plays }) => plays / 10) }]}
            />
            <Lines
              name="Publish → prediction"
              format={durationText}
              series={[
                { label: "p50", values: view.load.map(({ p50 }) => p50) },
                { label: "p99", values: view.load.map(({ p99 }) => p99) },
              ]}
            />
          </>
        )}
      </Panel>
      <Workers view={view} />
      <Streams view={view} />
      <Spans view={view} />
      <DeadLetters view={view} />
      <Metrics metrics={view.metrics} />
    </div>
  );
}

function graphHint(view: PipelineView): string {
  const lag = lagOf(view);
  return lag === null ? "" : `${countText(lag)} plays behind the broker`;
}

/** Messages of the plays' stream that no insight has come from yet; null when the broker does not say. */
function lagOf({ streams, producers }: PipelineView): number | null {
  const plays = streams?.find(({ name }) => name === "PLAYS");
  const reached = Math.max(0, ...producers.map(({ inputSequence }) => inputSequence));
  return plays === undefined ? null : Math.max(0, plays.lastSequence - reached);
}

function Stages({ view, live }: { view: PipelineView; live: LiveState }): JSX.Element {
  const stages = [...(view.stages ?? [])];
  const { latency } = live;
  return (
    <table id="latency-table">
      <thead>
        <tr>
          <th scope="col">Stage</th>
          <th scope="col">Count</th>
          <th scope="col">p50</th>
          <th scope="col">p95</th>
          <th scope="col">p99</th>
        </tr>
      </thead>
      <tbody>
        {stages.map(({ stage, count, p50, p95, p99 }) => (
          <tr key={stage} data-stage={stage}>
            <th scope="row">{stage}</th>
            <td>{countText(count)}</td>
            <td>{durationText(p50)}</td>
            <td>{durationText(p95)}</td>
            <td>{durationText(p99)}</td>
          </tr>
        ))}
        <tr data-stage="publish to pixel">
          <th scope="row">publish to pixel (this page)</th>
          <td>{latency === null ? "–" : countText(latency.count)}</td>
          <td>{latency === null ? "–" : durationText(latency.p50)}</td>
          <td>–</td>
          <td>{latency === null ? "–" : durationText(latency.p99)}</td>
        </tr>
      </tbody>
    </table>
  );
}

/** Squares of the map of key groups; more would be too small to see. */
const MAX_SQUARES = 1_024;

function Workers({ view: { producers, job, streams } }: { view: PipelineView }): JSX.Element {
  const plays = streams?.find(({ name }) => name === "PLAYS")?.lastSequence ?? 0;
  const epochs = [...new Set(producers.map(({ epoch }) => epoch))].toSorted((a, b) => a - b);
  const sorted = producers.toSorted((a, b) => a.keyGroup - b.keyGroup).slice(0, MAX_SQUARES);
  return (
    <Panel
      title={
        <>
          Workers and <Def term="Key group">key groups</Def>
        </>
      }
      hint={`${producers.length} key groups seen, writer epochs ${epochs.join(", ") || "–"}`}
      id="workers"
    >
      {sorted.length === 0 && <p class="note">No insight has arrived yet.</p>}
      <ul class="key-groups">
        {sorted.map(({ job, stage, keyGroup, inputSequence, epoch }) => (
          <li
            key={`${job} ${stage} ${keyGroup}`}
            class={`e${epochs.indexOf(epoch) % 4}`}
            title={`${job}/${stage}, key group ${keyGroup}: input ${inputSequence}${plays > 0 ? ` of ${plays}` : ""}, epoch ${epoch}`}
          >
            {keyGroup}
          </li>
        ))}
      </ul>
      <Regions job={job} />
    </Panel>
  );
}

/** Leases and checkpoints: who holds what, and how far it is safe. */
function Regions({ job }: { job: JobStand | null }): JSX.Element {
  if (job === null) return <p class="note">The broker tells of no workers.</p>;
  const { regions, workers, stopped } = job;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Regions">
      <table id="regions">
        <caption>
          {`${workers.length} ${workers.length === 1 ? "worker" : "workers"}${stopped ? ", stopped with a savepoint" : ""}`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Key groups</th>
            <th scope="col">Worker</th>
            <th scope="col">State</th>
            <th scope="col">Checkpoint</th>
            <th scope="col">Age</th>
            <th scope="col">State size</th>
            <th scope="col">Failures</th>
          </tr>
        </thead>
        <tbody>
          {regions.map((region) => (
            <tr key={region.region} data-region={region.region}>
              <th scope="row">{region.key_groups}</th>
              <td title={region.worker}>
                {region.worker === "" ? "nobody" : region.worker.slice(0, 14)}
              </td>
              <td class={region.error === "" ? "" : "warn"} title={region.error}>
                {region.state}
              </td>
              <td>{countText(region.checkpoint)}</td>
              <td>{ageText(region.checkpoint_time)}</td>
              <td>{bytesText(region.state_bytes)}</td>
              <td class={region.failures > 0 ? "warn" : ""}>{region.failures}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** @param utc - `2026-11-25 02:03:04` */
function ageText(utc: string): string {
  if (utc === "") return "–";
  return durationText(Math.max(0, Date.now() - Date.parse(`${utc.replace(" ", "T")}Z`)));
}

function Streams({ view: { streams } }: { view: PipelineView }): JSX.Element {
  return (
    <Panel title="Streams" hint="of the broker" id="streams">
      {streams === null ? (
        <p class="note problem">The broker does not answer.</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Streams">
          <table>
            <thead>
              <tr>
                <th scope="col">Stream</th>
                <th scope="col">Messages</th>
                <th scope="col">Last</th>
                <th scope="col">Size</th>
                <th scope="col">Readers</th>
              </tr>
            </thead>
            <tbody>
              {streams.map(({ name, messages, lastSequence, bytes, consumers }) => (
                <tr key={name} data-stream={name}>
                  <th scope="row">{name}</th>
                  <td>{countText(messages)}</td>
                  <td>{countText(lastSequence)}</td>
                  <td>{bytesText(bytes)}</td>
                  <td>{consumers}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Spans({ view: { spans } }: { view: PipelineView }): JSX.Element {
  return (
    <Panel title="Spans" hint={<a href="#/traces">traces</a>} id="spans">
      {spans === null || spans.length === 0 ? (
        <p class="note">No trace has been stored yet.</p>
      ) : (
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Spans">
          <table>
            <thead>
              <tr>
                <th scope="col">Span</th>
                <th scope="col">Service</th>
                <th scope="col">Count</th>
                <th scope="col">p50</th>
                <th scope="col">p99</th>
              </tr>
            </thead>
            <tbody>
              {spans.map(({ service, stage, count, p50, p99 }) => (
                <tr key={`${service} ${stage}`}>
                  <th scope="row">{stage}</th>
                  <td>{service}</td>
                  <td>{countText(count)}</td>
                  <td>{durationText(p50)}</td>
                  <td>{durationText(p99)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function DeadLetters({ view: { deadLetters } }: { view: PipelineView }): JSX.Element {
  return (
    <Panel title="Dead letters" hint="inputs that could not be used, by reason" id="dead-letters">
      {deadLetters === null && <p class="note">The store does not answer.</p>}
      {deadLetters?.length === 0 && <p class="note">None.</p>}
      <ul class="pairs">
        {(deadLetters ?? []).map(({ reason, count }) => (
          <li key={reason}>
            <span>{reason}</span> <b>{countText(count)}</b>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** Histograms show as their mean; buckets are for Prometheus. */
function Metrics({ metrics }: { metrics: readonly MetricSample[] | null }): JSX.Element {
  const shown = (metrics ?? []).filter(
    ({ name }) => name.startsWith("courtside_") && !name.endsWith("_bucket"),
  );
  return (
    <Panel title="Metrics of the insight job" class="wide" id="metrics">
      {metrics === null ? (
        <p class="note">The job's metrics endpoint does not answer.</p>
      ) : (
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Metrics">
          <table>
            <tbody>
              {shown.map(({ name, labels, value }) => {
                const text = Object.entries(labels)
                  .filter(([key]) => !key.startsWith("otel_"))
                  .map(([key, label]) => `${key}=${label}`)
                  .join(" ");
                return (
                  <tr key={`${name} ${text}`}>
                    <th scope="row">{name.replace("courtside_", "").replaceAll("_", " ")}</th>
                    <td>{text}</td>
                    <td>{Number.isInteger(value) ? countText(value) : value.toPrecision(5)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
