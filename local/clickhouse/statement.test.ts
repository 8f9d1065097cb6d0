import { expect, test } from "vitest";
import { parseStatement } from "./statement.ts";

test("a semicolon at the end is dropped, and one inside a string, name or comment ends nothing", () => {
  const sql = "SELECT ';', `a;b`, \"c;\", $x$ ; $x$ /* ; */ -- ;\nFROM t ; -- end";
  expect(parseStatement(sql)).toMatchObject({
    kind: "read",
    sql: "SELECT ';', `a;b`, \"c;\", $x$ ; $x$ /* ; */ -- ;\nFROM t",
  });
});

test.each([
  "SELECT 1; SELECT 2",
  "SELECT 'it''s'; DROP TABLE t",
  "SELECT '\\''; DROP TABLE t",
  "SET a = 1; SELECT 1",
])("more than one statement is refused: %s", (sql) => {
  expect(() => parseStatement(sql)).toThrow(/Multi-statements/);
});

test("the statement's own FORMAT is found, and a column of that name is not taken for one", () => {
  expect(parseStatement("SELECT 1 FORMAT CSV SETTINGS max_threads = 1")).toMatchObject({
    format: "CSV",
  });
  expect(parseStatement("SELECT format FROM formats")).toMatchObject({ format: undefined });
  expect(parseStatement("SELECT format")).toMatchObject({ format: undefined });
  expect(parseStatement("SELECT * FROM (SELECT 1 FORMAT CSV)")).toMatchObject({
    format: undefined,
  });
});

test("placeholders are found, and map literals are none", () => {
  expect(
    parseStatement("SELECT {a:String}, {b : Array(UInt8)}, {'c':1}, '{d:String}'").placeholders,
  ).toEqual(["a", "b"]);
});

test("an INSERT is cut where its rows begin, whatever the rows contain", () => {
  expect(
    parseStatement('INSERT INTO t (a, b) FORMAT JSONEachRow\n{"a":"; it\'s"}\n\n{"a":2}'),
  ).toEqual({
    kind: "insert",
    target: "INSERT INTO t (a, b)",
    settings: "",
    format: "JSONEachRow",
    inlineData: '{"a":"; it\'s"}\n\n{"a":2}',
    placeholders: [],
  });
  expect(
    parseStatement("INSERT INTO t SETTINGS a = 1, b = 'x' VALUES (1, ';'), (2, 'y')"),
  ).toMatchObject({
    target: "INSERT INTO t",
    settings: "a = 1, b = 'x'",
    format: "Values",
    inlineData: "(1, ';'), (2, 'y')",
  });
});

test("an INSERT without rows or format expects them in the body", () => {
  expect(parseStatement("INSERT INTO t FORMAT TSV;")).toMatchObject({
    format: "TSV",
    inlineData: "",
  });
  expect(parseStatement("INSERT INTO t (a)")).toMatchObject({
    target: "INSERT INTO t (a)",
    format: "Values",
    inlineData: "",
  });
  expect(parseStatement("insert into values (a) values (1)")).toMatchObject({
    target: "insert into values (a)",
    inlineData: "(1)",
  });
});

test("an INSERT of a query, or from a file, is handed on as it is", () => {
  expect(parseStatement("INSERT INTO t SELECT 1; ")).toEqual({
    kind: "other",
    sql: "INSERT INTO t SELECT 1",
    placeholders: [],
    changesSession: false,
  });
  expect(parseStatement("INSERT INTO t (a) (SELECT 1)").kind).toBe("other");
  expect(parseStatement("INSERT INTO t FROM INFILE 'f' FORMAT CSV").kind).toBe("other");
});

test("what a session would remember is told apart", () => {
  expect(parseStatement("SET max_threads = 1")).toMatchObject({
    kind: "other",
    changesSession: true,
  });
  expect(parseStatement("USE system")).toMatchObject({ changesSession: true });
  expect(parseStatement("CREATE TEMPORARY TABLE t (a UInt8)")).toMatchObject({
    changesSession: true,
  });
  expect(parseStatement("CREATE TABLE t (a UInt8)")).toMatchObject({ changesSession: false });
});
