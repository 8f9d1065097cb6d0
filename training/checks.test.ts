import { expect, test } from "vitest";
import { FEATURES } from "../features/mod.ts";
import { handMadeModel } from "../tests/support/models.ts";
import { checkPlausible, ImplausibleModelError } from "./checks.ts";
import { plain } from "./win-model.ts";

function changed(name: string, weight: number) {
  const model = handMadeModel();
  model.weights[FEATURES.findIndex((feature) => feature.name === name)] = weight;
  return model;
}

test("a model that knows how games end is plausible", () => {
  expect(() => checkPlausible(plain(handMadeModel()))).not.toThrow();
});

test("a model that is not certain of a final score is refused", () => {
  expect(() => checkPlausible(plain(handMadeModel(0.05)))).toThrow(ImplausibleModelError);
});

test("a model that is sure of a tie is refused", () => {
  expect(() => checkPlausible(plain({ ...handMadeModel(), bias: 2 }))).toThrow(/tie/u);
});

test("a model that is hurt by a point is refused", () => {
  expect(() => checkPlausible(plain(changed("margin_by_share_left", -1)))).toThrow(/never hurts/u);
});
