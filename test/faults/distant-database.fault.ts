import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { nameOf, slowerThan, tally, withoutRetryAfter } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import { inForm } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import {
  everyRequest,
  isRefresh,
  LONGEST_ANSWER_MS,
  sendAll,
  sendFor,
  UNAVAILABLE,
} from './support/outage.ts';
import type { NamedRequest } from './support/requests.ts';
import { isReady } from './support/server-process.ts';

const FAMILIES = 5;
const SIGN_INS = 4;
const OUTAGE_MS = inForm({ short: 3_000, long: 20_000 });
const ROUNDS = inForm({ short: 2, long: 10 });
const LONGEST_RECOVERY_MS = 5_000;

/** Every way in which requests are answered when all is well. */
const SERVED = [
  'account portal: 200 page',
  'authorize: 303',
  'client credentials: 200',
  'discovery: 200',
  'introspect: 200',
  'keys: 200',
  'liveness: 200',
  'password: 303',
  'push a request: 201',
  'readiness: 200',
  'refresh: 200',
  'revoke: 200',
  'sign in over the API: 200',
  'userinfo: 200',
  'validate: 200',
];

describe('a database', function () {
  this.timeout(inForm({ short: 120_000, long: 600_000 }));
  let installation: Installation;
  let world: World;
  let requests: NamedRequest[];
  before(async () => {
    // A refresh whose answer came too late is repeated when all is well again.
    installation = await startInstallation({ env: { GATEHOUSE_REFRESH_GRACE_SECONDS: '120' } });
  });
  beforeEach(async () => {
    world = await createWorld(installation, { users: 4, apps: 3 });
    const [revoked, ...held] = await holdFamilies(world, FAMILIES);
    assert.ok(revoked);
    ({ requests } = await everyRequest(world, { held, revoked, signIns: SIGN_INS }));
  });
  afterEach(async () => {
    installation.proxy.delay(0);
    await installation.proxy.accept();
  });
  after(() => installation.close());

  /** Every server refreshes a token, and its probe has seen that it may. */
  async function allServe(): Promise<boolean> {
    const [refresh] = requests.filter(isRefresh);
    assert.ok(refresh);
    const outcomes = await Promise.all(
      installation.servers.map((_, index) => installation.balancer.send(refresh, index)),
    );
    const probes = await Promise.all(installation.servers.map(({ url }) => isReady(url)));
    return outcomes.every((outcome) => nameOf(outcome) === '200') && probes.every(Boolean);
  }

  const withoutProbes = (answers: readonly Answer[]) => answers.filter(({ what }) => what !== 'readiness');

  it('that refuses connections is told to everybody within 3 s, blames no token, and is found again within 5 s', async () => {
    await installation.proxy.refuse();
    const answers = await sendFor(OUTAGE_MS, world, requests);
    await installation.proxy.accept();
    const backAt = performance.now();
    while (!(await allServe()) && performance.now() - backAt < LONGEST_RECOVERY_MS) await delay(20);
    const afterwards = await sendAll(world, requests);

    assert.deepEqual(tally(answers), UNAVAILABLE);
    assert.deepEqual(slowerThan(answers, LONGEST_ANSWER_MS), []);
    assert.deepEqual(withoutRetryAfter(withoutProbes(answers)), []);
    assert.deepEqual(tally(afterwards), SERVED);
  });

  it('that is 100 ms away serves everybody', async () => {
    installation.proxy.delay(50);
    const answers = await sendAll(world, requests);

    assert.deepEqual(tally(answers), SERVED);
    assert.deepEqual(slowerThan(answers, LONGEST_ANSWER_MS), []);
  });

  it('that is a second away serves or says in time that it cannot, and nothing is wrong afterwards', async () => {
    installation.proxy.delay(500);
    const answers: Answer[] = [];
    for (let round = 0; round < ROUNDS; round += 1) answers.push(...(await sendAll(world, requests)));
    installation.proxy.delay(0);
    const refreshes = await sendAll(world, requests.filter(isRefresh));

    const others = tally(answers).filter((line) => !SERVED.includes(line) && !UNAVAILABLE.includes(line));
    assert.deepEqual(others, []);
    assert.deepEqual(slowerThan(answers, LONGEST_ANSWER_MS), []);
    assert.deepEqual(withoutRetryAfter(withoutProbes(answers)), []);
    assert.deepEqual(tally(refreshes), ['refresh: 200']);
  });
});
