/** Addresses of the page: everything behind the hash, so that any path prefix and any static server works. */

export type Address =
  | { readonly view: "tonight" | "season" | "model" | "pipeline" | "sql" }
  | { readonly view: "traces"; readonly game: string }
  | { readonly view: "trace"; readonly id: string }
  /** `play` is a past play that is looked at; 0 goes with the game. */
  | { readonly view: "game"; readonly id: string; readonly play: number };

const PLAIN = new Set(["season", "model", "pipeline", "sql"]);

export function readAddress(hash: string): Address {
  const [name = "", id = "", sub = "", number = ""] = hash.replace(/^#\/?/u, "").split("/");
  if (name === "game" && id !== "") {
    const play = sub === "play" ? Number.parseInt(number, 10) : 0;
    return { view: "game", id: decoded(id), play: Number.isInteger(play) && play > 0 ? play : 0 };
  }
  if (name === "traces") return { view: "traces", game: decoded(id) };
  if (name === "trace" && id !== "") return { view: "trace", id: decoded(id) };
  if (PLAIN.has(name)) return { view: name as "season" };
  return { view: "tonight" };
}

export function gameHref(id: string, play = 0): string {
  return `#/game/${encodeURIComponent(id)}${play > 0 ? `/play/${play}` : ""}`;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
