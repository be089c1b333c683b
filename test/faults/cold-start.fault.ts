import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../support/app.ts';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { tally } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import { inForm } from './support/form.ts';
import { createHttpClient } from './support/http-client.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { requestsOf } from './support/requests.ts';
import type { NamedRequest } from './support/requests.ts';

const APPS = 6;
/** Of every kind of request of every app. */
const EACH = inForm({ short: 4, long: 20 });
const KNOCK_MS = 20;
/** What a server keeps of a client, it keeps for at least so long. */
const SHORTEST_KEPT_MS = 4_000;

describe('a server that starts amid a crowd', function () {
  this.timeout(120_000);
  let installation: Installation;
  let world: World;
  let metricsUrl: string;
  const http = createHttpClient();
  before(async () => {
    const managementPort = await freePort();
    metricsUrl = `http://127.0.0.1:${managementPort}/metrics`;
    installation = await startInstallation({
      servers: 1,
      env: { GATEHOUSE_MANAGEMENT_PORT: String(managementPort) },
    });
    world = await createWorld(installation, { users: APPS, apps: APPS });
  });
  after(async () => {
    http.close();
    await installation.close();
  });

  /** Comes again as long as nobody listens. */
  async function insist({ what, url, ...request }: NamedRequest): Promise<Answer> {
    const [server] = installation.servers;
    const address = `${server?.url}${url.slice(installation.publicUrl.length)}`;
    for (;;) {
      const outcome = await http.send({ ...request, url: address });
      if (outcome.kind !== 'refused') return { what, outcome };
      await delay(KNOCK_MS);
    }
  }

  /** How often the server has sent this prepared statement since it started. */
  async function sent(statement: string): Promise<number> {
    const metrics = await (await fetch(metricsUrl)).text();
    const line = new RegExp(
      `^gatehouse_database_statement_duration_seconds_count\\{.*statement="${statement}".*\\} (\\d+)$`,
      'gm',
    );
    return [...metrics.matchAll(line)].reduce((sum, [, count]) => sum + Number(count), 0);
  }

  it('answers everybody, and asks the database for what all of them want about once', async () => {
    const held = await holdFamilies(world, APPS);
    const requests = held
      .flatMap((family) => requestsOf(world, family))
      // Whether the server is ready is what the probe asks while it is not.
      .filter(({ what }) => what !== 'readiness');
    const [server] = installation.servers;
    await server?.kill('SIGTERM');

    const startedAt = performance.now();
    const starting = server?.start();
    const answers = await Promise.all(
      Array.from({ length: EACH }, () => requests)
        .flat()
        .map(insist),
    );
    await starting;

    const periods = Math.ceil((performance.now() - startedAt) / SHORTEST_KEPT_MS);
    assert.deepEqual(tally(answers), [
      'account portal: 200 page',
      'authorize: 303',
      'client credentials: 200',
      'discovery: 200',
      'introspect: 200',
      'keys: 200',
      'liveness: 200',
      'push a request: 201',
      'refresh: 200',
      'sign in over the API: 200',
      'userinfo: 200',
      'validate: 200',
    ]);
    const clients = await sent('find-client');
    assert.ok(clients >= APPS && clients <= APPS * (periods + 1), `clients were read ${clients} times`);
    // Those of this tenant, and those of the default one, which the readiness probe asks about.
    assert.equal(await sent('list-sealed-signing-keys'), 2);
  });
});
