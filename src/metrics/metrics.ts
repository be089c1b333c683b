import type { Knex } from 'knex';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import {
  breachChecks,
  connectionWaits,
  databaseTimeouts,
  directoryLookups,
  gateWaits,
  rateLimitings,
  signInWaits,
  signIns,
  statements,
  tokenResponses,
} from '../lib/instruments.ts';

/**
 * What a process measures, for Prometheus. Names begin with `gatehouse_`, units are seconds and bytes, and
 * labels take few values: never an address, a client or a person. docs/metrics.md is made from here.
 */
export interface MetricsSources {
  version: string;
  db: Knex;
  poolMax: number;
  passwordHashes: () => { running: number; queued: number; rejected: number };
  signInSeats: () => { taken: number; waiting: number; turnedAway: number };
  /** Absent where there is no Redis. */
  isRedisReady?: (() => boolean) | undefined;
}

export type Metrics = ReturnType<typeof createMetrics>;

const LATENCY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const STATEMENT_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 3];
const WAIT_SECONDS = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 3];

export function createMetrics({
  version,
  db,
  poolMax,
  passwordHashes,
  signInSeats,
  isRedisReady,
}: MetricsSources) {
  const registry = new Registry();
  const registers = [registry];
  const undo: (() => unknown)[] = [];
  collectDefaultMetrics({ register: registry, prefix: 'gatehouse_' });

  const requests = new Histogram({
    name: 'gatehouse_http_request_duration_seconds',
    help: 'Time from the arrival of a request to the end of its response, by method, route template and outcome (success, refused, throttled, failed, aborted).',
    labelNames: ['method', 'route', 'outcome'] as const,
    buckets: LATENCY_SECONDS,
    registers,
  });
  const inFlight = new Gauge({
    name: 'gatehouse_http_requests_in_flight',
    help: 'Requests that are being answered.',
    registers,
  });

  const throttled = new Counter({
    name: 'gatehouse_rate_limited_total',
    help: 'Requests refused by a rate limit, by the name of the limit.',
    labelNames: ['limit'] as const,
    registers,
  });
  undo.push(rateLimitings.observe(({ limit }) => throttled.inc({ limit })));

  const tokens = new Counter({
    name: 'gatehouse_token_responses_total',
    help: 'Answers of the token endpoint that brought tokens, by grant type.',
    labelNames: ['grant_type'] as const,
    registers,
  });
  undo.push(tokenResponses.observe(({ grantType }) => tokens.inc({ grant_type: grantType })));

  const passwords = new Counter({
    name: 'gatehouse_password_sign_ins_total',
    help: 'Passwords given at sign-in, by outcome (success, failure, throttled, busy).',
    labelNames: ['outcome'] as const,
    registers,
  });
  undo.push(signIns.observe(({ outcome }) => passwords.inc({ outcome })));

  const breaches = new Counter({
    name: 'gatehouse_password_breach_checks_total',
    help: 'New passwords looked up among breached ones, by outcome (found, clear, unavailable: let through).',
    labelNames: ['outcome'] as const,
    registers,
  });
  undo.push(breachChecks.observe(({ outcome }) => breaches.inc({ outcome })));

  gauge(
    'gatehouse_sign_ins_running',
    'Sign-ins that were let in: with their password, or with the database before it.',
    () => signInSeats().taken,
  );
  gauge(
    'gatehouse_sign_ins_waiting',
    'Sign-ins that wait to be let in, ahead of the queue of passwords.',
    () => signInSeats().waiting,
  );
  countedElsewhere(
    'gatehouse_sign_ins_turned_away_total',
    'Sign-ins that were not let in because too many waited already or their turn did not come in time; the answer was 503.',
    () => signInSeats().turnedAway,
  );
  const seatWaits = new Histogram({
    name: 'gatehouse_sign_in_wait_seconds',
    help: 'Wait of a sign-in until it was let in.',
    buckets: WAIT_SECONDS,
    registers,
  });
  undo.push(signInWaits.observe(({ seconds }) => seatWaits.observe(seconds)));

  gauge(
    'gatehouse_password_hashes_running',
    'Passwords that are being hashed.',
    () => passwordHashes().running,
  );
  gauge(
    'gatehouse_password_hashes_queued',
    'Passwords that wait for their turn to be hashed.',
    () => passwordHashes().queued,
  );
  countedElsewhere(
    'gatehouse_password_hashes_rejected_total',
    'Passwords that were not hashed because too many waited already; the answer was 503. Sign-ins are turned away before that, so it counts passwords that are set, and guesses at other screens.',
    () => passwordHashes().rejected,
  );

  const pool: Pool = db.client.pool;
  const connections = new Gauge({
    name: 'gatehouse_database_connections',
    help: 'Connections of the pool, by state (used, free).',
    labelNames: ['state'] as const,
    registers,
    collect() {
      connections.set({ state: 'used' }, pool.numUsed());
      connections.set({ state: 'free' }, pool.numFree());
    },
  });
  gauge('gatehouse_database_connections_max', 'Most connections the pool may have.', () => poolMax);
  gauge('gatehouse_database_connections_pending', 'Those who wait for a connection of the pool.', () =>
    pool.numPendingAcquires(),
  );

  const statementTimes = new Histogram({
    name: 'gatehouse_database_statement_duration_seconds',
    help: 'Time of a statement, the wait for locks included, by outcome (ok, failed) and name: of a prepared one its own, with the wait for a connection; of any other its command.',
    labelNames: ['statement', 'outcome'] as const,
    buckets: STATEMENT_SECONDS,
    registers,
  });
  undo.push(
    statements.observe(({ name, seconds, isOk }) =>
      // What follows the # says which part of a table was asked.
      statementTimes.observe(
        { statement: name.replace(/#\d+/g, ''), outcome: isOk ? 'ok' : 'failed' },
        seconds,
      ),
    ),
  );

  const acquires = new Histogram({
    name: 'gatehouse_database_connection_wait_seconds',
    help: 'Wait for a connection of the pool.',
    buckets: WAIT_SECONDS,
    registers,
  });
  undo.push(connectionWaits.observe(({ seconds }) => acquires.observe(seconds)));

  const timeouts = new Counter({
    name: 'gatehouse_database_timeouts_total',
    help: 'Waits for the database that were in vain, by what for: a connection of the pool, a lock that another transaction holds, the end of a statement, any answer.',
    labelNames: ['kind'] as const,
    registers,
  });
  undo.push(databaseTimeouts.observe(({ kind }) => timeouts.inc({ kind })));

  const gates = new Histogram({
    name: 'gatehouse_token_gate_wait_seconds',
    help: 'Wait of a request for another one with the same code or refresh token.',
    buckets: WAIT_SECONDS,
    registers,
  });
  undo.push(gateWaits.observe(({ seconds }) => gates.observe(seconds)));

  const lookups = new Counter({
    name: 'gatehouse_directory_lookups_total',
    help: 'Questions for a client or resource, by kind and whether memory (hit) or the database (miss) answered.',
    labelNames: ['kind', 'result'] as const,
    registers,
  });
  undo.push(
    directoryLookups.observe(({ kind, isHit }) => lookups.inc({ kind, result: isHit ? 'hit' : 'miss' })),
  );

  if (isRedisReady) {
    gauge('gatehouse_redis_up', 'Whether Redis answers (1) or not (0).', () => Number(isRedisReady()), 'min');
  }
  const build = new Gauge({
    name: 'gatehouse_build_info',
    help: 'Always 1; the version is the label.',
    labelNames: ['version'] as const,
    aggregator: 'first',
    registers,
  });
  build.set({ version }, 1);

  function countedElsewhere(name: string, help: string, total: () => number): void {
    const one: Counter = new Counter({
      name,
      help,
      registers,
      collect() {
        one.reset();
        one.inc(total());
      },
    });
  }

  function gauge(name: string, help: string, value: () => number, aggregator: 'sum' | 'min' = 'sum'): void {
    const one: Gauge = new Gauge({ name, help, aggregator, registers, collect: () => one.set(value()) });
  }

  return {
    registry,
    requests,
    inFlight,
    stop(): void {
      for (const step of undo) step();
      registry.clear();
    },
  };
}

/** Of tarn, behind knex. */
interface Pool {
  numUsed(): number;
  numFree(): number;
  numPendingAcquires(): number;
}
