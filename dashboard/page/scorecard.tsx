import { type ComponentChildren, type JSX } from "preact";
import { type ModelView } from "../wire-views.ts";
import { gameHref } from "./address.ts";
import { Def, Panel } from "./frame.tsx";
import { countText, signed } from "./format.ts";

/** A population stability index from which an input counts as moved, as the scorecard job has it. */
const MUCH_DRIFT = 0.25;

/** What the scorecard job has found: drift with its games, champion against challengers, scores by slice, alarms. */
export function Scorecard({ view, version }: { view: ModelView; version: string }): JSX.Element {
  const { drift, versus, alarms } = view;
  const scores = view.scores.filter((score) => score.version === version);
  return (
    <>
      <Panel title="Drift" hint="inputs by week against those of training" class="wide" id="drift">
        <Rows
          name="Drift"
          empty="Nothing yet: the scorecard job has compared no game."
          heads={["Input", "Week", "Games", <Def term="PSI" />, "KS", "Games with most part in it"]}
          rows={drift.map(({ feature, week, games, psi, ks, gameIds }) => [
            feature.replaceAll("_", " "),
            week,
            games,
            <span class={psi > MUCH_DRIFT ? "warn" : ""}>{psi.toFixed(3)}</span>,
            ks.toFixed(3),
            <GameLinks ids={gameIds} />,
          ])}
        />
      </Panel>
      <Panel title="Champion and challengers" hint="on the same games" id="versus">
        <Rows
          name="Champion and challengers"
          empty="No challenger runs in the shadow; `courtside models promote VERSION challenger` starts one."
          heads={["Challenger", "Champion", "Games", "Brier difference", "z"]}
          rows={versus.map((row) => [
            `${row.challenger} (${row.role})`,
            row.champion,
            row.games,
            signed(row.brierDifference, 4),
            signed(row.z, 2),
          ])}
        />
      </Panel>
      <Panel title="Alarms" hint="raised once a week and subject" id="alarms">
        <Rows
          name="Alarms"
          empty="None."
          heads={["Alarm", "Subject", "Week", "Value", "Limit", "Games"]}
          rows={alarms.map(({ alarm, subject, week, value, threshold, gameIds }) => [
            alarm.replaceAll("_", " "),
            subject,
            week,
            value.toPrecision(3),
            threshold.toPrecision(3),
            <GameLinks ids={gameIds} />,
          ])}
        />
      </Panel>
      <Panel title="Scorecard" hint={`${version}, games that ended here`} class="wide" id="scores">
        <Rows
          name="Scorecard"
          empty="Nothing yet: the scorecard job has scored no game of this version."
          heads={[
            "Slice",
            "Role",
            "Games",
            "Plays",
            <Def term="Brier" />,
            <Def term="Log loss" />,
            "AUC",
            "Calibration error",
          ]}
          rows={scores.map((score) => [
            `${score.kind.replaceAll("_", " ")} ${score.slice}`.trim(),
            score.role,
            score.games,
            countText(score.predictions),
            score.brier.toFixed(4),
            score.logLoss.toFixed(4),
            score.auc?.toFixed(4) ?? "–",
            score.calibrationError.toFixed(4),
          ])}
        />
      </Panel>
    </>
  );
}

function GameLinks({ ids }: { ids: readonly string[] }): JSX.Element {
  return (
    <>
      {ids.slice(0, 5).map((id) => (
        <a key={id} href={gameHref(id)}>{`${id} `}</a>
      ))}
    </>
  );
}

interface RowsProps {
  readonly name: string;
  readonly empty: string;
  readonly heads: readonly ComponentChildren[];
  readonly rows: readonly (readonly ComponentChildren[])[];
}

function Rows({ name, empty, heads, rows }: RowsProps): JSX.Element {
  if (rows.length === 0) return <p class="note">{empty}</p>;
  return (
    <div class="scroll tall" tabIndex={0} role="region" aria-label={name}>
      <table>
        <thead>
          <tr>
            {heads.map((head, at) => (
              <th key={at} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([first, ...rest], row) => (
            <tr key={row}>
              <th scope="row">{first}</th>
              {rest.map((cell, at) => (
                <td key={at}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
