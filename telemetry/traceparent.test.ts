import { expect, test } from "vitest";
import { formatTraceParent, parseTraceParent } from "./traceparent.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

test("what is formatted is parsed back", () => {
  for (const sampled of [true, false]) {
    const parent = { traceId: TRACE, spanId: SPAN, sampled };
    expect(parseTraceParent(formatTraceParent(parent))).toEqual(parent);
  }
});

test("only the sampled bit of the flags counts, and later versions are read as far as they are known", () => {
  expect(parseTraceParent(`00-${TRACE}-${SPAN}-03`)?.sampled).toBe(true);
  expect(parseTraceParent(`00-${TRACE}-${SPAN}-02`)?.sampled).toBe(false);
  expect(parseTraceParent(`cc-${TRACE}-${SPAN}-01-what-comes-later`)?.spanId).toBe(SPAN);
});

test.each([
  "",
  "nonsense",
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01-more`,
  `00-${"0".repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${"0".repeat(16)}-01`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${TRACE.slice(1)}-${SPAN}-01`,
])("%s is no traceparent", (text) => {
  expect(parseTraceParent(text)).toBeUndefined();
});
