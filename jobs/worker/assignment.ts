/** A worker as the assignment sees it. */
export interface Member {
  readonly id: string;
  readonly regions: readonly number[];
}

/** What one worker should do. */
export interface Plan {
  readonly claim: readonly number[];
  readonly shed: readonly number[];
}

/**
 * Spreads regions evenly and moves as few as possible. Every worker works out the same from the same view: those
 * that have most keep the larger shares; a worker above its share sheds, one below claims what is free.
 *
 * @param members - all live workers, `me` among them, in any order.
 */
export function planFor(me: string, members: readonly Member[], regions: number): Plan {
  const ranked = members.toSorted(
    (a, b) => b.regions.length - a.regions.length || (a.id < b.id ? -1 : 1),
  );
  const rank = ranked.findIndex(({ id }) => id === me);
  const mine = ranked[rank]?.regions ?? [];
  const share = Math.floor(regions / ranked.length) + (rank < regions % ranked.length ? 1 : 0);
  if (mine.length > share) return { claim: [], shed: mine.slice(share) };
  const held = new Set(members.flatMap((member) => member.regions));
  const free = Array.from({ length: regions }, (_, index) => index).filter(
    (index) => !held.has(index),
  );
  // Workers begin at different places, so that they seldom reach for the same one.
  const start = free.length === 0 ? 0 : Math.floor((rank * free.length) / ranked.length);
  const turned = [...free.slice(start), ...free.slice(0, start)];
  return { claim: turned.slice(0, share - mine.length), shed: [] };
}
