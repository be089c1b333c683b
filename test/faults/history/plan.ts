import { createRandom } from './random.ts';

/**
 * What a run is going to do, decided by its seed alone. Operations name *slots*, not tokens: whatever is
 * in a slot when its turn comes is used, and an empty slot is filled first, so that a plan with operations
 * left out is still a plan.
 */
export interface Plan {
  seed: number;
  shape: Shape;
  operations: PlannedOperation[];
  faults: PlannedFault[];
}

export interface Shape {
  users: number;
  /** Browsers; each belongs to one user. */
  browsers: number;
  apps: number;
  /** More of them, whose access tokens are JWTs for an API. */
  apiApps: number;
  /** Places for a token family; each belongs to one browser and one app. */
  slots: number;
  /** Clients at the same time. */
  workers: number;
}

export interface PlannedOperation {
  worker: number;
  kind: OperationKind;
  slot: number;
  server: number;
  /** Requests at once, for races; how far back, for old tokens. */
  count: number;
}

export type OperationKind = keyof typeof WEIGHTS;

export interface PlannedFault {
  /** How many operations are done before. */
  after: number;
  kind: FaultKind;
  /** Which server, for those that hit one. */
  server: number;
}

export type FaultKind =
  | 'kill-server'
  /** Of a server with several: one of them. */
  | 'kill-worker'
  | 'freeze-server'
  | 'cut-connections'
  /** Commits are carried out, and nobody hears of it. */
  | 'lose-replies'
  /** Commits do not get through. */
  | 'lose-commits'
  | 'stall-database'
  | 'crash-database'
  /** It starts again with nothing in it. */
  | 'kill-redis'
  | 'stall-redis'
  | 'flush-redis';

const WEIGHTS = {
  /** Starts a family anew: authorization and exchange. */
  renew: 10,
  refresh: 30,
  introspect: 10,
  /** What an app has its token for: userinfo of an opaque one, an API that checks a JWT. */
  use: 6,
  verify: 3,
  'race-refresh': 6,
  'race-exchange': 5,
  /** A revocation among refreshes of the same family. */
  'race-revoke': 4,
  /** A logout among authorizations and refreshes of the same session. */
  'race-logout': 3,
  'refresh-old': 3,
  'replay-code': 2,
  'revoke-refresh': 3,
  'revoke-access': 4,
  logout: 1.5,
  /** Uses tokens of families that ended. */
  'use-ended': 8,
  disable: 0.7,
  enable: 0.7,
  /** And asks both servers whether what was signed before and after can be verified. */
  'rotate-keys': 0.5,
};

export type Mix = Partial<Record<OperationKind, number>>;

const SHAPE: Shape = { users: 6, browsers: 7, apps: 2, apiApps: 2, slots: 28, workers: 10 };

export function makePlan({
  seed,
  operations,
  faults = [],
  mix = WEIGHTS,
  shape = SHAPE,
  servers = 2,
}: {
  seed: number;
  operations: number;
  /** Spread evenly over the run, in this order. */
  faults?: readonly FaultKind[];
  mix?: Mix;
  shape?: Shape;
  servers?: number;
}): Plan {
  const random = createRandom(seed);
  const weights = mix as Record<OperationKind, number>;
  return {
    seed,
    shape,
    operations: Array.from({ length: operations }, () => ({
      worker: random.below(shape.workers),
      kind: random.weighted(weights),
      slot: random.below(shape.slots),
      server: random.below(servers),
      count: 2 + random.below(3),
    })),
    faults: faults.map((kind, index) => ({
      kind,
      after: Math.floor((operations * (index + 0.5 + random.next() * 0.5)) / (faults.length + 0.5)),
      server: random.below(servers),
    })),
  };
}
