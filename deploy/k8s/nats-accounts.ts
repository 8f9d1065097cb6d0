import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  EDGES_STREAM,
  EDGES_SUBJECTS,
  INSIGHTS_STREAM,
  INSIGHTS_SUBJECTS,
  JOBS_BUCKET,
  PLAYS_STREAM,
  PLAYS_SUBJECTS,
  SNAPSHOTS_BUCKET,
  WORKERS_BUCKET,
} from "../../proto/subjects.ts";

/**
 * Who may do what in the broker: one user a role, each with what its part needs and nothing else. The names of streams
 * and subjects come from `proto/subjects.ts`, so that neither can be renamed alone. Written to
 * `base/nats/accounts.conf` by `node deploy/k8s/nats-accounts.ts`; a test compares.
 */

/** Reads a stream with consumers of its own making, from any position. */
function read(stream: string): string[] {
  return [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.DELETE.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
    `$JS.FC.${stream}.>`,
  ];
}

/** A key-value bucket: its entries are the last messages of a stream's subjects. */
function bucket(name: string): string[] {
  return [`$KV.${name}.>`, ...read(`KV_${name}`)];
}

/** What a worker of any job needs besides its input and output: leases, heads, snapshots. */
const WORKER = [
  `$JS.API.STREAM.INFO.${PLAYS_STREAM}`,
  `$JS.API.STREAM.INFO.${INSIGHTS_STREAM}`,
  ...bucket(JOBS_BUCKET),
  ...bucket(WORKERS_BUCKET),
  `$O.${SNAPSHOTS_BUCKET}.>`,
  `$JS.API.STREAM.PURGE.OBJ_${SNAPSHOTS_BUCKET}`,
  ...read(`OBJ_${SNAPSHOTS_BUCKET}`),
];

/** Publish rights of each role, by user name. */
export const ROLES: Readonly<Record<string, readonly string[]>> = {
  // Creates streams and buckets; reads and writes no play.
  admin: ["$JS.API.>"],
  // replay and live: publish plays, and look where they had stopped.
  feed: [PLAYS_SUBJECTS, ...read(PLAYS_STREAM), `$JS.API.STREAM.INFO.${INSIGHTS_STREAM}`],
  insight: [...WORKER, ...read(PLAYS_STREAM), INSIGHTS_SUBJECTS, ...read(INSIGHTS_STREAM)],
  // Recomputes a share of the games from their plays.
  scorecard: [...WORKER, ...read(INSIGHTS_STREAM), ...read(PLAYS_STREAM)],
  leaders: [
    ...WORKER,
    ...read(INSIGHTS_STREAM),
    ...read(PLAYS_STREAM),
    EDGES_SUBJECTS,
    ...read(EDGES_STREAM),
    `$JS.API.STREAM.PURGE.${EDGES_STREAM}`,
  ],
  // Shows who works on what, and how full the streams are.
  dashboard: [
    ...read(INSIGHTS_STREAM),
    ...read(`KV_${JOBS_BUCKET}`),
    ...read(`KV_${WORKERS_BUCKET}`),
    "$JS.API.STREAM.LIST",
  ],
  // Models, where they are kept in the broker.
  serving: [],
};

/** What every role may: ask for the account's limits, and get answers. */
const COMMON = ["$JS.API.INFO"];
const SUBSCRIBE = ["_INBOX.>"];

/** The file in the broker's own configuration language; passwords come from the environment. */
export function accountsConf(): string {
  const users = Object.entries(ROLES).map(([role, publish]) => {
    const allowed = [...new Set([...COMMON, ...publish])].map(
      (subject) => `          "${subject}"`,
    );
    return `      {
        user: ${role}
        password: $NATS_${role.toUpperCase()}_PASSWORD
        permissions {
          publish: [
  ${allowed.join("\n  ")}
          ]
          subscribe: [${SUBSCRIBE.map((subject) => `"${subject}"`).join(", ")}]
        }
      }`;
  });
  return `# Made by deploy/k8s/nats-accounts.ts; change that file.
accounts {
  COURTSIDE {
    jetstream: enabled
    users: [
${users.join("\n")}
    ]
  }
}
`;
}

if (import.meta.main)
  writeFileSync(join(import.meta.dirname, "base/nats/accounts.conf"), accountsConf());
