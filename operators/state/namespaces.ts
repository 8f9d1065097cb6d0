import type { NamespaceCodec } from "./keyed-store.ts";

/** Namespaces that are names already. */
export const TEXT_NAMESPACES: NamespaceCodec<string> = {
  same: (a, b) => a === b,
  encode: (namespace) => namespace,
  decode: (text) => text,
};
