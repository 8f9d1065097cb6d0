import { type JSX } from "preact";
import { type GameSummary, type TrendRow, type WindowRow, type WireSide } from "../../wire.ts";
import { Def, Panel } from "../frame.tsx";
import { gameLengthS, minutesText, periodsUntil, share, type Term } from "../format.ts";
import { memo } from "../memo.ts";

interface FormPanelProps {
  readonly summary: GameSummary;
  readonly windows: readonly WindowRow[];
  readonly trend: readonly TrendRow[];
  /** Game time until which one looks, seconds; null goes with the game. */
  readonly untilS: number | null;
}

/** How the teams have been playing: three small multiples over the game, and the last minutes as numbers. */
export const FormPanel = memo(function FormPanel({
  summary,
  windows,
  trend,
  untilS,
}: FormPanelProps) {
  const rows = untilS === null ? trend : trend.filter(({ endS }) => endS <= untilS);
  const sizes = [...new Set(windows.map(({ sizeS }) => sizeS))].sort((a, b) => a - b);
  return (
    <Panel title="Form" hint="five game minutes up to each point" class="windows" id="form">
      <div class="multiples">
        <Multiple
          term="Pace"
          rows={rows}
          read={({ pace }) => pace}
          format={round}
          range={[60, 140]}
          summary={summary}
        />
        <Multiple
          term="eFG"
          rows={rows}
          read={({ effectiveFg }) => effectiveFg}
          format={share}
          range={[0, 1]}
          summary={summary}
        />
        <Multiple
          term="Turnovers"
          rows={rows}
          read={({ turnovers }) => turnovers}
          format={String}
          range={[0, 6]}
          summary={summary}
        />
      </div>
      {untilS === null && sizes.length === 0 && (
        <p class="note">The first windows have not fired yet.</p>
      )}
      {sizes.length > 0 && (
        <div
          class="window-tables scroll"
          id="windows"
          tabIndex={0}
          role="region"
          aria-label="Last minutes"
        >
          {sizes.map((sizeS) => (
            <WindowTable key={sizeS} sizeS={sizeS} windows={windows} summary={summary} />
          ))}
        </div>
      )}
    </Panel>
  );
});

function round(value: number): string {
  return String(Math.round(value));
}

const WIDTH = 240;
const HEIGHT = 72;

interface MultipleProps {
  readonly term: Term;
  readonly rows: readonly TrendRow[];
  readonly read: (row: TrendRow) => number | null;
  readonly format: (value: number) => string;
  readonly range: readonly [low: number, high: number];
  readonly summary: GameSummary;
}

function Multiple({ term, rows, read, format, range, summary }: MultipleProps): JSX.Element {
  const endS = gameLengthS(Math.max(0, ...rows.map((row) => row.endS)));
  const lineOf = (side: WireSide): { points: string; last: number | null } => {
    const mine = rows.filter((row) => row.side === side).toSorted((a, b) => a.endS - b.endS);
    const values = mine.flatMap((row) => {
      const value = read(row);
      return value === null ? [] : [{ endS: row.endS, value }];
    });
    const y = (value: number): number =>
      HEIGHT -
      (Math.min(range[1], Math.max(range[0], value)) - range[0]) * (HEIGHT / (range[1] - range[0]));
    const points = values
      .map(({ endS: at, value }) => `${((at / endS) * WIDTH).toFixed(1)},${y(value).toFixed(1)}`)
      .join(" ");
    return { points, last: values.at(-1)?.value ?? null };
  };
  const [away, home] = [lineOf("away"), lineOf("home")];
  const text = (last: number | null): string => (last === null ? "–" : format(last));
  return (
    <figure class="multiple" data-term={term}>
      <figcaption>
        <Def term={term} />
        <span>
          <b class="away">{`${summary.away.tricode} ${text(away.last)}`}</b>{" "}
          <b class="home">{`${summary.home.tricode} ${text(home.last)}`}</b>
        </span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {periodsUntil(endS)
          .slice(1)
          .map(({ startS }) => (
            <path key={startS} class="grid" d={`M${(startS / endS) * WIDTH} 0V${HEIGHT}`} />
          ))}
        <polyline class="away" points={away.points} />
        <polyline class="home" points={home.points} />
      </svg>
      <span class="range">
        <span>{format(range[0])}</span>
        <span>{format(range[1])}</span>
      </span>
    </figure>
  );
}

const WINDOW_COLUMNS: readonly (readonly [header: string, title: string])[] = [
  ["PTS", "Points"],
  ["FG", "Field goals made–attempted"],
  ["eFG", "Effective field-goal percentage: a three counts one and a half"],
  ["3P", "Three-pointers made"],
  ["FT", "Free throws made–attempted"],
  ["TO", "Turnovers"],
  ["Pace", "Possessions per 48 minutes"],
];

function WindowTable(props: {
  sizeS: number;
  windows: readonly WindowRow[];
  summary: GameSummary;
}): JSX.Element {
  const { sizeS, windows, summary } = props;
  return (
    <table class="window-table" data-size={sizeS}>
      <thead>
        <tr>
          <th scope="col">{`Last ${minutesText(sizeS).replace(":00", "")} min`}</th>
          {WINDOW_COLUMNS.map(([header, title]) => (
            <th key={header} scope="col">
              <abbr title={title}>{header}</abbr>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {(["away", "home"] as const).map((side) => {
          const row = windows.find((window) => window.sizeS === sizeS && window.side === side);
          return row === undefined ? null : (
            <tr key={side} data-side={side}>
              <th scope="row" class={side}>
                {summary[side].tricode}
              </th>
              {cellsOf(row).map((text, at) => (
                <td key={at}>{text}</td>
              ))}
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function cellsOf(row: WindowRow): string[] {
  return [
    String(row.points),
    `${row.fieldGoals[0]}–${row.fieldGoals[1]}`,
    share(row.effectiveFg),
    String(row.threesMade),
    `${row.freeThrows[0]}–${row.freeThrows[1]}`,
    String(row.turnovers),
    row.pace === null ? "–" : round(row.pace),
  ];
}
