import type {
  CheckpointManifest,
  SavepointManifest,
} from "../proto/gen/courtside/v1/checkpoint_pb.ts";
import { count, table } from "./io.ts";
import { timeText } from "./job-control.ts";

/** What is in a savepoint: regions with their positions, operators with their states. */
export function savepointDetails(
  savepoint: SavepointManifest,
  parts: readonly CheckpointManifest[],
  isJson: boolean,
): string {
  const regions = parts.map((part) => ({
    region: part.region,
    checkpoint: Number(part.checkpointId),
    key_groups_with_state: part.keyGroupStates.length,
    state_bytes: part.keyGroupStates.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0),
    positions: part.positions.map(({ stream, sequence, firstKeyGroup, lastKeyGroup }) => ({
      stream,
      sequence: Number(sequence),
      key_groups: `${String(firstKeyGroup)}-${String(lastKeyGroup)}`,
    })),
  }));
  const states = new Map(
    parts.flatMap(({ descriptors }) =>
      descriptors.map(
        ({ operatorUid, stateName, kind, typeName }) =>
          [
            `${operatorUid}/${stateName}`,
            { operator: operatorUid, state: stateName, kind, type: typeName },
          ] as const,
      ),
    ),
  );
  const { job, name, keyGroups, createdTimeMs } = savepoint;
  if (isJson)
    return `${JSON.stringify({ job, name, key_groups: keyGroups, time: timeText(createdTimeMs), regions, states: [...states.values()] })}\n`;
  const regionTable = table(
    ["region", "checkpoint", "groups with state", "state bytes", "read up to"],
    regions.map((row) => [
      row.region,
      String(row.checkpoint),
      String(row.key_groups_with_state),
      count(row.state_bytes),
      row.positions.map(({ stream, sequence }) => `${stream} ${String(sequence)}`).join(", "),
    ]),
  );
  const stateTable = table(
    ["operator", "state", "kind", "type"],
    [...states.values()].map((row) => [row.operator, row.state, row.kind, row.type]),
  );
  return (
    `savepoint ${name} of job ${job}, ${timeText(createdTimeMs)} UTC, ${String(keyGroups)} key groups\n\n` +
    `${regionTable}\n${stateTable}`
  );
}
