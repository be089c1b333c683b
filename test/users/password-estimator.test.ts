import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { createPasswordEstimator } from '../../src/users/password-estimator.ts';

describe('the estimator of passwords', () => {
  it('answers each question with the guesses that its own texts withstand', async () => {
    const estimator = createPasswordEstimator();

    const [[common = 0, pair = 0], [phrase = 0]] = await Promise.all([
      estimator.guessesLog10(['password', 'passwordpassword']),
      estimator.guessesLog10(['mossy lantern orbit']),
    ]);

    assert.ok(common < pair && pair < phrase, [common, pair, phrase].join(' < '));
  });

  it('gives its memory back when nobody asks, and takes it again when somebody does', async () => {
    const estimator = createPasswordEstimator({ idleMs: 1 });

    const before = estimator.isLoaded();
    const first = await estimator.guessesLog10(['password']);
    while (estimator.isLoaded()) await delay(1);
    const second = await estimator.guessesLog10(['password']);

    assert.equal(before, false);
    assert.deepEqual(second, first);
  });
});
