import assert from 'node:assert/strict';
import { checkClock } from '../../src/db/clock-check.ts';
import { testDb } from '../support/database.ts';

describe('the check of the clock', () => {
  const skewed = (seconds: number) => () => new Date(Date.now() + seconds * 1000);

  for (const seconds of [-25, 0, 25]) {
    it(`passes with a clock that is ${seconds} s off`, async () => {
      await checkClock({ db: await testDb(), now: skewed(seconds) });
    });
  }

  for (const seconds of [-35, 35, 300]) {
    it(`fails with a clock that is ${seconds} s off`, async () => {
      const check = checkClock({ db: await testDb(), now: skewed(seconds) });

      await assert.rejects(check, /this clock and the database's are \d+ s apart/);
    });
  }
});
