import { createServer, type Server } from "node:http";
import { type AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FEATURE_SCHEMA_HASH } from "../../features/mod.ts";
import { handMadeModel, temporaryModels, type ModelFolder } from "../../tests/support/models.ts";
import { connectPredict, type PredictClient } from "../client.ts";
import { createGateway } from "./gateway.ts";
import { openRegistry, type ModelRegistry } from "../model/registry.ts";
import { startServing, type Serving } from "../server.ts";

let models: ModelFolder;
let registry: ModelRegistry;
let serving: Serving;
let client: PredictClient;
let server: Server;
let base: string;

beforeAll(async () => {
  models = await temporaryModels();
  await models.add(handMadeModel());
  registry = await openRegistry(models.folder, { schemaHash: FEATURE_SCHEMA_HASH });
  serving = await startServing({ registry, port: 0 });
  client = connectPredict(`127.0.0.1:${serving.port}`);
  ({ server, base } = await serve(client));
});

afterAll(async () => {
  server.close();
  client.close();
  await serving.close();
  await registry.close();
  await models.remove();
});

async function serve(to: PredictClient): Promise<{ server: Server; base: string }> {
  const gateway = createGateway(to);
  const http = createServer((request, response) => {
    void gateway(request, response).then((answered) => {
      if (!answered) response.writeHead(404).end("not the gateway's");
      return answered;
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  return { server: http, base: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}

const SNAKE = {
  game_id: "0022300001",
  home_team: "BOS",
  away_team: "NYK",
  home_score: 88,
  away_score: 84,
  period: 4,
  clock_remaining_s: 312.4,
  possession: "HOME",
};
const CAMEL = {
  gameId: "0022300001",
  homeTeam: "BOS",
  awayTeam: "NYK",
  homeScore: 88,
  awayScore: 84,
  period: 4,
  clockRemainingS: 312.4,
  possession: "SIDE_HOME",
};

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown> & {
    error?: { code: string; message: string; violations?: { field: string }[] };
  };
}

async function post(body: unknown, path = "/v1/predict", headers = {}): Promise<Answer> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(base + path, {
    method: "POST",
    body: text,
    headers: { "content-type": "application/json", ...headers },
  });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

test("snake_case in, snake_case out, on both paths", async () => {
  const { status, body } = await post(SNAKE);
  expect(status).toBe(200);
  expect(body["game_id"]).toBe("0022300001");
  expect(body["home_win_prob"]).toBeGreaterThan(0.5);
  expect(body["model_version"]).toBe(registry.champion.card.version);
  expect((await post(SNAKE, "/predict")).body).toEqual(body);
});

test("camelCase in, camelCase out, with the same probability", async () => {
  const snake = await post(SNAKE);
  const { body } = await post(CAMEL);
  expect(body["homeWinProb"]).toBe(snake.body["home_win_prob"]);
  expect(body["home_win_prob"]).toBeUndefined();
});

test("a state may stand inside of a request", async () => {
  const { body } = await post({ state: SNAKE });
  expect(body).toEqual((await post(SNAKE)).body);
});

test("optional fields change the answer", async () => {
  const plain = await post(SNAKE);
  const favourite = await post({ ...SNAKE, home_pregame_win_prob: 0.9 });
  expect(favourite.body["home_win_prob"]).toBeGreaterThan(Number(plain.body["home_win_prob"]));
});

test.each([
  [{ ...SNAKE, home_score: 500 }, "home_score", "500"],
  [{ ...SNAKE, home_score: "many" }, "home_score", '"many"'],
  [{ ...SNAKE, home_score: -1 }, "home_score", "-1"],
  [{ ...SNAKE, home_score: 1.5 }, "home_score", "1.5"],
  [{ ...SNAKE, home_score: null }, "home_score", "absent"],
  [{ ...SNAKE, period: 0 }, "period", "0"],
  [{ ...SNAKE, clock_remaining_s: 721 }, "clock_remaining_s", "721"],
  [{ ...SNAKE, clock_remaining_s: "NaN" }, "clock_remaining_s", "NaN"],
  [{ ...SNAKE, possession: "BOSTON" }, "possession", '"BOSTON"'],
  [{ ...SNAKE, possession: undefined }, "possession", "absent"],
  [{ ...SNAKE, home_team: 7 }, "home_team", "7"],
  [{ ...SNAKE, away_team: "BOS" }, "away_team", '"BOS"'],
  [{ ...SNAKE, score_home: 3 }, "score_home", "3"],
  [{ ...SNAKE, home_last_2_min: { points: -3 } }, "home_last_2_min", '{"points":-3}'],
  [{ state: 3 }, "state", "3"],
  [{ state: SNAKE, model: "x" }, "model", '"x"'],
  [[1, 2], "[0].body", "1"],
  [[SNAKE, { ...SNAKE, period: 99 }], "[1].period", "99"],
  [{ state: SNAKE, explain: "yes" }, "explain", '"yes"'],
  ["7", "body", "7"],
])("a bad field is a 400 that names field, value and rule: %j", async (body, field, value) => {
  const answer = await post(body);
  expect(answer.status).toBe(400);
  expect(answer.body.error?.code).toBe("INVALID_ARGUMENT");
  expect(answer.body.error?.violations?.[0]).toMatchObject({ field, value });
  expect(answer.body.error?.message).toContain(`${field} `);
  expect(JSON.stringify(answer.body)).not.toMatch(/\\n\s+at |\.ts:/u);
});

test("all bad fields are named at once", async () => {
  const { body } = await post({});
  const fields = body.error?.violations?.map(({ field }) => field);
  expect(fields).toEqual(expect.arrayContaining(["game_id", "home_score", "period", "possession"]));
});

test("a body that is no JSON is a 400 with an example", async () => {
  const { status, body } = await post("{oops");
  expect(status).toBe(400);
  expect(body.error?.code).toBe("INVALID_JSON");
  expect(body.error?.message).toContain("clock_remaining_s");
});

test("another content type is a 415", async () => {
  const { status } = await post(SNAKE, "/predict", { "content-type": "text/xml" });
  expect(status).toBe(415);
});

test("a body over the limit is a 413", async () => {
  const { status, body } = await post({ ...SNAKE, game_id: "x".repeat(300_000) });
  expect(status).toBe(413);
  expect(body.error?.message).toContain("262144");
});

test("a method other than POST is a 405 that says what is allowed", async () => {
  const response = await fetch(`${base}/v1/predict`);
  expect(response.status).toBe(405);
  expect(response.headers.get("allow")).toBe("POST");
});

test("another path is left to others", async () => {
  expect((await fetch(`${base}/v1/predictions`)).status).toBe(404);
});

test("a scoring server that is away is a 503", async () => {
  const gone = await startServing({ registry, port: 0 });
  await gone.close();
  const lost = connectPredict(`127.0.0.1:${gone.port}`);
  const { server: http, base: url } = await serve(lost);
  const response = await fetch(`${url}/predict`, {
    method: "POST",
    body: JSON.stringify(SNAKE),
    headers: { "content-type": "application/json" },
  });
  expect(response.status).toBe(503);
  expect(response.headers.get("retry-after")).toBe("1");
  lost.close();
  http.close();
});
