import { expect, test } from "vitest";
import { queryErrorFrom, refusal } from "./query-error.ts";

test("the code is taken from the engine's text, and the release is added for clients that look for it", () => {
  const error = queryErrorFrom(
    new Error("Query failed: Code: 60. DB::Exception: No such table t. (UNKNOWN_TABLE)"),
  );
  expect(error).toMatchObject({
    clickhouseCode: 60,
    httpStatus: 404,
    message: "Code: 60. DB::Exception: No such table t. (UNKNOWN_TABLE) (version 26.7.2.1)",
  });
  expect(queryErrorFrom(error)).toBe(error);
});

test("a full disk is named with the way out, whoever found it", () => {
  const system = Object.assign(new Error("ENOSPC: no space left on device, write"), {
    code: "ENOSPC",
  });
  const engine = new Error(
    "Code: 243. DB::Exception: Cannot reserve 9.61 MiB, not enough space. (NOT_ENOUGH_SPACE)",
  );
  for (const error of [queryErrorFrom(system), queryErrorFrom(engine)]) {
    expect(error).toMatchObject({ clickhouseCode: 243, httpStatus: 507 });
    expect(error.message).toMatch(/disk .* is full: .*--data directory\. \(NOT_ENOUGH_SPACE\)/);
  }
});

test("an error without a code keeps its text", () => {
  expect(queryErrorFrom("odd").message).toBe("Code: 1002. DB::Exception: odd (version 26.7.2.1)");
  expect(refusal(62, "SYNTAX_ERROR", "no")).toMatchObject({ httpStatus: 400, retryable: false });
});
