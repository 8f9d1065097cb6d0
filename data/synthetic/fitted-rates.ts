import { type Rates } from "./rates.ts";

/**
 * Made by `node scripts/fit-synthetic.ts` from v3_2022-23_regular, v3_2023-24_regular, v3_2024-25_regular;
 * not to be edited by hand. How close the generated games come is tested and told in data/README.md.
 */
export const FITTED_RATES: Rates = {
  attackS: 12.53,
  secondAttackS: 7,
  turnover: 0.119,
  commonFoul: 0.05913,
  technical: 0.004965,
  steal: 0.5461,
  offensiveFoul: 0.1168,
  offensiveRebound: 0.2527,
  offensiveReboundFreeThrow: 0.13,
  teamRebound: 0.1095,
  freeThrow: 0.7779,
  zones: {
    rim: {
      weight: 1.207,
      makeRate: 0.6271,
      fouledRate: 0.2048,
      blockedShare: 0.3113,
      assistedShare: 0.5757,
    },
    paint: {
      weight: 1.143,
      makeRate: 0.4258,
      fouledRate: 0.1246,
      blockedShare: 0.1288,
      assistedShare: 0.4638,
    },
    mid: {
      weight: 0.831,
      makeRate: 0.4186,
      fouledRate: 0.05342,
      blockedShare: 0.04294,
      assistedShare: 0.4443,
    },
    corner: {
      weight: 1.031,
      makeRate: 0.3921,
      fouledRate: 0.01069,
      blockedShare: 0.0161,
      assistedShare: 0.9637,
    },
    top: {
      weight: 0.8991,
      makeRate: 0.3605,
      fouledRate: 0.01781,
      blockedShare: 0.0161,
      assistedShare: 0.7884,
    },
    heave: {
      weight: 1,
      makeRate: 0.05423,
      fouledRate: 0,
      blockedShare: 0,
      assistedShare: 0,
    },
  },
  homeTouch: 0.007917,
  easePerPoint: 0.001245,
  strengthSd: 0.01736,
  plannedMinutes: [37.58, 36.02, 32.61, 30.79, 26.91, 24.13, 20.55, 16.68, 10.8, 3.925],
  changeMinutes: 3.302,
  runTimeout: 0.95,
};
