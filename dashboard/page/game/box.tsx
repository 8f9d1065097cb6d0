import { type JSX } from "preact";
import { useMemo } from "preact/hooks";
import { type GameSummary, type PlayerLine, type PlayRow, type WireSide } from "../../wire.ts";
import { winProbAdded } from "../../story.ts";
import { Def, Panel } from "../frame.tsx";
import { minutesText, share, signed, type Term, TERMS } from "../format.ts";

/** A stint of so many seconds fills its bar: starters sit down after 8 to 12 minutes. */
const FULL_STINT_S = 720;
const LAST_12_S = 720;
/** Personal fouls that end a player's game, rule 12. */
const FOUL_LIMIT = 6;

const COLUMNS: readonly (readonly [header: string, title: string])[] = [
  ["MIN", "Minutes played"],
  ["PTS", "Points"],
  ["WPA", TERMS.WPA],
  ["REB", "Rebounds"],
  ["AST", "Assists"],
  ["STL", "Steals"],
  ["BLK", "Blocks"],
  ["TO", "Turnovers"],
  ["PF", "Personal fouls; six end a player's game"],
  ["FG", "Field goals made–attempted"],
  ["3P", "Three-pointers made–attempted"],
  ["FT", "Free throws made–attempted"],
  ["+/−", "Points of the team less those of the other while on court"],
  ["USG", TERMS.Usage],
  ["TS", TERMS["True shooting"]],
  ["Stint", TERMS.Stint],
  ["Last 12", TERMS["Last 12"]],
];

interface BoxPanelProps {
  readonly summary: GameSummary;
  readonly players: readonly PlayerLine[];
  readonly plays: readonly PlayRow[];
  readonly pregame: number | null;
  /** Index of the last play that counts. */
  readonly until: number;
  readonly isPast: boolean;
  /** Game time that is looked at, seconds. */
  readonly nowS: number;
}

/** Box score with fatigue and win probability added, of now or as it was. */
export function BoxPanel(props: BoxPanelProps): JSX.Element {
  const { summary, players, plays, pregame, until, isPast, nowS } = props;
  const added = useMemo(
    () => winProbAdded(plays.slice(0, until + 1), pregame),
    [plays, pregame, until],
  );
  return (
    <Panel
      title={isPast ? "Box score as it was" : "Box score"}
      hint={
        <>
          <span class="court-dot" /> on court · <Def term={"Stint" satisfies Term}>stint</Def> and{" "}
          <Def term="Last 12">last 12 min</Def> show load
        </>
      }
      class="box"
      id="box"
    >
      {players.length === 0 && <p class="note">Nobody has a line yet.</p>}
      <div class="box-tables">
        {players.length > 0 &&
          (["away", "home"] as const).map((side) => (
            <div
              key={side}
              class="scroll"
              data-side={side}
              tabIndex={0}
              role="region"
              aria-label={`Box score of ${summary[side].name}`}
            >
              <BoxTable
                side={side}
                name={summary[side].name}
                lines={linesOf(players, side, nowS, isPast)}
                added={added}
              />
            </div>
          ))}
      </div>
    </Panel>
  );
}

function linesOf(
  players: readonly PlayerLine[],
  side: WireSide,
  nowS: number,
  isPast: boolean,
): PlayerLine[] {
  return players
    .filter((line) => line.side === side && !(isPast && line.asOfS > nowS))
    .map((line) => carriedTo(nowS, line))
    .sort(byRole);
}

/**
 * A line with its times as of now. Lines come at every substitution, so minutes, stint and rest are exact; of the last 12
 * minutes only the most that they can be is known until the player's next line.
 */
function carriedTo(nowS: number, line: PlayerLine): PlayerLine {
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

/** Starters, then the bench by minutes. */
function byRole(a: PlayerLine, b: PlayerLine): number {
  return (
    Number(b.starter) - Number(a.starter) || b.playedS - a.playedS || a.name.localeCompare(b.name)
  );
}

interface BoxTableProps {
  readonly side: WireSide;
  readonly name: string;
  readonly lines: readonly PlayerLine[];
  readonly added: ReadonlyMap<number, number>;
}

function BoxTable({ side, name, lines, added }: BoxTableProps): JSX.Element {
  return (
    <table class={`box-table ${side}`}>
      <thead>
        <tr>
          <th scope="col">{name}</th>
          {COLUMNS.map(([header, title]) => (
            <th key={header} scope="col">
              <abbr title={title}>{header}</abbr>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {lines.map((line, at) => (
          <PlayerRow key={at} line={line} added={added.get(line.id) ?? 0} />
        ))}
      </tbody>
      <tfoot>
        <TotalsRow lines={lines} added={added} />
      </tfoot>
    </table>
  );
}

function PlayerRow({ line, added }: { line: PlayerLine; added: number }): JSX.Element {
  const pair = ([made, tried]: readonly [number, number]): string => `${made}–${tried}`;
  const { rebounds } = line;
  return (
    <tr data-player={line.id} class={line.onCourt ? "on-court" : ""}>
      <th scope="row">
        <span
          class={`court-dot${line.onCourt ? "" : " none"}`}
          role={line.onCourt ? "img" : undefined}
          aria-label={line.onCourt ? "on court" : undefined}
        />
        {line.name}
      </th>
      <td>{minutesText(line.playedS)}</td>
      <td class="points">{line.points}</td>
      <td class="wpa" data-wpa={added.toFixed(6)}>
        {signed(added * 100, 1)}
      </td>
      <td title={`${rebounds[0]} offensive`}>{rebounds[0] + rebounds[1]}</td>
      <td>{line.assists}</td>
      <td>{line.steals}</td>
      <td>{line.blocks}</td>
      <td>{line.turnovers}</td>
      <td class={line.fouls >= FOUL_LIMIT - 1 ? "warn" : ""}>{line.fouls}</td>
      <td>{pair(line.fieldGoals)}</td>
      <td>{pair(line.threes)}</td>
      <td>{pair(line.freeThrows)}</td>
      <td>{signed(line.plusMinus)}</td>
      <td>{share(line.usage)}</td>
      <td>{line.fieldGoals[1] + line.freeThrows[1] === 0 ? "–" : share(line.trueShooting)}</td>
      <td class="load">
        {line.onCourt ? (
          <LoadBar seconds={line.stintS} />
        ) : line.playedS === 0 ? (
          "–"
        ) : (
          <span class="rest">{`rest ${minutesText(line.restS)}`}</span>
        )}
      </td>
      <td class="load">
        <LoadBar seconds={line.last12S} />
      </td>
    </tr>
  );
}

function LoadBar({ seconds }: { seconds: number }): JSX.Element {
  return (
    <span class="load-bar">
      <i class="load-fill" style={{ width: `${Math.min(100, (seconds / FULL_STINT_S) * 100)}%` }} />
      <span>{minutesText(seconds)}</span>
    </span>
  );
}

function TotalsRow({ lines, added }: Pick<BoxTableProps, "lines" | "added">): JSX.Element {
  const sum = (read: (line: PlayerLine) => number): number =>
    lines.reduce((total, line) => total + read(line), 0);
  const pair = (read: (line: PlayerLine) => readonly [number, number]): string =>
    `${sum((line) => read(line)[0])}–${sum((line) => read(line)[1])}`;
  const cells = [
    "",
    String(sum(({ points }) => points)),
    signed(sum(({ id }) => added.get(id) ?? 0) * 100, 1),
    String(sum(({ rebounds }) => rebounds[0] + rebounds[1])),
    String(sum(({ assists }) => assists)),
    String(sum(({ steals }) => steals)),
    String(sum(({ blocks }) => blocks)),
    String(sum(({ turnovers }) => turnovers)),
    String(sum(({ fouls }) => fouls)),
    pair(({ fieldGoals }) => fieldGoals),
    pair(({ threes }) => threes),
    pair(({ freeThrows }) => freeThrows),
  ];
  const empty = COLUMNS.length - cells.length;
  return (
    <tr>
      <th scope="row">Players</th>
      {cells.map((text, at) => (
        <td key={at} class={at === 1 ? "total-points" : undefined}>
          {text}
        </td>
      ))}
      {Array.from({ length: empty }, (_, at) => (
        <td key={`empty${at}`} />
      ))}
    </tr>
  );
}
