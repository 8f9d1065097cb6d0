import { type JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type GameSummary } from "../../wire.ts";
import { type Theme } from "../colours.ts";
import { GrafanaLink } from "../about.tsx";
import { Curve } from "../curve.ts";
import { Def } from "../frame.tsx";
import { changeText, clockText, percentText, periodText } from "../format.ts";
import { type Timeline } from "./timeline.ts";

interface CurvePanelProps {
  readonly summary: GameSummary;
  readonly timeline: Timeline;
  /** Point that is looked at; null goes with the game. */
  readonly selected: number | null;
  readonly hovered: number | null;
  readonly onHover: (point: number | null) => void;
  readonly onSelect: (point: number | null) => void;
  readonly theme: Theme;
}

export function CurvePanel(props: CurvePanelProps): JSX.Element {
  const { summary, timeline, selected, hovered, onSelect, theme } = props;
  const container = useRef<HTMLDivElement>(null);
  const curve = useRef<Curve | null>(null);
  const handlers = useRef(props);
  handlers.current = props;
  useEffect(() => {
    if (container.current === null) return;
    const made = new Curve(container.current, {
      onHover: (index) => handlers.current.onHover(index),
      onSelect: (index) => handlers.current.onSelect(index),
    });
    curve.current = made;
    return () => made.close();
  }, []);
  const { points, marks, swingPoints } = timeline;
  const { home, away } = summary;
  useEffect(() => {
    const teams = { home: home.tricode, away: away.tricode };
    curve.current?.update({ points, marks, swings: swingPoints, teams });
  }, [points, marks, swingPoints, home.tricode, away.tricode]);
  useEffect(() => curve.current?.select(selected), [selected]);
  useEffect(() => curve.current?.recolour(), [theme, home.tricode, away.tricode]);
  const shown = hovered ?? selected ?? points.length - 1;
  const text = readoutText(summary, timeline, shown);
  return (
    <section class="panel curve" aria-labelledby="curve-title">
      <header>
        <h2 id="curve-title">
          <Def term="Win probability" />
        </h2>
        <p class="hint">
          drag or ← → to travel through the plays{" "}
          <GrafanaLink board="courtside-game" values={{ game: summary.id }} />
        </p>
      </header>
      <div
        id="chart"
        class="chart"
        ref={container}
        role="slider"
        tabIndex={0}
        aria-label="Win probability by play"
        aria-valuemin={0}
        aria-valuemax={Math.max(0, points.length - 1)}
        aria-valuenow={Math.max(0, shown)}
        aria-valuetext={text}
        onKeyDown={(event) => walk(event, selected, points.length - 1, onSelect)}
      />
      <p class="readout" id="readout">
        {text}
      </p>
      <Legend />
      {points.length <= 1 && (
        <p class="chart-empty" id="chart-empty">
          {waitText(summary, timeline)}
        </p>
      )}
    </section>
  );
}

function readoutText(summary: GameSummary, timeline: Timeline, at: number): string {
  const point = timeline.points[at];
  if (point === undefined) return "";
  const index = timeline.playAt[at] ?? -1;
  const play = timeline.plays[index];
  const before = timeline.points[at - 1];
  const change = before === undefined ? 0 : (point.homeWinProb - before.homeWinProb) * 100;
  const chance = `${summary.home.tricode} ${percentText(point.homeWinProb)} (${changeText(change)})`;
  if (play === undefined) return `${chance} · Before tip-off`;
  const { period, clockS, awayScore, homeScore, text, kind, low, high, revision } = play;
  const range = low === null || high === null ? "" : ` [${percentText(low)}–${percentText(high)}]`;
  const note = revision > 1 ? " (corrected)" : "";
  return `${chance}${range} · ${periodText(period)} ${clockText(clockS)}, ${awayScore}–${homeScore}, ${text === "" ? kind : text}${note}`;
}

function waitText({ status, home }: GameSummary, { points, pregame }: Timeline): string {
  const chance =
    pregame === null ? "" : ` · before tip-off ${home.tricode} ${percentText(pregame)}`;
  if (status === "scheduled" || points.length === 0) return `Waiting for the first play${chance}`;
  return `Waiting for the first prediction${chance}`;
}

function walk(
  event: KeyboardEvent,
  selected: number | null,
  last: number,
  onSelect: (point: number | null) => void,
): void {
  const from = selected ?? last;
  const targets: Record<string, number | null> = {
    ArrowLeft: Math.max(0, from - 1),
    ArrowRight: Math.min(last, from + 1),
    ArrowDown: Math.max(0, from - 1),
    ArrowUp: Math.min(last, from + 1),
    PageUp: Math.min(last, from + 20),
    PageDown: Math.max(0, from - 20),
    Home: 0,
    End: null,
    Escape: null,
  };
  const target = targets[event.key];
  if (target === undefined || last < 0) return;
  event.preventDefault();
  onSelect(target);
}

function Legend(): JSX.Element {
  return (
    <ul class="legend" aria-label="Marks on the curve">
      <li>
        <i class="key band" /> <Def term="Interval">interval</Def>
      </li>
      <li>
        <i class="key run" /> <Def term="8–0 run">run of 8+</Def>
      </li>
      <li>
        <i class="key timeout" /> time-out
      </li>
      <li>
        <i class="key lead" /> lead change
      </li>
      <li>
        <i class="key revised" /> corrected play
      </li>
      <li>
        <i class="key swing">1</i> biggest swings
      </li>
    </ul>
  );
}
