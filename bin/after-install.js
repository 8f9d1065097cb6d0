// Runs after `npm ci` and `npm install`.
import { finishInstall } from "./bootstrap.js";

finishInstall();
