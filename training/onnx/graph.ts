import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type AttributeProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "../../proto/gen/onnx/onnx_pb.ts";
import { type Calibration, type Knot } from "../calibrate.ts";
import { type TreeModel } from "../trees/model.ts";
import { type WinModel } from "../win-model.ts";

/** A linear model on the logit: `p = 1 / (1 + exp(-(bias + weights · x)))`. */
export interface LogisticModel {
  readonly weights: Float64Array;
  readonly bias: number;
}

type Node = MessageInitShape<typeof NodeProtoSchema>;
type Tensor = MessageInitShape<typeof TensorProtoSchema>;
type Attribute = MessageInitShape<typeof AttributeProtoSchema>;

/** Name of the model's input: float32 `[N, features]`. */
export const INPUT_NAME = "x";
/** Name of the model's first output: float32 `[N, 1]`, a probability. */
export const OUTPUT_NAME = "p";

// Values of TensorProto.DataType and AttributeProto.AttributeType in ONNX.
const FLOAT = 1;
const DOUBLE = 11;
const ATTRIBUTE = { float: 1, int: 2, string: 3, floats: 6, ints: 7, strings: 8 } as const;
/** Operator set 21 and format 10 are what ONNX 1.16 wrote; every ONNX Runtime since 1.18 reads them. */
const OPSET_VERSION = 21n;
const IR_VERSION = 10n;
/** Tree ensembles as every runtime of the last years reads them. */
const ML_DOMAIN = "ai.onnx.ml";
const ML_VERSION = 3n;

/**
 * The ONNX file of a model: `p` and, where the model has them, `low`, `high`, `home_run` and `away_run`, each float32
 * `[N, 1]`. Inputs are widened to float64 before anything linear is computed, so the weights may have any scale and the
 * answer differs from the trainer's only by the last rounding to float32 (6e-8); trees add in float32.
 * @param metadata - put into `metadata_props`, sorted by key, so that equal models are equal files.
 */
export function modelOnnx(model: WinModel, metadata: Readonly<Record<string, string>>): Uint8Array {
  const graph = new GraphParts();
  graph.cast(INPUT_NAME, "x64", DOUBLE);
  let z = graph.linear("win", "x64", model.win);
  if (model.trees !== undefined) z = graph.add(z, graph.trees(model.trees));
  z = graph.calibrated(z, model.calibration);
  graph.probability(z, OUTPUT_NAME);
  if (model.halfWidth !== undefined) {
    const half = graph.linear("half", "x64", model.halfWidth);
    graph.probability(graph.node("Sub", [z, half], "low_logit"), "low");
    graph.probability(graph.node("Add", [z, half], "high_logit"), "high");
  }
  const runs = { home_run: model.homeRun, away_run: model.awayRun };
  for (const [name, run] of Object.entries(runs)) {
    if (run !== undefined) graph.probability(graph.linear(name, "x64", run), name);
  }
  const ml = { domain: ML_DOMAIN, version: ML_VERSION };
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: "courtside",
      opsetImport: [
        { domain: "", version: OPSET_VERSION },
        ...(model.trees === undefined ? [] : [ml]),
      ],
      metadataProps: Object.entries(metadata)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => ({ key, value })),
      graph: {
        name: "win-probability",
        node: graph.nodes,
        initializer: graph.constants,
        input: [rows(INPUT_NAME, model.win.weights.length)],
        output: graph.outputs.map((name) => rows(name, 1)),
      },
    }),
  );
}

/** Collects nodes; every method returns the name of its result. */
class GraphParts {
  readonly nodes: Node[] = [];
  readonly constants: Tensor[] = [];
  readonly outputs: string[] = [];

  node(opType: string, input: string[], output: string, attribute: Attribute[] = []): string {
    this.nodes.push({ name: `make_${output}`, opType, input, output: [output], attribute });
    return output;
  }

  cast(input: string, output: string, to: number): string {
    return this.node("Cast", [input], output, [{ name: "to", type: ATTRIBUTE.int, i: BigInt(to) }]);
  }

  constant(name: string, dims: readonly number[], values: ArrayLike<number>): string {
    const rawData = new Uint8Array(values.length * Float64Array.BYTES_PER_ELEMENT);
    const view = new DataView(rawData.buffer);
    for (let i = 0; i < values.length; i += 1) view.setFloat64(i * 8, values[i] as number, true);
    this.constants.push({ name, dims: dims.map(BigInt), dataType: DOUBLE, rawData });
    return name;
  }

  linear(name: string, input: string, { weights, bias }: LogisticModel): string {
    const matrix = this.constant(`${name}_weights`, [weights.length, 1], weights);
    const weighted = this.node("MatMul", [input, matrix], `${name}_weighted`);
    return this.add(weighted, this.constant(`${name}_bias`, [1], [bias]), `${name}_logit`);
  }

  add(a: string, b: string, output = `${a}_and_${b}`): string {
    return this.node("Add", [a, b], output);
  }

  /** `factor x input`, for a factor of its own name. */
  scaled(input: string, factor: number, output: string): string {
    return this.node("Mul", [input, this.constant(`${output}_factor`, [1], [factor])], output);
  }

  calibrated(z: string, calibration: Calibration): string {
    switch (calibration.kind) {
      case "none":
        return z;
      case "platt":
        return this.scaled(z, calibration.slope, "calibrated");
      case "beta": {
        const minus = this.node("Neg", [z], "minus_logit");
        const loss = this.softplus(minus, "loss_of_win");
        const gain = this.softplus(z, "loss_of_defeat");
        const a = this.scaled(loss, -calibration.a, "win_part");
        return this.add(a, this.scaled(gain, calibration.b, "defeat_part"), "calibrated");
      }
      case "isotonic":
        return this.bent(z, calibration.knots);
      default:
        return calibration satisfies never;
    }
  }

  /** log(1 + exp(z)) without overflow: max(z, 0) + log(1 + exp(-|z|)). */
  softplus(z: string, output: string): string {
    const size = this.node("Abs", [z], `${output}_size`);
    const power = this.node("Exp", [this.node("Neg", [size], `${output}_minus`)], `${output}_exp`);
    const one = this.constant(`${output}_one`, [1], [1]);
    const log = this.node("Log", [this.add(power, one, `${output}_sum`)], `${output}_log`);
    return this.add(this.node("Relu", [z], `${output}_relu`), log, output);
  }

  /** Straight lines between knots as a sum of hinges: slope 1 first, a change of slope at every knot. */
  bent(z: string, knots: readonly Knot[]): string {
    const [first] = knots;
    if (first === undefined) return z;
    const slopes = knots.slice(1).map((knot, i) => {
      const before = knots[i] as Knot;
      return (knot.to - before.to) / (knot.from - before.from);
    });
    const changes = knots.map((_, i) => (slopes[i] ?? 1) - (slopes[i - 1] ?? 1));
    const at = this.constant(
      "knots",
      [1, knots.length],
      knots.map(({ from }) => from),
    );
    const hinges = this.node("Relu", [this.node("Sub", [z, at], "beyond")], "hinges");
    const turn = this.constant("turns", [knots.length, 1], changes);
    const turned = this.node("MatMul", [hinges, turn], "turned");
    const shift = this.constant("first_shift", [1], [first.to - first.from]);
    return this.add(this.add(z, turned, "bent"), shift, "calibrated");
  }

  trees(model: TreeModel): string {
    const attribute = treeAttributes(model);
    this.nodes.push({
      name: "make_trees32",
      opType: "TreeEnsembleRegressor",
      domain: ML_DOMAIN,
      input: [INPUT_NAME],
      output: ["trees32"],
      attribute,
    });
    return this.cast("trees32", "trees", DOUBLE);
  }

  probability(z: string, output: string): void {
    this.cast(this.node("Sigmoid", [z], `${output}_64`), output, FLOAT);
    this.outputs.push(output);
  }
}

/** `post_transform` stays NONE: ONNX Runtime ignores LOGISTIC for a single target (microsoft/onnxruntime 26596). */
function treeAttributes({ base, trees }: TreeModel): Attribute[] {
  const nodes = trees.flatMap((tree, treeId) =>
    Array.from(tree.feature, (feature, id) => ({ tree, treeId, id, feature })),
  );
  const leaves = nodes.filter(({ feature }) => feature < 0);
  const ints = (name: string, of: readonly number[]): Attribute => ({
    name,
    type: ATTRIBUTE.ints,
    ints: of.map(BigInt),
  });
  const floats = (name: string, of: readonly number[]): Attribute => ({
    name,
    type: ATTRIBUTE.floats,
    floats: [...of],
  });
  const text = new TextEncoder();
  const modes = nodes.map(({ feature }) => text.encode(feature < 0 ? "LEAF" : "BRANCH_LT"));
  return [
    ints(
      "nodes_treeids",
      nodes.map(({ treeId }) => treeId),
    ),
    ints(
      "nodes_nodeids",
      nodes.map(({ id }) => id),
    ),
    ints(
      "nodes_featureids",
      nodes.map(({ feature }) => Math.max(0, feature)),
    ),
    floats(
      "nodes_values",
      nodes.map(({ tree, id }) => tree.threshold[id] as number),
    ),
    { name: "nodes_modes", type: ATTRIBUTE.strings, strings: modes },
    ints(
      "nodes_truenodeids",
      nodes.map(({ tree, id }) => tree.left[id] as number),
    ),
    ints(
      "nodes_falsenodeids",
      nodes.map(({ tree, id }) => tree.right[id] as number),
    ),
    ints(
      "target_treeids",
      leaves.map(({ treeId }) => treeId),
    ),
    ints(
      "target_nodeids",
      leaves.map(({ id }) => id),
    ),
    ints(
      "target_ids",
      leaves.map(() => 0),
    ),
    floats(
      "target_weights",
      leaves.map(({ tree, id }) => tree.value[id] as number),
    ),
    floats("base_values", [base]),
    { name: "n_targets", type: ATTRIBUTE.int, i: 1n },
    { name: "post_transform", type: ATTRIBUTE.string, s: text.encode("NONE") },
  ];
}

/** A float32 value of any number of rows. */
function rows(name: string, columns: number): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = [
    { value: { case: "dimParam" as const, value: "N" } },
    { value: { case: "dimValue" as const, value: BigInt(columns) } },
  ];
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
}
