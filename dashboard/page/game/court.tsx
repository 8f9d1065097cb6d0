import { type JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { type GameSummary, type PlayRow, type WireSide } from "../../wire.ts";
import { memo } from "../memo.ts";
import { clockText, periodText, share } from "../format.ts";

/** Half a court in feet, the basket 5.25 ft from the baseline (rule 1); y grows towards mid-court. */
const HALF_WIDTH_FT = 25;
const BASELINE_FT = -5.25;
const TOP_FT = 36;

interface CourtPanelProps {
  readonly summary: GameSummary;
  readonly plays: readonly PlayRow[];
  /** Index of the last play that counts. */
  readonly until: number;
}

/** Shots of both sides on half a court; which side can be chosen. */
export function CourtPanel({ summary, plays, until }: CourtPanelProps): JSX.Element {
  const [shown, setShown] = useState<WireSide | "both">("both");
  const shots = useMemo(
    () =>
      plays.flatMap((play, index) =>
        play.shot === null || play.side === null ? [] : [{ play, shot: play.shot, index }],
      ),
    [plays],
  );
  const visible = shots.filter(
    ({ index, play }) => index <= until && (shown === "both" || play.side === shown),
  );
  return (
    <section class="panel court" aria-labelledby="court-title">
      <header>
        <h2 id="court-title">Shots</h2>
        <div class="choice" role="group" aria-label="Whose shots">
          {(["away", "both", "home"] as const).map((side) => (
            <button
              key={side}
              type="button"
              aria-pressed={shown === side}
              class={side}
              onClick={() => setShown(side)}
            >
              {side === "both" ? "Both" : summary[side].tricode}
            </button>
          ))}
        </div>
      </header>
      <svg
        class="court-map"
        id="court"
        viewBox={`${-HALF_WIDTH_FT - 1} ${BASELINE_FT - 0.7} ${2 * HALF_WIDTH_FT + 2} ${TOP_FT + 6.7}`}
        role="img"
        aria-label={shotSentence(summary, visible)}
        data-shots={visible.length}
      >
        <CourtLines />
        {visible.map(({ play, shot }) => (
          <Shot key={play.number} play={play} x={shot.xFt} y={shot.yFt} made={shot.made} />
        ))}
      </svg>
      <ShotTable summary={summary} visible={visible} />
    </section>
  );
}

const Shot = memo(function Shot(props: { play: PlayRow; x: number; y: number; made: boolean }) {
  const { play, made } = props;
  const x = Math.max(-HALF_WIDTH_FT, Math.min(HALF_WIDTH_FT, props.x));
  // From the other half everything is a heave.
  const y = Math.min(TOP_FT, props.y);
  const title = `${periodText(play.period)} ${clockText(play.clockS)} ${play.text}`;
  return made ? (
    <circle class={`shot made ${play.side ?? ""}`} cx={x} cy={y} r="0.75">
      <title>{title}</title>
    </circle>
  ) : (
    <path
      class={`shot missed ${play.side ?? ""}`}
      d={`M${x - 0.6} ${y - 0.6}l1.2 1.2m0-1.2l-1.2 1.2`}
    >
      <title>{title}</title>
    </path>
  );
});

/** NBA rule 1: lane 16 ft, circles 6 ft, restricted area 4 ft, three-point line 23.75 ft and 22 ft in the corners. */
const CourtLines = memo(function CourtLines() {
  const cornerY = Math.sqrt(23.75 ** 2 - 22 ** 2);
  return (
    <g class="court-lines">
      <path d={`M-25 ${TOP_FT + 5}V${BASELINE_FT}H25V${TOP_FT + 5}`} />
      <path d={`M-8 ${BASELINE_FT}V13.75H8V${BASELINE_FT}`} />
      <circle cx="0" cy="13.75" r="6" />
      <path d="M-4 -1.25V0A4 4 0 0 0 4 0V-1.25" />
      <path d={`M-22 ${BASELINE_FT}V${cornerY}A23.75 23.75 0 0 0 22 ${cornerY}V${BASELINE_FT}`} />
      <path d="M-3 -1.25H3" />
      <circle cx="0" cy="0" r="0.75" />
    </g>
  );
});

interface Tried {
  readonly play: PlayRow;
  readonly shot: { readonly made: boolean; readonly value: number };
}

function counted(tried: readonly Tried[], side: WireSide, value: number): [number, number] {
  const mine = tried.filter(({ play, shot }) => play.side === side && shot.value === value);
  return [mine.filter(({ shot }) => shot.made).length, mine.length];
}

function shotSentence(summary: GameSummary, tried: readonly Tried[]): string {
  const parts = (["away", "home"] as const).map((side) => {
    const [two, three] = [counted(tried, side, 2), counted(tried, side, 3)];
    return `${summary[side].name}: ${two[0]} of ${two[1]} twos, ${three[0]} of ${three[1]} threes`;
  });
  return `Shot chart. ${parts.join("; ")}`;
}

function ShotTable({
  summary,
  visible,
}: {
  summary: GameSummary;
  visible: readonly Tried[];
}): JSX.Element {
  return (
    <table class="shot-table">
      <thead>
        <tr>
          <td />
          <th scope="col">Twos</th>
          <th scope="col">Threes</th>
          <th scope="col" title="Shots without a place on the court are not counted here">
            Places
          </th>
        </tr>
      </thead>
      <tbody>
        {(["away", "home"] as const).map((side) => {
          const [two, three] = [counted(visible, side, 2), counted(visible, side, 3)];
          return (
            <tr key={side} data-side={side}>
              <th scope="row" class={side}>
                {summary[side].tricode}
              </th>
              {[two, three].map(([made, tried], at) => (
                <td key={at}>
                  {`${made}–${tried}`} <small>{tried === 0 ? "" : share(made / tried)}</small>
                </td>
              ))}
              <td>{two[1] + three[1]}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
