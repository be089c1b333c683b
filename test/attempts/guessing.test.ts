import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { startRedisServer } from '../support/redis-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { startReplicas } from '../support/replicas.ts';
import type { Replica } from '../support/replicas.ts';
import { createUserAgent, formsOf } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

const LIMIT = 10;
const GUESSES = 200;
/** So many that each process has seats and places in its queue for all of its guesses. */
const HASHERS = '4';

describe('guessing passwords over two server processes', function () {
  this.timeout(60_000);
  let redis: RedisServer;
  let app: TestApp;
  let tenant: TestTenant;
  let replicas: Replica[];
  let rp: RelyingParty;

  before(async () => {
    [redis, app] = await Promise.all([startRedisServer(), startTestApp()]);
    replicas = await startReplicas(2, app.url, {
      GATEHOUSE_RATE_LIMITS: 'on',
      GATEHOUSE_PASSWORD_HASHERS: HASHERS,
      REDIS_URL: redis.url,
      TRUST_PROXY: '127.0.0.0/8',
    });
  });
  beforeEach(async () => {
    tenant = await app.tenant();
    rp = await createRelyingParty(app, tenant);
  });
  after(async () => {
    await Promise.all(replicas.map((replica) => replica.close()));
    await app.close();
    await redis.stop();
  });

  /** The page that asks for the password of an account, in a browser of its own. */
  async function passwordPage(email: string): Promise<{ agent: UserAgent; page: Page }> {
    const agent = createUserAgent();
    const first = await agent.follow(await agent.get(rp.authorizationUrl()), tenant.issuer);
    const page = await agent.follow(
      await agent.submit(first, '/identifier', { username: email }),
      tenant.issuer,
    );
    return { agent, page };
  }

  /**
   * Until it is answered: on a busy machine some are turned away unjudged, as their turn does not come in time.
   * @param from which one of many attackers, each with an address of its own
   */
  async function guess(
    { agent, page }: Awaited<ReturnType<typeof passwordPage>>,
    from: number,
  ): Promise<Page> {
    const form = formsOf(page.body).find(({ action }) => action.endsWith('/password'));
    const base = replicas[from % replicas.length]?.url;
    for (;;) {
      const answer = await agent.post(
        `${base}${form?.action}`,
        { ...form?.hidden, password: `a guess, number ${from}` },
        { 'x-forwarded-for': `10.1.${from % 4}.${from % 250}` },
      );
      if (answer.status !== 503) return answer;
      await pause(100);
    }
  }

  const guesses = (at: Awaited<ReturnType<typeof passwordPage>>, count = GUESSES) =>
    Promise.all(Array.from({ length: count }, (_, index) => guess(at, index)));

  const tally = (answers: Page[]) =>
    Object.fromEntries(
      Object.entries(Object.groupBy(answers, ({ status }) => String(status))).map(([status, group]) => [
        status,
        group?.length,
      ]),
    );

  const judged = async () =>
    (await app.db('events').where({ tenant_id: tenant.tenant.id, type: 'user.login_failed' })).length;

  it('judges no more guesses at one account than the limit, however many come at once', async () => {
    const answers = await guesses(await passwordPage(rp.user.email));

    assert.deepEqual(tally(answers), { 303: LIMIT, 429: GUESSES - LIMIT });
    assert.equal(await judged(), LIMIT);
  });

  it('says on the page and in a header how long to wait', async () => {
    const answers = await guesses(await passwordPage(rp.user.email), LIMIT + 1);

    const refused = answers.find(({ status }) => status === 429);
    const seconds = Number(refused?.headers.get('retry-after'));
    assert.ok(seconds > 0 && seconds <= 30, String(seconds));
    assert.match(
      refused?.body ?? '',
      /There were too many attempts\. Wait \d+ seconds?, then try again, or reset your password\./,
    );
  });

  it('treats accounts that do not exist exactly alike', async () => {
    const answers = await guesses(await passwordPage('nobody@example.com'));

    assert.deepEqual(tally(answers), { 303: LIMIT, 429: GUESSES - LIMIT });
    assert.equal(await judged(), LIMIT);
  });

  it('locks the account at its last failure, once, with nothing taken from whoever is signed in', async () => {
    const owner = createUserAgent();
    await rp.signIn(owner);
    const strict = await startReplicas(2, app.url, {
      GATEHOUSE_RATE_LIMITS: 'on',
      GATEHOUSE_PASSWORD_HASHERS: HASHERS,
      GATEHOUSE_SIGN_IN_LOCK_AFTER: String(LIMIT),
      TRUST_PROXY: '127.0.0.0/8',
    });
    const usual = replicas;
    replicas = strict;
    try {
      const answers = await guesses(await passwordPage(rp.user.email));

      assert.deepEqual(tally(answers), { 303: LIMIT, 429: GUESSES - LIMIT });
      const user = await app.services.users.get(tenant.actor, rp.user.id);
      assert.deepEqual([user.status, user.lockCause], ['locked', 'guessing']);
      const locks = await app
        .db('events')
        .where({ tenant_id: tenant.tenant.id, type: 'auth.account_locked' });
      assert.deepEqual(
        locks.map(({ target_id, reason }) => [target_id, reason]),
        [[rp.user.id, 'guessing']],
      );
      const { location } = await owner.get(rp.authorizationUrl({ prompt: 'none' }));
      assert.ok(new URL(location ?? '').searchParams.has('code'));

      await app.services.users.unlock(tenant.actor, rp.user.id, { reason: 'administrator' });
      assert.ok((await rp.signIn())['code']);
    } finally {
      replicas = usual;
      await Promise.all(strict.map((replica) => replica.close()));
    }
  });

  it('keeps the limit when Redis is flushed and killed meanwhile', async () => {
    const at = await passwordPage(rp.user.email);
    await guesses(at, LIMIT - 2);

    const [answers] = await Promise.all([guesses(at, 100), redis.flush()]);
    const [more] = await Promise.all([guesses(at, 100), redis.kill()]);

    assert.equal([...answers, ...more].filter(({ status }) => status === 303).length, 2);
    assert.equal(await judged(), LIMIT);
  });
});
