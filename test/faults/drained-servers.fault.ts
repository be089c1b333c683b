import assert from 'node:assert/strict';
import { createWorld } from './history/world.ts';
import type { Person, World } from './history/world.ts';
import { nameOf, tally } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { RequestFailed } from './support/balancer.ts';
import { holdFamilies } from './support/families.ts';
import type { Held } from './support/families.ts';
import { inForm } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { openSignInForm, renewalsOf, requestsOf } from './support/requests.ts';
import { sendRepeated } from './support/send-repeated.ts';

const APPS = 16;
const PEOPLE = 4;
const ROUNDS = inForm({ short: 1, long: 5 });

/** What everybody does all the time, and how often at least while one server goes and comes back. */
const LOAD: Record<string, number> = {
  'account portal: 200 page': APPS,
  'authorize: 303': APPS,
  'client credentials: 200': APPS,
  'exchange: 200': APPS,
  'introspect: 200': APPS,
  'password: 303': PEOPLE,
  'push a request: 201': APPS,
  'refresh: 200': APPS,
  'userinfo: 200': APPS,
  'validate: 200': APPS,
};

describe('servers that are restarted one after the other', function () {
  this.timeout(inForm({ short: 120_000, long: 600_000 }));
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation();
    world = await createWorld(installation, { users: PEOPLE, apps: 4 });
  });
  after(() => installation.close());

  /** All that an app asks for, over and over, with the session of its person and the tokens it got last. */
  async function useApp(held: Held, answers: Answer[], signal: AbortSignal): Promise<void> {
    const renewals = renewalsOf(world, held);
    const others = requestsOf(world, held).filter(
      ({ what }) =>
        Object.keys(LOAD).some((line) => line.startsWith(`${what}: `)) &&
        !renewals.some((one) => one.what === what),
    );
    while (!signal.aborted) {
      for (const request of [...renewals, ...others]) {
        if (!signal.aborted) await sendRepeated(installation.balancer, request, answers);
      }
    }
  }

  /** Signs in, each time with a new browser. */
  async function signIn(person: Person, answers: Answer[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await sendRepeated(installation.balancer, await openSignInForm(world, person), answers);
      } catch (err) {
        if (!(err instanceof RequestFailed)) throw err;
        answers.push({ what: 'open the sign-in', outcome: err.outcome });
      }
    }
  }

  it('fail no request of clients that go elsewhere when a server is going or refuses connections', async () => {
    const held = await holdFamilies(world, APPS);
    const stop = new AbortController();
    const answers: Answer[] = [];
    const working = [
      ...held.map((one) => useApp(one, answers, stop.signal)),
      ...world.users.map((person) => signIn(person, answers, stop.signal)),
    ];

    const codes: unknown[] = [];
    const tooFew: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const server of installation.servers) {
        const from = answers.length;
        codes.push(await server.kill('SIGTERM'));
        await server.start();
        tooFew.push(...belowFloor(answers.slice(from)));
      }
    }
    stop.abort();
    await Promise.all(working);

    // What the balancer may do is in balancer.ts: a connection that is refused costs nothing, since not a byte
    // was sent. Everything else must be an answer.
    assert.deepEqual(tally(answers), Object.keys(LOAD));
    assert.deepEqual(
      codes,
      codes.map(() => 0),
    );
    assert.deepEqual(tooFew, []);
    assert.ok(
      answers.some(({ outcome }) => outcome.kind === 'answered' && outcome.headers.connection === 'close'),
    );
  });
});

/** Kinds of requests of which there were too few to tell anything. */
function belowFloor(answers: readonly Answer[]): string[] {
  const counts = Map.groupBy(answers, ({ what, outcome }) => `${what}: ${nameOf(outcome)}`);
  return Object.entries(LOAD)
    .map(([line, floor]) => ({ line, floor, count: counts.get(line)?.length ?? 0 }))
    .filter(({ count, floor }) => count < floor)
    .map(({ line, floor, count }) => `${line}: ${count} of ${floor}`);
}
