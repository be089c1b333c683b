import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createPerson, createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { slowerThan, tally } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import { inForm } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { openSignInForm, requestsOf } from './support/requests.ts';

const SENDERS = 2_000;
const NETWORKS = 4;
const MOST_PER_NETWORK = 1_000;
const DRIP_MS = 500;
/** `headersTimeout`, the interval at which it is enforced, and a busy machine. */
const LONGEST_LIFE_MS = 15_000;
const LONGEST_ANSWER_MS = 3_000;

/** Many more than there are connections to the database. */
const SLOW_BODIES = 120;
/** `requestTimeout`, the interval at which it is enforced, and a busy machine. */
const LONGEST_BODY_MS = 45_000;

const READERS = 40;
/** Of what each of them sends: as much as may wait, and far too much. */
const UNREAD = [20, 400];
const MOST_MEMORY_BYTES = 150 * 1024 * 1024;
const UNREAD_MS = 5_000;
/** The long form waits for `inactivityTimeout`, on a busy machine; in the short form the readers end before. */
const LONGEST_UNREAD_MS = inForm({ short: undefined, long: 90_000 });
const CLOSING_MS = 10_000;
/** Sockets that others have, such as those of the balancer. */
const OTHER_FILES = 20;

describe('slow clients', function () {
  this.timeout(180_000);
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation({ servers: 1 });
    world = await createWorld(installation, { users: 2, apps: 2 });
  });
  after(() => installation.close());

  /** @param host the address it comes from; all of 127.0.0.0/8 is this machine */
  async function openSocket(host: string): Promise<Socket> {
    const port = installation.servers[0]?.port ?? 0;
    const socket = connect({ port, host: '127.0.0.1', localAddress: host });
    socket.on('error', () => {});
    await Promise.race([new Promise((resolve) => socket.once('connect', resolve)), closed(socket)]);
    return socket;
  }

  /** @param drop what comes every half second after the first */
  async function openDripping(
    host: string,
    first = 'GET /jwks HTTP/1.1\r\nHost: sso.example\r\n',
    drop = 'X-A: b\r\n',
  ): Promise<Socket> {
    const socket = await openSocket(host);
    socket.write(first);
    const timer = setInterval(() => socket.writable && socket.write(drop), DRIP_MS);
    socket.once('close', () => clearInterval(timer));
    return socket;
  }

  const openAll = (count: number, from: (index: number) => string) =>
    Promise.all(Array.from({ length: count }, (_, index) => openDripping(from(index))));

  /** One of every kind, over and over until then. A refresh token can be repeated for the time of its grace only. */
  async function askUntil(end: Promise<unknown>): Promise<Answer[]> {
    const held = await holdFamilies(world, 2);
    const requests = held
      .flatMap((family) => requestsOf(world, family))
      .filter(({ what }) => what !== 'refresh');
    const answers: Answer[] = [];
    let isOver = false;
    void end.then(() => {
      isOver = true;
    });
    while (!isOver) {
      for (const { what, ...request } of requests)
        answers.push({ what, outcome: await installation.balancer.send(request) });
      await Promise.race([end, delay(100)]);
    }
    return answers;
  }

  function assertServed(answers: readonly Answer[]): void {
    assert.ok(answers.length > 0);
    assert.deepEqual(
      tally(answers).filter((line) => !/: (200|200 page|201|303)$/.test(line)),
      [],
    );
    assert.deepEqual(slowerThan(answers, LONGEST_ANSWER_MS), []);
  }

  const openFiles = () => installation.servers[0]?.openFiles() ?? 0;
  const residentBytes = () => installation.servers[0]?.rssBytes() ?? 0;

  async function filesAreClosed(before: number, withinMs = CLOSING_MS): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    while (openFiles() > before + OTHER_FILES && performance.now() < deadline) await delay(50);
    return openFiles() <= before + OTHER_FILES;
  }

  it('that drip their headers are cut in time, and keep nobody else from being served', async () => {
    const filesBefore = openFiles();
    const senders = await openAll(SENDERS, (index) => `127.0.1.${1 + (index % NETWORKS)}`);
    const openedAt = performance.now();
    let lifeMs = Number.POSITIVE_INFINITY;
    const everyoneIsCut = Promise.all(senders.map(closed)).then(() => {
      lifeMs = performance.now() - openedAt;
    });

    const answers = await askUntil(everyoneIsCut);

    assertServed(answers);
    assert.ok(lifeMs < LONGEST_LIFE_MS, `the last one was cut after ${Math.round(lifeMs)} ms`);
    assert.ok(await filesAreClosed(filesBefore), `${openFiles()} files are open, ${filesBefore} were`);
  });

  it('that drip their bodies are told and cut in time, and hold nothing that others need', async () => {
    const [app] = world.apps;
    const form = await openSignInForm(world, await createPerson(world.services, world.tenant));
    const pathOf = (path: string) => new URL(world.issuer + path).pathname;
    const cookie = `Cookie: ${form.headers?.['cookie']}\r\n`;
    const FORM = 'Content-Type: application/x-www-form-urlencoded\r\n';
    const heads = [
      `POST ${pathOf('/token')} HTTP/1.1\r\nAuthorization: ${app?.authorization}\r\n${FORM}`,
      `POST ${pathOf('/par')} HTTP/1.1\r\nAuthorization: ${app?.authorization}\r\n${FORM}`,
      `POST ${new URL(form.url).pathname} HTTP/1.1\r\n${cookie}${FORM}`,
      `POST ${pathOf('/api/v1/auth/login')} HTTP/1.1\r\nContent-Type: application/json\r\n`,
    ];
    const filesBefore = openFiles();
    const statuses: string[] = [];
    const openedAt = performance.now();
    const senders = await Promise.all(
      Array.from({ length: SLOW_BODIES }, async (_, index) => {
        const head = `${heads[index % heads.length]}Host: sso.example\r\nContent-Length: 50000\r\n\r\n`;
        const socket = await openDripping(`127.0.3.${1 + (index % NETWORKS)}`, head, ' ');
        socket.once('data', (data: Buffer) => statuses.push(data.toString('latin1').slice(9, 12)));
        return socket;
      }),
    );
    let lifeMs = Number.POSITIVE_INFINITY;
    const everyoneIsCut = Promise.all(senders.map(closed)).then(() => {
      lifeMs = performance.now() - openedAt;
    });

    const answers = await askUntil(everyoneIsCut);

    assertServed(answers);
    assert.ok(lifeMs < LONGEST_BODY_MS, `the last one was cut after ${Math.round(lifeMs)} ms`);
    assert.deepEqual([statuses.length, ...new Set(statuses)], [SLOW_BODIES, '408']);
    assert.ok(await filesAreClosed(filesBefore), `${openFiles()} files are open, ${filesBefore} were`);
  });

  it('that do not read their answers take no memory, keep nobody waiting, and are let go of', async () => {
    const pathOf = (path: string) => new URL(world.issuer + path).pathname;
    const paths = [
      pathOf('/api/v1/openapi.json'),
      '/api/docs/swagger-ui-bundle.js',
      pathOf('/authorize'),
      pathOf('/.well-known/openid-configuration'),
    ];
    await askUntil(Promise.resolve());
    const [filesBefore, memoryBefore] = [openFiles(), residentBytes()];
    const readers = await Promise.all(
      Array.from({ length: READERS }, async (_, index) => {
        const socket = await openSocket(`127.0.4.${1 + (index % NETWORKS)}`);
        socket.pause();
        socket.write(
          `GET ${paths[(index >> 1) % paths.length]} HTTP/1.1\r\nHost: sso.example\r\n\r\n`.repeat(
            UNREAD[index % 2] ?? 0,
          ),
        );
        return socket;
      }),
    );
    let mostBytes = 0;
    const watch = setInterval(() => {
      mostBytes = Math.max(mostBytes, residentBytes());
    }, 50);

    const answers = await askUntil(delay(UNREAD_MS));
    // Whoever does not read does not see the end either.
    const areLetGo =
      LONGEST_UNREAD_MS === undefined || (await filesAreClosed(filesBefore, LONGEST_UNREAD_MS));
    clearInterval(watch);
    for (const socket of readers) socket.destroy();

    assertServed(answers);
    assert.ok(
      mostBytes - memoryBefore < MOST_MEMORY_BYTES,
      `from ${Math.round(memoryBefore / 2 ** 20)} to ${Math.round(mostBytes / 2 ** 20)} MB`,
    );
    assert.ok(areLetGo, 'their connections stay');
    assert.ok(await filesAreClosed(filesBefore), `${openFiles()} files are open, ${filesBefore} were`);
  });

  it('of one network are no more than a thousand at a time', async () => {
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
