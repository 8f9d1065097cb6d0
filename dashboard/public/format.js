// Words and numbers of the page, and the one way in which elements are made: text never becomes markup.

/** @param {number} period @returns {string} Q1..Q4, OT, 2OT, ... */
export function periodText(period) {
  if (period <= 4) return `Q${period}`;
  return period === 5 ? "OT" : `${period - 4}OT`;
}

/** @param {number} clockS seconds left in the period @returns {string} 11:05, or 9.4 in the last minute */
export function clockText(clockS) {
  if (clockS < 60) return clockS.toFixed(1);
  return minutesText(clockS);
}

/** @param {number} seconds @returns {string} m:ss */
export function minutesText(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Certainty is only claimed where it is certain. @param {number | null} probability @returns {string} */
export function percentText(probability) {
  if (probability === null) return "–";
  if (probability > 0.99 && probability < 1) return ">99%";
  if (probability < 0.01 && probability > 0) return "<1%";
  return `${Math.round(probability * 100)}%`;
}

/** @param {{ period: number, clockS: number }} stand @returns {number} game time since tip-off in seconds */
export function elapsedOf({ period, clockS }) {
  if (period < 1) return 0;
  return period <= 4 ? period * 720 - clockS : 2880 + (period - 4) * 300 - clockS;
}

/** @param {number} points change in percentage points @returns {string} */
export function changeText(points) {
  if (Math.abs(points) < 0.05) return "0.0";
  return `${points > 0 ? "+" : "−"}${Math.abs(points).toFixed(1)}`;
}

/** @param {number} ms @returns {string} */
export function durationText(ms) {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

/** @param {import("../wire.ts").GameSummary} game @returns {string} where the game stands, in a word or two */
export function standText(game) {
  if (game.status === "scheduled") return "Not started";
  const overtime = game.period > 4 ? ` ${periodText(game.period)}` : "";
  if (game.status === "final") return `Final${overtime}`;
  if (game.clockS > 0) return `${periodText(game.period)} ${clockText(game.clockS)}`;
  if (game.period === 2) return "Half-time";
  return `End of ${periodText(game.period)}`;
}

/** @param {import("../wire.ts").GameSummary} game @returns {string} a sentence for a screen reader */
export function gameSentence(game) {
  const names = `${game.away.name} at ${game.home.name}`;
  if (game.status === "scheduled") return `${names}, not started`;
  const score = `${game.away.tricode} ${game.awayScore}, ${game.home.tricode} ${game.homeScore}`;
  if (game.status === "final") return `${names}, ${standText(game)}: ${score}`;
  const chance =
    game.homeWinProb === null
      ? ""
      : `, ${game.home.tricode} win at ${percentText(game.homeWinProb)}`;
  return `${names}, ${standText(game)}: ${score}${chance}`;
}

/**
 * Makes an element. Strings become text nodes, so feed text is inert.
 * @param {string} tag
 * @param {Record<string, string | number | boolean | undefined>} [attributes] `false` and undefined leave one out
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** @param {string} id @returns {HTMLElement} an element of index.html */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no #${id}`);
  return element;
}

/** @param {HTMLElement} element @param {string} text set only when it differs, which spares screen readers */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
