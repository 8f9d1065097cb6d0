import { type JSX } from "preact";
import { useState } from "preact/hooks";
import { type SqlAnswer } from "../wire-views.ts";
import { Panel } from "./frame.tsx";
import { countText, durationText } from "./format.ts";
import { ask } from "./view.ts";

const EXAMPLES: readonly (readonly [name: string, sql: string])[] = [
  [
    "Games",
    "SELECT game_id, count() AS plays, round(avg(home_win_prob), 3) AS mean\nFROM predictions GROUP BY game_id ORDER BY plays DESC",
  ],
  [
    "Biggest swings",
    "SELECT game_id, play_number, period,\n  round(100 * (home_win_prob - lagInFrame(home_win_prob, 1, home_win_prob)\n    OVER (PARTITION BY game_id ORDER BY play_number)), 1) AS swing\nFROM predictions_current ORDER BY abs(swing) DESC LIMIT 20",
  ],
  [
    "Who is tired",
    "SELECT player_name, round(max(played_last_12_min_s) / 60, 1) AS minutes_of_12, round(max(stint_max_s) / 60, 1) AS longest_stint\nFROM player_stats GROUP BY player_name ORDER BY longest_stint DESC LIMIT 20",
  ],
  [
    "Latency",
    "SELECT quantiles(0.5, 0.99)(publish_to_prediction_ms) AS prediction_ms, quantiles(0.5, 0.99)(publish_to_row_ms) AS row_ms\nFROM play_latency",
  ],
  [
    "Tables",
    "SELECT name, total_rows, formatReadableSize(total_bytes) AS size, comment FROM system.tables WHERE database = 'courtside'",
  ],
];

/** Questions to the store; it only reads. */
export function SqlPage(): JSX.Element {
  const [text, setText] = useState(EXAMPLES[0]?.[1] ?? "");
  const [answer, setAnswer] = useState<SqlAnswer | null>(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const run = async (): Promise<void> => {
    setBusy(true);
    const { data, error } = await ask<SqlAnswer>("api/sql", { query: text });
    setBusy(false);
    setAnswer(data);
    setProblem(error ?? "");
  };
  return (
    <main id="main" class="page" tabIndex={-1}>
      <h1>SQL</h1>
      <Panel title="Question" hint="read-only · Ctrl+Enter runs it">
        <form
          class="sql-form"
          onSubmit={(event) => {
            event.preventDefault();
            void run();
          }}
        >
          <p class="examples">
            {EXAMPLES.map(([name, sql]) => (
              <button key={name} type="button" onClick={() => setText(sql)}>
                {name}
              </button>
            ))}
          </p>
          <textarea
            id="sql"
            aria-label="SQL statement"
            rows={6}
            spellcheck={false}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void run();
            }}
          />
          <button type="submit" disabled={busy}>
            {busy ? "Running …" : "Run"}
          </button>
        </form>
      </Panel>
      <Panel title="Answer" hint={answer === null ? "" : answerHint(answer)}>
        <p class="note problem" id="sql-problem" role="alert" hidden={problem === ""}>
          {problem}
        </p>
        {answer !== null && <AnswerTable answer={answer} />}
        {answer === null && problem === "" && <p class="note">Nothing asked yet.</p>}
      </Panel>
    </main>
  );
}

function answerHint({ rows, cut, elapsedMs }: SqlAnswer): string {
  return `${cut ? "first " : ""}${countText(rows.length)} rows in ${durationText(elapsedMs)}`;
}

function AnswerTable({ answer: { columns, rows } }: { answer: SqlAnswer }): JSX.Element {
  return (
    <div class="scroll tall" tabIndex={0} role="region" aria-label="Rows of the answer">
      <table id="sql-answer">
        <thead>
          <tr>
            {columns.map(({ name, type }) => (
              <th key={name} scope="col" title={type}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at}>
              {row.map((cell, column) => (
                <td key={column}>{cellText(cell)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  return typeof value === "string" ? value : JSON.stringify(value);
}
