// Game list, score bug and play list.
import {
  changeText,
  clockText,
  durationText,
  el,
  gameSentence,
  percentText,
  periodText,
  standText,
} from "./format.js";

/** Plays in the list; all of them are on the curve. */
const LISTED_PLAYS = 60;
/** Time-outs a team may have at most, rule 5. */
const MAX_TIMEOUTS = 7;
/** Unanswered points from which a run is worth a word. */
const RUN_WORTH_SHOWING = 5;
const SVG = "http://www.w3.org/2000/svg";

/** @typedef {import("../wire.ts").GameSummary} GameSummary */
/** @typedef {import("../wire.ts").PlayRow} PlayRow */

/**
 * Brings the list up to date; cards stay the same elements, so that the focus stays.
 * @param {HTMLElement} list
 * @param {Iterable<GameSummary>} games
 * @param {string} selectedId
 */
export function renderGameList(list, games, selectedId) {
  /** @type {Map<string | undefined, HTMLElement>} */
  const cards = new Map(
    [...list.children].map((item) => [
      /** @type {HTMLElement} */ (item).dataset["game"],
      /** @type {HTMLElement} */ (item),
    ]),
  );
  const focused = document.activeElement;
  /** @type {Element | null} */
  let previous = null;
  for (const game of [...games].sort(byInterest)) {
    const item = cards.get(game.id) ?? el("li", { "data-game": game.id }, el("a"));
    cards.delete(game.id);
    updateCard(item, game, game.id === selectedId);
    /** @type {Element | null} */
    const place = previous === null ? list.firstElementChild : previous.nextElementSibling;
    if (place !== item) list.insertBefore(item, place);
    previous = item;
  }
  for (const item of cards.values()) item.remove();
  if (focused instanceof HTMLElement && list.contains(focused)) focused.focus();
}

/** Live games first, then those to come, then the finished ones, newest first. @param {GameSummary} a @param {GameSummary} b */
function byInterest(a, b) {
  const order = { live: 0, scheduled: 1, final: 2 };
  if (a.status !== b.status) return order[a.status] - order[b.status];
  const byTime = a.tipoffTimeMs - b.tipoffTimeMs || a.id.localeCompare(b.id);
  return a.status === "final" ? -byTime : byTime;
}

/** @param {HTMLElement} item @param {GameSummary} game @param {boolean} isSelected */
function updateCard(item, game, isSelected) {
  const version = `${JSON.stringify(game)} ${isSelected}`;
  if (item.dataset["version"] === version) return;
  item.dataset["version"] = version;
  const link = /** @type {HTMLElement} */ (item.firstElementChild);
  link.className = "card";
  link.setAttribute("href", `#/game/${encodeURIComponent(game.id)}`);
  link.setAttribute("aria-label", gameSentence(game));
  link.dataset["status"] = game.status;
  if (isSelected) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
  const hasStarted = game.status !== "scheduled";
  /** @param {"home" | "away"} side */
  const row = (side) => {
    const score = side === "home" ? game.homeScore : game.awayScore;
    const other = side === "home" ? game.awayScore : game.homeScore;
    const lost = game.status === "final" && score < other;
    return el(
      "span",
      { class: `card-team ${side}${lost ? " lost" : ""}` },
      el("b", {}, game[side].tricode),
      el("span", { class: "card-score" }, hasStarted ? String(score) : ""),
    );
  };
  const { homeWinProb } = game;
  const leads = homeWinProb !== null && homeWinProb < 0.5 ? "away" : "home";
  const chance = leads === "home" || homeWinProb === null ? homeWinProb : 1 - homeWinProb;
  const chanceText = homeWinProb === null ? "" : `${game[leads].tricode} ${percentText(chance)}`;
  link.replaceChildren(
    el("span", { class: "card-teams" }, row("away"), row("home")),
    el(
      "span",
      { class: "card-side" },
      el("span", { class: "card-stand" }, standText(game)),
      spark(game),
      el("span", { class: `card-chance ${leads}` }, chanceText),
    ),
  );
}

/** @param {GameSummary} game @returns {SVGElement} the curve in small, one point a game minute */
function spark({ spark: values }) {
  const svg = document.createElementNS(SVG, "svg");
  const width = Math.max(48, values.length);
  svg.setAttribute("viewBox", `0 0 ${width} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  const middle = document.createElementNS(SVG, "path");
  middle.setAttribute("d", `M0 50H${width}`);
  middle.setAttribute("class", "spark-middle");
  const curve = document.createElementNS(SVG, "polyline");
  const points = values.flatMap((value, minute) =>
    value === null ? [] : `${minute + 0.5},${100 - value}`,
  );
  curve.setAttribute("points", points.join(" "));
  curve.setAttribute("class", "spark-curve");
  svg.append(middle, curve);
  return svg;
}

/**
 * @param {HTMLElement} bug
 * @param {import("../wire.ts").GameDetail} game
 * @param {number} nowMs
 */
export function renderBug(bug, { summary, situation, facts, result }, nowMs) {
  /** @param {"home" | "away"} side */
  const team = (side) => {
    const isHome = side === "home";
    const run = isHome ? (situation?.currentRun ?? 0) : -(situation?.currentRun ?? 0);
    const bonus = (isHome ? situation?.homeInBonus : situation?.awayInBonus) ?? false;
    const fouls = isHome ? situation?.homeFouls : situation?.awayFouls;
    const timeouts = isHome ? situation?.homeTimeouts : situation?.awayTimeouts;
    const isLive = summary.status === "live";
    const hasBall = isLive && situation?.possession === side;
    return el(
      "div",
      { class: `team ${side}`, "data-side": side },
      el(
        "div",
        { class: "team-name" },
        el("span", { class: "tricode" }, summary[side].tricode),
        el("span", { class: "ball", hidden: !hasBall, role: "img", "aria-label": "has the ball" }),
        el("span", { class: "full-name" }, summary[side].name),
      ),
      el(
        "div",
        { class: "score" },
        summary.status === "scheduled"
          ? "–"
          : String(isHome ? summary.homeScore : summary.awayScore),
      ),
      el(
        "div",
        { class: "team-facts" },
        ...(isLive
          ? liveFacts(fouls ?? null, bonus, timeouts ?? null, run)
          : [eloText(isHome, facts, result)]),
      ),
    );
  };
  const { homeWinProb } = summary;
  bug.replaceChildren(
    team("away"),
    el(
      "div",
      { class: "stand" },
      el("span", { class: "stand-clock" }, standText(summary)),
      el("span", { class: "stand-note" }, standNote(summary, facts, nowMs)),
    ),
    team("home"),
    chanceBar(summary.away.tricode, summary.home.tricode, homeWinProb),
    el("p", { class: "bug-note" }, bugNote(summary, situation, result)),
  );
}

/** @param {number | null} fouls @param {boolean} bonus @param {number | null} timeouts @param {number} run @returns {HTMLElement[]} */
function liveFacts(fouls, bonus, timeouts, run) {
  const parts = [];
  if (fouls !== null) parts.push(el("span", { class: "fact" }, `Fouls ${fouls}`));
  // The other team's fouls put this one into the bonus.
  if (bonus) parts.push(el("span", { class: "chip" }, "Bonus"));
  if (timeouts !== null) {
    const pips = Array.from({ length: Math.min(timeouts, MAX_TIMEOUTS) }, () =>
      el("i", { class: "pip" }),
    );
    const label = `${timeouts} time-out${timeouts === 1 ? "" : "s"} left`;
    parts.push(
      el("span", { class: "pips", role: "img", "aria-label": label, title: label }, ...pips),
    );
  }
  if (run >= RUN_WORTH_SHOWING) parts.push(el("span", { class: "chip run" }, `Run ${run}–0`));
  return parts;
}

/** @param {boolean} isHome @param {import("../wire.ts").GameFacts | null} facts @param {import("../wire.ts").ResultLine | null} result */
function eloText(isHome, facts, result) {
  if (result !== null) {
    const [before, after] = isHome
      ? [result.homeEloBefore, result.homeEloAfter]
      : [result.awayEloBefore, result.awayEloAfter];
    return el(
      "span",
      { class: "fact" },
      `Elo ${Math.round(after)} (${changeText(after - before)})`,
    );
  }
  const elo = isHome ? facts?.homeElo : facts?.awayElo;
  return el(
    "span",
    { class: "fact" },
    elo === null || elo === undefined ? "" : `Elo ${Math.round(elo)}`,
  );
}

/** @param {GameSummary} summary @param {import("../wire.ts").GameFacts | null} facts @param {number} nowMs */
function standNote(summary, facts, nowMs) {
  const place = [summary.date, facts?.venue ?? ""].filter((text) => text !== "").join(" · ");
  if (summary.status !== "live") return place;
  const silentMs = nowMs - summary.lastPlayTimeMs;
  return silentMs > 60_000 ? `last play ${durationText(silentMs)} ago` : place;
}

/** @param {GameSummary} summary @param {import("../wire.ts").GameSituation | null} situation @param {import("../wire.ts").ResultLine | null} result */
function bugNote(summary, situation, result) {
  if (result !== null) {
    const winner = result.homeScore > result.awayScore ? summary.home : summary.away;
    const margin = Math.abs(result.homeScore - result.awayScore);
    const overtime = result.periods > 4 ? ` after ${periodText(result.periods)}` : "";
    return `${winner.name} won by ${margin}${overtime} · ${result.plays} plays`;
  }
  if (situation === null) return "";
  const notes = [];
  if (situation.homeRunProb !== null && situation.awayRunProb !== null) {
    const { home, away } = summary;
    const chances = `${away.tricode} ${percentText(situation.awayRunProb)}, ${home.tricode} ${percentText(situation.homeRunProb)}`;
    notes.push(`8–0 run within 3 min: ${chances}`);
  }
  if (situation.leadChanges !== null) notes.push(`Lead changes ${situation.leadChanges}`);
  if (situation.model !== "") notes.push(`Model ${situation.model}`);
  return notes.join(" · ");
}

/** @param {string} away @param {string} home @param {number | null} homeWinProb */
function chanceBar(away, home, homeWinProb) {
  if (homeWinProb === null) return el("p", { class: "chance-none" }, "No prediction yet");
  const fill = el("span", { class: "chance-away" });
  fill.style.width = `${(1 - homeWinProb) * 100}%`;
  return el(
    "div",
    { class: "chance", "data-prob": String(homeWinProb) },
    el(
      "span",
      { class: "chance-text away" },
      percentText(1 - homeWinProb),
      el("span", { class: "visually-hidden" }, ` ${away} wins`),
    ),
    el("span", { class: "chance-bar", "aria-hidden": "true" }, fill),
    el(
      "span",
      { class: "chance-text home" },
      percentText(homeWinProb),
      el("span", { class: "visually-hidden" }, ` ${home} wins`),
    ),
  );
}

/**
 * Newest first.
 * @param {HTMLElement} list
 * @param {readonly PlayRow[]} plays by rising number
 * @param {readonly (number | null)[]} changes of the home win probability, in points, one a play
 * @param {GameSummary} summary
 */
export function renderPlays(list, plays, changes, summary) {
  const first = Math.max(0, plays.length - LISTED_PLAYS);
  const rows = [];
  for (let index = plays.length - 1; index >= first; index -= 1) {
    const play = plays[index];
    if (play !== undefined) rows.push(playItem(play, changes[index] ?? null, summary));
  }
  if (rows.length === 0) rows.push(el("li", { class: "note" }, "No play yet."));
  list.replaceChildren(...rows);
}

/** @param {PlayRow} play @param {number | null} change @param {GameSummary} summary */
function playItem(play, change, summary) {
  const swing = change === null || Math.abs(change) < 0.05 ? "" : change > 0 ? "home" : "away";
  const badge = el(
    "span",
    { class: `change ${swing}` },
    swing === "" ? "·" : swingText(change ?? 0, summary),
  );
  if (change !== null && Math.abs(change) >= 5) badge.classList.add("big");
  return el(
    "li",
    {
      value: play.number,
      class: `play ${play.side ?? ""}${play.retracted ? " retracted" : ""}`,
      "data-play": play.number,
    },
    el("span", { class: "play-time" }, `${periodText(play.period)} ${clockText(play.clockS)}`),
    el(
      "span",
      { class: "play-text" },
      play.side === null
        ? ""
        : el("b", { class: `play-team ${play.side}` }, summary[play.side].tricode),
      ` ${play.text === "" ? play.kind : play.text}`,
      play.retracted ? el("span", { class: "chip" }, "taken back") : "",
      play.revision > 1 && !play.retracted ? el("span", { class: "chip" }, "corrected") : "",
    ),
    el(
      "span",
      { class: `play-score${play.points > 0 ? " scored" : ""}` },
      `${play.awayScore}–${play.homeScore}`,
    ),
    badge,
  );
}

/** A change is told from the side that it helps. @param {number} change @param {GameSummary} summary */
function swingText(change, summary) {
  const side = change > 0 ? summary.home : summary.away;
  return `${side.tricode} ${changeText(Math.abs(change))}`;
}
