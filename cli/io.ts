import { styleText } from "node:util";

/** Width of a progress bar in characters: fits beside a label and two numbers on 80 columns. */
const BAR_WIDTH = 28;
/** Bars are drawn at most this often, and plain progress lines are written at most that often. */
const BAR_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 2_000;

/** Where messages for people go. */
export interface Terminal {
  /** True when lines can be redrawn: a terminal, and not a CI log. */
  readonly interactive: boolean;
  readonly colours: boolean;
  write(text: string): void;
}

/** Standard error as a terminal; `NO_COLOR` and `CI` are honoured. */
export function standardError(environment: NodeJS.ProcessEnv = process.env): Terminal {
  const isTty = process.stderr.isTTY && !isSet(environment["CI"]);
  return {
    interactive: isTty,
    colours: isTty && !isSet(environment["NO_COLOR"]) && environment["TERM"] !== "dumb",
    write: (text) => void process.stderr.write(text),
  };
}

type Style = Parameters<typeof styleText>[0];

/** `text` in `style`, or as it is where colours are not wanted. */
export function styled(terminal: Terminal, style: Style, text: string): string {
  return terminal.colours ? styleText(style, text, { validateStream: false }) : text;
}

export interface Progress {
  /** @param detail - a few words behind the numbers. */
  update(done: number, total: number, detail?: string): void;
  /** Ends the bar with a last line; harmless when called twice. */
  finish(text?: string): void;
}

/** A bar on a terminal, a plain line now and then elsewhere. */
export function createProgress(
  terminal: Terminal,
  label: string,
  nowMs: () => number = () => performance.now(),
): Progress {
  let lastMs = Number.NEGATIVE_INFINITY;
  let drawn = false;
  let finished = false;
  const intervalMs = terminal.interactive ? BAR_INTERVAL_MS : LINE_INTERVAL_MS;
  return {
    update(done, total, detail = "") {
      if (finished || nowMs() - lastMs < intervalMs) return;
      lastMs = nowMs();
      const line = `${label} ${bar(terminal, done, total)}${count(done)} of ${count(total)} ${detail}`;
      drawn = terminal.interactive;
      terminal.write(terminal.interactive ? `\r\u001b[K${line.trimEnd()}` : `${line.trimEnd()}\n`);
    },
    finish(text) {
      if (finished) return;
      finished = true;
      if (drawn) terminal.write("\r\u001b[K");
      if (text !== undefined) terminal.write(`${text}\n`);
    },
  };
}

/** Columns as wide as their widest cell; numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) =>
    Math.max(...all.map((row) => (row[column] ?? "").length)),
  );
  const isNumeric = header.map((_, column) =>
    rows.every((row) => /^[-\d.,%]*$/.test(row[column] ?? "")),
  );
  return all
    .map((row) =>
      widths
        .map((width, column) => {
          const cell = row[column] ?? "";
          return isNumeric[column] === true ? cell.padStart(width) : cell.padEnd(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

/** Thousands separated, for people. */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}

function bar(terminal: Terminal, done: number, total: number): string {
  if (!terminal.interactive) return "";
  const share = total <= 0 ? 0 : Math.min(done / total, 1);
  const filled = Math.round(share * BAR_WIDTH);
  return `${styled(terminal, "cyan", "█".repeat(filled))}${"░".repeat(BAR_WIDTH - filled)} `;
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "" && value !== "0" && value !== "false";
}
