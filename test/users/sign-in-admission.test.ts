import assert from 'node:assert/strict';
import { waitLeftMs, withWaitBudget } from '../../src/db/wait-budget.ts';
import { AppError } from '../../src/lib/errors.ts';
import { createSignInAdmission } from '../../src/users/sign-in-admission.ts';

describe('admission to signing in', () => {
  it('lets some in, makes some wait who have not begun, and turns away the rest', async () => {
    const admit = createSignInAdmission({ atOnce: 2, mostWaiting: 1 });
    const { promise: judged, resolve: judge } = Promise.withResolvers<string>();
    let begun = 0;
    const work = () => {
      begun += 1;
      return judged;
    };

    const admitted = [admit(work), admit(work), admit(work)];
    const refusal: unknown = await admit(work).catch((err: unknown) => err);
    const begunMeanwhile = begun;
    judge('judged');

    assert.deepEqual(await Promise.all(admitted), ['judged', 'judged', 'judged']);
    assert.deepEqual([begunMeanwhile, begun], [2, 3]);
    assert.ok(refusal instanceof AppError);
    assert.deepEqual([refusal.code, refusal.status], ['password.busy', 503]);
  });

  it('tells those it turns away different times to come back', async () => {
    const draws = [0, 0.3, 0.999];
    const admit = createSignInAdmission({ atOnce: 1, mostWaiting: 0, random: () => draws.shift() ?? 0 });
    const { promise: judged, resolve: judge } = Promise.withResolvers<string>();
    const inside = admit(() => judged);

    const times = [];
    for (let count = 0; count < 3; count += 1) {
      const refusal: unknown = await admit(() => judged).catch((err: unknown) => err);
      times.push(refusal instanceof AppError ? refusal.retryAfterSeconds : refusal);
    }
    judge('judged');
    await inside;

    assert.deepEqual(times, [2, 3, 5]);
  });

  it('gives a place back when the work fails, and passes the failure on', async () => {
    const admit = createSignInAdmission({ atOnce: 1, mostWaiting: 0 });

    await assert.rejects(
      admit(async () => {
        throw new Error('no database');
      }),
      /no database/,
    );

    assert.equal(await admit(async () => 'admitted'), 'admitted');
  });

  it('turns away who has waited too long, without having begun', async () => {
    const admit = createSignInAdmission({ atOnce: 1, mostWaiting: 1, longestWaitMs: 20 });
    const { promise: judged, resolve: judge } = Promise.withResolvers<string>();
    let begun = false;
    const inside = admit(() => judged);

    const refusal: unknown = await admit(async () => {
      begun = true;
    }).catch((err: unknown) => err);
    judge('judged');
    await inside;

    assert.ok(refusal instanceof AppError);
    assert.deepEqual([refusal.code, refusal.status], ['password.busy', 503]);
    assert.ok((refusal.retryAfterSeconds ?? 0) >= 2);
    assert.equal(begun, false);
    assert.equal(await admit(async () => 'admitted'), 'admitted');
  });

  it('takes the wait off what the request may wait for the database', async () => {
    const admit = createSignInAdmission({ atOnce: 1, mostWaiting: 1 });
    const { promise: judged, resolve: judge } = Promise.withResolvers<void>();
    const inside = admit(() => judged);
    setTimeout(judge, 50);

    const left = await withWaitBudget(1_000, () => admit(async () => waitLeftMs()));

    await inside;
    assert.ok(left !== undefined && left < 960, String(left));
  });
});
