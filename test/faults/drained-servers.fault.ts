import assert from 'node:assert/strict';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { tally } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import type { Held } from './support/families.ts';
import { inForm } from './support/form.ts';
import { jsonOf } from './support/http-client.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';

const CLIENTS = 16;
const ROUNDS = inForm({ short: 1, long: 5 });

describe('servers that are restarted one after the other', function () {
  this.timeout(inForm({ short: 120_000, long: 600_000 }));
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation();
    world = await createWorld(installation, { users: 4, apps: 4 });
  });
  after(() => installation.close());

  /** Refreshes and asks about the token, over and over; whatever is not an answer ends it. */
  async function work(held: Held, signal: AbortSignal): Promise<Answer[]> {
    const { issuer } = world;
    const headers = { authorization: held.app.authorization };
    const answers: Answer[] = [];
    let { refresh } = held;
    while (!signal.aborted) {
      const refreshed = await installation.balancer.send({
        url: `${issuer}/token`,
        headers,
        form: { grant_type: 'refresh_token', refresh_token: refresh },
      });
      const { refresh_token: next, access_token: access } = jsonOf(refreshed);
      answers.push({ what: 'refresh', outcome: refreshed });
      if (typeof next !== 'string') break;
      refresh = next;
      const introspected = await installation.balancer.send({
        url: `${issuer}/introspect`,
        headers,
        form: { token: String(access) },
      });
      answers.push({ what: 'introspect', outcome: introspected });
    }
    return answers;
  }

  it('fail no request of clients that go elsewhere when a server is going or refuses connections', async () => {
    const held = await holdFamilies(world, CLIENTS);
    const stop = new AbortController();
    const working = held.map((one) => work(one, stop.signal));

    const codes: unknown[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const server of installation.servers) {
        codes.push(await server.kill('SIGTERM'));
        await server.start();
      }
    }
    stop.abort();
    const answers = (await Promise.all(working)).flat();

    // What the balancer may do is in balancer.ts: a connection that is refused costs nothing, since not a byte
    // was sent. Everything else must be an answer.
    assert.deepEqual(tally(answers), ['introspect: 200', 'refresh: 200']);
    assert.deepEqual(
      codes,
      codes.map(() => 0),
    );
    assert.ok(answers.length > 2 * CLIENTS, `only ${answers.length} answers`);
  });
});
