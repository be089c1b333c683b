import assert from 'node:assert/strict';
import { createPerson, createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { nameOf, percentile, tally } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import type { Held } from './support/families.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { openSignInForm, requestsOf } from './support/requests.ts';

/** More than the queue takes: 2 hashers of a worker and 64 that wait. */
const SIGN_INS = 500;
const PEOPLE = 20;
const FORMS_AT_ONCE = 10;
const LONGEST_TOKEN_P99_MS = 500;
const MOST_MEMORY_BYTES = 150 * 1024 * 1024;

describe('a crowd that signs in at the same moment', function () {
  this.timeout(180_000);
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation({ servers: 1 });
    world = await createWorld(installation, { users: 4, apps: 4 });
  });
  after(() => installation.close());

  /** Refreshes until everybody has signed in or was told to come back. */
  async function keepRefreshing(held: readonly Held[], until: Promise<unknown>): Promise<Answer[]> {
    const answers: Answer[] = [];
    let isOver = false;
    void until.then(() => {
      isOver = true;
    });
    const requests = held.flatMap((family) => requestsOf(world, family)).filter(isOfApps);
    await Promise.all(
      requests.map(async ({ what, ...request }) => {
        while (!isOver) answers.push({ what, outcome: await installation.balancer.send(request) });
      }),
    );
    return answers;
  }

  it('is served or told when to come back, and keeps nobody else waiting', async () => {
    const held = await holdFamilies(world, 2);
    const people = await Promise.all(
      Array.from({ length: PEOPLE }, () => createPerson(installation.services, world.tenant)),
    );
    const forms = await inTurns(SIGN_INS, FORMS_AT_ONCE, (index) =>
      openSignInForm(world, people[index % PEOPLE] ?? { id: '', email: '' }),
    );
    const [server] = installation.servers;
    const memoryBefore = server?.rssBytes() ?? 0;

    const signingIn = Promise.all(
      forms.map(async ({ what, ...request }) => ({
        what,
        outcome: await installation.balancer.send(request),
      })),
    );
    const others = await keepRefreshing(held, signingIn);
    const signIns = await signingIn;
    const grown = (server?.rssBytes() ?? 0) - memoryBefore;

    assert.deepEqual(tally(signIns), ['password: 303', 'password: 503 page']);
    const refused = signIns.filter(({ outcome }) => nameOf(outcome) === '503 page');
    for (const { outcome } of refused)
      assert.ok(outcome.kind === 'answered' && Number(outcome.headers['retry-after']) > 0);
    assert.deepEqual(tally(others), ['client credentials: 200', 'introspect: 200', 'userinfo: 200']);
    const p99 = percentile(
      others.map(({ outcome }) => outcome),
      0.99,
    );
    assert.ok(p99 < LONGEST_TOKEN_P99_MS, `p99 of the others: ${Math.round(p99)} ms`);
    assert.ok(grown < MOST_MEMORY_BYTES, `${Math.round(grown / 1024 / 1024)} MB more`);
  });
});

/** What apps ask for that can be asked any number of times. */
function isOfApps({ what }: { what: string }): boolean {
  return ['client credentials', 'introspect', 'userinfo'].includes(what);
}

async function inTurns<Result>(
  count: number,
  atOnce: number,
  make: (index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < count) {
        const index = next;
        next += 1;
        results[index] = await make(index);
      }
    }),
  );
  return results;
}
