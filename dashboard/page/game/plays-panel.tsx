import { type JSX } from "preact";
import { type GameSummary, type PlayRow } from "../../wire.ts";
import { Def, Panel } from "../frame.tsx";
import { clockText, percentText, periodText } from "../format.ts";
import { swingText } from "../tonight.tsx";
import { type Timeline } from "./timeline.ts";

/** Plays in the list; all of them are on the curve. */
const LISTED_PLAYS = 60;
/** Below this a change is not worth a number. */
const LEAST_SHOWN = 0.0005;
const BIG_CHANGE = 0.05;

interface PlaysPanelProps {
  readonly summary: GameSummary;
  /** All plays, those taken back too. */
  readonly plays: readonly PlayRow[];
  readonly timeline: Timeline;
  /** Number of the past play that is looked at; 0 for none. */
  readonly currentNumber: number;
  readonly onSelect: (playNumber: number) => void;
}

/**
 * Newest first; around the past play when one is looked at. Rows keep their place and height and change their content, so a
 * new play moves nothing.
 */
export function PlaysPanel(props: PlaysPanelProps): JSX.Element {
  const { summary, plays, timeline, currentNumber, onSelect } = props;
  const changes = new Map(timeline.plays.map(({ number }, at) => [number, timeline.changes[at]]));
  const until = currentNumber === 0 ? plays.length : endOf(plays, currentNumber);
  const listed = plays.slice(Math.max(0, until - LISTED_PLAYS), until).toReversed();
  return (
    <section class="panel plays" aria-labelledby="plays-title">
      <header>
        <h2 id="plays-title">{currentNumber === 0 ? "Last plays" : "Plays up to then"}</h2>
        <p class="hint">change of win probability</p>
      </header>
      <ol id="plays" reversed tabIndex={0} aria-labelledby="plays-title">
        {listed.length === 0 && <li class="note">No play yet.</li>}
        {listed.map((play, at) => (
          <PlayItem
            key={at}
            play={play}
            change={changes.get(play.number) ?? null}
            summary={summary}
            isCurrent={play.number === currentNumber}
            onSelect={onSelect}
          />
        ))}
      </ol>
    </section>
  );
}

function endOf(plays: readonly PlayRow[], number: number): number {
  const at = plays.findIndex((play) => play.number > number);
  return at < 0 ? plays.length : at;
}

interface PlayItemProps {
  readonly play: PlayRow;
  readonly change: number | null;
  readonly summary: GameSummary;
  readonly isCurrent: boolean;
  readonly onSelect: (playNumber: number) => void;
}

function PlayItem({ play, change, summary, isCurrent, onSelect }: PlayItemProps): JSX.Element {
  const swing =
    change === null || Math.abs(change) < LEAST_SHOWN ? "" : change > 0 ? "home" : "away";
  const isBig = change !== null && Math.abs(change) >= BIG_CHANGE;
  const { side, retracted, revision, number } = play;
  const text = play.text === "" ? play.kind : play.text;
  return (
    <li
      value={number}
      class={`play ${side ?? ""}${retracted ? " retracted" : ""}${isCurrent ? " current" : ""}`}
      data-play={number}
    >
      <button
        type="button"
        tabIndex={-1}
        title={text}
        disabled={retracted || play.homeWinProb === null}
        onClick={() => onSelect(number)}
      >
        <span class="play-time">{`${periodText(play.period)} ${clockText(play.clockS)}`}</span>
        <span class="play-text">
          {side !== null && <b class={`play-team ${side}`}>{summary[side].tricode}</b>}
          {` ${text}`}
          {retracted && <span class="chip">taken back</span>}
          {revision > 1 && !retracted && <span class="chip">corrected</span>}
        </span>
        <span class={`change ${swing}${isBig ? " big" : ""}`}>
          {swing === "" ? "·" : swingText(change ?? 0, summary)}
        </span>
        <span class={`play-score${play.points > 0 ? " scored" : ""}`}>
          {`${play.awayScore}–${play.homeScore}`}
        </span>
      </button>
    </li>
  );
}

interface SwingsPanelProps {
  readonly summary: GameSummary;
  readonly timeline: Timeline;
  readonly onSelect: (playNumber: number) => void;
}

/** The plays that moved the curve most; each has its number on it. */
export function SwingsPanel({ summary, timeline, onSelect }: SwingsPanelProps): JSX.Element {
  const { swings, plays } = timeline;
  return (
    <Panel
      title="Biggest swings"
      hint={<Def term="Win probability">before → after</Def>}
      class="swings"
    >
      {swings.length === 0 && <p class="note">Nothing has moved yet.</p>}
      <ol id="swings">
        {swings.map(({ index, before, after }, rank) => {
          const play = plays[index];
          if (play === undefined) return null;
          const side = after > before ? "home" : "away";
          const seen = (prob: number): string => percentText(side === "home" ? prob : 1 - prob);
          return (
            <li key={rank} data-play={play.number}>
              <button type="button" onClick={() => onSelect(play.number)} title={play.text}>
                <span class="rank">{rank + 1}</span>
                <span class="play-time">{`${periodText(play.period)} ${clockText(play.clockS)}`}</span>
                <span class="swing-text">{play.text === "" ? play.kind : play.text}</span>
                <span class="swing-way">
                  {`${summary[side].tricode} ${seen(before)} → ${seen(after)}`}
                </span>
                <b class={`change ${side}`}>{swingText(after - before, summary)}</b>
              </button>
            </li>
          );
        })}
      </ol>
    </Panel>
  );
}
