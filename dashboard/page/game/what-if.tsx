import { type JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type GameSummary, type PlayMoment, type PlayRow } from "../../wire.ts";
import { useAbout } from "../about.tsx";
import { Panel } from "../frame.tsx";
import { changeText, percentText } from "../format.ts";
import { ask } from "../view.ts";

/** The questions are asked anew when the game has stood still for so long, so that they cost little while it runs. */
const SETTLE_MS = 600;
/** Nobody waits longer for a game that never stands still. */
const AT_LATEST_MS = 3_000;

type State = Readonly<Record<string, unknown>>;

interface Question {
  readonly text: string;
  readonly change: (state: State) => State;
}

/** Questions that come up in every game. */
function questionsOf({ home, away }: GameSummary): Question[] {
  const scores =
    (side: "home" | "away", points: number): ((state: State) => State) =>
    (state) => ({
      ...state,
      [`${side}Score`]: Number(state[`${side}Score`] ?? 0) + points,
      possession: side === "home" ? "SIDE_AWAY" : "SIDE_HOME",
    });
  return [
    { text: `${home.tricode} free throw goes in`, change: scores("home", 1) },
    { text: `${home.tricode} hits a three`, change: scores("home", 3) },
    { text: `${away.tricode} free throw goes in`, change: scores("away", 1) },
    { text: `${away.tricode} hits a three`, change: scores("away", 3) },
    {
      text: "the ball changes hands",
      change: (state) => ({
        ...state,
        possession: state["possession"] === "SIDE_HOME" ? "SIDE_AWAY" : "SIDE_HOME",
      }),
    },
  ];
}

interface WhatIfProps {
  readonly summary: GameSummary;
  readonly row: PlayRow | null;
  readonly isPast: boolean;
}

/** What the model says of states that did not come to be: ready questions, and a form for any other. */
export function WhatIfPanel({ summary, row, isPast }: WhatIfProps): JSX.Element {
  const [base, setBase] = useState<{ number: number; state: State; now: number | null } | null>(
    null,
  );
  const [answers, setAnswers] = useState<readonly (number | null)[]>([]);
  const [problem, setProblem] = useState("");
  const wanted = useLatest(row?.number ?? 0);
  const { id } = summary;
  const about = useAbout();
  const canAsk = about?.predict === true && !(summary.status === "final" && !isPast);
  useEffect(() => {
    if (wanted === 0 || !canAsk) return;
    let isGone = false;
    const load = async (): Promise<void> => {
      const path = `api/games/${encodeURIComponent(id)}/plays/${wanted}`;
      const { data, error } = await ask<PlayMoment>(path);
      if (isGone) return;
      const state = data?.state ?? null;
      if (state === null) return setProblem(error ?? "this play has no state");
      const results = await Promise.all(
        questionsOf(summary).map(async ({ change }) => predict(change(state))),
      );
      if (isGone) return;
      setProblem(results.find(({ error: each }) => each !== null)?.error ?? "");
      setAnswers(results.map(({ data: prob }) => prob));
      setBase({ number: wanted, state, now: data?.play.homeWinProb ?? null });
    };
    void load();
    return () => {
      isGone = true;
    };
  }, [id, wanted, canAsk]);
  const isOver = about?.predict !== false && summary.status === "final" && !isPast;
  return (
    <Panel
      title="What if"
      hint={isPast ? "at the chosen play" : "from here"}
      class="what-if"
      id="what-if"
    >
      {about?.predict === false && (
        <p class="note">
          This page was started without a model server; start it with --serving-url.
        </p>
      )}
      {isOver && (
        <p class="note">The game is over; choose a past play to ask what could have been.</p>
      )}
      {canAsk && problem !== "" && (
        <p class="note problem" role="status">
          {`The model does not answer: ${problem}.`}
        </p>
      )}
      {canAsk && base === null && problem === "" && <p class="note">Waiting for a play.</p>}
      {canAsk && base !== null && problem === "" && (
        <>
          <ul
            class={`questions${base.number === row?.number ? "" : " pending"}`}
            data-play={base.number}
          >
            {questionsOf(summary).map(({ text }, at) => (
              <Outcome
                key={text}
                text={text}
                prob={answers[at] ?? null}
                now={base.now}
                summary={summary}
              />
            ))}
          </ul>
          <WhatIfForm key={base.number} state={base.state} now={base.now} summary={summary} />
        </>
      )}
    </Panel>
  );
}

async function predict(state: State): Promise<{ data: number | null; error: string | null }> {
  const { data, error } = await ask<{ homeWinProb?: number; home_win_prob?: number }>(
    "v1/predict",
    state,
  );
  return { data: data?.homeWinProb ?? data?.home_win_prob ?? null, error };
}

interface OutcomeProps {
  readonly text: string;
  readonly prob: number | null;
  readonly now: number | null;
  readonly summary: GameSummary;
}

function Outcome({ text, prob, now, summary }: OutcomeProps): JSX.Element {
  const change = prob === null || now === null ? 0 : (prob - now) * 100;
  const side = change === 0 ? "" : change > 0 ? "home" : "away";
  return (
    <li data-prob={prob ?? ""}>
      <span>{`If ${text}`}</span>
      <b>{prob === null ? "–" : `${summary.home.tricode} ${percentText(prob)}`}</b>
      <span class={`change ${side}`}>{prob === null ? "" : changeText(change)}</span>
    </li>
  );
}

/** Any score, clock and possession; remounted for another play, so that it starts from that one. */
function WhatIfForm({
  state,
  now,
  summary,
}: {
  state: State;
  now: number | null;
  summary: GameSummary;
}): JSX.Element {
  const [answer, setAnswer] = useState<{ prob: number | null; error: string | null } | null>(null);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const number = (name: string): number => Number(form.get(name));
    const { data, error } = await predict({
      ...state,
      homeScore: number("home"),
      awayScore: number("away"),
      period: number("period"),
      clockRemainingS: number("minutes") * 60 + number("seconds"),
      possession: form.get("possession"),
      gameOver: false,
    });
    setAnswer({ prob: data, error });
  };
  const clockS = Number(state["clockRemainingS"] ?? 0);
  const possession = typeof state["possession"] === "string" ? state["possession"] : "SIDE_NONE";
  return (
    <form class="what-if-form" onSubmit={(event) => void submit(event)}>
      <NumberField
        label={summary.away.tricode}
        name="away"
        value={Number(state["awayScore"] ?? 0)}
        max={400}
      />
      <NumberField
        label={summary.home.tricode}
        name="home"
        value={Number(state["homeScore"] ?? 0)}
        max={400}
      />
      <NumberField
        label="Period"
        name="period"
        value={Number(state["period"] ?? 1)}
        min={1}
        max={14}
      />
      <NumberField label="Min" name="minutes" value={Math.floor(clockS / 60)} max={12} />
      <NumberField label="Sec" name="seconds" value={Math.floor(clockS % 60)} max={59} />
      <label>
        Ball
        <select name="possession" defaultValue={possession}>
          <option value="SIDE_HOME">{summary.home.tricode}</option>
          <option value="SIDE_AWAY">{summary.away.tricode}</option>
          <option value="SIDE_NONE">nobody</option>
        </select>
      </label>
      <button type="submit">Ask the model</button>
      <output id="what-if-answer" data-prob={answer?.prob ?? ""}>
        {answer === null
          ? ""
          : answer.error !== null
            ? answer.error
            : `${summary.home.tricode} ${percentText(answer.prob)}${now === null || answer.prob === null ? "" : ` (${changeText((answer.prob - now) * 100)})`}`}
      </output>
    </form>
  );
}

interface NumberFieldProps {
  readonly label: string;
  readonly name: string;
  readonly value: number;
  readonly min?: number;
  readonly max: number;
}

function NumberField({ label, name, value, min = 0, max }: NumberFieldProps): JSX.Element {
  return (
    <label>
      {label}
      <input type="number" name={name} defaultValue={String(value)} min={min} max={max} required />
    </label>
  );
}

/** A value that has stood still for a moment, or the newest one when it never does. */
function useLatest(value: number): number {
  const [settled, setSettled] = useState(value);
  const changedAtMs = useRef(0);
  useEffect(() => {
    if (value === settled) return;
    if (changedAtMs.current === 0) changedAtMs.current = performance.now();
    const waitedMs = performance.now() - changedAtMs.current;
    const timer = setTimeout(
      () => {
        changedAtMs.current = 0;
        setSettled(value);
      },
      Math.max(0, Math.min(SETTLE_MS, AT_LATEST_MS - waitedMs)),
    );
    return () => clearTimeout(timer);
  }, [value, settled]);
  return settled;
}
