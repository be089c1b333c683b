import { randomBytes } from 'node:crypto';
import { answerTimes, assertAlike } from '../support/answer-times.ts';
import { createApiMailWorld } from './api-mail-world.ts';
import type { ApiMailWorld } from './api-mail-world.ts';

const EACH = 40;
/** The share is within 0.07 of a half two times in three where nothing differs. */
const FURTHEST = 0.25;
/** Other programs disturb a round, never in favour of a difference that is really there in all of them. */
const ROUNDS = 3;

const KINDS = ['known', 'unverified', 'disabled', 'unknown'] as const;
type Kind = (typeof KINDS)[number];

/** Those of a password are compared in test/attempts/sign-in-times.test.ts. */
describe('how long the API takes to send a code, and to refuse a wrong one', function () {
  this.timeout(180_000);
  let mailWorld: ApiMailWorld;

  before(async () => {
    mailWorld = await createApiMailWorld();
  });

  after(() => mailWorld.close());

  const post = (path: string, body: object) => mailWorld.world.call('POST', path, { body });

  async function addressOf(kind: Kind): Promise<string> {
    const email = `${randomBytes(6).toString('hex')}@example.com`;
    if (kind === 'unknown') return email;
    const { app, world } = mailWorld;
    const user = { email, emailVerified: kind !== 'unverified' };
    const { id } = await app.services.users.create(world.actor, user);
    if (kind === 'disabled') await app.services.users.disable(world.actor, id);
    return email;
  }

  /** @param prepare is not measured */
  async function assertTellsNothing(prepare: (kind: Kind) => Promise<() => Promise<unknown>>): Promise<void> {
    await assertAlike('unknown', { rounds: ROUNDS, furthest: FURTHEST }, async () => {
      const ready: Record<Kind, (() => Promise<unknown>)[]> = {
        known: [],
        unverified: [],
        disabled: [],
        unknown: [],
      };
      for (const kind of KINDS)
        for (let count = 0; count <= EACH; count += 1) ready[kind].push(await prepare(kind));
      // Connections, caches and compiled code are there for all of them; what is being delivered does not count.
      for (const kind of KINDS) await ready[kind].pop()?.();
      await mailWorld.app.services.mail.delivery.deliverDue();

      return answerTimes(KINDS, EACH, async (kind) => ready[kind].pop()?.());
    });
  }

  for (const path of ['/auth/forgot-password', '/auth/signup', '/auth/resend-verification']) {
    it(`tells nothing of the account: ${path}`, () =>
      assertTellsNothing(async (kind) => {
        const email = await addressOf(kind);
        return () => post(path, { email });
      }));
  }

  for (const [ask, take, rest] of [
    ['/auth/forgot-password', '/auth/reset-password', { password: 'seven wandering lighthouses hum' }],
    ['/auth/signup', '/auth/verify-email', { password: 'seven wandering lighthouses hum' }],
    ['/auth/resend-verification', '/auth/verify-email', {}],
  ] as const) {
    it(`tells nothing of the account: ${take} after ${ask}`, () =>
      assertTellsNothing(async (kind) => {
        const { body } = await post(ask, { email: await addressOf(kind) });
        const guess = { request_token: body.request_token, code: 'no code', ...rest };
        return () => post(take, guess);
      }));
  }
});
