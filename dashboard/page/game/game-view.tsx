import { type JSX } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type GameSummary, type PlayMoment, type WindowRow } from "../../wire.ts";
import { gameHref } from "../address.ts";
import { teamColours, type Theme } from "../colours.ts";
import { clockText, periodText } from "../format.ts";
import { type LiveState, type Watched } from "../live.ts";
import { Card, Empty, HiddenNote, useStableOrder, walkLinks } from "../tonight.tsx";
import { memo } from "../memo.ts";
import { type Loaded, useView } from "../view.ts";
import { BoxPanel } from "./box.tsx";
import { Bug } from "./bug.tsx";
import { CourtPanel } from "./court.tsx";
import { CurvePanel } from "./curve-panel.tsx";
import { FormPanel } from "./form.tsx";
import { MomentPanel } from "./moment.tsx";
import { PlaysPanel, SwingsPanel } from "./plays-panel.tsx";
import { pointOfNumber, type Timeline, timelineOf } from "./timeline.ts";
import { WhatIfPanel } from "./what-if.tsx";

const NO_WINDOWS: readonly WindowRow[] = [];

/** Walking along the curve asks the server only where one stops. */
const SETTLE_MS = 180;
/** The large panels follow where one pauses; score and curve follow with every frame. */
const CALM_MS = 120;

interface GameViewProps {
  readonly id: string;
  readonly play: number;
  readonly live: LiveState;
  readonly theme: Theme;
}

export function GameView({ id, play, live, theme }: GameViewProps): JSX.Element {
  const summary = live.games.get(id);
  const watched = live.watched?.id === id ? live.watched : null;
  return (
    <div class="layout">
      <Rail live={live} currentId={id} theme={theme} />
      <main id="main" tabIndex={-1}>
        <h1 class="visually-hidden">
          {summary === undefined ? "Game" : `${summary.away.name} at ${summary.home.name}`}
        </h1>
        {summary === undefined || watched === null ? (
          <Empty live={live} wanted={summary === undefined ? id : ""} />
        ) : (
          <Game summary={summary} watched={watched} play={play} theme={theme} />
        )}
      </main>
    </div>
  );
}

function Rail({
  live,
  currentId,
  theme,
}: {
  live: LiveState;
  currentId: string;
  theme: Theme;
}): JSX.Element {
  const ids = useStableOrder(live.games, "time");
  return (
    <nav class="games" aria-labelledby="games-title">
      <h2 id="games-title">
        Games <span id="games-count">{live.games.size}</span>
      </h2>
      <ul id="game-list" onKeyDown={walkLinks}>
        {ids.map((id) => {
          const game = live.games.get(id);
          return game === undefined ? null : (
            <Card key={id} game={game} theme={theme} small current={id === currentId} />
          );
        })}
      </ul>
      <HiddenNote live={live} />
    </nav>
  );
}

interface GameProps {
  readonly summary: GameSummary;
  readonly watched: Watched;
  readonly play: number;
  readonly theme: Theme;
}

function Game({ summary, watched, play, theme }: GameProps): JSX.Element {
  const { plays, facts } = watched;
  const timeline = useMemo(() => timelineOf({ plays, facts }), [plays, facts]);
  const [selected, select] = useSelected(summary.id, play, timeline);
  const [hovered, setHovered] = useState<number | null>(null);
  const calm = useSettled(selected, CALM_MS);
  const isPast = selected !== null;
  const index = indexOf(timeline, selected);
  const row = timeline.plays[index];
  const asked = useSettled(isPast ? (row?.number ?? 0) : 0, SETTLE_MS);
  const path = asked === 0 ? "" : `api/games/${encodeURIComponent(summary.id)}/plays/${asked}`;
  const moment = useView<PlayMoment>(path, 0);
  const past = isPast && moment.data?.play.number === row?.number ? moment.data : null;
  const colours = teamColours(summary.home.tricode, summary.away.tricode, theme);
  return (
    <div
      class="game"
      id="game"
      data-past={isPast}
      style={{ "--home": colours.home, "--away": colours.away }}
    >
      <Bug
        summary={summary}
        situation={isPast ? (past?.situation ?? null) : watched.situation}
        facts={facts}
        result={watched.result}
        past={isPast ? (row ?? null) : null}
        pregame={isPast && index < 0 ? timeline.pregame : null}
        onLive={() => select(null)}
      />
      <CurvePanel
        key={summary.id}
        summary={summary}
        timeline={timeline}
        selected={selected}
        hovered={hovered}
        onHover={setHovered}
        onSelect={select}
        theme={theme}
      />
      <Below
        summary={summary}
        watched={watched}
        timeline={timeline}
        point={calm}
        moment={moment}
        onSelect={select}
      />
    </div>
  );
}

/** Index in the plays of a point of the curve; of the last play for null, -1 before tip-off. */
function indexOf(timeline: Timeline, point: number | null): number {
  return point === null ? timeline.plays.length - 1 : (timeline.playAt[point] ?? -1);
}

interface BelowProps {
  readonly summary: GameSummary;
  readonly watched: Watched;
  readonly timeline: Timeline;
  /** Point that is looked at, once a pointer that hurries along the curve pauses. */
  readonly point: number | null;
  readonly moment: Loaded<PlayMoment>;
  readonly onSelect: (point: number | null) => void;
}

/** Everything but score and curve: it need not be drawn with every step along the curve. */
const Below = memo(function Below(props: BelowProps) {
  const { summary, watched, timeline, point, moment, onSelect } = props;
  const isPast = point !== null;
  const index = indexOf(timeline, point);
  const row = timeline.plays[index];
  const past = isPast && moment.data?.play.number === row?.number ? moment.data : null;
  const selectPlay = (number: number): void => onSelect(pointOfNumber(timeline, number));
  return (
    <>
      <PlaysPanel
        summary={summary}
        plays={watched.plays}
        timeline={timeline}
        currentNumber={isPast ? (row?.number ?? 0) : 0}
        onSelect={selectPlay}
      />
      <SwingsPanel summary={summary} timeline={timeline} onSelect={selectPlay} />
      <CourtPanel summary={summary} plays={timeline.plays} until={index} />
      <FormPanel
        summary={summary}
        windows={isPast ? (past?.windows ?? NO_WINDOWS) : watched.windows}
        trend={watched.trend}
        untilS={isPast ? (row?.elapsedS ?? 0) : null}
      />
      {isPast && <MomentPanel loaded={moment} when={whenText(row)} summary={summary} />}
      <WhatIfPanel summary={summary} row={row ?? null} isPast={isPast} />
      <BoxPanel
        summary={summary}
        players={past === null || past.players.length === 0 ? watched.players : past.players}
        plays={timeline.plays}
        pregame={timeline.pregame}
        until={index}
        isPast={isPast}
        nowS={row?.elapsedS ?? 0}
      />
    </>
  );
});

function whenText(row: { period: number; clockS: number } | undefined): string {
  return row === undefined
    ? "before tip-off"
    : `${periodText(row.period)} ${clockText(row.clockS)}`;
}

/** Where one looks: a point of the curve, or null to go with the game. The address follows when one stops. */
function useSelected(
  id: string,
  play: number,
  timeline: Timeline,
): [number | null, (point: number | null) => void] {
  const [point, setPoint] = useState<number | null>(() => pointOfNumber(timeline, play));
  const [addressed, setAddressed] = useState(play);
  if (addressed !== play) {
    // Another address was opened, or the player went back.
    setAddressed(play);
    setPoint(pointOfNumber(timeline, play));
  }
  const number = point === null ? 0 : (timeline.plays[timeline.playAt[point] ?? -1]?.number ?? 0);
  const settled = useSettled(number, SETTLE_MS);
  useEffect(() => {
    const hash = gameHref(id, settled);
    if (location.hash !== hash) history.replaceState(null, "", hash);
  }, [id, settled]);
  const last = useRef(0);
  last.current = timeline.points.length - 1;
  const select = useCallback((wanted: number | null): void => {
    // At the end the dot goes on with the game.
    setPoint(wanted !== null && wanted >= last.current ? null : wanted);
  }, []);
  return [point, select];
}

/** The value once it has stood still for `afterMs`. */
function useSettled<T>(value: T, afterMs: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    if (value === settled) return;
    const timer = setTimeout(() => setSettled(() => value), afterMs);
    return () => clearTimeout(timer);
  }, [value, settled, afterMs]);
  return settled;
}
