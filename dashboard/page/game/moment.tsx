import { type JSX } from "preact";
import { type FeatureValue, type GameSummary, type PlayMoment } from "../../wire.ts";
import { Def, Panel, StateOf } from "../frame.tsx";
import { changeText, durationText, percentText, signed } from "../format.ts";
import { type Loaded } from "../view.ts";
import { Waterfall } from "../waterfall.tsx";

/** Inputs that moved the probability most; the rest adds up in one line. */
const SHOWN_CONTRIBUTIONS = 8;

interface MomentPanelProps {
  readonly loaded: Loaded<PlayMoment>;
  /** Q3 4:12 */
  readonly when: string;
  readonly summary: GameSummary;
}

/** A past play as it was: state, model inputs, prediction, contributions, trace. */
export function MomentPanel({ loaded, when, summary }: MomentPanelProps): JSX.Element {
  return (
    <Panel title={`As it was at ${when}`} class="moment" id="moment">
      <StateOf loaded={loaded}>{(moment) => <Moment moment={moment} summary={summary} />}</StateOf>
    </Panel>
  );
}

function Moment({ moment, summary }: { moment: PlayMoment; summary: GameSummary }): JSX.Element {
  const { play, modelName, modelVersion, publishToPredictionMs, publishToRowMs, traceId } = moment;
  const { homeWinProb, low, high, revision, number } = play;
  const range = low === null || high === null ? "" : ` [${percentText(low)}–${percentText(high)}]`;
  return (
    <div class="moment-body" data-play={number}>
      <dl class="facts">
        <Fact name="Play" value={`${number}${revision > 1 ? `, revision ${revision}` : ""}`} />
        <Fact
          name="Prediction"
          value={`${summary.home.tricode} ${homeWinProb === null ? "–" : `${(homeWinProb * 100).toFixed(1)}%`}${range}`}
        />
        <Fact name="Model" value={`${modelName} ${modelVersion}`.trim() || "–"} />
        <Fact
          name="Publish → prediction"
          value={publishToPredictionMs === null ? "–" : durationText(publishToPredictionMs)}
        />
        <Fact
          name="Publish → row"
          value={publishToRowMs === null ? "–" : durationText(publishToRowMs)}
        />
      </dl>
      <div class="moment-parts">
        <Why moment={moment} summary={summary} />
        <State state={moment.state} />
        <Features features={moment.features} />
      </div>
      <h3>Trace</h3>
      {moment.spans.length > 0 ? (
        <>
          <Waterfall spans={moment.spans} />
          <p class="note">
            <a href={`#/trace/${traceId}`}>{`Open trace ${traceId.slice(0, 8)}…`}</a>
          </p>
        </>
      ) : (
        <p class="note">
          {traceId === ""
            ? "This play was not sampled; its latency is above all the same."
            : `The spans of trace ${traceId} are not in the store (yet).`}
        </p>
      )}
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Why({ moment, summary }: { moment: PlayMoment; summary: GameSummary }): JSX.Element {
  const { contributions } = moment;
  if (contributions === null) {
    return (
      <section>
        <h3>Why</h3>
        <p class="note">The scoring server gives no contributions for this prediction.</p>
      </section>
    );
  }
  const sorted = contributions.toSorted(
    (a, b) => Math.abs(b.contribution) - Math.abs(a.contribution),
  );
  const shown = sorted.slice(0, SHOWN_CONTRIBUTIONS);
  const rest = sorted.slice(SHOWN_CONTRIBUTIONS).reduce((sum, each) => sum + each.contribution, 0);
  const most = Math.max(0.001, ...shown.map(({ contribution }) => Math.abs(contribution)));
  return (
    <section>
      <h3>
        Why <small>{`points for ${summary.home.tricode}, against the tip-off`}</small>
      </h3>
      <ul class="contributions" id="contributions">
        {[...shown, { feature: "all others", contribution: rest }].map(
          ({ feature, contribution }) => (
            <li key={feature} class={contribution >= 0 ? "home" : "away"}>
              <span>{feature.replaceAll("_", " ")}</span>
              <span class="contribution-bar" aria-hidden="true">
                <i style={{ width: `${(Math.abs(contribution) / most) * 50}%` }} />
              </span>
              <b>{changeText(contribution * 100)}</b>
            </li>
          ),
        )}
      </ul>
    </section>
  );
}

/** Fields that other parts of the page show. */
const ELSEWHERE = new Set(["gameId", "homeTeam", "awayTeam", "lastPlays"]);

function State({ state }: { state: PlayMoment["state"] }): JSX.Element {
  const entries = Object.entries(state ?? {}).filter(
    ([name, value]) => !ELSEWHERE.has(name) && typeof value !== "object",
  );
  return (
    <section>
      <h3>State</h3>
      {entries.length === 0 && <p class="note">The insight has no state.</p>}
      <dl class="pairs" id="state">
        {entries.map(([name, value]) => (
          <div key={name}>
            <dt>{spaced(name)}</dt>
            <dd>{typeof value === "number" ? shortNumber(value) : String(value)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Features({ features }: { features: readonly FeatureValue[] | null }): JSX.Element {
  return (
    <section>
      <h3>
        <Def term="Win probability">Model inputs</Def>
      </h3>
      {features === null && <p class="note">The store has no inputs of this play (yet).</p>}
      <dl class="pairs" id="features">
        {(features ?? []).map(({ name, unit, description, value }) => (
          <div key={name} title={`${description} Unit: ${unit}`}>
            <dt>{name.replaceAll("_", " ")}</dt>
            <dd data-feature={name} data-value={value}>
              {shortNumber(value)} <small>{unit === "1" ? "" : unit}</small>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function spaced(camel: string): string {
  return camel.replaceAll(/(?<=[a-z])(?=[A-Z0-9])/gu, " ").toLowerCase();
}

function shortNumber(value: number): string {
  return Number.isInteger(value)
    ? signed(value).replace("+", "")
    : String(Number(value.toPrecision(4)));
}
