import assert from 'node:assert/strict';
import { AppError } from '../../src/lib/errors.ts';
import { createSignInAdmission } from '../../src/users/sign-in-admission.ts';

describe('admission to signing in', () => {
  it('turns away whoever comes while all places are taken, before anything is done', async () => {
    const admit = createSignInAdmission({ most: 2 });
    const { promise: judged, resolve: judge } = Promise.withResolvers<string>();
    let begun = 0;
    const work = () => {
      begun += 1;
      return judged;
    };

    const inside = [admit(work), admit(work)];
    const refusal: unknown = await admit(work).catch((err: unknown) => err);
    judge('judged');

    assert.deepEqual(await Promise.all(inside), ['judged', 'judged']);
    assert.equal(begun, 2);
    assert.ok(refusal instanceof AppError);
    assert.deepEqual([refusal.code, refusal.status], ['password.busy', 503]);
    assert.ok((refusal.retryAfterSeconds ?? 0) > 0);
  });

  it('gives a place back when the work fails, and passes the failure on', async () => {
    const admit = createSignInAdmission({ most: 1 });

    await assert.rejects(
      admit(async () => {
        throw new Error('no database');
      }),
      /no database/,
    );

    assert.equal(await admit(async () => 'admitted'), 'admitted');
  });
});
