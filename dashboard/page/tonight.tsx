import { type JSX } from "preact";
import { memo } from "./memo.ts";
import { useRef, useState } from "preact/hooks";
import { type GameSummary, type WireSide } from "../wire.ts";
import { gameHref } from "./address.ts";
import { teamColours, type Theme } from "./colours.ts";
import { Def } from "./frame.tsx";
import { changeText, percentText, standText } from "./format.ts";
import { type LiveState } from "./live.ts";

export type Order = "time" | "leverage" | "excitement";

/** Tonight's games as cards. */
export function TonightPage({ live, theme }: { live: LiveState; theme: Theme }): JSX.Element {
  const [order, setOrder] = useState<Order>("time");
  const ids = useStableOrder(live.games, order);
  const games = ids.flatMap((id) => live.games.get(id) ?? []);
  return (
    <main id="main" class="tonight" tabIndex={-1}>
      <header class="tonight-head">
        <h1>Tonight</h1>
        <p class="hint">{countsOf(games)}</p>
        <HottestLink games={games} />
        <label class="order">
          Order{" "}
          <select value={order} onChange={(event) => setOrder(event.currentTarget.value as Order)}>
            <option value="time">by time</option>
            <option value="leverage">by leverage</option>
            <option value="excitement">by excitement</option>
          </select>
        </label>
      </header>
      {games.length === 0 ? (
        <Empty live={live} wanted="" />
      ) : (
        <ul id="game-list" class="cards" onKeyDown={walkLinks}>
          {games.map((game) => (
            <Card key={game.id} game={game} theme={theme} />
          ))}
        </ul>
      )}
      <HiddenNote live={live} />
    </main>
  );
}

export function HiddenNote({ live }: { live: LiveState }): JSX.Element | null {
  const hidden = live.status?.notShown ?? 0;
  if (hidden === 0) return null;
  return <p class="note">{`${hidden} more in the stream than this page keeps.`}</p>;
}

function countsOf(games: readonly GameSummary[]): string {
  const of = (status: string): number => games.filter((game) => game.status === status).length;
  const parts = [
    [of("live"), "live"],
    [of("scheduled"), "to come"],
    [of("final"), "final"],
  ] as const;
  return parts.flatMap(([count, word]) => (count === 0 ? [] : `${count} ${word}`)).join(" · ");
}

/** The live game in which most is at stake; its place is kept free so that nothing moves when it changes. */
function HottestLink({ games }: { games: readonly GameSummary[] }): JSX.Element {
  const live = games.filter(({ status, leverage }) => status === "live" && leverage !== null);
  const hottest = live.toSorted((a, b) => (b.leverage ?? 0) - (a.leverage ?? 0))[0];
  if (hottest === undefined) return <p class="hottest" />;
  const { away, home, id, leverage } = hottest;
  return (
    <p class="hottest">
      {"Most at stake: "}
      <a href={gameHref(id)}>{`${away.tricode}–${home.tricode}`}</a>
      {` ${standText(hottest)}, leverage ${(leverage ?? 0).toFixed(1)}`}
    </p>
  );
}

/**
 * Order of the cards: made when the page comes up or the person chooses another, then kept, new games at the end. Cards that
 * jump while one looks at them are worse than cards that are not quite in order.
 */
export function useStableOrder(
  games: ReadonlyMap<string, GameSummary>,
  order: Order,
): readonly string[] {
  const kept = useRef<{ order: Order; ids: string[] }>({ order, ids: [] });
  if (kept.current.order !== order) kept.current = { order, ids: [] };
  const { ids } = kept.current;
  const known = new Set(ids);
  const fresh = [...games.values()].filter(({ id }) => !known.has(id));
  if (fresh.length > 0) ids.push(...fresh.sort(COMPARE[order]).map(({ id }) => id));
  if (ids.some((id) => !games.has(id))) kept.current.ids = ids.filter((id) => games.has(id));
  return kept.current.ids;
}

const RANK = { live: 0, scheduled: 1, final: 2 };

/** Live games first, then those to come, then the finished ones, newest first. */
function byInterest(a: GameSummary, b: GameSummary): number {
  if (a.status !== b.status) return RANK[a.status] - RANK[b.status];
  const byTime = a.tipoffTimeMs - b.tipoffTimeMs || a.id.localeCompare(b.id);
  return a.status === "final" ? -byTime : byTime;
}

const COMPARE: Readonly<Record<Order, (a: GameSummary, b: GameSummary) => number>> = {
  time: byInterest,
  leverage: (a, b) => (b.leverage ?? -1) - (a.leverage ?? -1) || byInterest(a, b),
  excitement: (a, b) => b.excitement - a.excitement || byInterest(a, b),
};

interface CardProps {
  readonly game: GameSummary;
  readonly theme: Theme;
  readonly small?: boolean;
  readonly current?: boolean;
}

/** A game in short; drawn again only when its line of the list has changed. */
export const Card = memo(function Card({ game, theme, small = false, current }: CardProps) {
  const colours = teamColours(game.home.tricode, game.away.tricode, theme);
  const { homeWinProb, status } = game;
  const ahead: WireSide = homeWinProb !== null && homeWinProb < 0.5 ? "away" : "home";
  const chance =
    homeWinProb === null
      ? ""
      : `${game[ahead].tricode} ${percentText(Math.max(homeWinProb, 1 - homeWinProb))}`;
  return (
    <li data-game={game.id} style={{ "--home": colours.home, "--away": colours.away }}>
      <a
        class={`card${small ? " small" : ""}`}
        href={gameHref(game.id)}
        aria-current={current === true ? "page" : undefined}
        data-status={status}
      >
        <span class="card-teams">
          <CardTeam game={game} side="away" />
          <CardTeam game={game} side="home" />
        </span>
        <span class="card-side">
          <span class="card-stand">{standText(game)}</span>
          <Spark game={game} />
          <span class={`card-chance ${ahead}`}>{chance}</span>
        </span>
        {!small && (
          <span class="card-meters">
            <Meter
              name="Leverage"
              value={game.leverage ?? 0}
              full={5}
              hot={(game.leverage ?? 0) >= 3}
            />
            <Meter name="Excitement" value={game.excitement} full={10} hot={game.excitement >= 8} />
            <span class="meter-text">
              <Def term="Comeback" />
              <b>{game.comeback === null ? "–" : percentText(1 - game.comeback)}</b>
            </span>
          </span>
        )}
      </a>
    </li>
  );
});

function CardTeam({ game, side }: { game: GameSummary; side: WireSide }): JSX.Element {
  const [mine, other] =
    side === "home" ? [game.homeScore, game.awayScore] : [game.awayScore, game.homeScore];
  const lost = game.status === "final" && mine < other;
  const hasBall = game.status === "live" && game.possession === side;
  return (
    <span class={`card-team ${side}${lost ? " lost" : ""}`}>
      <b>
        <i class="swatch" />
        {game[side].tricode}
        <i class={`card-ball${hasBall ? "" : " none"}`} />
      </b>
      <span class="card-score">{game.status === "scheduled" ? "" : mine}</span>
    </span>
  );
}

interface MeterProps {
  readonly name: "Leverage" | "Excitement";
  readonly value: number;
  readonly full: number;
  readonly hot: boolean;
}

function Meter({ name, value, full, hot }: MeterProps): JSX.Element {
  return (
    <span class={`meter${hot ? " hot" : ""}`}>
      <span class="meter-text">
        <Def term={name} />
        <b>{value.toFixed(1)}</b>
      </span>
      <span class="meter-bar">
        <i style={{ width: `${Math.min(100, (value / full) * 100)}%` }} />
      </span>
    </span>
  );
}

/** The curve in small, one point a game minute. */
function Spark({ game: { spark } }: { game: GameSummary }): JSX.Element {
  const width = Math.max(48, spark.length);
  const points = spark.flatMap((value, minute) =>
    value === null ? [] : `${minute + 0.5},${100 - value}`,
  );
  return (
    <svg class="spark" viewBox={`0 0 ${width} 100`} preserveAspectRatio="none" aria-hidden="true">
      <path class="spark-middle" d={`M0 50H${width}`} />
      <polyline class="spark-curve" points={points.join(" ")} />
    </svg>
  );
}

/** Why there is nothing to see. */
export function Empty({ live, wanted }: { live: LiveState; wanted: string }): JSX.Element {
  const [title, text] = emptyWords(live, wanted);
  return (
    <section class="empty" id="empty">
      <h2 id="empty-title">{title}</h2>
      <p>{text}</p>
    </section>
  );
}

function emptyWords(live: LiveState, wanted: string): [title: string, text: string] {
  const phase = live.status?.phase ?? "waiting";
  if (live.link === "lost")
    return ["No connection", "The dashboard does not answer; trying again."];
  if (live.hasSnapshot && wanted !== "" && live.games.size > 0) {
    return [
      "No such game",
      "It is not in the stream, or it was too long ago. Choose one from the list.",
    ];
  }
  if (phase === "catching-up") return ["Reading what is stored", "The games appear in a moment."];
  if (live.hasSnapshot || (live.status !== null && phase === "waiting")) {
    return [
      "Waiting for the first game",
      "Nothing has been published yet. It appears here by itself.",
    ];
  }
  return ["Connecting", "The page is asking the dashboard for its games."];
}

/** Arrow keys go through the games. */
export function walkLinks(event: KeyboardEvent): void {
  const links = [...(event.currentTarget as HTMLElement).querySelectorAll("a")];
  const at = links.findIndex((link) => link === document.activeElement);
  if (at < 0) return;
  const targets: Record<string, number> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    ArrowRight: at + 1,
    ArrowLeft: at - 1,
    Home: 0,
    End: links.length - 1,
  };
  const link = links[targets[event.key] ?? -1];
  if (link === undefined) return;
  event.preventDefault();
  link.focus();
}

/** A change told from the side that it helps. */
export function swingText(change: number, game: GameSummary): string {
  const side = change > 0 ? game.home : game.away;
  return `${side.tricode} ${changeText(Math.abs(change) * 100)}`;
}
