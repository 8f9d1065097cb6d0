/** The win-probability curve: x is game time, the upper half belongs to the home team. */
import uPlot from "uplot";
import { gameLengthS, periodsUntil, periodText } from "./format.ts";
import { type Mark } from "./marks.ts";

export interface CurvePoint {
  readonly elapsedS: number;
  /** 0..1 */
  readonly homeWinProb: number;
  readonly low: number | null;
  readonly high: number | null;
}

export interface CurveColours {
  readonly home: string;
  readonly away: string;
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly surface: string;
  readonly warn: string;
}

interface View {
  points: readonly CurvePoint[];
  marks: readonly Mark[];
  /** Places of the numbered swings in the points. */
  swings: readonly number[];
  colours: CurveColours;
  teams: { readonly home: string; readonly away: string };
  endS: number;
  selected: number | null;
  hovered: number | null;
}

export interface CurveData {
  readonly points: readonly CurvePoint[];
  readonly marks: readonly Mark[];
  readonly swings: readonly number[];
  readonly teams: { readonly home: string; readonly away: string };
}

export interface CurveEvents {
  /** The pointer is over a point; null when it left. */
  readonly onHover: (index: number | null) => void;
  /** A point was chosen, by click or by dragging over it. */
  readonly onSelect: (index: number) => void;
}

/** Draws the curve into `container` and keeps it as large as that. */
export class Curve {
  readonly #container: HTMLElement;
  readonly #view: View;
  readonly #plot: uPlot;
  readonly #resize: ResizeObserver;
  readonly #closed = new AbortController();

  constructor(container: HTMLElement, events: CurveEvents) {
    this.#container = container;
    this.#view = {
      points: [],
      marks: [],
      swings: [],
      colours: readColours(container),
      teams: { home: "HOME", away: "AWAY" },
      endS: gameLengthS(0),
      selected: null,
      hovered: null,
    };
    this.#plot = new uPlot(plotOptions(container, this.#view), [[], [], [], []], container);
    this.#listen(events);
    this.#resize = new ResizeObserver(() => this.#plot.setSize(sizeOf(container)));
    this.#resize.observe(container);
  }

  update({ points, marks, swings, teams }: CurveData): void {
    const view = this.#view;
    view.points = points;
    view.marks = marks;
    view.swings = swings;
    view.teams = teams;
    view.endS = gameLengthS(points.at(-1)?.elapsedS ?? 0);
    if (view.hovered !== null && view.hovered >= points.length) view.hovered = null;
    this.#plot.setData([
      points.map(({ elapsedS }) => elapsedS),
      points.map(({ homeWinProb }) => homeWinProb * 100),
      points.map(({ low }) => (low === null ? null : low * 100)),
      points.map(({ high }) => (high === null ? null : high * 100)),
    ]);
    this.#container.dataset["points"] = String(points.length);
    this.#container.dataset["marks"] = String(marks.length);
  }

  /** Shows a past point; null goes with the game. */
  select(index: number | null): void {
    if (this.#view.selected === index) return;
    this.#view.selected = index;
    this.#plot.redraw(false);
  }

  /** Takes the colours of the page again. */
  recolour(): void {
    this.#view.colours = readColours(this.#container);
    this.#plot.redraw();
  }

  close(): void {
    this.#closed.abort();
    this.#resize.disconnect();
    this.#plot.destroy();
  }

  /** The plot's own cursor also reports where the pointer was when data comes; only a pointer that moves counts here. */
  #listen({ onHover, onSelect }: CurveEvents): void {
    const { over } = this.#plot;
    let isDragging = false;
    const hover = (index: number | null): void => {
      if (index === this.#view.hovered) return;
      this.#view.hovered = index;
      if (!isDragging) this.#plot.redraw(false);
      onHover(index);
    };
    // Asking for the place makes the browser lay out anew, which is not to happen with every step of a pointer.
    let left: number | null = null;
    const forget = (): void => {
      left = null;
    };
    addEventListener("scroll", forget, {
      capture: true,
      passive: true,
      signal: this.#closed.signal,
    });
    addEventListener("resize", forget, { signal: this.#closed.signal });
    over.addEventListener("pointerenter", forget);
    const indexAt = (event: PointerEvent): number | null => {
      if (this.#view.points.length === 0) return null;
      left ??= over.getBoundingClientRect().left;
      return this.#plot.posToIdx(event.clientX - left);
    };
    over.addEventListener("pointermove", (event) => {
      const index = indexAt(event);
      hover(index);
      if (isDragging && index !== null) onSelect(index);
    });
    over.addEventListener("pointerdown", (event) => {
      const index = indexAt(event);
      if (event.button !== 0 || index === null) return;
      isDragging = true;
      over.setPointerCapture(event.pointerId);
      onSelect(index);
    });
    for (const type of ["pointerup", "pointercancel"] as const)
      over.addEventListener(type, () => (isDragging = false));
    over.addEventListener("pointerleave", () => hover(null));
  }
}

function plotOptions(container: HTMLElement, view: View): uPlot.Options {
  const scale = rootScale();
  const axis = {
    font: `${Math.round(12 * scale)}px system-ui, sans-serif`,
    stroke: (): string => view.colours.muted,
    ticks: { show: false },
  };
  return {
    ...sizeOf(container),
    legend: { show: false },
    padding: [8 * scale, 14 * scale, 0, 0],
    cursor: { show: false },
    scales: { x: { time: false, range: () => [0, view.endS] }, y: { range: () => [0, 100] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 26 * scale,
        splits: () => periodsUntil(view.endS).map(({ startS, lengthS }) => startS + lengthS / 2),
        values: () => periodsUntil(view.endS).map(({ period }) => periodText(period)),
      },
      {
        ...axis,
        grid: { stroke: () => view.colours.line, width: 1 },
        size: 50 * scale,
        splits: () => [0, 25, 50, 75, 100],
        values: () => [view.teams.away, "75%", "50%", "75%", view.teams.home],
      },
    ],
    series: [
      {},
      {
        width: 2.5 * scale,
        stroke: (u) => splitColour(u, view.colours, 1),
        fill: (u) => splitColour(u, view.colours, 0.13),
        fillTo: 50,
        points: { show: false },
      },
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
    ],
    bands: [{ series: [3, 2], fill: () => mix(view.colours.text, 0.16) }],
    hooks: { drawClear: [(u) => drawGround(u, view)], draw: [(u) => drawFront(u, view)] },
  };
}

/** The home team's colour above even chances, the away team's below. */
function splitColour(
  { ctx, bbox }: uPlot,
  colours: CurveColours,
  alpha: number,
): CanvasGradient | string {
  const { top, height } = bbox;
  if (!Number.isFinite(height) || height === 0) return colours.home;
  const gradient = ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, mix(colours.home, alpha));
  gradient.addColorStop(0.5, mix(colours.home, alpha));
  gradient.addColorStop(0.5, mix(colours.away, alpha));
  gradient.addColorStop(1, mix(colours.away, alpha));
  return gradient;
}

/** Behind the curve: runs as bands, period lines, and the line of even chances stronger than the grid. */
function drawGround(u: uPlot, { colours, endS, marks }: View): void {
  const { ctx, bbox } = u;
  const bottom = bbox.top + bbox.height;
  ctx.save();
  for (const mark of marks) {
    if (mark.kind !== "run") continue;
    const from = u.valToPos(mark.fromS, "x", true);
    const width = Math.max(2, u.valToPos(mark.elapsedS, "x", true) - from);
    ctx.fillStyle = mix(mark.side === "home" ? colours.home : colours.away, 0.16);
    ctx.fillRect(from, bbox.top, width, bbox.height);
  }
  ctx.lineWidth = devicePixelRatio;
  ctx.strokeStyle = colours.line;
  for (const { startS } of periodsUntil(endS).slice(1)) {
    const x = Math.round(u.valToPos(startS, "x", true));
    line(ctx, x, bbox.top, x, bottom);
  }
  ctx.strokeStyle = colours.muted;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  const y = Math.round(u.valToPos(50, "y", true));
  line(ctx, bbox.left, y, bbox.left + bbox.width, y);
  ctx.restore();
}

/** Before it: time-outs at the edges, lead changes on the middle line, revised points, the numbers of the swings, the dot. */
function drawFront(u: uPlot, view: View): void {
  const { ctx } = u;
  const unit = devicePixelRatio * rootScale();
  ctx.save();
  for (const mark of view.marks) drawMark(u, mark, view, unit);
  view.swings.forEach((index, rank) => drawSwing(u, view, index, String(rank + 1), unit));
  if (view.hovered !== null) drawDot(u, view, view.hovered, true, unit);
  drawDot(u, view, view.selected ?? view.points.length - 1, view.selected !== null, unit);
  ctx.restore();
}

function drawMark(u: uPlot, mark: Mark, { colours }: View, unit: number): void {
  const { ctx, bbox } = u;
  const x = u.valToPos(mark.elapsedS, "x", true);
  const colour = mark.side === "away" ? colours.away : colours.home;
  if (mark.kind === "timeout") {
    const isHome = mark.side === "home";
    const y = isHome ? bbox.top : bbox.top + bbox.height;
    const tip = y + (isHome ? 7 : -7) * unit;
    ctx.fillStyle = colour;
    ctx.beginPath();
    ctx.moveTo(x - 4 * unit, y);
    ctx.lineTo(x + 4 * unit, y);
    ctx.lineTo(x, tip);
    ctx.fill();
  } else if (mark.kind === "lead") {
    const y = u.valToPos(50, "y", true);
    ctx.strokeStyle = colours.muted;
    ctx.lineWidth = 1.5 * unit;
    line(ctx, x, y - 5 * unit, x, y + 5 * unit);
  } else if (mark.kind === "revised") {
    const y = u.valToPos(mark.homeWinProb * 100, "y", true);
    ctx.strokeStyle = colours.warn;
    ctx.fillStyle = colours.surface;
    ctx.lineWidth = 1.8 * unit;
    ctx.beginPath();
    ctx.rect(x - 3.5 * unit, y - 3.5 * unit, 7 * unit, 7 * unit);
    ctx.fill();
    ctx.stroke();
  }
}

function drawSwing(u: uPlot, view: View, index: number, label: string, unit: number): void {
  const point = view.points[index];
  if (point === undefined) return;
  const { ctx, bbox } = u;
  const x = u.valToPos(point.elapsedS, "x", true);
  const isHigh = point.homeWinProb > 0.85;
  const at = u.valToPos(point.homeWinProb * 100, "y", true) + (isHigh ? 17 : -17) * unit;
  const y = Math.min(bbox.top + bbox.height - 9 * unit, Math.max(bbox.top + 9 * unit, at));
  circle(ctx, x, y, 8 * unit, view.colours.surface);
  ctx.strokeStyle = view.colours.muted;
  ctx.lineWidth = unit;
  ctx.stroke();
  ctx.fillStyle = view.colours.text;
  ctx.font = `600 ${10.5 * unit}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillText(label, x, y + 0.5 * unit);
}

function drawDot(
  u: uPlot,
  { colours, points }: View,
  at: number,
  line_: boolean,
  unit: number,
): void {
  const point = points[at];
  if (point === undefined) return;
  const { ctx, bbox } = u;
  const x = u.valToPos(point.elapsedS, "x", true);
  const y = u.valToPos(point.homeWinProb * 100, "y", true);
  if (line_) {
    ctx.strokeStyle = colours.muted;
    ctx.lineWidth = devicePixelRatio;
    line(ctx, x, bbox.top, x, bbox.top + bbox.height);
  }
  const colour = point.homeWinProb >= 0.5 ? colours.home : colours.away;
  circle(ctx, x, y, 9 * unit, mix(colour, 0.25));
  circle(ctx, x, y, 5.5 * unit, colours.surface);
  circle(ctx, x, y, 4 * unit, colour);
}

function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

function circle(
  ctx: CanvasRenderingContext2D,
  x: number,
  y: number,
  radius: number,
  colour: string,
): void {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.fillStyle = colour;
  ctx.fill();
}

function sizeOf(container: HTMLElement): { width: number; height: number } {
  return {
    width: Math.max(200, container.clientWidth),
    height: Math.max(160, container.clientHeight),
  };
}

/** Text grows with the root font on wall screens. */
function rootScale(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
}

/** A computed custom property keeps `light-dark()` unresolved, a computed colour does not. */
function readColours(container: HTMLElement): CurveColours {
  const probe = document.createElement("span");
  probe.hidden = true;
  container.append(probe);
  const colour = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = {
    home: colour("home"),
    away: colour("away"),
    text: colour("text"),
    muted: colour("muted"),
    line: colour("line"),
    surface: colour("surface"),
    warn: colour("warn"),
  };
  probe.remove();
  return colours;
}

/** @param rgb - as computed, `rgb(1, 2, 3)` */
function mix(rgb: string, alpha: number): string {
  return rgb.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);
}
