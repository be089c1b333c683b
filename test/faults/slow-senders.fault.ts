import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { slowerThan, tally } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { requestsOf } from './support/requests.ts';

const SENDERS = 2_000;
const NETWORKS = 4;
const MOST_PER_NETWORK = 1_000;
const DRIP_MS = 500;
/** `headersTimeout`, the interval at which it is enforced, and a busy machine. */
const LONGEST_LIFE_MS = 15_000;
const LONGEST_ANSWER_MS = 3_000;

describe('thousands of connections that send next to nothing', function () {
  this.timeout(120_000);
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation({ servers: 1 });
    world = await createWorld(installation, { users: 2, apps: 2 });
  });
  after(() => installation.close());

  /** @param host the address it comes from; all of 127.0.0.0/8 is this machine */
  async function openDripping(host: string): Promise<Socket> {
    const port = installation.servers[0]?.port ?? 0;
    const socket = connect({ port, host: '127.0.0.1', localAddress: host });
    socket.on('error', () => {});
    await Promise.race([new Promise((resolve) => socket.once('connect', resolve)), closed(socket)]);
    socket.write('GET /jwks HTTP/1.1\r\nHost: sso.example\r\n');
    const timer = setInterval(() => socket.writable && socket.write('X-A: b\r\n'), DRIP_MS);
    socket.once('close', () => clearInterval(timer));
    return socket;
  }

  const openAll = (count: number, from: (index: number) => string) =>
    Promise.all(Array.from({ length: count }, (_, index) => openDripping(from(index))));

  it('are cut in time, and keep nobody else from being served', async () => {
    const held = await holdFamilies(world, 2);
    // A refresh token can be repeated for the time of its grace only.
    const requests = held
      .flatMap((family) => requestsOf(world, family))
      .filter(({ what }) => what !== 'refresh');
    const senders = await openAll(SENDERS, (index) => `127.0.1.${1 + (index % NETWORKS)}`);
    const openedAt = performance.now();
    const everyoneIsCut = Promise.all(senders.map(closed));

    const answers: Answer[] = [];
    let isOver = false;
    void everyoneIsCut.then(() => {
      isOver = true;
    });
    while (!isOver) {
      for (const { what, ...request } of requests)
        answers.push({ what, outcome: await installation.balancer.send(request) });
      await Promise.race([everyoneIsCut, delay(100)]);
    }
    const lifeMs = performance.now() - openedAt;

    assert.deepEqual(
      tally(answers).filter((line) => !/: (200|200 page|201|303)$/.test(line)),
      [],
    );
    assert.deepEqual(slowerThan(answers, LONGEST_ANSWER_MS), []);
    assert.ok(lifeMs < LONGEST_LIFE_MS, `the last one was cut after ${Math.round(lifeMs)} ms`);
  });

  it('from one network are no more than a thousand at a time', async () => {
    const senders = await openAll(SENDERS, () => '127.0.2.1');
    const open = () => senders.filter((socket) => !socket.closed).length;
    // Sooner than any of them is cut for being slow.
    const deadline = performance.now() + 5_000;
    while (open() > MOST_PER_NETWORK && performance.now() < deadline) await delay(20);
    const left = open();

    for (const socket of senders) socket.destroy();

    assert.ok(left > 0 && left <= MOST_PER_NETWORK, `${left} are open`);
  });
});

/** Unlike `once`, whatever ends it. */
function closed(socket: Socket): Promise<unknown> {
  return socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', resolve));
}
