import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServing, STATE, type TestServing } from "../../tests/support/serving.ts";
import { createAdmission } from "../limits.ts";
import { promote } from "../model/aliases.ts";
import { handMadeModel } from "../../tests/support/models.ts";

let server: TestServing;

beforeAll(async () => {
  server = await startTestServing({ headerDeadlineMs: 300, bodyDeadlineMs: 300 });
});

afterAll(() => server.close());

interface Body extends Record<string, unknown> {
  readonly error?: { code: string; message: string; violations?: { field: string }[] };
}

async function post(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
) {
  const response = await fetch(server.base + path, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
}

const json = (text: string): Body => JSON.parse(text) as Body;

test("an array is answered in its order, mixed spellings each in its own", async () => {
  const camel = { ...STATE, gameId: "camel", game_id: undefined, home_score: 60 };
  const { status, text } = await post("/v1/predict", JSON.stringify([STATE, camel, STATE]));
  expect(status).toBe(200);
  const answers = JSON.parse(text) as Record<string, unknown>[];
  expect(answers.map((answer) => answer["game_id"] ?? answer["gameId"])).toEqual([
    STATE.game_id,
    "camel",
    STATE.game_id,
  ]);
  expect(answers[0]).toEqual(answers[2]);
  expect(answers[1]?.["homeWinProb"]).toBeLessThan(Number(answers[0]?.["home_win_prob"]));
  const tooMany = await post("/v1/predict", JSON.stringify(Array.from({ length: 513 }, () => 1)));
  expect(json(tooMany.text).error?.violations?.[0]).toMatchObject({
    field: "body.length",
    value: "513",
  });
});

test("an explanation sums from the pre-game value to the prediction", async () => {
  const { text } = await post("/v1/predict?explain=true", JSON.stringify(STATE));
  const answer = JSON.parse(text) as {
    home_win_prob: number;
    explanation: {
      pregame_win_prob: number;
      log_odds: number;
      contributions: { feature: string; log_odds: number }[];
    };
  };
  const { pregame_win_prob: pregame, contributions, log_odds: total } = answer.explanation;
  expect(pregame).toBeCloseTo(STATE.home_pregame_win_prob, 6);
  const logOdds = (p: number): number => Math.log(p / (1 - p));
  const sum = contributions.reduce((all, each) => all + each.log_odds, logOdds(pregame));
  expect(sum).toBeCloseTo(total, 9);
  expect(sum).toBeCloseTo(logOdds(answer.home_win_prob), 4);
  expect(contributions[0]?.feature).toBe("tip_off");
  expect(contributions[1]?.feature).toBe("margin_per_sqrt_second");
  const wrapped = await post("/predict", JSON.stringify({ state: STATE, explain: true }));
  expect(json(wrapped.text)).toEqual(answer);
});

test("a request may name a model, and an unknown one is a 404 that lists the known", async () => {
  const named = await post("/predict", JSON.stringify({ state: STATE, model_version: "champion" }));
  expect(named.status).toBe(200);
  const wrong = await post("/predict", JSON.stringify({ state: STATE, model_version: "best" }));
  expect(wrong.status).toBe(404);
  expect(json(wrong.text).error?.message).toContain("champion");
});

test("a stream of states is answered line by line while it is sent, a bad line by an error in its place", async () => {
  const sent = httpRequest(`${server.base}/v1/predict/stream`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
  });
  const lines: Body[] = [];
  let wake = (): void => {};
  const ended = new Promise<void>((resolve, reject) => {
    sent.on("error", reject);
    sent.on("response", (response) => {
      let rest = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        const parts = (rest + part).split("\n");
        rest = parts.pop() ?? "";
        for (const line of parts) lines.push(json(line));
        wake();
      });
      response.on("end", resolve);
    });
  });
  const answered = async (count: number): Promise<void> => {
    while (lines.length < count) await new Promise<void>((resolve) => (wake = resolve));
  };
  sent.write(`${JSON.stringify(STATE)}\n`);
  await answered(1);
  const line = JSON.stringify({ ...STATE, home_score: 70 });
  sent.write(line.slice(0, 40));
  sent.write(`${line.slice(40)}\n{"home_score":"x"}\nnot json\n\n${JSON.stringify(STATE)}`);
  sent.end();
  await ended;
  expect(lines).toHaveLength(5);
  expect(lines[0]?.["home_win_prob"]).toBe(lines[4]?.["home_win_prob"]);
  expect(lines[2]?.error?.violations?.map(({ field }) => field)).toContain("home_score");
  expect(lines[3]?.error?.code).toBe("INVALID_JSON");
});

test("a stream is answered by server-sent events when the caller takes them", async () => {
  const headers = { "content-type": "application/x-ndjson", accept: "text/event-stream" };
  const body = `${JSON.stringify(STATE)}\n${JSON.stringify(STATE)}\n`;
  const answer = await post("/v1/predict/stream", body, headers);
  expect(answer.headers.get("content-type")).toBe("text/event-stream");
  const events = answer.text.split("\n\n").filter((event) => event !== "");
  expect(events).toHaveLength(2);
  expect(events.every((event) => event.startsWith("data: {"))).toBe(true);
});

test("probes, metrics, the OpenAPI document and its page are there", async () => {
  for (const path of ["/healthz", "/readyz", "/metrics"]) {
    expect((await fetch(server.base + path)).status).toBe(200);
  }
  const document = (await (await fetch(`${server.base}/openapi.json`)).json()) as {
    openapi: string;
    paths: Record<string, unknown>;
    components: { schemas: Record<string, { properties: Record<string, unknown> }> };
  };
  expect(document.openapi).toBe("3.1.0");
  expect(Object.keys(document.paths)).toContain("/v1/predict");
  expect(Object.keys(document.components.schemas["GameState"]?.properties ?? {})).toEqual(
    expect.arrayContaining(Object.keys(STATE)),
  );
  const page = await fetch(`${server.base}/docs/`);
  expect(page.status).toBe(200);
  expect(await page.text()).toContain("swagger");
});

test.each([
  ["5 MB", "a".repeat(5 * 1024 * 1024), {}, 413, "BODY_TOO_LARGE", /at most 262144 bytes/u],
  ["no UTF-8", Uint8Array.of(0x22, 0xff, 0x22), {}, 400, "INVALID_UTF8", /UTF-8/u],
  ["an empty body", "", {}, 400, "INVALID_JSON", /must be JSON/u],
  ["XML", "<x/>", { "content-type": "text/xml" }, 415, "UNSUPPORTED_MEDIA_TYPE", /text\/xml/u],
  [
    "a prototype",
    '{"__proto__":{"period":1}}',
    {},
    400,
    "INVALID_ARGUMENT",
    /__proto__ is not a field/u,
  ],
] as const)("%s is refused in the documented way", async (_, body, headers, status, code, text) => {
  const answer = await post("/v1/predict", body, headers);
  expect(answer.status).toBe(status);
  expect(json(answer.text).error?.code).toBe(code);
  expect(json(answer.text).error?.message).toMatch(text);
});

/** What a socket is told that sends `text` and then nothing. */
function trickle(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(server.http.port, "127.0.0.1", () => socket.write(text));
    let answer = "";
    socket.on("data", (part: Buffer) => (answer += part.toString("latin1")));
    socket.on("close", () => resolve(answer));
    socket.on("error", () => resolve(answer));
  });
}

test("a caller that sends its header or body too slowly is told so and cut off", async () => {
  expect(await trickle("POST /v1/predict HTTP/1.1\r\nhost: x\r\n")).toContain("408");
  const begun = "POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
  const answer = await trickle(`${begun}content-length: 100\r\n\r\n{"game_id"`);
  expect(answer).toContain("HTTP/1.1 408");
  expect(answer).toContain("BODY_TOO_SLOW");
});

test("a full server refuses at once, says when to come back, and still answers probes", async () => {
  const admission = createAdmission({ maxCalls: 1 });
  const full = await startTestServing({ admission });
  const leave = admission.enter("somebody");
  const refused = await fetch(`${full.base}/predict`, { method: "POST", body: "{}" });
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(((await refused.json()) as Body).error?.code).toBe("RESOURCE_EXHAUSTED");
  expect((await fetch(`${full.base}/healthz`)).status).toBe(200);
  leave();
  const again = await fetch(`${full.base}/predict`, {
    method: "POST",
    body: JSON.stringify(STATE),
    headers: { "content-type": "application/json" },
  });
  expect(again.status).toBe(200);
  await again.text();
  await expect.poll(() => admission.calls).toBe(0);
  await full.close();
});

test("readiness goes first when the server is to stop, and calls are still answered", async () => {
  const stopping = await startTestServing();
  stopping.serving.unready();
  expect((await fetch(`${stopping.base}/readyz`)).status).toBe(503);
  expect((await fetch(`${stopping.base}/healthz`)).status).toBe(200);
  expect((await fetch(`${stopping.base}/v2/health/ready`)).status).toBe(503);
  const answer = await fetch(`${stopping.base}/predict`, {
    method: "POST",
    body: JSON.stringify(STATE),
    headers: { "content-type": "application/json" },
  });
  expect(answer.status).toBe(200);
  await answer.text();
  await stopping.close();
});

test("a challenger is asked in the shadow and never shown", async () => {
  const shadowed = await startTestServing();
  const challenger = await shadowed.models.add(handMadeModel(0.5));
  const champion = shadowed.registry.champion.card.version;
  await promote(shadowed.models.folder, "challenger", challenger.version);
  await promote(shadowed.models.folder, "champion", champion);
  await shadowed.registry.refresh();
  const { request } = (await import("../handlers/game-state-json.ts")).parseRequest(STATE);
  const { predictor } = shadowed.serving;
  const [one, [many]] = [await predictor.predict(request), await predictor.predictBatch([request])];
  for (const answer of [one, many]) {
    expect(answer?.prediction).toMatchObject({ modelVersion: champion });
    expect(answer?.prediction.shadows).toMatchObject([
      { modelVersion: challenger.version, alias: "challenger" },
    ]);
  }
  const response = await fetch(`${shadowed.base}/predict`, {
    method: "POST",
    body: JSON.stringify(STATE),
    headers: { "content-type": "application/json" },
  });
  expect(await response.json()).not.toHaveProperty("shadows");
  await shadowed.close();
});
