import { CourtsideError } from "../../base/errors.ts";

/** There is nothing at the path that was asked for. */
export class SourceNotFoundError extends CourtsideError {
  override readonly code = "SOURCE_NOT_FOUND";
  override readonly retryable = false;

  constructor(path: string, options?: ErrorOptions) {
    super(
      `${path}: no such file or folder; give a season file (plain or .gz) or a folder of game files`,
      options,
    );
  }
}

/** The path is there, but no game can be read from it. */
export class NoGamesError extends CourtsideError {
  override readonly code = "NO_GAMES";
  override readonly retryable = false;

  constructor(path: string, why: string) {
    super(`${path}: ${why}; expected play-by-play in one of the formats of data/README.md`);
  }
}

/** The file is play-by-play of a version or a feed that no reader knows. */
export class UnknownFeedError extends CourtsideError {
  override readonly code = "UNKNOWN_FEED";
  override readonly retryable = false;
  /** Columns or members that were found. */
  readonly found: readonly string[];

  constructor(path: string, found: readonly string[], known: readonly string[]) {
    const shown = found.slice(0, SHOWN_MAX).map((name) => name.slice(0, NAME_MAX_CHARS));
    super(
      `${path}: the format is not known; found ${shown.join(", ") || "nothing"}; known are ${known.join("; ")}`,
    );
    this.found = found;
  }
}

/** Names in a message, and their length: enough to recognise a header by. */
const SHOWN_MAX = 40;
const NAME_MAX_CHARS = 40;
