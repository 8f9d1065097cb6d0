import { ENGINE_VERSION } from "./query-error.ts";

/** First question of the Go client (and so of Grafana's plugin), always spelled like this. */
export const GO_CLIENT_HELLO = "SELECT displayName(), version(), revision(), timezone()";

/**
 * Answer to it, in the Native format. Revision 0 makes the client read plain Native blocks afterwards: at
 * the engine's true revision it would expect block information that the engine does not send.
 */
export function goClientHello(): Buffer {
  // Block information: not an overflow block, bucket -1; then one row of four columns.
  const head = Buffer.from([1, 0, 2, 255, 255, 255, 255, 0, 4, 1]);
  return Buffer.concat([
    head,
    column("displayName()", "String", text("courtside")),
    column("version()", "String", text(ENGINE_VERSION)),
    column("revision()", "UInt32", Buffer.alloc(4)),
    column("timezone()", "String", text("UTC")),
  ]);
}

function column(name: string, type: string, value: Buffer): Buffer {
  // The zero says that the column is not serialised in a special way.
  return Buffer.concat([text(name), text(type), Buffer.from([0]), value]);
}

/** Strings here are shorter than 128 bytes, so their length is one byte. */
function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
}
