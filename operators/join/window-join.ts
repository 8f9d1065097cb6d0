import { type Codec, listCodec } from "../state/codec.ts";
import type { AnyTrigger } from "../window/trigger.ts";
import type { WindowAssigner } from "../window/window.ts";
import type { WindowSpec } from "../window/window-spec.ts";

/** Joins records of one key that are in the same window; a window without one of the sides gives nothing. */
export interface WindowJoin<L, R, O> {
  readonly uid: string;
  readonly assigner: WindowAssigner;
  readonly trigger?: AnyTrigger<unknown>;
  readonly allowedLatenessMs?: number;
  readonly leftCodec: Codec<L>;
  readonly rightCodec: Codec<R>;
  join(left: L, right: R, key: string): O;
}

/** A record with the side that it came by. */
export interface Sided<L, R> {
  readonly isLeft: boolean;
  readonly value: L | R;
  readonly key: string;
}

interface Sides<L, R> {
  readonly left: L[];
  readonly right: R[];
}

const RAW: Codec<Uint8Array> = {
  typeName: "bytes",
  encode: (bytes) => bytes,
  decode: (bytes) => bytes,
};

/** A window join is a window over both sides: what is kept are two lists, what is emitted are their pairs. */
export function windowJoinSpec<L, R, O>(
  spec: WindowJoin<L, R, O>,
): WindowSpec<Sided<L, R>, Sides<L, R>, Sides<L, R>, O> {
  const { uid, assigner, trigger, allowedLatenessMs } = spec;
  return {
    uid,
    assigner,
    ...(trigger && { trigger }),
    ...(allowedLatenessMs !== undefined && { allowedLatenessMs }),
    aggregate: {
      codec: sidesCodec(spec.leftCodec, spec.rightCodec),
      create: () => ({ left: [], right: [] }),
      add: (sides, { isLeft, value }) => {
        if (isLeft) sides.left.push(value as L);
        else sides.right.push(value as R);
        return sides;
      },
      result: (sides) => sides,
      merge: (into, from) => {
        into.left.push(...from.left);
        into.right.push(...from.right);
        return into;
      },
    },
    emit: (key, _window, { left, right }) =>
      left.flatMap((a) => right.map((b) => spec.join(a, b, key))),
  };
}

function sidesCodec<L, R>(left: Codec<L>, right: Codec<R>): Codec<Sides<L, R>> {
  const pair = listCodec(RAW);
  return {
    typeName: `sides<${left.typeName}, ${right.typeName}>`,
    fields: () => [...(left.fields?.() ?? []), ...(right.fields?.() ?? [])],
    encode: (sides) =>
      pair.encode([listCodec(left).encode(sides.left), listCodec(right).encode(sides.right)]),
    decode: (bytes) => {
      const [a, b] = pair.decode(bytes);
      return {
        left: a === undefined ? [] : listCodec(left).decode(a),
        right: b === undefined ? [] : listCodec(right).decode(b),
      };
    },
  };
}
