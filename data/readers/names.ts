/**
 * Who a name in a description is. Some feeds give ids only for the player who acts and name the others
 * (`(Dort 1 AST)`, `SUB: Niang FOR Allen`) in the spelling of the description, with initials where two of a
 * team share a surname. The book learns that spelling from rows where the same player acts.
 */
export class NameBook {
  /** Spelling to players, by team: of the game being read, and of the games before it. */
  #game = new Map<number, Map<string, Set<number>>>();
  readonly #season = new Map<number, Map<string, number>>();

  /** Forgets the game, but not who was called what in it. */
  startGame(): void {
    this.#game = new Map();
  }

  learn(teamId: number, name: string, playerId: number): void {
    if (teamId === 0 || playerId === 0 || name === "") return;
    const names = entry(this.#game, teamId, () => new Map<string, Set<number>>());
    entry(names, name, () => new Set<number>()).add(playerId);
    entry(this.#season, teamId, () => new Map<string, number>()).set(name, playerId);
  }

  /**
   * The player, or 0 when nobody or more than one is called so.
   * @param isLikely - tells players of the same name apart, for example by who is on court.
   */
  find(teamId: number, name: string, isLikely: (playerId: number) => boolean = () => true): number {
    const wanted = plainLetters(name);
    const players = [...(this.#game.get(teamId)?.get(wanted) ?? [])];
    if (players.length === 0) return this.#season.get(teamId)?.get(wanted) ?? 0;
    if (players.length === 1) return players[0] ?? 0;
    const likely = players.filter(isLikely);
    return likely.length === 1 ? (likely[0] ?? 0) : 0;
  }
}

/**
 * The name of the acting player as a description spells it: everything up to the surname.
 * @returns "" when the surname is not in the description.
 */
export function spelledName(description: string, surname: string): string {
  if (surname === "") return "";
  const whole = plainLetters(description);
  const text = whole.startsWith(MISS) ? whole.slice(MISS.length) : whole;
  const wanted = plainLetters(surname);
  const at = text.indexOf(wanted);
  // An initial or two may stand before it, a whole phrase means another use of the name.
  return at < 0 || at > 6 ? "" : text.slice(0, at + wanted.length);
}

/** Without accents: descriptions spell `Valanciunas` where the name column has `Valančiūnas`. */
export function plainLetters(text: string): string {
  return NON_ASCII.test(text) ? text.normalize("NFD").replace(/\p{M}/gu, "") : text;
}

const MISS = "MISS ";
const NON_ASCII = /[^ -~]/;

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
