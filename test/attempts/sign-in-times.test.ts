import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createApiWorld } from '../management-api/api-world.ts';
import type { ApiWorld } from '../management-api/api-world.ts';
import { answerTimes, assertAlike, shareLater } from '../support/answer-times.ts';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';

const KINDS = [
  'known',
  'unknown',
  'disabled',
  'locked',
  'closed',
  'pending',
  'passwordless',
  'deleted',
] as const;
type Kind = (typeof KINDS)[number];

const EACH = 40;
/** The share is within 0.07 of a half two times in three where nothing differs. */
const FURTHEST = 0.25;
/** Other programs disturb a round, never in favour of a difference that is really there in all of them. */
const ROUNDS = 3;

describe('how long a wrong password takes to be refused', function () {
  this.timeout(180_000);
  let app: TestApp;
  let world: ApiWorld;
  let rp: RelyingParty;

  before(async () => {
    app = await startTestApp({
      env: {
        GATEHOUSE_RATE_LIMITS: 'on',
        GATEHOUSE_SIGN_IN_ATTEMPTS: '100',
        GATEHOUSE_SIGN_IN_ATTEMPTS_PER_NETWORK: '1000000',
        GATEHOUSE_RATE_LIMIT_FORMS: '1000000',
        GATEHOUSE_RATE_LIMIT_REFUSALS: '1000000',
      },
    });
    world = await createApiWorld(app);
    rp = await createRelyingParty(app, world);
  });

  after(() => app.close());

  /** Whoever guesses knows none of this. */
  async function addressOf(kind: Kind): Promise<string> {
    const email = `${randomBytes(6).toString('hex')}@example.com`;
    if (kind === 'unknown') return email;
    const { users } = app.services;
    const { id } = await users.create(world.actor, {
      email,
      ...(kind === 'passwordless' ? {} : { password: GOOD_PASSWORD }),
      ...(kind === 'pending' ? { status: 'pending' } : {}),
    });
    if (kind === 'disabled') await users.disable(world.actor, id);
    if (kind === 'locked') await users.lock(world.actor, id, { cause: 'guessing' });
    if (kind === 'closed') await users.lock(world.actor, id, { cause: 'administrator' });
    if (kind === 'deleted') await users.delete(world.actor, id);
    return email;
  }

  /** @returns tries a password on the page that asks for that of the address */
  async function page(email: string): Promise<(password: string) => Promise<unknown>> {
    const agent = createUserAgent();
    const first = await agent.follow(await agent.get(rp.authorizationUrl()), world.issuer);
    const sent = await agent.submit(first, '/identifier', { username: email });
    const shown = await agent.follow(sent, world.issuer);
    return (password) => agent.submit(shown, '/password', { password });
  }

  const api = (email: string) => (password: string) =>
    Promise.resolve(world.call('POST', '/auth/login', { body: { email, password } }));

  const ways = { 'on the page': page, 'over the API': async (email: string) => api(email) };

  for (const [where, way] of Object.entries(ways)) {
    it(`tells nothing of the account (${where})`, async () => {
      await assertAlike('unknown', { rounds: ROUNDS, furthest: FURTHEST }, async () => {
        const tries = new Map<Kind, (password: string) => Promise<unknown>>();
        for (const kind of KINDS) tries.set(kind, await way(await addressOf(kind)));
        // Connections, caches and compiled code are there for all of them.
        for (const kind of KINDS) await tries.get(kind)?.('a first guess, to warm up');
        return answerTimes(KINDS, EACH, (kind) => tries.get(kind)!('not this one at all'));
      });
    });
  }

  it('would tell of a password that is not hashed', async () => {
    const tryAt = await page(await addressOf('known'));
    await tryAt('a first guess, to warm up');

    // Without a password the page does not ask whether it is right.
    const times = await answerTimes(['hashed', 'unhashed'], EACH, (kind) =>
      tryAt(kind === 'hashed' ? 'not this one at all' : ''),
    );

    const share = shareLater(times.hashed, times.unhashed);
    assert.ok(Math.abs(share - 0.5) > FURTHEST, String(share));
  });
});
