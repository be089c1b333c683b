import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { slowerThan, tally, withoutRetryAfter } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import type { Held } from './support/families.ts';
import { inForm } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { openSignInForm, requestsOf } from './support/requests.ts';
import type { NamedRequest } from './support/requests.ts';
import { isReady } from './support/server-process.ts';

const STALL_MS = inForm({ short: 5_000, long: 20_000 });
const LONGEST_ANSWER_MS = 3_000;
const FAMILIES = 8;

const EXPECTED = [
  'authorize: 503 page',
  'client credentials: 503 temporarily_unavailable',
  'discovery: 200',
  'introspect: 503 temporarily_unavailable',
  'keys: 200',
  'liveness: 200',
  'password: 503 page',
  'push a request: 503 temporarily_unavailable',
  'readiness: 503',
  'refresh: 503 temporarily_unavailable',
  'revoke: 503 temporarily_unavailable',
  'userinfo: 503 temporarily_unavailable',
];

describe('while the database stands still', function () {
  this.timeout(120_000);
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation();
    world = await createWorld(installation, { users: 4, apps: 3 });
  });
  after(() => installation.close());

  async function keepSending(requests: readonly NamedRequest[], signal: AbortSignal): Promise<Answer[]> {
    const answers: Answer[] = [];
    await Promise.all(
      requests.map(async ({ what, ...request }) => {
        while (!signal.aborted) answers.push({ what, outcome: await installation.balancer.send(request) });
      }),
    );
    return answers;
  }

  /** Sends everything there is for as long as the database does not answer. */
  async function sendDuring(
    { begin, end }: { begin: () => Promise<void>; end: () => Promise<void> },
    held: readonly Held[],
    revoked: Held,
  ): Promise<Answer[]> {
    const forms = await Promise.all(world.users.map((person) => openSignInForm(world, person)));
    const requests = [
      ...held.flatMap((family) => requestsOf(world, family)),
      ...forms,
      {
        ...requestsOf(world, revoked)[0],
        what: 'revoke',
        url: `${world.issuer}/revoke`,
        form: { token: revoked.refresh },
      },
    ];
    const stop = new AbortController();
    await begin();
    const sending = keepSending(requests, stop.signal);
    await delay(STALL_MS);
    stop.abort();
    const answers = await sending;
    await end();
    for (const { url } of installation.servers) while (!(await isReady(url))) await delay(20);
    return answers;
  }

  async function refreshAll(held: readonly Held[]): Promise<Answer[]> {
    return Promise.all(
      held.map(async ({ app, refresh }) => ({
        what: 'refresh',
        outcome: await installation.balancer.send({
          url: `${world.issuer}/token`,
          headers: { authorization: app.authorization },
          form: { grant_type: 'refresh_token', refresh_token: refresh },
        }),
      })),
    );
  }

  it('says so within 3 s, blames no token, and goes on afterwards', async () => {
    const [revoked, ...held] = await holdFamilies(world, FAMILIES);
    assert.ok(revoked);

    const answers = await sendDuring(
      { begin: () => installation.postgres.freeze(), end: async () => installation.postgres.thaw() },
      held,
      revoked,
    );

    assert.deepEqual(tally(answers), EXPECTED);
    assert.deepEqual(slowerThan(answers, LONGEST_ANSWER_MS), []);
    assert.deepEqual(withoutRetryAfter(answers.filter(({ what }) => what !== 'readiness')), []);
    assert.deepEqual(tally(await refreshAll(held)), ['refresh: 200']);
  });

  it('does the same while somebody has locked its tables', async () => {
    const [revoked, ...held] = await holdFamilies(world, FAMILIES);
    assert.ok(revoked);
    const trx = await installation.db.transaction();

    const answers = await sendDuring(
      {
        begin: async () => {
          await trx.raw('LOCK TABLE oidc_models, users IN ACCESS EXCLUSIVE MODE');
        },
        end: async () => {
          await trx.rollback();
        },
      },
      held,
      revoked,
    );

    // Whether they are ready depends on whether the question gets one of their connections.
    const others = answers.filter(({ what }) => what !== 'readiness');
    assert.deepEqual(
      tally(others),
      EXPECTED.filter((line) => !line.startsWith('readiness')),
    );
    assert.deepEqual(slowerThan(answers, LONGEST_ANSWER_MS), []);
    assert.deepEqual(tally(await refreshAll(held)), ['refresh: 200']);
  });
});
