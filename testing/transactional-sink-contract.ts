import { expect, test } from "vitest";
import type { Origin, SealedRows, TransactionalSink } from "../operators/mod.ts";

/** A store that is empty at first. */
export interface SinkUnderTest {
  /** A sink of a worker that has just started; every job has the same sink in it. */
  start(job: string): TransactionalSink<number>;
  /** What a reader sees now, in any order. */
  stored(): Promise<readonly number[]>;
}

const ORIGIN: Origin = { keyGroup: 0, sequence: 1, outputs: 0, traceparent: "" };

async function started(place: SinkUnderTest, job = "one"): Promise<TransactionalSink<number>> {
  const sink = place.start(job);
  await sink.open();
  return sink;
}

function seal(
  sink: TransactionalSink<number>,
  id: number,
  values: readonly number[],
): readonly SealedRows[] {
  for (const value of values) sink.write(value, ORIGIN);
  return sink.seal(id);
}

const sorted = async (place: SinkUnderTest): Promise<readonly number[]> =>
  [...(await place.stored())].toSorted((a, b) => a - b);

/** What every transactional sink must do. Call it in a file of tests. */
export function describeTransactionalSinkContract(
  make: () => Promise<SinkUnderTest> | SinkUnderTest,
): void {
  test("rows are seen once their checkpoint is committed, and not before", async () => {
    const place = await make();
    const sink = await started(place);
    const blocks = seal(sink, 1, [1, 2, 3]);
    sink.write(4, ORIGIN);
    expect(await sorted(place)).toEqual([]);
    await sink.commit(blocks);
    expect(await sorted(place)).toEqual([1, 2, 3]);
    await sink.commit(sink.seal(2));
    expect(await sorted(place)).toEqual([1, 2, 3, 4]);
    await sink.close();
  });

  test("a checkpoint that is committed again, by the same worker or the next, is there once", async () => {
    const place = await make();
    const sink = await started(place);
    const blocks = seal(sink, 1, [1, 2, 2]);
    await sink.commit(blocks);
    await sink.commit(blocks);
    const next = await started(place);
    await next.commit(structuredClone(blocks));
    await next.commit(seal(next, 2, [5]));
    expect(await sorted(place)).toEqual([1, 2, 2, 5]);
  });

  test("a worker that takes over commits what one before it sealed and did not commit", async () => {
    const place = await make();
    const blocks = structuredClone(seal(await started(place), 1, [1, 2]));
    await (await started(place)).commit(blocks);
    expect(await sorted(place)).toEqual([1, 2]);
  });

  test("rows that are made again under the id of a lost checkpoint are there once", async () => {
    const place = await make();
    const sink = await started(place);
    await sink.commit(seal(sink, 1, [1, 2]));
    const next = await started(place);
    const again = seal(next, 1, [1, 2]);
    await next.commit([...again, ...seal(next, 2, [3])]);
    expect(await sorted(place)).toEqual([1, 2, 3]);
  });

  test("equal rows of two checkpoints or two jobs are all there", async () => {
    const place = await make();
    const one = await started(place);
    const two = await started(place, "two");
    await one.commit(seal(one, 1, [7]));
    await one.commit(seal(one, 2, [7]));
    await two.commit(seal(two, 1, [7]));
    expect(await sorted(place)).toEqual([7, 7, 7]);
  });

  test("a checkpoint without rows has no blocks", async () => {
    const place = await make();
    const sink = await started(place);
    expect(sink.full()).toBe(false);
    expect(sink.seal(1)).toEqual([]);
    await sink.commit([]);
    expect(await sorted(place)).toEqual([]);
  });
}
