import { fnv1a } from "../../base/random.ts";
import { type Json, type JsonRecord, list, member, record, text } from "../readers/json-cells.ts";

/** An insertion has a number between those of its neighbours, which are multiples of this. */
const ORDER_STEP = 10_000;

/** An edit so soon is part of typing the play in; nobody sees what stood there before. */
const TYPING_MS = 5_000;

/** Edits of the night after count as made when the game has just ended: the evening ends some time. */
const LAST_EDIT_MS = 60_000;

/** The box score says that it is over a little later than the last play. */
const FINAL_AFTER_MS = 30_000;

/** Share of the mended plays that stood there as a play of their own that was taken out again. */
const DELETED_SHARE = 0.15;

interface RecordedAction {
  readonly happenedMs: number;
  readonly editedMs: number;
  readonly isInserted: boolean;
  readonly json: string;
  /** What stands in the feed until it is edited; undefined when that is the same. */
  readonly draft: string | undefined;
  /** A play of its own that stands behind this one until it is edited, and is deleted then. */
  readonly deleted: string | undefined;
}

export interface RecordingOptions {
  /** Share of the late-edited plays, 0 to 1, that stand in the feed wrongly until they are edited. */
  readonly edits: number;
  readonly seed: number;
}

/**
 * One recorded game as the feed would have shown it at any moment. When its plays appear, when they are edited
 * and which were put in later is recorded (`timeActual`, `edited`, `orderNumber`); what stood there before an
 * edit is not, and is made up by the seed.
 */
export class RecordedGame {
  readonly gameId: string;
  /** First and last play. */
  readonly startMs: number;
  readonly endMs: number;
  /** Nothing changes from here on. */
  readonly settledMs: number;
  readonly box: JsonRecord;
  readonly #actions: readonly RecordedAction[];
  readonly #head: string;

  constructor(line: Json, options: RecordingOptions) {
    const document = member(line, "playbyplay");
    const game = member(document, "game");
    const actions = [...list(member(game, "actions"))].sort((a, b) => orderOf(a) - orderOf(b));
    this.gameId = text(member(game, "gameId"));
    this.box = record(member(line, "boxscore")) ?? {};
    const times = actions.map((action) => Date.parse(text(member(action, "timeActual"))));
    this.startMs = Math.min(...times);
    this.endMs = Math.max(...times);
    this.settledMs = this.endMs + LAST_EDIT_MS;
    this.#head = JSON.stringify(member(document, "meta") ?? {});
    this.#actions = actions.map((action, i) =>
      recordedAction(action, { ...options, happenedMs: times[i] ?? 0, lastMs: this.settledMs }),
    );
  }

  get gameTimeMs(): number {
    return Date.parse(text(member(member(this.box, "game"), "gameTimeUTC")));
  }

  /** 1 before the first play, 2 under way, 3 final. */
  statusAt(atMs: number): 1 | 2 | 3 {
    if (atMs < this.startMs) return 1;
    return atMs < this.endMs + FINAL_AFTER_MS ? 2 : 3;
  }

  /** @returns the play-by-play document at that time, and a word that changes with it; undefined before tip-off. */
  playByPlayAt(atMs: number): { readonly body: string; readonly version: string } | undefined {
    const shown: string[] = [];
    let version = 0;
    for (const [i, action] of this.#actions.entries()) {
      const isEdited = action.editedMs <= atMs;
      if (action.happenedMs > atMs || (action.isInserted && !isEdited)) continue;
      const json = isEdited ? action.json : (action.draft ?? action.json);
      shown.push(json);
      version = Math.imul(version ^ (i * 2 + (json === action.json ? 1 : 0)), 0x01000193);
      if (isEdited || action.deleted === undefined) continue;
      shown.push(action.deleted);
      version = Math.imul(version ^ -i, 0x01000193);
    }
    if (shown.length === 0) return undefined;
    const game = `{"gameId":"${this.gameId}","actions":[${shown.join(",")}]}`;
    const body = `{"meta":${this.#head},"game":${game}}`;
    return { body, version: `${String(shown.length)}-${(version >>> 0).toString(16)}` };
  }

  /** The box score without its numbers while the game is under way: nobody reads them from it. */
  boxScoreAt(atMs: number): { readonly body: string; readonly version: string } {
    const status = this.statusAt(atMs);
    if (status === 3) return { body: JSON.stringify(this.box), version: "final" };
    const game = { ...record(member(this.box, "game")) };
    game["gameStatus"] = status;
    game["gameStatusText"] = status === 1 ? "7:00 pm ET" : "Live";
    for (const side of ["homeTeam", "awayTeam"]) game[side] = withoutNumbers(game[side]);
    return { body: JSON.stringify({ ...this.box, game }), version: `status-${String(status)}` };
  }

  team(side: "homeTeam" | "awayTeam"): JsonRecord {
    const team = member(member(this.box, "game"), side);
    const names = ["teamId", "teamName", "teamCity", "teamTricode"];
    return Object.fromEntries(names.map((name) => [name, member(team, name)]));
  }
}

function withoutNumbers(team: Json): JsonRecord {
  const players = list(member(team, "players")).map((player) => {
    const { statistics: _numbers, ...rest } = record(player) ?? {};
    return rest;
  });
  const { statistics: _numbers, ...rest } = record(team) ?? {};
  return { ...rest, players };
}

function orderOf(action: Json): number {
  return Number(text(member(action, "orderNumber")) || 0);
}

function recordedAction(
  action: Json,
  at: RecordingOptions & { readonly happenedMs: number; readonly lastMs: number },
): RecordedAction {
  const { happenedMs, lastMs, seed, edits } = at;
  const editedMs = Math.min(
    lastMs,
    Math.max(happenedMs, Date.parse(text(member(action, "edited")))),
  );
  const fields = record(action) ?? {};
  const draw = fnv1a(JSON.stringify(fields), seed) / 2 ** 32;
  const isLate = Number.isFinite(editedMs) && editedMs - happenedMs > TYPING_MS;
  const isWrong = isLate && draw < edits;
  const isDeleted = isWrong && draw < edits * DELETED_SHARE;
  return {
    happenedMs,
    editedMs: Number.isFinite(editedMs) ? editedMs : happenedMs,
    isInserted: orderOf(action) % ORDER_STEP !== 0,
    json: JSON.stringify(fields),
    draft: isWrong && !isDeleted ? JSON.stringify(draftOf(fields, draw)) : undefined,
    deleted: isDeleted ? JSON.stringify(strayOf(fields)) : undefined,
  };
}

/** The play as it may have been typed in first. */
function draftOf(fields: JsonRecord, draw: number): JsonRecord {
  const description = `${text(fields["description"])} (?)`;
  switch (Math.floor(draw * 1e6) % 3) {
    case 0:
      return { ...fields, description };
    case 1: {
      const { actionType } = fields;
      if (actionType === "2pt") return { ...fields, actionType: "3pt", description };
      return { ...fields, ...(actionType === "3pt" && { actionType: "2pt" }), description };
    }
    default: {
      const others = list(fields["personIdsFilter"]);
      const other = others.at(-1) ?? fields["personId"];
      return { ...fields, personId: other, description };
    }
  }
}

/** A play that never was: a stoppage with a number of its own. */
function strayOf(fields: JsonRecord): JsonRecord {
  const { actionNumber, orderNumber, clock, timeActual, period, scoreHome, scoreAway } = fields;
  return {
    actionNumber: Number(actionNumber) + 100_000,
    orderNumber: Number(orderNumber) + 1,
    actionType: "stoppage",
    subType: "out-of-bounds",
    description: "STOPPAGE (?)",
    clock,
    timeActual,
    period,
    scoreHome,
    scoreAway,
    personId: 0,
    possession: fields["possession"],
  };
}
