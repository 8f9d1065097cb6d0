import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type OutputPosition, OutputPositionSchema } from "../proto/gen/courtside/v1/insight_pb.ts";
import { PositionGuard } from "./positions.ts";

function at(inputSequence: number, index = 0, epoch = 1, keyGroup = 7): OutputPosition {
  return create(OutputPositionSchema, {
    job: "insight",
    stage: "main",
    keyGroup,
    inputSequence: BigInt(inputSequence),
    index,
    epoch: BigInt(epoch),
  });
}

test("positions that rise by input and index are fresh", () => {
  const guard = new PositionGuard();
  const verdicts = [at(1, 0), at(1, 1), at(2, 0), at(9, 0)].map((p) => guard.accept(p));
  expect(verdicts).toEqual(["fresh", "fresh", "fresh", "fresh"]);
});

test("a replay after a crash is refused up to where it was, and fresh behind it", () => {
  // epoch 1: 1.0  1.1  2.0  2.1 crash
  // epoch 2:      1.1  2.0  2.1  3.0
  const guard = new PositionGuard();
  for (const position of [at(1, 0), at(1, 1), at(2, 0), at(2, 1)]) guard.accept(position);
  const replay = [at(1, 1, 2), at(2, 0, 2), at(2, 1, 2), at(3, 0, 2)].map((p) => guard.accept(p));
  expect(replay).toEqual(["seen", "seen", "seen", "fresh"]);
});

test("what an overtaken worker still writes counts at its position, whoever writes that one first", () => {
  const guard = new PositionGuard();
  guard.accept(at(5, 0, 1));
  expect(guard.accept(at(4, 0, 2))).toBe("seen");
  // The broker keeps the first message of a position: refusing this one would lose it.
  expect(guard.accept(at(6, 0, 1))).toBe("fresh");
  expect(guard.accept(at(6, 0, 2))).toBe("seen");
});

test("key groups do not disturb each other", () => {
  const guard = new PositionGuard();
  guard.accept(at(100, 0, 5, 1));
  expect(guard.accept(at(1, 0, 1, 2))).toBe("fresh");
});
