/** A team as a table or a row names it. */
export interface TeamName {
  readonly teamId: number;
  readonly tricode: string;
  readonly name: string;
}

/** The league's 30 teams: the number that follows 16106127 in the id, and the city and nickname of today. */
const TEAMS: readonly (readonly [number, string, string])[] = [
  [37, "ATL", "Atlanta Hawks"],
  [38, "BOS", "Boston Celtics"],
  [39, "CLE", "Cleveland Cavaliers"],
  [40, "NOP", "New Orleans Pelicans"],
  [41, "CHI", "Chicago Bulls"],
  [42, "DAL", "Dallas Mavericks"],
  [43, "DEN", "Denver Nuggets"],
  [44, "GSW", "Golden State Warriors"],
  [45, "HOU", "Houston Rockets"],
  [46, "LAC", "LA Clippers"],
  [47, "LAL", "Los Angeles Lakers"],
  [48, "MIA", "Miami Heat"],
  [49, "MIL", "Milwaukee Bucks"],
  [50, "MIN", "Minnesota Timberwolves"],
  [51, "BKN", "Brooklyn Nets"],
  [52, "NYK", "New York Knicks"],
  [53, "ORL", "Orlando Magic"],
  [54, "IND", "Indiana Pacers"],
  [55, "PHI", "Philadelphia 76ers"],
  [56, "PHX", "Phoenix Suns"],
  [57, "POR", "Portland Trail Blazers"],
  [58, "SAC", "Sacramento Kings"],
  [59, "SAS", "San Antonio Spurs"],
  [60, "OKC", "Oklahoma City Thunder"],
  [61, "TOR", "Toronto Raptors"],
  [62, "UTA", "Utah Jazz"],
  [63, "MEM", "Memphis Grizzlies"],
  [64, "WAS", "Washington Wizards"],
  [65, "DET", "Detroit Pistons"],
  [66, "CHA", "Charlotte Hornets"],
];

const FIRST_ID = 1_610_612_700;

const BY_ID: ReadonlyMap<number, TeamName> = new Map(
  TEAMS.map(([number, tricode, name]) => {
    const teamId = FIRST_ID + number;
    return [teamId, { teamId, tricode, name }];
  }),
);

const BY_TRICODE: ReadonlyMap<string, TeamName> = new Map(
  [...BY_ID.values()].map((team) => [team.tricode, team]),
);

export function teamById(teamId: number): TeamName | undefined {
  return BY_ID.get(teamId);
}

export function teamByTricode(tricode: string): TeamName | undefined {
  return BY_TRICODE.get(tricode);
}

const BY_NAME: ReadonlyMap<string, TeamName> = new Map(
  [...BY_ID.values()].map((team) => [team.name.toUpperCase(), team]),
);

/** @param name - city and nickname, in any case. */
export function teamByName(name: string): TeamName | undefined {
  const upper = name.toUpperCase();
  return BY_NAME.get(upper === "LOS ANGELES CLIPPERS" ? "LA CLIPPERS" : upper);
}

/** @param name - the part of a team's name behind its city, such as `Trail Blazers`. */
export function teamByNickname(name: string): TeamName | undefined {
  return [...BY_ID.values()].find((team) => team.name.endsWith(` ${name}`));
}

/** Codes of the odds tables that are no tricode in lower case. */
const SPORTSBOOK_CODES: Readonly<Record<string, string>> = {
  gs: "GSW",
  no: "NOP",
  ny: "NYK",
  sa: "SAS",
  utah: "UTA",
  wsh: "WAS",
};

export function tricodeOfSportsbook(code: string): string {
  return SPORTSBOOK_CODES[code] ?? code.toUpperCase();
}
