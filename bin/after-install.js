// Runs after `npm ci` and `npm install`.
import { linkProgram } from "./bootstrap.js";

linkProgram();
