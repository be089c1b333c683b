import { days, later, seconds } from '../lib/clock.ts';
import { SIGNING_ALGS } from './signing-key.ts';
import type { KeyStatus, SigningAlg, SigningKey } from './signing-key.ts';

/**
 * The life of signing keys as pure decisions: next → current → retiring → gone, and revoked from
 * anywhere before gone. Who calls it reads the keys and the time under a lock and carries out the
 * changes in the order given.
 *
 * Times are the database's, for the rows and for `now` alike, so replicas whose clocks differ decide
 * the same.
 */

/** A replica may take this long to publish, use or drop a key after another one decided so. */
const PROPAGATION_SECONDS = 30;
/** Verifiers may let a token live this much longer than its `exp` (RFC 7519 §4.1.4). */
const CLOCK_TOLERANCE_SECONDS = 60;

export interface KeyTiming {
  /** A key is published this long before it signs: by then nobody holds a JWKS without it. */
  pendingMs: number;
  /** A key stays published this long after it last signed: by then what it signed has expired. */
  retiringMs: number;
  /** How long a key signs. */
  rotationMs: number;
}

export function keyTiming(options: {
  jwksMaxAgeSeconds: number;
  longestTokenSeconds: number;
  rotationDays: number;
}): KeyTiming {
  return {
    pendingMs: seconds(options.jwksMaxAgeSeconds + PROPAGATION_SECONDS),
    retiringMs: seconds(options.longestTokenSeconds + CLOCK_TOLERANCE_SECONDS + PROPAGATION_SECONDS),
    rotationMs: days(options.rotationDays),
  };
}

export type KeyChangeReason = 'missing' | 'schedule' | 'requested' | 'forced' | 'revoked';

/** A key changes to a status; without `key`, a new one is made with it. */
export interface KeyChange {
  alg: SigningAlg;
  key?: SigningKey;
  to: KeyStatus;
  reason: KeyChangeReason;
}

type Keys = readonly SigningKey[];

/** What makes every algorithm have a current and a next key. */
export function planMissing(keys: Keys): KeyChange[] {
  return SIGNING_ALGS.flatMap((alg) => completion(keys, alg, 'missing'));
}

/** What is due: rotations, removals, and keys that are missing. */
export function planSchedule(keys: Keys, now: Date, timing: KeyTiming): KeyChange[] {
  const rotations = SIGNING_ALGS.flatMap((alg) => {
    const current = find(keys, alg, 'current');
    const isDue = current && isOlderThan(current.activatedAt, timing.rotationMs, now);
    const ready = nextReadyAt(keys, alg, timing);
    return isDue && ready && ready <= now
      ? planRotation(keys, alg, 'schedule')
      : completion(keys, alg, 'missing');
  });
  const removals = keys
    .filter((key) => key.status === 'retiring' && isOlderThan(key.retiredAt, timing.retiringMs, now))
    .map((key): KeyChange => ({ alg: key.alg, key, to: 'gone', reason: 'schedule' }));
  return [...rotations, ...removals];
}

/** The next key becomes current at once. Whether it was published long enough is for the caller to ask. */
export function planRotation(keys: Keys, alg: SigningAlg, reason: KeyChangeReason): KeyChange[] {
  const current = find(keys, alg, 'current');
  if (!current) return completion(keys, alg, reason);
  return [{ alg, key: current, to: 'retiring', reason }, ...completion(without(keys, current), alg, reason)];
}

/** The key leaves at once; if it was the current one, the next takes its place without waiting. */
export function planRevocation(keys: Keys, key: SigningKey): KeyChange[] {
  if (key.status === 'gone' || key.status === 'revoked') return [];
  return [
    { alg: key.alg, key, to: 'revoked', reason: 'revoked' },
    ...completion(without(keys, key), key.alg, 'revoked'),
  ];
}

/** From when on the next key may sign; undefined when there is none. */
export function nextReadyAt(keys: Keys, alg: SigningAlg, timing: KeyTiming): Date | undefined {
  const next = find(keys, alg, 'next');
  return next && later(next.createdAt, timing.pendingMs);
}

function completion(keys: Keys, alg: SigningAlg, reason: KeyChangeReason): KeyChange[] {
  const current = find(keys, alg, 'current');
  const next = find(keys, alg, 'next');
  if (current) return next ? [] : [{ alg, to: 'next', reason }];
  return [
    next ? { alg, key: next, to: 'current', reason } : { alg, to: 'current', reason },
    { alg, to: 'next', reason },
  ];
}

function find(keys: Keys, alg: SigningAlg, status: KeyStatus): SigningKey | undefined {
  return keys.find((key) => key.alg === alg && key.status === status);
}

function without(keys: Keys, key: SigningKey): Keys {
  return keys.filter((other) => other !== key);
}

function isOlderThan(since: Date | null, milliseconds: number, now: Date): boolean {
  return since !== null && later(since, milliseconds) <= now;
}
