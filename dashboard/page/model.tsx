import { type JSX } from "preact";
import { useState } from "preact/hooks";
import { type ModelEntry, type ModelView } from "../wire-views.ts";
import { GrafanaLink } from "./about.tsx";
import { Bars, Reliability } from "./charts.tsx";
import { Def, Panel, StateOf } from "./frame.tsx";
import { countText } from "./format.ts";
import { Scorecard } from "./scorecard.tsx";
import { useView } from "./view.ts";

const EVERY_MS = 15_000;

/** Which models there are, how good they are on the games played here, and what they were judged by before. */
export function ModelPage(): JSX.Element {
  const loaded = useView<ModelView>("api/models", EVERY_MS);
  return (
    <main id="main" class="page" tabIndex={-1}>
      <h1>
        Model <GrafanaLink board="courtside-drift" />
      </h1>
      <StateOf loaded={loaded}>{(view) => <Models view={view} />}</StateOf>
    </main>
  );
}

function Models({ view }: { view: ModelView }): JSX.Element {
  const versions = [
    ...new Set([
      ...view.models.map(({ version }) => version),
      ...view.versions.map(({ version }) => version),
    ]),
  ];
  const [wanted, setWanted] = useState("");
  const version = versions.includes(wanted)
    ? wanted
    : (view.versions[0]?.version ?? versions[0] ?? "");
  const entry = view.models.find((model) => model.version === version);
  const byTime = view.byTime.filter((bucket) => bucket.version === version);
  const bins = view.reliability.filter((bin) => bin.version === version);
  return (
    <div class="grid-page">
      <Versions view={view} versions={versions} current={version} onChoose={setWanted} />
      <Panel title="Reliability" hint={`${version}, games that ended here`}>
        {bins.length === 0 ? <NotYet /> : <Reliability bins={bins} name={version} />}
      </Panel>
      <Panel
        title={
          <>
            <Def term="Brier" /> by time left
          </>
        }
        hint="against score and time alone (Stern 1994), same plays"
      >
        {byTime.length === 0 ? (
          <NotYet />
        ) : (
          <Bars
            format={(value) => value.toFixed(4)}
            rows={byTime.map(({ left, plays, brier, baseline }) => ({
              label: left,
              note: `${countText(plays)} plays`,
              values: [
                { name: "model", value: brier },
                { name: "baseline", value: baseline },
              ],
            }))}
          />
        )}
      </Panel>
      <Card entry={entry} version={version} />
      <Scorecard view={view} version={version} />
    </div>
  );
}

function NotYet(): JSX.Element {
  return <p class="note">No game that this version predicted has ended yet.</p>;
}

interface VersionsProps {
  readonly view: ModelView;
  readonly versions: readonly string[];
  readonly current: string;
  readonly onChoose: (version: string) => void;
}

/** Champion and challengers side by side. */
function Versions({ view, versions, current, onChoose }: VersionsProps): JSX.Element {
  return (
    <Panel title="Versions" hint="champion and challengers on the same games" class="wide">
      <div class="scroll" tabIndex={0} role="region" aria-label="Versions">
        <table id="versions">
          <thead>
            <tr>
              <th scope="col">Version</th>
              <th scope="col">Role</th>
              <th scope="col">Plays</th>
              <th scope="col">Games</th>
              <th scope="col">
                <Def term="Brier">Brier here</Def>
              </th>
              <th scope="col">Brier when judged</th>
              <th scope="col">Last prediction</th>
            </tr>
          </thead>
          <tbody>
            {versions.map((version) => {
              const use = view.versions.find((each) => each.version === version);
              const entry = view.models.find((each) => each.version === version);
              const judged = slicesOf(entry)[0]?.model["brier"];
              return (
                <tr
                  key={version}
                  data-version={version}
                  class={version === current ? "current" : ""}
                >
                  <th scope="row">
                    <button
                      type="button"
                      aria-pressed={version === current}
                      onClick={() => onChoose(version)}
                    >
                      {version}
                    </button>
                  </th>
                  <td>
                    {entry?.aliases.join(", ") ||
                      (entry === undefined ? "not in the registry" : "–")}
                  </td>
                  <td class="use-plays">{use === undefined ? "–" : countText(use.plays)}</td>
                  <td>{use === undefined ? "–" : countText(use.games)}</td>
                  <td class="brier" data-raw={use?.brier ?? ""}>
                    {use?.brier?.toFixed(4) ?? "–"}
                  </td>
                  <td>{judged?.toFixed(4) ?? "–"}</td>
                  <td>{use?.last.slice(0, 19) ?? "–"}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

interface Slice {
  readonly slice: string;
  readonly rows: number;
  readonly model: Readonly<Record<string, number>>;
  /** Other predictors on the same rows: `baseline`, and what was published. */
  readonly [predictor: string]: unknown;
}

function slicesOf(entry: ModelEntry | undefined): readonly Slice[] {
  const evaluation = entry?.card["evaluation"] as { slices?: readonly Slice[] } | undefined;
  return evaluation?.slices ?? [];
}

/** The model card: what it was trained on, what it may be trusted for, how it was judged against others. */
function Card({ entry, version }: { entry: ModelEntry | undefined; version: string }): JSX.Element {
  if (entry === undefined) {
    return (
      <Panel title="Card" class="wide">
        <p class="note">{`The registry has no card of ${version === "" ? "any model" : version}.`}</p>
      </Panel>
    );
  }
  const training = entry.card["training"] as Record<string, unknown> | undefined;
  const evaluation = entry.card["evaluation"] as Record<string, unknown> | undefined;
  const limits = (entry.card["limits"] ?? []) as readonly string[];
  const seasons = (training?.["seasons"] ?? []) as readonly string[];
  return (
    <Panel title={`Card of ${entry.name} ${entry.version}`} class="wide" id="card">
      <dl class="facts">
        <div>
          <dt>Method</dt>
          <dd>{textOf(training?.["method"])}</dd>
        </div>
        <div>
          <dt>Trained on</dt>
          <dd>{`${seasons[0] ?? "–"} to ${seasons.at(-1) ?? "–"}, ${textOf(training?.["games"])} games`}</dd>
        </div>
        <div>
          <dt>Judged on</dt>
          <dd>{`${textOf(evaluation?.["season"])}, ${textOf(evaluation?.["games"])} games`}</dd>
        </div>
        <div>
          <dt>Inputs</dt>
          <dd>{`schema ${textOf(entry.card["schemaHash"])}`}</dd>
        </div>
      </dl>
      {limits.length > 0 && (
        <ul class="limits">
          {limits.map((limit) => (
            <li key={limit}>{limit}</li>
          ))}
        </ul>
      )}
      <Slices slices={slicesOf(entry)} />
    </Panel>
  );
}

function Slices({ slices }: { slices: readonly Slice[] }): JSX.Element {
  const predictors = predictorsOf(slices);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Brier score by slice">
      <table>
        <caption class="visually-hidden">Brier score by slice and predictor</caption>
        <thead>
          <tr>
            <th scope="col">Brier by slice</th>
            <th scope="col">Rows</th>
            {predictors.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {slices.map((slice) => (
            <tr key={slice.slice}>
              <th scope="row">{slice.slice}</th>
              <td>{countText(slice.rows)}</td>
              {predictors.map((name) => (
                <td key={name}>{brierOf(slice[name])?.toFixed(4) ?? "–"}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Every predictor that a slice has a Brier score of, the model first. */
function predictorsOf(slices: readonly Slice[]): string[] {
  const names = new Set(["model"]);
  for (const slice of slices)
    for (const [name, value] of Object.entries(slice))
      if (brierOf(value) !== undefined) names.add(name);
  return [...names];
}

function brierOf(value: unknown): number | undefined {
  const brier = (value as { brier?: unknown } | null | undefined)?.brier;
  return typeof brier === "number" ? brier : undefined;
}

function textOf(value: unknown): string {
  if (typeof value === "number") return countText(value);
  return typeof value === "string" && value !== "" ? value : "–";
}
