import { readFile, copyFile } from "node:fs/promises";
import {
  create,
  createFileRegistry,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type DescService,
  type FileRegistry,
  type JsonValue,
} from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import {
  Client,
  credentials,
  Metadata,
  status,
  type ChannelCredentials,
  type ServiceError,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLog } from "../base/log.ts";
import { FEATURE_SCHEMA_HASH } from "../features/mod.ts";
import { testAuthority, type TestAuthority } from "../tests/support/certificates.ts";
import { handMadeModel, temporaryModels, type ModelFolder } from "../tests/support/models.ts";
import { openTokens } from "./guard.ts";
import { messagesIn } from "./handlers/wire.ts";
import { openRegistry, type ModelRegistry } from "./model/registry.ts";
import { startServing, type Serving } from "./server.ts";
import { openTls } from "./tls.ts";

/** A client that knows nothing but the address: whatever it sends is made from what the server reflects. */

let models: ModelFolder;
let registry: ModelRegistry;
let authority: TestAuthority;

beforeAll(async () => {
  models = await temporaryModels();
  await models.add(handMadeModel(0.5));
  await models.add(handMadeModel());
  registry = await openRegistry(models.folder, { schemaHash: FEATURE_SCHEMA_HASH });
  authority = await testAuthority();
});

afterAll(async () => {
  await registry.close();
  await models.remove();
  await authority.remove();
});

const STATE = {
  game_id: "0022300001",
  home_team: "BOS",
  away_team: "NYK",
  home_score: 88,
  away_score: 84,
  period: 4,
  clock_remaining_s: 312.4,
  possession: "SIDE_HOME",
};
const same = (bytes: Buffer): Buffer => bytes;
const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const [FILE_CONTAINING_SYMBOL, LIST_SERVICES] = [0x22, 0x3a];

/** Asks the reflection service; a question is its tag and a text. */
function reflect(client: Client, questions: readonly (readonly [number, string])[]) {
  const stream = client.makeBidiStreamRequest(REFLECTION, same, same);
  const answers: Buffer[] = [];
  return new Promise<Buffer[]>((resolve, reject) => {
    stream.on("data", (answer: Buffer) => answers.push(answer));
    stream.on("error", reject);
    stream.on("end", () => resolve(answers));
    for (const [tag, text] of questions) {
      stream.write(Buffer.concat([Buffer.of(tag, text.length), Buffer.from(text)]));
    }
    stream.end();
  });
}

async function reflectedServices(client: Client): Promise<string[]> {
  const [answer = Buffer.alloc(0)] = await reflect(client, [[LIST_SERVICES, "*"]]);
  const names: string[] = [];
  for (const list of messagesIn(answer, 6))
    for (const service of messagesIn(list, 1))
      for (const name of messagesIn(service, 1)) names.push(Buffer.from(name).toString("utf8"));
  return names;
}

async function reflectedRegistry(
  client: Client,
  services: readonly string[],
): Promise<FileRegistry> {
  const questions = services.map((name) => [FILE_CONTAINING_SYMBOL, name] as const);
  const files = new Map<string, Uint8Array>();
  for (const answer of await reflect(client, questions))
    for (const response of messagesIn(answer, 4))
      for (const file of messagesIn(response, 1)) {
        files.set(fromBinary(FileDescriptorProtoSchema, file).name, file);
      }
  // What is imported has to stand before what imports it.
  const file: FileDescriptorProto[] = [];
  const add = (name: string): void => {
    const bytes = files.get(name);
    if (bytes === undefined || file.some((each) => each.name === name)) return;
    const proto = fromBinary(FileDescriptorProtoSchema, bytes);
    for (const dependency of proto.dependency) add(dependency);
    file.push(proto);
  };
  for (const name of files.keys()) add(name);
  return createFileRegistry(create(FileDescriptorSetSchema, { file }));
}

function connect(serving: Serving, channel: ChannelCredentials = credentials.createInsecure()) {
  return new Client(`127.0.0.1:${serving.port}`, channel);
}

async function reflected(client: Client): Promise<(name: string) => DescService> {
  const types = await reflectedRegistry(client, await reflectedServices(client));
  return (name) => {
    const service = types.getService(name);
    if (service === undefined) throw new Error(`${name} is not reflected`);
    return service;
  };
}

/** JSON in, JSON out, by the reflected descriptor. */
function call(
  client: Client,
  service: DescService,
  name: string,
  json: JsonValue,
  metadata = new Metadata(),
): Promise<unknown> {
  const method = service.methods.find((each) => each.name === name);
  if (method === undefined) throw new Error(`no method ${name}`);
  const request = Buffer.from(toBinary(method.input, fromJson(method.input, json)));
  const where = `/${service.typeName}/${name}`;
  const options = { deadline: Date.now() + 5_000 };
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(where, same, same, request, metadata, options, (error, answer) => {
      if (error !== null || answer === undefined) return reject(error);
      return resolve(toJson(method.output, fromBinary(method.output, answer)));
    });
  });
}

const PREDICT = "courtside.v1.PredictService";

test("every service is reflected and can be called by its reflected schema", async () => {
  const serving = await startServing({ registry, port: 0 });
  const client = connect(serving);
  expect(await reflectedServices(client)).toEqual(
    expect.arrayContaining([PREDICT, "grpc.health.v1.Health", "inference.GRPCInferenceService"]),
  );
  const service = await reflected(client);
  for (const name of ["", PREDICT, "inference.GRPCInferenceService"]) {
    const health = await call(client, service("grpc.health.v1.Health"), "Check", { service: name });
    expect(health).toEqual({ status: "SERVING" });
  }
  const answer = await call(client, service(PREDICT), "Predict", { state: STATE, explain: true });
  expect(answer).toMatchObject({
    prediction: { gameId: STATE.game_id, modelVersion: registry.champion.card.version },
  });
  const listed = await call(client, service(PREDICT), "ListModels", {});
  expect(listed).toMatchObject({
    models: [
      { version: registry.champion.card.version, champion: true, aliases: ["champion"] },
      {},
    ],
  });
  const model = await call(client, service(PREDICT), "GetModel", { model_version: "champion" });
  expect(model).toMatchObject({ card: { training: { method: "made by hand" } } });
  const live = await call(client, service("inference.GRPCInferenceService"), "ServerLive", {});
  expect(live).toEqual({ live: true });
  client.close();
  await serving.close();
});

test("a stream by the reflected schema is answered in order", async () => {
  const serving = await startServing({ registry, port: 0 });
  const client = connect(serving);
  const service = (await reflected(client))(PREDICT);
  const method = service.method["predictStream"];
  if (method === undefined) throw new Error("no PredictStream");
  const stream = client.makeBidiStreamRequest(`/${PREDICT}/PredictStream`, same, same);
  const ids: unknown[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    stream.on("data", (bytes: Buffer) => {
      ids.push((toJson(method.output, fromBinary(method.output, bytes)) as { id?: string }).id);
    });
    stream.on("end", resolve);
    stream.on("error", reject);
  });
  for (let id = 1; id <= 50; id += 1) {
    const json = { id: String(id), request: { state: STATE } };
    stream.write(Buffer.from(toBinary(method.input, fromJson(method.input, json))));
  }
  stream.end();
  await ended;
  expect(ids).toEqual(Array.from({ length: 50 }, (_, i) => String(i + 1)));
  client.close();
  await serving.close();
});

test("over mutual TLS only who has a certificate of the authority is answered, and new files are taken", async () => {
  const [mine, theirs] = [await authority.issue("server"), await authority.issue("caller")];
  const { ca } = authority;
  const options = { log: silentLog, pollMs: 20 };
  const tls = await openTls({ ...mine, clientCa: ca }, options);
  const serving = await startServing({ registry, port: 0, tls });
  const [root, key, cert] = await Promise.all(
    [ca, theirs.key, theirs.cert].map((f) => readFile(f)),
  );
  const known = connect(serving, credentials.createSsl(root, key, cert));
  const service = await reflected(known);
  const answer = await call(known, service(PREDICT), "Predict", { state: STATE });
  expect(answer).toMatchObject({ prediction: { gameId: STATE.game_id } });

  const stranger = connect(serving, credentials.createSsl(root));
  await expect(call(stranger, service(PREDICT), "ListModels", {})).rejects.toMatchObject({
    code: status.UNAVAILABLE,
  });
  const plain = connect(serving);
  await expect(call(plain, service(PREDICT), "ListModels", {})).rejects.toMatchObject({
    code: status.UNAVAILABLE,
  });

  const renewed = await authority.issue("renewed");
  await copyFile(renewed.cert, mine.cert);
  await copyFile(renewed.key, mine.key);
  const peerName = async (): Promise<string> => {
    const { connect: dial } = await import("node:tls");
    const socket = dial({ port: serving.port, host: "127.0.0.1", ca: root, key, cert });
    await new Promise<void>((resolve) => socket.once("secureConnect", resolve));
    const name = String(socket.getPeerCertificate().subject.CN);
    socket.destroy();
    return name;
  };
  await expect.poll(peerName, { timeout: 10_000 }).toBe("renewed");
  for (const client of [known, stranger, plain]) client.close();
  tls.stop();
  await serving.close();
});

test("with tokens, a call without one is refused before it is read, but health is not", async () => {
  const { writeFile } = await import("node:fs/promises");
  const file = `${models.folder}/.tokens`;
  await writeFile(file, "first-token\nsecond-token\n");
  const tokens = await openTokens(file, { log: silentLog });
  const serving = await startServing({ registry, port: 0, tokens });
  const plain = await startServing({ registry, port: 0 });
  const schema = connect(plain);
  const service = await reflected(schema);
  const client = connect(serving);
  const health = await call(client, service("grpc.health.v1.Health"), "Check", { service: "" });
  expect(health).toEqual({ status: "SERVING" });
  const refused = (await call(client, service(PREDICT), "Predict", { state: STATE }).catch(
    (error: unknown) => error,
  )) as ServiceError;
  expect(refused.code).toBe(status.UNAUTHENTICATED);
  expect(refused.details).toMatch(/authorization is required: Bearer TOKEN; got absent/u);
  const metadata = new Metadata();
  metadata.set("authorization", "Bearer second-token");
  const answer = await call(client, service(PREDICT), "Predict", { state: STATE }, metadata);
  expect(answer).toMatchObject({ prediction: { gameId: STATE.game_id } });
  for (const each of [client, schema]) each.close();
  tokens.stop();
  await serving.close();
  await plain.close();
});
