/**
 * Colours of the two teams of a game: their own where that can be seen, else ones that can. Text in them has a contrast of
 * at least 4.5 to the surface (WCAG 1.4.3), and the two differ for every kind of colour vision.
 */

/** First and second colour of each team, as the clubs give them. */
const TEAMS: Readonly<Record<string, readonly [string, string]>> = {
  ATL: ["#e03a3e", "#c1d32f"],
  BOS: ["#007a33", "#ba9653"],
  BKN: ["#000000", "#707271"],
  CHA: ["#00788c", "#1d1160"],
  CHI: ["#ce1141", "#000000"],
  CLE: ["#860038", "#fdbb30"],
  DAL: ["#00538c", "#b8c4ca"],
  DEN: ["#0e2240", "#fec524"],
  DET: ["#c8102e", "#1d42ba"],
  GSW: ["#1d428a", "#ffc72c"],
  HOU: ["#ce1141", "#9ea2a2"],
  IND: ["#fdbb30", "#002d62"],
  LAC: ["#c8102e", "#1d428a"],
  LAL: ["#552583", "#fdb927"],
  MEM: ["#5d76a9", "#12173f"],
  MIA: ["#98002e", "#f9a01b"],
  MIL: ["#00471b", "#a39161"],
  MIN: ["#236192", "#78be20"],
  NOP: ["#0c2340", "#c8102e"],
  NYK: ["#f58426", "#006bb6"],
  OKC: ["#007ac1", "#ef3b24"],
  ORL: ["#0077c0", "#9ea2a2"],
  PHI: ["#006bb6", "#ed174c"],
  PHX: ["#e56020", "#1d1160"],
  POR: ["#e03a3e", "#63727a"],
  SAC: ["#5a2d81", "#63727a"],
  SAS: ["#8a8d8f", "#000000"],
  TOR: ["#ce1141", "#a1a1a4"],
  UTA: ["#4a2b86", "#f9a01b"],
  WAS: ["#002b5c", "#e31837"],
};

/** A pair that all see apart; teams that are not known get it. */
const HOME_DEFAULT = "#b4500b";
const AWAY_DEFAULT = "#0c62b0";
/** Tried in order when the teams' own colours cannot be told apart. */
const STAND_INS = [AWAY_DEFAULT, HOME_DEFAULT, "#7a7f87", "#9b7a00"];

export type Theme = "dark" | "light";
/** Surfaces on which the colours stand, as in style.css. */
export const SURFACES: Readonly<Record<Theme, string>> = { light: "#ffffff", dark: "#121922" };
/** Raised surfaces are a little nearer to the text: aim above the rule. */
export const MIN_CONTRAST = 4.9;
/** Distance in OKLab below which two lines are taken for one, found by looking at the thirty teams in simulation. */
export const MIN_DISTANCE = 0.1;

export interface TeamColours {
  readonly home: string;
  readonly away: string;
}

const kept = new Map<string, TeamColours>();

/** @returns `#rrggbb` for both sides; the same answer for the same input. */
export function teamColours(home: string, away: string, theme: Theme): TeamColours {
  const key = `${home} ${away} ${theme}`;
  let colours = kept.get(key);
  if (colours === undefined) {
    colours = choose(home, away, SURFACES[theme]);
    // All pairs of thirty teams in two themes are fewer; a feed with made-up teams starts anew.
    if (kept.size > 2_000) kept.clear();
    kept.set(key, colours);
  }
  return colours;
}

function choose(home: string, away: string, surface: string): TeamColours {
  const homes = [...(TEAMS[home] ?? []), HOME_DEFAULT].map((hex) => readable(hex, surface));
  const aways = [...(TEAMS[away] ?? []), ...STAND_INS].map((hex) => readable(hex, surface));
  let best: TeamColours & { distance: number } = { home: "", away: "", distance: -1 };
  for (const homeColour of homes) {
    for (const awayColour of aways) {
      const distance = seenDistance(homeColour, awayColour);
      if (distance >= MIN_DISTANCE) return { home: homeColour, away: awayColour };
      if (distance > best.distance) best = { home: homeColour, away: awayColour, distance };
    }
  }
  return best;
}

/** The colour, drawn towards black or white until text in it can be read on the surface. */
function readable(hex: string, surface: string): string {
  const target = luminance(rgbOf(surface)) > 0.5 ? [0, 0, 0] : [255, 255, 255];
  const from = rgbOf(hex);
  for (let step = 0; step <= 40; step += 1) {
    const mixed = from.map((value, index) =>
      Math.round(value + ((target[index] ?? 0) - value) * (step / 40)),
    );
    if (contrast(hexOf(mixed), surface) >= MIN_CONTRAST) return hexOf(mixed);
  }
  return hexOf(target);
}

/** WCAG 2 contrast, 1..21. */
export function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [luminance(rgbOf(a)), luminance(rgbOf(b))].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

/** Smallest distance in OKLab over normal vision and the three dichromacies. */
export function seenDistance(a: string, b: string): number {
  const [first, second] = [linearOf(a), linearOf(b)];
  return Math.min(
    ...VISIONS.map((matrix) => {
      const [p, q] = [oklab(apply(matrix, first)), oklab(apply(matrix, second))];
      return Math.hypot(...p.map((value, index) => value - (q[index] ?? 0)));
    }),
  );
}

type Matrix = readonly (readonly number[])[];

/** Severity 1.0 of Machado, Oliveira and Fernandes 2009, on linear RGB: normal, protan, deutan, tritan. */
const VISIONS: readonly Matrix[] = [
  [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
];

function apply(matrix: Matrix, [r = 0, g = 0, b = 0]: readonly number[]): number[] {
  return matrix.map(([x = 0, y = 0, z = 0]) => Math.min(1, Math.max(0, x * r + y * g + z * b)));
}

/** Ottosson 2020. */
function oklab([r = 0, g = 0, b = 0]: readonly number[]): number[] {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function luminance(rgb: readonly number[]): number {
  const [r = 0, g = 0, b = 0] = rgb.map(linear);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function linearOf(hex: string): number[] {
  return rgbOf(hex).map(linear);
}

function linear(value: number): number {
  const share = value / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
}

function rgbOf(hex: string): number[] {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}

function hexOf(rgb: readonly number[]): string {
  return `#${rgb.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}
