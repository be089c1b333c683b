import assert from 'node:assert/strict';
import fc from 'fast-check';
import { later } from '../../src/lib/clock.ts';
import {
  keyTiming,
  nextReadyAt,
  planMissing,
  planRevocation,
  planRotation,
  planSchedule,
} from '../../src/keys/key-life-cycle.ts';
import type { KeyChange } from '../../src/keys/key-life-cycle.ts';
import { SIGNING_ALGS } from '../../src/keys/signing-key.ts';
import type { SigningKey } from '../../src/keys/signing-key.ts';

const MINUTE = 60_000;
const timing = keyTiming({ jwksMaxAgeSeconds: 300, longestTokenSeconds: 600, rotationDays: 1 });
const start = new Date('2026-01-01T00:00:00Z');

/** Carries out a plan the way the database does, refusing what its constraints refuse. */
function apply(keys: SigningKey[], changes: KeyChange[], at: Date): SigningKey[] {
  let result = keys;
  for (const { alg, key, to } of changes) {
    const made: SigningKey = key ?? {
      id: `${result.length}`,
      kid: `${result.length}`,
      alg,
      status: to,
      publicJwk: { kty: 'OKP', kid: `${result.length}`, alg, use: 'sig' },
      createdAt: at,
      activatedAt: null,
      retiredAt: null,
      removedAt: null,
    };
    const changed: SigningKey = {
      ...made,
      status: to,
      activatedAt: to === 'current' ? at : made.activatedAt,
      retiredAt: to === 'retiring' ? at : made.retiredAt,
      removedAt: to === 'gone' || to === 'revoked' ? at : made.removedAt,
    };
    result = [...result.filter((other) => other.id !== made.id), changed];
    for (const status of ['current', 'next'] as const) {
      const count = result.filter((other) => other.alg === alg && other.status === status).length;
      assert.ok(count <= 1, `two ${status} keys of ${alg}`);
    }
  }
  return result;
}

const statuses = (keys: SigningKey[], alg = 'ES256') =>
  keys
    .filter((key) => key.alg === alg)
    .map((key) => key.status)
    .sort();

describe('key life cycle', () => {
  it('begins with a current and a next key of each algorithm', () => {
    const keys = apply([], planMissing([]), start);

    for (const alg of SIGNING_ALGS) assert.deepEqual(statuses(keys, alg), ['current', 'next']);
    assert.deepEqual(planMissing(keys), []);
  });

  it('rotates when the current key is old enough, not a moment before', () => {
    const keys = apply([], planMissing([]), start);
    const due = later(start, timing.rotationMs);

    assert.deepEqual(planSchedule(keys, later(due, -1), timing), []);
    assert.deepEqual(statuses(apply(keys, planSchedule(keys, due, timing), due)), [
      'current',
      'next',
      'retiring',
    ]);
  });

  it('lets no key sign by schedule before it was published for the JWKS max-age and the spread to replicas', () => {
    const due = later(start, timing.rotationMs);
    const first = apply([], planMissing([]), start);
    const next = first.find((key) => key.alg === 'ES256' && key.status === 'next');
    const keys = first.map((key) => (key === next ? { ...key, createdAt: due } : key));
    const ready = later(due, 330_000);

    assert.deepEqual(nextReadyAt(keys, 'ES256', timing), ready);
    assert.ok(planSchedule(keys, later(ready, -1), timing).every((change) => change.alg !== 'ES256'));
    assert.ok(
      planSchedule(keys, ready, timing).some(
        (change) => change.key?.kid === next?.kid && change.to === 'current',
      ),
    );
  });

  it('keeps a retired key published for the longest token, the clock tolerance and the spread to replicas', () => {
    const first = apply([], planMissing([]), start);
    const keys = apply(first, planRotation(first, 'ES256', 'requested'), start);
    const expired = later(start, 690_000);

    assert.deepEqual(planSchedule(keys, later(expired, -1), timing), []);
    assert.deepEqual(
      planSchedule(keys, expired, timing).map((change) => [change.alg, change.key?.status, change.to]),
      [['ES256', 'retiring', 'gone']],
    );
  });

  it('promotes the next key at once when the current one is revoked', () => {
    const keys = apply([], planMissing([]), start);
    const [current, next] = keys.filter((key) => key.alg === 'EdDSA');
    assert.ok(current && next);

    const changed = apply(keys, planRevocation(keys, current), start);

    assert.equal(changed.find((key) => key.id === current.id)?.status, 'revoked');
    assert.equal(changed.find((key) => key.id === next.id)?.status, 'current');
    assert.deepEqual(statuses(changed, 'EdDSA'), ['current', 'next', 'revoked']);
  });

  it('has nothing to do for a key that already left', () => {
    const keys = apply([], planMissing([]), start);
    const [key] = keys;
    assert.ok(key);

    const revoked = apply(keys, planRevocation(keys, key), start);

    assert.deepEqual(planRevocation(revoked, { ...key, status: 'revoked' }), []);
    assert.deepEqual(planRevocation(revoked, { ...key, status: 'gone' }), []);
  });

  it('holds its promises over any course of schedules, rotations and revocations', () => {
    const step = fc.record({
      afterMinutes: fc.integer({ min: 0, max: 2000 }),
      action: fc.constantFrom('schedule', 'schedule', 'rotate', 'force', 'revoke'),
      alg: fc.constantFrom(...SIGNING_ALGS),
      pick: fc.nat(20),
    });

    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let now = start;
        let keys = apply([], planMissing([]), now);
        for (const { afterMinutes, action, alg, pick } of steps) {
          now = later(now, afterMinutes * MINUTE);
          const before = keys;
          keys = apply(keys, planOf(), now);
          check(before, keys, now, action);

          function planOf(): KeyChange[] {
            const ready = nextReadyAt(keys, alg, timing);
            const target = keys[pick % keys.length];
            if (action === 'schedule') return planSchedule(keys, now, timing);
            if (action === 'revoke') return target ? planRevocation(keys, target) : [];
            if (action === 'rotate' && ready && ready > now) return [];
            return planRotation(keys, alg, 'requested');
          }
        }
      }),
    );
  });
});

function check(before: SigningKey[], after: SigningKey[], now: Date, action: string): void {
  for (const alg of SIGNING_ALGS) {
    for (const status of ['current', 'next']) {
      assert.equal(after.filter((key) => key.alg === alg && key.status === status).length, 1);
    }
  }
  for (const key of after) {
    const old = before.find((other) => other.id === key.id);
    if (old?.status === 'next' && key.status === 'current' && ['schedule', 'rotate'].includes(action)) {
      assert.ok(later(key.createdAt, timing.pendingMs) <= now, 'signs before it was published long enough');
    }
    if (key.status === 'gone' && old?.status !== 'gone') {
      assert.equal(old?.status, 'retiring');
      assert.ok(key.retiredAt && later(key.retiredAt, timing.retiringMs) <= now, 'left while tokens live');
    }
    if (old?.status === 'gone' || old?.status === 'revoked') assert.equal(key.status, old.status);
  }
}
