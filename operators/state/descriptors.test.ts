import { create, createFileRegistry, type DescMessage, fromJson, toJson } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Type, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { Harness, type HarnessSnapshot } from "../../testing/harness.ts";
import { protoCodec } from "./codec.ts";
import { checkDescriptors } from "./descriptors.ts";
import { valueState } from "./keyed-state.ts";

const { INT32, INT64, STRING, DOUBLE } = FieldDescriptorProto_Type;

/** A message type as a version of the job has it. */
function version(
  fields: Record<string, readonly [number, FieldDescriptorProto_Type]>,
): DescMessage {
  const field = Object.entries(fields).map(([name, [number, type]]) => ({
    name,
    number,
    type,
    jsonName: name,
  }));
  const file = { name: "score.proto", package: "t", syntax: "proto3" };
  const set = create(FileDescriptorSetSchema, {
    file: [{ ...file, messageType: [{ name: "Score", field }] }],
  });
  const found = createFileRegistry(set).getMessage("t.Score");
  if (found === undefined) throw new Error("no message");
  return found;
}

/** Keeps the JSON that it is told, and emits what was kept before. */
function keeping(schema: DescMessage, from?: HarnessSnapshot, uid = "score"): Harness<string> {
  return new Harness<string>(
    (source, collect) =>
      collect(
        source
          .keyBy(() => "g1")
          .process({
            uid,
            state: { kept: valueState(protoCodec(schema)) },
            onRecord(context, text) {
              const { kept } = context.state;
              const before = kept.get();
              context.emit(before === undefined ? undefined : toJson(schema, before));
              kept.set(fromJson(schema, JSON.parse(text) as {}));
            },
          }),
      ),
    { ...(from && { from }) },
  );
}

const FIRST = version({ home: [1, INT32], note: [2, STRING] });

function snapshotOfFirst(): HarnessSnapshot {
  const h = keeping(FIRST);
  h.record("g1", '{"home": 7, "note": "ot"}');
  return h.snapshot();
}

test.each([
  ["the same fields", { home: [1, INT32], note: [2, STRING] }, { home: 7, note: "ot" }],
  [
    "a field added",
    { home: [1, INT32], note: [2, STRING], away: [3, INT32] },
    { home: 7, note: "ot" },
  ],
  ["a field removed", { home: [1, INT32] }, { home: 7 }],
  ["a wider integer", { home: [1, INT64], note: [2, STRING] }, { home: "7", note: "ot" }],
  ["a field renamed", { points: [1, INT32], note: [2, STRING] }, { points: 7, note: "ot" }],
] as const)("state restores into %s", (_what, fields, expected) => {
  const h = keeping(version(fields), snapshotOfFirst());
  h.record("g1", "{}");
  expect(h.take()).toEqual([expected]);
});

test.each([
  [
    "a changed type",
    { home: [1, INT32], note: [2, INT32] },
    /score\.kept.*t\.Score\.note \(number 2\) was string.*int32/s,
  ],
  [
    "a number used again",
    { home: [1, INT32], odds: [2, DOUBLE] },
    /t\.Score\.note \(number 2\).*is odds of type double/s,
  ],
  [
    "another number",
    { home: [4, INT32], note: [2, STRING] },
    /t\.Score\.home had number 1 and has 4/,
  ],
] as const)("%s is refused with the field's name", (_what, fields, message) => {
  expect(() => keeping(version(fields), snapshotOfFirst())).toThrow(message);
});

test("state that the job does not have any more is refused, or left behind when that is allowed", () => {
  const from = snapshotOfFirst();
  expect(() => keeping(FIRST, from, "renamed")).toThrow(/score\.kept.*--allow-non-restored-state/);
  expect(() => checkDescriptors(from.descriptors, [], true)).not.toThrow();
  expect(() => checkDescriptors(from.descriptors, [])).toThrow(/score\.kept/);
});
