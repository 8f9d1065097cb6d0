// Box score and team windows.
import { el, elapsedOf, minutesText } from "./format.js";

/** @typedef {import("../wire.ts").PlayerLine} PlayerLine */
/** @typedef {import("../wire.ts").WindowRow} WindowRow */
/** @typedef {import("../wire.ts").GameSummary} GameSummary */

/** A stint of so many seconds fills its bar: starters sit down after 8 to 12 minutes. */
const FULL_STINT_S = 720;
const LAST_12_S = 720;
/** Personal fouls that end a player's game, rule 12. */
const FOUL_LIMIT = 6;

/** @type {readonly [header: string, title: string][]} */
const BOX_COLUMNS = [
  ["MIN", "Minutes played"],
  ["PTS", "Points"],
  ["REB", "Rebounds"],
  ["AST", "Assists"],
  ["STL", "Steals"],
  ["BLK", "Blocks"],
  ["TO", "Turnovers"],
  ["PF", "Personal fouls"],
  ["FG", "Field goals"],
  ["3P", "Three-pointers"],
  ["FT", "Free throws"],
  ["+/−", "Plus-minus"],
  ["USG", "Usage: share of the team's chances while on court"],
  ["TS", "True shooting percentage"],
  ["Stint", "Time on court since the last rest"],
  ["Last 12", "Time on court in the last 12 game minutes, at most"],
];

/** @param {HTMLElement} container @param {readonly PlayerLine[]} players @param {GameSummary} summary */
export function renderBox(container, players, summary) {
  if (players.length === 0) {
    container.replaceChildren(el("p", { class: "note" }, "Nobody has a line yet."));
    return;
  }
  // The place in a wide table is the reader's own.
  const scrolled = new Map(
    [...container.querySelectorAll(".scroll")].map((region) => [
      region.getAttribute("data-side"),
      region.scrollLeft,
    ]),
  );
  const focusedSide = document.activeElement?.closest(".scroll")?.getAttribute("data-side");
  for (const side of /** @type {const} */ (["away", "home"])) {
    const lines = players
      .filter((line) => line.side === side)
      .map((line) => carriedTo(elapsedOf(summary), line))
      .sort(byRole);
    const table = boxTable(lines, summary[side].name, side);
    const region = el(
      "div",
      {
        class: "scroll",
        "data-side": side,
        tabindex: 0,
        role: "region",
        "aria-label": `Box score of ${summary[side].name}`,
      },
      table,
    );
    const old = container.querySelector(`.scroll[data-side="${side}"]`);
    if (old === null) container.append(region);
    else old.replaceWith(region);
    region.scrollLeft = scrolled.get(side) ?? 0;
    if (focusedSide === side) region.focus({ preventScroll: true });
  }
  for (const note of container.querySelectorAll(".note")) note.remove();
}

/**
 * A line with its times as of now. Lines come at every substitution, so minutes, stint and rest are exact;
 * of the last 12 minutes only the most that they can be is known until the player's next line.
 * @param {number} nowS
 * @param {PlayerLine} line
 * @returns {PlayerLine}
 */
function carriedTo(nowS, line) {
  const passedS = Math.max(0, nowS - line.asOfS);
  if (line.onCourt) {
    return {
      ...line,
      playedS: line.playedS + passedS,
      stintS: line.stintS + passedS,
      last12S: Math.min(LAST_12_S, line.last12S + passedS),
    };
  }
  const restS = line.restS + passedS;
  return { ...line, restS, last12S: Math.min(line.last12S, Math.max(0, LAST_12_S - restS)) };
}

/** Starters, then the bench by minutes. @param {PlayerLine} a @param {PlayerLine} b */
function byRole(a, b) {
  return (
    Number(b.starter) - Number(a.starter) || b.playedS - a.playedS || a.name.localeCompare(b.name)
  );
}

/** @param {readonly PlayerLine[]} lines @param {string} name @param {string} side */
function boxTable(lines, name, side) {
  const heads = BOX_COLUMNS.map(([header, title]) => el("th", { scope: "col", title }, header));
  return el(
    "table",
    { class: `box-table ${side}` },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, name), ...heads)),
    el("tbody", {}, ...lines.map((line) => playerRow(line))),
    el("tfoot", {}, totalsRow(lines)),
  );
}

/** @param {PlayerLine} line */
function playerRow(line) {
  const fouls = el("td", { class: line.fouls >= FOUL_LIMIT - 1 ? "warn" : "" }, String(line.fouls));
  const rebounds = el(
    "td",
    { title: `${line.rebounds[0]} offensive` },
    String(line.rebounds[0] + line.rebounds[1]),
  );
  const stint = el(
    "td",
    { class: "load" },
    line.onCourt ? loadBar(line.stintS, FULL_STINT_S) : restText(line),
  );
  return el(
    "tr",
    { "data-player": line.id, class: line.onCourt ? "on-court" : "" },
    el(
      "th",
      { scope: "row" },
      el("span", {
        class: "court-dot",
        hidden: !line.onCourt,
        role: "img",
        "aria-label": "on court",
      }),
      line.name,
    ),
    el("td", {}, minutesText(line.playedS)),
    el("td", { class: "points" }, String(line.points)),
    rebounds,
    ...[line.assists, line.steals, line.blocks, line.turnovers].map((count) =>
      el("td", {}, String(count)),
    ),
    fouls,
    ...[line.fieldGoals, line.threes, line.freeThrows].map(([made, tried]) =>
      el("td", {}, `${made}–${tried}`),
    ),
    el("td", {}, signed(line.plusMinus)),
    el("td", {}, share(line.usage)),
    el("td", {}, line.fieldGoals[1] + line.freeThrows[1] === 0 ? "–" : share(line.trueShooting)),
    stint,
    el("td", { class: "load" }, loadBar(line.last12S, FULL_STINT_S)),
  );
}

/** @param {readonly PlayerLine[]} lines */
function totalsRow(lines) {
  /** @param {(line: PlayerLine) => number} read */
  const sum = (read) => lines.reduce((total, line) => total + read(line), 0);
  /** @param {(line: PlayerLine) => readonly [number, number]} read */
  const pair = (read) => `${sum((line) => read(line)[0])}–${sum((line) => read(line)[1])}`;
  const cells = [
    "",
    String(sum((line) => line.points)),
    String(sum((line) => line.rebounds[0] + line.rebounds[1])),
    String(sum((line) => line.assists)),
    String(sum((line) => line.steals)),
    String(sum((line) => line.blocks)),
    String(sum((line) => line.turnovers)),
    String(sum((line) => line.fouls)),
    pair((line) => line.fieldGoals),
    pair((line) => line.threes),
    pair((line) => line.freeThrows),
  ];
  const empty = Array.from({ length: BOX_COLUMNS.length - cells.length }, () => el("td"));
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, "Players"),
    ...cells.map((text) => el("td", {}, text)),
    ...empty,
  );
}

/** @param {number} seconds @param {number} fullS */
function loadBar(seconds, fullS) {
  const fill = el("i", { class: "load-fill" });
  fill.style.width = `${Math.min(100, (seconds / fullS) * 100)}%`;
  return el("span", { class: "load-bar" }, fill, el("span", {}, minutesText(seconds)));
}

/** @param {PlayerLine} line */
function restText(line) {
  return line.playedS === 0
    ? "–"
    : el("span", { class: "rest" }, `rest ${minutesText(line.restS)}`);
}

/** @param {HTMLElement} container @param {readonly WindowRow[]} windows @param {GameSummary} summary */
export function renderWindows(container, windows, summary) {
  const sizes = [...new Set(windows.map(({ sizeS }) => sizeS))].sort((a, b) => a - b);
  if (sizes.length === 0) {
    container.replaceChildren(el("p", { class: "note" }, "The first windows have not fired yet."));
    return;
  }
  container.replaceChildren(...sizes.map((sizeS) => windowTable(sizeS, windows, summary)));
}

/** @param {number} sizeS @param {readonly WindowRow[]} windows @param {GameSummary} summary */
function windowTable(sizeS, windows, summary) {
  const heads = WINDOW_COLUMNS.map(([header, title]) => el("th", { scope: "col", title }, header));
  const sides = /** @type {const} */ (["away", "home"]);
  const rows = sides.flatMap((side) => {
    const row = windows.find((window) => window.sizeS === sizeS && window.side === side);
    return row === undefined ? [] : [windowRow(row, summary[side].tricode)];
  });
  const title = el("th", { scope: "col" }, `Last ${sizeS / 60} min`);
  return el(
    "table",
    { class: "window-table", "data-size": sizeS },
    el("thead", {}, el("tr", {}, title, ...heads)),
    el("tbody", {}, ...rows),
  );
}

/** @type {readonly [header: string, title: string][]} */
const WINDOW_COLUMNS = [
  ["PTS", "Points"],
  ["FG", "Field goals"],
  ["eFG", "Effective field-goal percentage: a three counts one and a half"],
  ["3P", "Three-pointers made"],
  ["FT", "Free throws"],
  ["TO", "Turnovers"],
  ["Pace", "Possessions per 48 minutes"],
];

/** @param {WindowRow} row @param {string} tricode */
function windowRow(row, tricode) {
  const cells = [
    String(row.points),
    `${row.fieldGoals[0]}–${row.fieldGoals[1]}`,
    row.effectiveFg === null ? "–" : share(row.effectiveFg),
    String(row.threesMade),
    `${row.freeThrows[0]}–${row.freeThrows[1]}`,
    String(row.turnovers),
    row.pace === null ? "–" : String(Math.round(row.pace)),
  ];
  return el(
    "tr",
    { "data-side": row.side },
    el("th", { scope: "row", class: row.side }, tricode),
    ...cells.map((text) => el("td", {}, text)),
  );
}

/** @param {number} value 0..1 */
function share(value) {
  return `${Math.round(value * 100)}%`;
}

/** @param {number} value */
function signed(value) {
  if (value === 0) return "0";
  return value > 0 ? `+${value}` : `−${-value}`;
}
