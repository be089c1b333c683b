import assert from 'node:assert/strict';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { nameOf, slowerThan, tally } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { requestsOf } from './support/requests.ts';

const POOL = 2;
const AT_ONCE = 60;
const LONGEST_ANSWER_MS = 3_000;

describe('a pool without a free connection', function () {
  this.timeout(60_000);
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation({ servers: 1, env: { GATEHOUSE_DATABASE_POOL: String(POOL) } });
    world = await createWorld(installation, { users: 2, apps: 2 });
  });
  after(() => installation.close());

  async function sendAtOnce(count: number): Promise<Answer[]> {
    const held = await holdFamilies(world, 4);
    const requests = held.flatMap((family) => requestsOf(world, family)).filter(isServed);
    return Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const { what, ...request } = requests[index % requests.length] ?? { what: '', url: '' };
        return { what, outcome: await installation.balancer.send(request) };
      }),
    );
  }

  it('serves everybody in turn, however many come at once', async () => {
    const answers = await sendAtOnce(AT_ONCE);

    // Of requests with one refresh token the first one gets the successor and the others the same again.
    assert.deepEqual(tally(answers), [
      'account portal: 200 page',
      'authorize: 303',
      'client credentials: 200',
      'introspect: 200',
      'push a request: 201',
      'refresh: 200',
      'sign in over the API: 200',
      'userinfo: 200',
      'validate: 200',
    ]);
  });

  it('says so within 3 s while all of them wait, and has them back afterwards', async () => {
    const held = await holdFamilies(world, 4);
    const requests = held.flatMap((family) => requestsOf(world, family)).filter(isServed);
    const trx = await installation.db.transaction();
    await trx.raw('LOCK TABLE oidc_models IN ACCESS EXCLUSIVE MODE');

    const answers = await Promise.all(
      requests.map(async ({ what, ...request }) => ({
        what,
        outcome: await installation.balancer.send(request),
      })),
    );
    await trx.rollback();
    const afterwards = await sendAtOnce(requests.length);

    const outcomes = new Set(answers.map(({ outcome }) => nameOf(outcome)));
    assert.deepEqual([...outcomes].toSorted(), ['503 page', '503 temporarily_unavailable']);
    assert.deepEqual(slowerThan(answers, LONGEST_ANSWER_MS), []);
    assert.ok(afterwards.every(({ outcome }) => outcome.kind === 'answered' && outcome.status < 400));
  });
});

/** Needs the database. */
function isServed({ what }: { what: string }): boolean {
  return !['discovery', 'keys', 'liveness', 'readiness'].includes(what);
}
