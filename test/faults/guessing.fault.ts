import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { startRedisServer } from '../support/redis-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { createPerson, createWorld } from './history/world.ts';
import type { Person, World } from './history/world.ts';
import { nameOf, slowerThan, tally, withoutRetryAfter } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { inForm } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { insist, LONGEST_ANSWER_MS, sendAll, sendFor } from './support/outage.ts';
import { apiSignIn, openSignInForm } from './support/requests.ts';
import type { NamedRequest } from './support/requests.ts';
import { useUp } from './support/used-up.ts';

const WORKERS = 2;
const PER_ACCOUNT = 10;
const PER_NETWORK = 30;
const REFUSALS = 20;
/** The first one beyond the limit of an account is judged after this long. */
const FIRST_WAIT_MS = 30_000;
const DURING_MS = inForm({ short: 2_000, long: 10_000 });
const AFTERWARDS_MS = inForm({ short: 1_500, long: 5_000 });

const AT_ACCOUNT = 'guess at one account';
const FROM_NETWORK = 'guess from one address';
const RIGHT = 'sign in over the API';
const GARBAGE = 'refused refresh from one address';
/** Before anybody looked at it: by the limit of all forms, and where a slow machine has too much to hash. */
const TURNED_AWAY = ['429 http.too_many_requests', '503 password.busy'];
const MOST_TRIES = 6;

describe('guessing over two servers of two workers each, while Redis', function () {
  this.timeout(180_000);
  let installation: Installation;
  let replacement: RedisServer | undefined;
  before(async () => {
    installation = await startInstallation({
      env: {
        GATEHOUSE_WORKERS: String(WORKERS),
        GATEHOUSE_PASSWORD_HASHERS: '1',
        GATEHOUSE_RATE_LIMITS: 'on',
        GATEHOUSE_SIGN_IN_ATTEMPTS: String(PER_ACCOUNT),
        GATEHOUSE_SIGN_IN_ATTEMPTS_PER_NETWORK: String(PER_NETWORK),
        GATEHOUSE_RATE_LIMIT_REFUSALS: String(REFUSALS),
        GATEHOUSE_REFRESH_GRACE_SECONDS: '0',
        TRUST_PROXY: '127.0.0.0/8',
      },
    });
  });
  after(async () => {
    await installation.close();
    await replacement?.stop();
  });

  const outages: [what: string, begin: () => unknown, end: () => unknown][] = [
    ['is killed and starts again', () => installation.redis.kill(), () => installation.redis.restart()],
    ['has stopped answering', () => installation.redis.stall(), () => installation.redis.resume()],
    ['is flushed', () => installation.redis.flush(), () => installation.redis.flush()],
    [
      'fails over to one that knows nothing',
      async () => {
        replacement = await startRedisServer();
        installation.redisProxy.retarget(replacement.port);
        installation.redisProxy.cut();
      },
      () => {},
    ],
  ];
  for (const [index, [what, begin, end]] of outages.entries()) {
    it(`${what}, resets no limit, hangs nowhere, lets others in and accepts nothing twice`, async () => {
      const world = await createWorld(installation, { users: 2, apps: 2 });
      const victim = await createPerson(installation.services, world.tenant);
      // Floods are counted by network, in whatever tenant.
      const from = (number: number) => `10.${number}.${index}.1`;
      const guesses = guessesIn(world, victim, from);
      const everything = [...guesses, ...rightSignIns(world, from)];
      const startedAt = Date.now();
      const used = await useUp(world);

      const earlier = await sendAll(world, guesses);
      const forms = await Promise.all(world.users.map((person) => openSignInForm(world, person)));
      await begin();
      const [during, replayed, ...signIns] = await Promise.all([
        sendFor(DURING_MS, world, everything),
        replay(world, used, from),
        ...forms.map((form) => insist(world, form, MOST_TRIES)),
      ]).finally(end);
      const [later, replayedLater] = await Promise.all([
        sendFor(AFTERWARDS_MS, world, everything),
        replay(world, used, from),
      ]);

      const answers = [...earlier, ...during, ...later];
      const tookMs = Date.now() - startedAt;
      const all = [...answers, ...replayed, ...replayedLater, ...signIns.flat()];
      assert.deepEqual(slowerThan(all, LONGEST_ANSWER_MS), []);
      assert.deepEqual(withoutRetryAfter(all), []);
      assert.deepEqual(tally(signIns.map((tries) => tries.slice(-1)).flat()), ['password: 303']);
      assert.ok(during.some(({ what: name, outcome }) => name === RIGHT && nameOf(outcome) === '200'));
      assert.deepEqual(
        tally(answers.filter(({ outcome }) => !TURNED_AWAY.includes(nameOf(outcome)))),
        [
          `${FROM_NETWORK}: 401 auth.invalid_credentials`,
          `${FROM_NETWORK}: 429 auth.too_many_attempts`,
          `${AT_ACCOUNT}: 401 auth.invalid_credentials`,
          `${AT_ACCOUNT}: 429 auth.too_many_attempts`,
          `${GARBAGE}: 400 invalid_grant`,
          `${GARBAGE}: 429 temporarily_unavailable`,
          `${RIGHT}: 200`,
        ].toSorted(),
      );
      const waited = Math.floor(tookMs / FIRST_WAIT_MS);
      const [atAccount, fromNetwork] = [AT_ACCOUNT, FROM_NETWORK].map((name) => judged(answers, name));
      assert.deepEqual([atAccount, fromNetwork], [PER_ACCOUNT + waited, PER_NETWORK]);
      assert.equal(await failuresRecorded(world), PER_ACCOUNT + waited + PER_NETWORK);
      const minutes = Math.floor((startedAt + tookMs) / 60_000) - Math.floor(startedAt / 60_000) + 1;
      const processes = WORKERS * installation.servers.length;
      const refused = judged(answers, GARBAGE);
      assert.ok(refused <= REFUSALS * processes * minutes, `${refused} refused refreshes were looked at`);
      assert.deepEqual(tally([...replayed, ...replayedLater]), [
        'DPoP proof: 400 invalid_grant',
        'assertion: 401 invalid_client',
        'code: 400 invalid_grant',
        'refresh token: 400 invalid_grant',
      ]);
    });
  }

  async function failuresRecorded({ tenant }: World): Promise<number> {
    const events = installation
      .db('events')
      .where({ tenant_id: tenant.tenant.id, type: 'user.login_failed' });
    return (await events).length;
  }

  /** Several times, over all processes. */
  const replay = (world: World, used: readonly NamedRequest[], from: (number: number) => string) =>
    sendAll(
      world,
      [240, 241, 242, 243].flatMap((number) =>
        used.map((request) => ({
          ...request,
          headers: { ...request.headers, 'x-forwarded-for': from(number) },
        })),
      ),
    );
});

/**
 * At one account from all over the world; from one address at many accounts, of which nobody has one; and
 * from one address with refresh tokens that never were.
 */
function guessesIn(world: World, victim: Person, from: (number: number) => string): NamedRequest[] {
  const many = (count: number, make: (index: number) => NamedRequest) =>
    Array.from({ length: count }, (_, i) => make(i));
  return [
    ...many(4, (index) => ({
      ...apiSignIn(world, victim.email, `a guess, number ${index}`),
      what: AT_ACCOUNT,
      headers: { 'x-forwarded-for': from(index) },
    })),
    ...many(12, (index) => ({
      ...apiSignIn(world, `nobody-${index}@example.com`, 'a guess at anybody'),
      what: FROM_NETWORK,
      headers: { 'x-forwarded-for': from(100) },
    })),
    ...many(8, () => ({
      what: GARBAGE,
      url: `${world.issuer}/token`,
      headers: { 'x-forwarded-for': from(200), authorization: world.apps[0]?.authorization ?? '' },
      form: { grant_type: 'refresh_token', refresh_token: randomBytes(24).toString('base64url') },
    })),
  ];
}

function rightSignIns(world: World, from: (number: number) => string): NamedRequest[] {
  return world.users.map(({ email }, index) => ({
    ...apiSignIn(world, email),
    headers: { 'x-forwarded-for': from(250 + index) },
  }));
}

/** Got past the limits. */
function judged(answers: readonly Answer[], name: string): number {
  return answers.filter(
    ({ what, outcome }) =>
      what === name && outcome.kind === 'answered' && ![429, 503].includes(outcome.status),
  ).length;
}
