"""Trains XGBoost on rows of float32 and prints its area under the curve and its time; a reference for tests only."""
import json
import sys
import time

import numpy
import xgboost

folder, rows, held_out, columns, trees, depth, rate = sys.argv[1], *map(float, sys.argv[2:8])
rows, held_out, columns = int(rows), int(held_out), int(columns)
values = numpy.fromfile(f"{folder}/values.f32", numpy.float32).reshape(rows + held_out, columns)
outcomes = numpy.fromfile(f"{folder}/outcomes.u8", numpy.uint8)
options = {
    "objective": "binary:logistic",
    "max_depth": int(depth),
    "eta": rate,
    "lambda": 1,
    "min_child_weight": 1,
    "tree_method": "hist",
    "max_bin": 256,
    "nthread": 1,
}
start = time.process_time()
model = xgboost.train(options, xgboost.DMatrix(values[:rows], outcomes[:rows]), int(trees))
seconds = time.process_time() - start
model.predict(xgboost.DMatrix(values[rows:])).astype(numpy.float32).tofile(f"{folder}/scores.f32")
print(json.dumps({"seconds": seconds}))
