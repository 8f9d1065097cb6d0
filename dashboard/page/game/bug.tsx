import { type JSX } from "preact";
import {
  type GameFacts,
  type GameSituation,
  type GameSummary,
  type PlayRow,
  type ResultLine,
  type WireSide,
} from "../../wire.ts";
import { Def } from "../frame.tsx";
import { clockText, durationText, percentText, periodText, signed, standText } from "../format.ts";

/** Time-outs a team may have at most, rule 5. */
const MAX_TIMEOUTS = 7;
/** Unanswered points from which a run is worth a word. */
const RUN_WORTH_SHOWING = 5;

interface BugProps {
  readonly summary: GameSummary;
  readonly situation: GameSituation | null;
  readonly facts: GameFacts | null;
  readonly result: ResultLine | null;
  /** The past play that is looked at; null goes with the game. */
  readonly past: PlayRow | null;
  /** Set when one looks at the time before the first play. */
  readonly pregame: number | null;
  readonly onLive: () => void;
}

/** The score bug: teams, score, clock, chances, and what the teams have left. */
export function Bug(props: BugProps): JSX.Element {
  const { summary, past, pregame, onLive } = props;
  const isPast = past !== null || pregame !== null;
  const prob = past?.homeWinProb ?? (isPast ? pregame : summary.homeWinProb);
  return (
    <section class="panel bug" id="bug" aria-label="Score" data-past={isPast}>
      <Team side="away" {...props} />
      <div class="stand">
        <p class="stand-clock">
          {past !== null
            ? `${periodText(past.period)} ${clockText(past.clockS)}`
            : isPast
              ? "Before tip-off"
              : standText(summary)}
        </p>
        {isPast ? (
          <button type="button" class="back-live" onClick={onLive}>
            {summary.status === "live" ? "Back to live" : "Back to the end"}
          </button>
        ) : (
          <p class="stand-note">{standNote(props)}</p>
        )}
      </div>
      <Team side="home" {...props} />
      <ChanceBar away={summary.away.tricode} home={summary.home.tricode} prob={prob} />
      <BugNote {...props} />
    </section>
  );
}

function Team({ side, ...props }: BugProps & { side: WireSide }): JSX.Element {
  const { summary, situation, past, pregame } = props;
  const isHome = side === "home";
  const run = (past?.run ?? situation?.currentRun ?? 0) * (isHome ? 1 : -1);
  const isOver = summary.status === "final" && past === null;
  const { tricode, name } = summary[side];
  const possession = past === null ? situation?.possession : past.possession;
  const score = scoreOf(summary, past, pregame !== null, isHome);
  return (
    <div class={`team ${side}`}>
      <p class="team-name">
        <span class="tricode">{tricode}</span>
        <span class="full-name">{name === tricode ? "" : name}</span>
        <span
          class={`ball${!isOver && possession === side ? "" : " none"}`}
          role="img"
          aria-label={possession === side ? `${tricode} has the ball` : ""}
          aria-hidden={possession === side ? undefined : "true"}
        />
      </p>
      <p class="score">{score}</p>
      <p class="team-facts">
        {isOver ? <Elo {...props} isHome={isHome} /> : <Left {...props} isHome={isHome} />}
        {!isOver && run >= RUN_WORTH_SHOWING && <span class="chip run">{`${run}–0 run`}</span>}
      </p>
    </div>
  );
}

function scoreOf(
  summary: GameSummary,
  past: PlayRow | null,
  isBefore: boolean,
  isHome: boolean,
): number | string {
  if (isBefore) return 0;
  if (past !== null) return isHome ? past.homeScore : past.awayScore;
  if (summary.status === "scheduled") return "–";
  return isHome ? summary.homeScore : summary.awayScore;
}

/** Fouls, bonus and time-outs. */
function Left({ situation, isHome }: BugProps & { isHome: boolean }): JSX.Element | null {
  if (situation === null) return <span class="team-empty">&nbsp;</span>;
  const fouls = isHome ? situation.homeFouls : situation.awayFouls;
  const timeouts = isHome ? situation.homeTimeouts : situation.awayTimeouts;
  const bonus = (isHome ? situation.homeInBonus : situation.awayInBonus) ?? false;
  return (
    <>
      {timeouts !== null && (
        <span
          class="pips"
          role="img"
          aria-label={`${timeouts} time-outs left`}
          title="Time-outs left"
        >
          {Array.from({ length: Math.min(timeouts, MAX_TIMEOUTS) }, (_, index) => (
            <i key={index} class="pip" />
          ))}
        </span>
      )}
      {fouls !== null && (
        <span class="fouls" title="Team fouls in this period">{`Fouls ${fouls}`}</span>
      )}
      {bonus && (
        <span class="chip" title="The other side's next foul gives free throws">
          Bonus
        </span>
      )}
    </>
  );
}

function Elo({ facts, result, isHome }: BugProps & { isHome: boolean }): JSX.Element | null {
  if (result !== null) {
    const [before, after] = isHome
      ? [result.homeEloBefore, result.homeEloAfter]
      : [result.awayEloBefore, result.awayEloAfter];
    return (
      <span title="Elo rating after the game, and what the game did to it">
        {`Elo ${Math.round(after)} (${signed(after - before, 1)})`}
      </span>
    );
  }
  const elo = isHome ? facts?.homeElo : facts?.awayElo;
  return elo === null || elo === undefined ? null : <span>{`Elo ${Math.round(elo)}`}</span>;
}

function standNote({ summary, facts }: BugProps): string {
  const place = [summary.date, facts?.venue ?? ""].filter((text) => text !== "").join(" · ");
  if (summary.status !== "live") return place;
  const silentMs = Date.now() - summary.lastPlayTimeMs;
  return silentMs > 60_000 ? `last play ${durationText(silentMs)} ago` : place;
}

function ChanceBar({
  away,
  home,
  prob,
}: {
  away: string;
  home: string;
  prob: number | null;
}): JSX.Element {
  if (prob === null) return <p class="chance-none">No prediction yet</p>;
  return (
    <div class="chance" data-prob={String(prob)}>
      <span class="chance-text away">
        {percentText(1 - prob)}
        <span class="visually-hidden">{` ${away} wins`}</span>
      </span>
      <span class="chance-bar" aria-hidden="true">
        <span class="chance-away" style={{ width: `${(1 - prob) * 100}%` }} />
      </span>
      <span class="chance-text home">
        {percentText(prob)}
        <span class="visually-hidden">{` ${home} wins`}</span>
      </span>
    </div>
  );
}

function BugNote({ summary, situation, result, past }: BugProps): JSX.Element {
  if (result !== null && past === null) {
    const winner = result.homeScore > result.awayScore ? summary.home : summary.away;
    const margin = Math.abs(result.homeScore - result.awayScore);
    const overtime = result.periods > 4 ? ` after ${periodText(result.periods)}` : "";
    return (
      <p class="bug-note">
        {`${winner.name} won by ${margin}${overtime} · ${result.plays} plays · `}
        <Def term="Excitement" /> {summary.excitement.toFixed(1)}
        {summary.comeback !== null && (
          <>
            {" · "}
            <Def term="Comeback" /> {`from ${percentText(1 - summary.comeback)}`}
          </>
        )}
      </p>
    );
  }
  if (situation === null) return <p class="bug-note">&nbsp;</p>;
  const { homeRunProb, awayRunProb, leadChanges, model } = situation;
  return (
    <p class="bug-note">
      {past === null && summary.leverage !== null && (
        <>
          <Def term="Leverage" /> {`${summary.leverage.toFixed(1)} · `}
        </>
      )}
      {homeRunProb !== null && awayRunProb !== null && (
        <>
          <Def term="8–0 run" />
          {` within 3 min: ${summary.away.tricode} ${percentText(awayRunProb)}, ${summary.home.tricode} ${percentText(homeRunProb)} · `}
        </>
      )}
      {leadChanges !== null && `Lead changes ${leadChanges}`}
      {model !== "" && ` · Model ${model}`}
    </p>
  );
}
