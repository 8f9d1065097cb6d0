// The live page: keeps what the server sends, and draws what changed once a frame.
import { createCurve } from "./chart.js";
import { openFeed } from "./feed.js";
import {
  byId,
  changeText,
  clockText,
  durationText,
  gameSentence,
  percentText,
  periodText,
  setText,
} from "./format.js";
import { renderBox, renderWindows } from "./tables.js";
import { renderBug, renderGameList, renderPlays } from "./views.js";

/** @typedef {import("../wire.ts").GameSummary} GameSummary */
/** @typedef {import("../wire.ts").GameDetail} GameDetail */
/** @typedef {import("../wire.ts").PlayRow} PlayRow */

/** A screen reader is not told the score more often than this. */
const ANNOUNCE_MS = 15_000;
/** Plays whose latency makes the median. */
const LATENCY_SAMPLES = 101;

/**
 * The watched game with its rows by key, since what comes repeats and replaces.
 * @typedef {object} Watched
 * @property {GameDetail} head
 * @property {Map<number, PlayRow>} plays
 * @property {Map<number, import("../wire.ts").PlayerLine>} players
 * @property {Map<string, import("../wire.ts").WindowRow>} windows
 */

const state = {
  /** @type {Map<string, GameSummary>} */
  games: new Map(),
  /** @type {Watched | null} */
  watched: null,
  selectedId: "",
  /** @type {import("../wire.ts").FeedStatus | null} */
  status: null,
  /** @type {"connecting" | "open" | "lost"} */
  link: "connecting",
  lostSinceMs: 0,
  hasSnapshot: false,
  /** @type {number[]} */
  latenciesMs: [],
  announcedAtMs: 0,
  announced: "",
};

/** What has to be drawn again. */
const dirty = { list: true, game: true, plays: true, box: true, status: true };
let isFrameAsked = false;

/** @type {{ rows: PlayRow[], changes: (number | null)[], curve: (import("./chart.js").CurvePoint & { text: string })[] }} */
let drawn = { rows: [], changes: [], curve: [] };

const curve = createCurve(byId("chart"), () => drawReadout());

/** @type {{ close(): void } | undefined} */
let feed;

function openSelected() {
  feed?.close();
  state.watched = null;
  state.hasSnapshot = false;
  feed = openFeed(state.selectedId, {
    onSnapshot: takeSnapshot,
    onGame: takeGame,
    onGames: takeGames,
    onStatus: (status) => {
      state.status = status;
      ask("status");
    },
    onLink: (link) => {
      if (link !== "open" && state.link === "open") state.lostSinceMs = Date.now();
      state.link = link;
      ask("status");
    },
  });
}

/** @param {{ status: import("../wire.ts").FeedStatus, games: GameSummary[], game: GameDetail | null }} snapshot */
function takeSnapshot({ status, games, game }) {
  state.status = status;
  state.hasSnapshot = true;
  state.games = new Map(games.map((summary) => [summary.id, summary]));
  state.watched = null;
  if (game !== null) takeGame(game);
  ask("list", "game", "plays", "box", "status");
  chooseGame();
}

/** @param {GameDetail} detail */
function takeGame(detail) {
  if (detail.id !== state.selectedId) return;
  const watched = (state.watched ??= {
    head: detail,
    plays: new Map(),
    players: new Map(),
    windows: new Map(),
  });
  watched.head = detail;
  for (const play of detail.plays) watched.plays.set(play.number, play);
  for (const line of detail.players) watched.players.set(line.id, line);
  for (const row of detail.windows) watched.windows.set(`${row.side} ${row.sizeS}`, row);
  ask("game");
  // The clock that runs on changes minutes and stints too.
  if (detail.plays.length > 0) ask("plays", "box");
  if (detail.players.length > 0 || detail.windows.length > 0) ask("box");
}

/** @param {{ changed: GameSummary[], removed: string[] }} changes @param {boolean} isLive */
function takeGames({ changed, removed }, isLive) {
  const nowMs = Date.now();
  for (const summary of changed) {
    const before = state.games.get(summary.id);
    state.games.set(summary.id, summary);
    const isNewPlay = summary.lastPlayTimeMs > (before?.lastPlayTimeMs ?? 0);
    if (isLive && isNewPlay) state.latenciesMs.push(nowMs - summary.lastPlayTimeMs);
  }
  if (state.latenciesMs.length > LATENCY_SAMPLES) {
    state.latenciesMs = state.latenciesMs.slice(-LATENCY_SAMPLES);
  }
  for (const id of removed) state.games.delete(id);
  ask("list", "status");
  chooseGame();
}

/** Without a wish the first live game is shown, else the first of all. */
function chooseGame() {
  if (state.selectedId !== "") return;
  const games = [...state.games.values()];
  const choice = games.find(({ status }) => status === "live") ?? games.at(0);
  if (choice === undefined) return;
  state.selectedId = choice.id;
  openSelected();
}

function readAddress() {
  const wanted = /^#\/game\/(?<id>.+)$/u.exec(location.hash)?.groups?.["id"];
  const id = wanted === undefined ? state.selectedId : decoded(wanted);
  if (id === state.selectedId && feed !== undefined) return;
  state.selectedId = id;
  curve.select(null);
  openSelected();
  ask("list", "game", "plays", "box", "status");
}

/** An address that somebody mistyped names no game, it breaks nothing. @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

/** @param {...keyof typeof dirty} parts */
function ask(...parts) {
  for (const part of parts) dirty[part] = true;
  if (isFrameAsked) return;
  isFrameAsked = true;
  requestAnimationFrame(draw);
}

function draw() {
  isFrameAsked = false;
  if (dirty.list) renderGameList(byId("game-list"), state.games.values(), state.selectedId);
  if (dirty.list)
    setText(byId("games-count"), state.games.size === 0 ? "" : String(state.games.size));
  const { watched } = state;
  byId("game").hidden = watched === null;
  byId("empty").hidden = watched !== null;
  if (watched === null) drawEmpty();
  else drawGame(watched);
  if (dirty.status) drawStatus();
  for (const part of /** @type {(keyof typeof dirty)[]} */ (Object.keys(dirty)))
    dirty[part] = false;
}

/** @param {Watched} watched */
function drawGame(watched) {
  const { summary, facts } = watched.head;
  if (dirty.game) {
    renderBug(byId("bug"), watched.head, Date.now());
    document.title = `${summary.away.tricode} ${summary.awayScore}–${summary.homeScore} ${summary.home.tricode} · Courtside`;
    announce(summary);
  }
  if (dirty.plays) {
    drawn = arrange([...watched.plays.values()], facts?.homePregameWinProb ?? null);
    curve.update(drawn.curve, { home: summary.home.tricode, away: summary.away.tricode });
    renderPlays(byId("plays"), drawn.rows, drawn.changes, summary);
    drawReadout();
  }
  const isWaiting = watched.plays.size === 0;
  byId("chart-empty").hidden = !isWaiting;
  if (isWaiting) setText(byId("chart-empty"), waitingText(watched.head));
  if (dirty.box) {
    renderBox(byId("box"), [...watched.players.values()], summary);
    renderWindows(byId("windows"), [...watched.windows.values()], summary);
  }
}

/**
 * Orders the plays and finds what each did to the probability; a play that was taken back did nothing.
 * @param {PlayRow[]} plays
 * @param {number | null} pregame
 */
function arrange(plays, pregame) {
  const rows = plays.sort((a, b) => a.number - b.number);
  /** @type {typeof drawn.curve} */
  const points = [];
  if (pregame !== null) {
    points.push({
      elapsedS: 0,
      homeWinProb: pregame,
      low: null,
      high: null,
      text: "Before tip-off",
    });
  }
  /** @type {(number | null)[]} */
  const changes = [];
  let before = pregame;
  let elapsedS = 0;
  for (const play of rows) {
    const { homeWinProb, low, high } = play;
    if (play.retracted || homeWinProb === null) {
      changes.push(null);
      continue;
    }
    changes.push(before === null ? null : (homeWinProb - before) * 100);
    before = homeWinProb;
    // A clock that a correction set back must not make the curve run backwards.
    elapsedS = Math.max(elapsedS, play.elapsedS);
    const stand = `${periodText(play.period)} ${clockText(play.clockS)}, ${play.awayScore}–${play.homeScore}`;
    points.push({ elapsedS, homeWinProb, low, high, text: `${stand}, ${play.text || play.kind}` });
  }
  return { rows, changes, curve: points };
}

/** @param {GameDetail} game */
function waitingText({ summary, facts }) {
  const parts = ["Waiting for the first play"];
  if (facts !== null && facts.homePregameWinProb !== null) {
    parts.push(`before tip-off ${summary.home.tricode} ${percentText(facts.homePregameWinProb)}`);
  }
  return parts.join(" · ");
}

function drawReadout() {
  const index = curve.selected();
  const shown = index ?? drawn.curve.length - 1;
  const point = drawn.curve[shown];
  const chart = byId("chart");
  chart.setAttribute("aria-valuemax", String(Math.max(0, drawn.curve.length - 1)));
  chart.setAttribute("aria-valuenow", String(Math.max(0, shown)));
  const summary = state.watched?.head.summary;
  if (point === undefined || summary === undefined) {
    setText(byId("readout"), "");
    return;
  }
  const before = drawn.curve[shown - 1];
  const change = before === undefined ? 0 : (point.homeWinProb - before.homeWinProb) * 100;
  const chance = `${summary.home.tricode} ${percentText(point.homeWinProb)} (${changeText(change)})`;
  const text = `${chance} · ${point.text}`;
  setText(byId("readout"), text);
  chart.setAttribute("aria-valuetext", text);
}

function drawEmpty() {
  const { phase } = state.status ?? { phase: "waiting" };
  /** @type {[title: string, text: string]} */
  let words = ["Connecting", "The page is asking the dashboard for its games."];
  if (state.hasSnapshot && state.selectedId !== "" && state.games.size > 0) {
    words = [
      "No such game",
      "It is not in the stream, or it was too long ago. Choose one from the list.",
    ];
  } else if (phase === "catching-up") {
    words = ["Reading what is stored", "The games appear in a moment."];
  } else if (state.hasSnapshot || phase === "waiting") {
    words = [
      "Waiting for the first game",
      "Nothing has been published yet. It appears here by itself.",
    ];
  }
  if (state.link === "lost")
    words = ["No connection", "The dashboard does not answer; trying again."];
  setText(byId("empty-title"), words[0]);
  setText(byId("empty-text"), words[1]);
}

function drawStatus() {
  const { status, link } = state;
  const pill = byId("connection");
  const banner = byId("banner");
  let [look, word, message] = ["open", "Live", ""];
  if (link === "lost") {
    [look, word] = ["lost", "Offline"];
    const since =
      state.lostSinceMs === 0 ? "" : ` ${durationText(Date.now() - state.lostSinceMs)} ago`;
    message = `Connection to the dashboard lost${since}. What you see is from then; trying again.`;
  } else if (link === "connecting" && !state.hasSnapshot) {
    [look, word] = ["connecting", "Connecting"];
  } else if (status?.phase === "disconnected") {
    [look, word] = ["lost", "Stale"];
    message =
      "The dashboard has lost the broker. What you see is from before; it goes on by itself.";
  } else if (status?.phase === "catching-up") {
    [look, word] = ["connecting", "Catching up"];
    message = `Reading what is stored: ${status.insights.toLocaleString("en")} of ${status.backlog.toLocaleString("en")}.`;
  } else if (status?.phase === "waiting") {
    [look, word] = ["connecting", "Waiting"];
  }
  pill.dataset["state"] = look;
  setText(pill, word);
  banner.hidden = message === "";
  banner.dataset["state"] = look;
  setText(banner, message);
  const sorted = state.latenciesMs.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  setText(byId("latency"), median === undefined ? "" : `feed → page ${durationText(median)}`);
  const hidden = status?.notShown ?? 0;
  byId("games-note").hidden = hidden === 0;
  setText(byId("games-note"), `${hidden} more in the stream than this page keeps.`);
}

/** @param {GameSummary} summary */
function announce(summary) {
  const key = `${summary.id} ${summary.status} ${summary.homeScore} ${summary.awayScore}`;
  const nowMs = Date.now();
  if (key === state.announced || nowMs - state.announcedAtMs < ANNOUNCE_MS) return;
  state.announced = key;
  state.announcedAtMs = nowMs;
  setText(byId("announcer"), gameSentence(summary));
}

/** @param {KeyboardEvent} event */
function walkCurve(event) {
  const last = drawn.curve.length - 1;
  const from = curve.selected() ?? last;
  /** @type {Record<string, number | null>} */
  const targets = {
    ArrowLeft: Math.max(0, from - 1),
    ArrowRight: Math.min(last, from + 1),
    PageUp: Math.min(last, from + 20),
    PageDown: Math.max(0, from - 20),
    Home: 0,
    End: null,
    Escape: null,
  };
  const target = targets[event.key];
  if (target === undefined || last < 0) return;
  event.preventDefault();
  // At the end the dot goes on with the game.
  curve.select(target === last ? null : target);
  drawReadout();
}

/** Up and down go through the games. @param {KeyboardEvent} event */
function walkGames(event) {
  const links = [...byId("game-list").querySelectorAll("a")];
  const at = links.findIndex((link) => link === document.activeElement);
  if (at < 0) return;
  /** @type {Record<string, number>} */
  const targets = {
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

const THEME_KEY = "courtside-theme";

/** @param {string | null} wanted `dark`, `light`, or null for what the system says */
function setTheme(wanted) {
  const isSystemLight = matchMedia("(prefers-color-scheme: light)").matches;
  const theme = wanted ?? (isSystemLight ? "light" : "dark");
  if (wanted === null) delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = wanted;
  setText(byId("theme"), theme === "dark" ? "☀" : "☾");
  byId("theme").setAttribute("aria-pressed", String(theme === "light"));
  curve.retheme();
  return theme;
}

let theme = setTheme(localStorage.getItem(THEME_KEY));
byId("theme").addEventListener("click", () => {
  theme = setTheme(theme === "dark" ? "light" : "dark");
  localStorage.setItem(THEME_KEY, theme);
});
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => {
  theme = setTheme(localStorage.getItem(THEME_KEY));
});
byId("chart").addEventListener("keydown", walkCurve);
byId("game-list").addEventListener("keydown", walkGames);
addEventListener("hashchange", readAddress);
// "3 min ago" grows without any event.
setInterval(() => ask("status", "game"), 1_000);
readAddress();
