import assert from 'node:assert/strict';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { tally } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import type { Held } from './support/families.ts';
import { jsonOf } from './support/http-client.ts';
import { halfDone } from './support/half-done.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { asSuperuser } from './support/private-postgres.ts';
import { requestsOf } from './support/requests.ts';
import { openSmallDisk } from './support/small-disk.ts';
import type { SmallDisk } from './support/small-disk.ts';

/** Pages that are half empty take some more rows; this is more than all of them take. */
const MOST_WRITES = 20_000;
const IN_A_ROW = 50;

describe('a database whose disk is full', function () {
  this.timeout(180_000);
  let disk: SmallDisk | undefined;
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation();
    const { postgres } = installation;
    disk = openSmallDisk(postgres.cluster);
    const { directory: location } = disk;
    await asSuperuser(postgres.superuserUrl.replace('/postgres?', '/gatehouse?'), async (session) => {
      await session.query(`CREATE TABLESPACE small LOCATION '${location}'`);
      await session.query('ALTER TABLE ALL IN TABLESPACE pg_default OWNED BY gatehouse SET TABLESPACE small');
      await session.query('ALTER INDEX ALL IN TABLESPACE pg_default OWNED BY gatehouse SET TABLESPACE small');
    });
    world = await createWorld(installation, { users: 4, apps: 2 });
  });
  after(async () => {
    await installation.close();
    disk?.remove();
  });

  const send = async (held: readonly Held[], wanted: string): Promise<Answer[]> =>
    Promise.all(
      held
        .flatMap((family) => requestsOf(world, family))
        .filter(({ what }) => what === wanted)
        .map(async ({ what, ...request }) => ({ what, outcome: await installation.balancer.send(request) })),
    );

  it('refuses writes with 503 and goes on reading, does nothing by halves, and recovers when there is space', async () => {
    const held = await holdFamilies(world, 4);
    disk?.fill();

    const writes: Answer[] = [];
    let refusedInARow = 0;
    while (refusedInARow < IN_A_ROW && writes.length < MOST_WRITES) {
      const answers = await send(held, 'push a request');
      writes.push(...answers);
      const refused = answers.every(({ outcome }) => jsonOf(outcome)['error'] === 'temporarily_unavailable');
      refusedInARow = refused ? refusedInARow + answers.length : 0;
    }
    const refreshes: Answer[] = [];
    let current = held;
    for (let round = 0; round < 40; round += 1) {
      const answers = await send(current, 'refresh');
      refreshes.push(...answers);
      current = current.map((family, index) => {
        const { refresh_token: next } = jsonOf(
          answers[index]?.outcome ?? { kind: 'refused', milliseconds: 0 },
        );
        return typeof next === 'string' ? { ...family, refresh: next } : family;
      });
    }
    const reads = [...(await send(held, 'introspect')), ...(await send(held, 'userinfo'))];
    disk?.empty();
    const afterwards = [...(await send(current, 'refresh')), ...(await send(current, 'push a request'))];

    assert.ok(refusedInARow >= IN_A_ROW, 'the disk was never full');
    assert.deepEqual(
      tally([...writes, ...refreshes]).filter((line) => !/: 20\d$/.test(line)),
      ['push a request: 503 temporarily_unavailable', 'refresh: 503 temporarily_unavailable'],
    );
    assert.deepEqual(tally(reads), ['introspect: 200', 'userinfo: 200']);
    assert.deepEqual(tally(afterwards), ['push a request: 201', 'refresh: 200']);
    assert.deepEqual(await halfDone(installation.db, world.tenant.tenant.id), []);
  });
});
