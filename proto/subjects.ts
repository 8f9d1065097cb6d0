/** The only place where NATS streams, subjects, buckets and headers are spelled. */

export const PLAYS_STREAM = "PLAYS";
export const INSIGHTS_STREAM = "INSIGHTS";

export const PLAYS_SUBJECTS = "plays.>";
export const INSIGHTS_SUBJECTS = "insights.>";

/** Subject of a game's plays: `plays.<key group>.<game id>`. */
export function playsSubject(keyGroup: number, gameId: string): string {
  return `plays.${String(keyGroup)}.${gameId}`;
}

/** Subject of what the insight job says of a game: `insights.<key group>.<game id>`. */
export function insightsSubject(keyGroup: number, gameId: string): string {
  return `insights.${String(keyGroup)}.${gameId}`;
}

/** All plays of a key group. */
export function playsOfKeyGroup(keyGroup: number): string {
  return `plays.${String(keyGroup)}.>`;
}

/** All insights of a key group. */
export function insightsOfKeyGroup(keyGroup: number): string {
  return `insights.${String(keyGroup)}.>`;
}

/** Game id in the subject of rows whose game is not known. */
export const UNKNOWN_GAME = "unknown";

/** Key-value bucket of what is committed: job records, heads of regions, parts of savepoints. */
export const JOBS_BUCKET = "courtside_jobs";
/** Key-value bucket of who is alive; its entries go when they are not renewed. */
export const WORKERS_BUCKET = "courtside_workers";
/** Stream between the stages of jobs that change the key. */
export const EDGES_STREAM = "EDGES";
export const EDGES_SUBJECTS = "edge.>";

/** Begins the subjects of one edge: `edge.<job>.<region>.<edge>.<epoch>.<partition>.<producer>`. */
export function edgeSubject(job: string, region: string, edge: string): string {
  return `edge.${job}.${region}.${edge}`;
}

/** Object Store of snapshots, for jobs that keep them in the broker. */
export const SNAPSHOTS_BUCKET = "courtside_snapshots";

/** W3C trace context of the sampled play that a message carries. */
export const TRACEPARENT_HEADER = "traceparent";
