// The win-probability curve: x is game time, the upper half belongs to the home team.
import uPlot from "./vendor/uPlot.esm.js";
import { periodText } from "./format.js";

const QUARTER_S = 720;
const OVERTIME_S = 300;
const REGULATION_S = 4 * QUARTER_S;

/**
 * @typedef {object} CurvePoint
 * @property {number} elapsedS game time since tip-off
 * @property {number} homeWinProb 0..1
 * @property {number | null} low
 * @property {number | null} high
 */

/**
 * @typedef {object} CurveTheme
 * @property {string} home
 * @property {string} away
 * @property {string} text
 * @property {string} muted
 * @property {string} line
 * @property {string} surface
 */

/**
 * What the drawing functions look at.
 * @typedef {object} CurveView
 * @property {readonly CurvePoint[]} points
 * @property {CurveTheme} theme
 * @property {{ home: string, away: string }} teams
 * @property {number} endS
 * @property {number | null} selected
 */

/**
 * Draws the curve into `container` and keeps it as large as that.
 * @param {HTMLElement} container
 * @param {(index: number | null) => void} onPoint told which point is selected; null is the newest one
 */
export function createCurve(container, onPoint) {
  /** @type {CurveView} */
  const view = {
    points: [],
    theme: readTheme(container),
    teams: { home: "HOME", away: "AWAY" },
    endS: REGULATION_S,
    selected: null,
  };
  // New data makes the plot report where the pointer was; only a pointer that moves selects.
  let isPointerMoving = false;
  const onPointer = (/** @type {number | null} */ index) => {
    if (isPointerMoving) select(index);
  };
  const plot = new uPlot(plotOptions(container, view, onPointer), [[], [], [], []], container);

  /** @param {number | null} index */
  const select = (index) => {
    if (index === view.selected) return;
    view.selected = index;
    plot.redraw(false);
    onPoint(index);
  };
  for (const type of ["mousemove", "mouseleave"]) {
    plot.over.addEventListener(type, () => (isPointerMoving = true), { capture: true });
  }
  new ResizeObserver(() => plot.setSize(sizeOf(container))).observe(container);

  return {
    /** @param {readonly CurvePoint[]} points by rising game time @param {{ home: string, away: string }} teams */
    update(points, teams) {
      isPointerMoving = false;
      view.points = points;
      view.teams = teams;
      view.endS = lengthOf(points.at(-1)?.elapsedS ?? 0);
      if (view.selected !== null && view.selected >= points.length) view.selected = null;
      plot.setData([
        points.map(({ elapsedS }) => elapsedS),
        points.map(({ homeWinProb }) => homeWinProb * 100),
        points.map(({ low }) => (low === null ? null : low * 100)),
        points.map(({ high }) => (high === null ? null : high * 100)),
      ]);
      container.dataset["points"] = String(points.length);
    },
    select,
    /** @returns {number | null} */
    selected: () => view.selected,
    /** Takes the colours of the page again. */
    retheme() {
      view.theme = readTheme(container);
      plot.redraw();
    },
  };
}

/** @param {HTMLElement} container @param {CurveView} view @param {(index: number | null) => void} onPointer */
function plotOptions(container, view, onPointer) {
  const scale = rootScale();
  const axis = {
    font: `${Math.round(12 * scale)}px system-ui, sans-serif`,
    stroke: () => view.theme.muted,
    ticks: { show: false },
  };
  return {
    ...sizeOf(container),
    legend: { show: false },
    padding: [8 * scale, 14 * scale, 0, 0],
    cursor: { drag: { x: false, y: false }, points: { show: false }, x: false, y: false },
    scales: {
      x: { time: false, range: () => [0, view.endS] },
      y: { range: () => [0, 100] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 26 * scale,
        splits: () => periods(view.endS).map(({ startS, lengthS }) => startS + lengthS / 2),
        values: () => periods(view.endS).map(({ period }) => periodText(period)),
      },
      {
        ...axis,
        grid: { stroke: () => view.theme.line, width: 1 },
        size: 50 * scale,
        splits: () => [0, 25, 50, 75, 100],
        values: () => [view.teams.away, "75%", "50%", "75%", view.teams.home],
      },
    ],
    series: [
      {},
      {
        width: 2.5 * scale,
        stroke: (/** @type {uPlot} */ u) => splitColour(u, view.theme, 1),
        fill: (/** @type {uPlot} */ u) => splitColour(u, view.theme, 0.14),
        fillTo: 50,
        points: { show: false },
      },
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
    ],
    bands: [{ series: [3, 2], fill: () => mix(view.theme.text, 0.1) }],
    hooks: {
      drawClear: [(/** @type {uPlot} */ u) => drawCourt(u, view.theme, view.endS)],
      draw: [(/** @type {uPlot} */ u) => drawHead(u, view)],
      setCursor: [
        (/** @type {uPlot} */ { cursor: { left, idx } }) =>
          onPointer(left === undefined || left < 0 ? null : (idx ?? null)),
      ],
    },
  };
}

/** The home team's colour above even chances, the away team's below. @param {uPlot} u @param {CurveTheme} theme @param {number} alpha */
function splitColour({ ctx, bbox }, theme, alpha) {
  const { top, height } = bbox;
  if (!Number.isFinite(height) || height === 0) return theme.home;
  const gradient = ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, mix(theme.home, alpha));
  gradient.addColorStop(0.5, mix(theme.home, alpha));
  gradient.addColorStop(0.5, mix(theme.away, alpha));
  gradient.addColorStop(1, mix(theme.away, alpha));
  return gradient;
}

/** @param {number} elapsedS @returns {number} regulation, or the end of the overtime under way */
function lengthOf(elapsedS) {
  if (elapsedS <= REGULATION_S) return REGULATION_S;
  return REGULATION_S + Math.ceil((elapsedS - REGULATION_S) / OVERTIME_S) * OVERTIME_S;
}

/** @param {number} endS @returns {{ period: number, startS: number, lengthS: number }[]} */
function periods(endS) {
  const overtimes = Math.round((endS - REGULATION_S) / OVERTIME_S);
  return Array.from({ length: 4 + overtimes }, (_, index) => {
    if (index < 4) return { period: index + 1, startS: index * QUARTER_S, lengthS: QUARTER_S };
    const startS = REGULATION_S + (index - 4) * OVERTIME_S;
    return { period: index + 1, startS, lengthS: OVERTIME_S };
  });
}

/** Period lines, and the line of even chances stronger than the grid. @param {uPlot} u @param {CurveTheme} theme @param {number} endS */
function drawCourt(u, theme, endS) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.strokeStyle = theme.line;
  for (const { startS } of periods(endS).slice(1)) {
    const x = Math.round(u.valToPos(startS, "x", true));
    line(ctx, x, bbox.top, x, bbox.top + bbox.height);
  }
  ctx.strokeStyle = theme.muted;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  const y = Math.round(u.valToPos(50, "y", true));
  line(ctx, bbox.left, y, bbox.left + bbox.width, y);
  ctx.restore();
}

/** The dot at the selected point with its line, else at the newest one. @param {uPlot} u @param {CurveView} view */
function drawHead(u, { theme, points, selected }) {
  const point = points[selected ?? points.length - 1];
  if (point === undefined) return;
  const { ctx, bbox } = u;
  const x = u.valToPos(point.elapsedS, "x", true);
  const y = u.valToPos(point.homeWinProb * 100, "y", true);
  const unit = devicePixelRatio * rootScale();
  ctx.save();
  if (selected !== null) {
    ctx.strokeStyle = theme.muted;
    ctx.lineWidth = devicePixelRatio;
    line(ctx, x, bbox.top, x, bbox.top + bbox.height);
  }
  const colour = point.homeWinProb >= 0.5 ? theme.home : theme.away;
  circle(ctx, x, y, 9 * unit, mix(colour, 0.25));
  circle(ctx, x, y, 5.5 * unit, theme.surface);
  circle(ctx, x, y, 4 * unit, colour);
  ctx.restore();
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
function line(ctx, x1, y1, x2, y2) {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {number} radius @param {string} colour */
function circle(ctx, x, y, radius, colour) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.fillStyle = colour;
  ctx.fill();
}

/** @param {HTMLElement} container */
function sizeOf(container) {
  return {
    width: Math.max(200, container.clientWidth),
    height: Math.max(160, container.clientHeight),
  };
}

/** Text grows with the root font on wall screens. */
function rootScale() {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
}

/** A computed custom property keeps `light-dark()` unresolved, a computed colour does not. @param {HTMLElement} container @returns {CurveTheme} */
function readTheme(container) {
  const probe = document.createElement("span");
  probe.hidden = true;
  container.append(probe);
  /** @param {string} name */
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const theme = {
    home: colour("home"),
    away: colour("away"),
    text: colour("text"),
    muted: colour("muted"),
    line: colour("line"),
    surface: colour("surface"),
  };
  probe.remove();
  return theme;
}

/** @param {string} rgb as computed, `rgb(1, 2, 3)` @param {number} alpha @returns {string} */
function mix(rgb, alpha) {
  return rgb.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);
}
