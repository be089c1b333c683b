import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';

const GIGABYTE = 1024 ** 3;
/** Most of it waits in the buffers of the network. */
const MOST_SENT_BYTES = 32 * 1024 * 1024;
const MOST_MEMORY_BYTES = 100 * 1024 * 1024;
const CHUNK = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, 'a'), Buffer.from('\r\n')]);

describe('input that is far too large', function () {
  this.timeout(60_000);
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation({ servers: 1 });
    world = await createWorld(installation, { users: 1, apps: 1 });
  });
  after(() => installation.close());

  const server = () => installation.servers[0];
  const pathOf = (path: string) => new URL(world.issuer + path).pathname;

  /** @returns the status of the answer, and how much had been sent when it came */
  async function pour(path: string, type: string): Promise<{ status: number; sentBytes: number }> {
    const socket = connect(server()?.port ?? 0, '127.0.0.1');
    let answer = '';
    let sentBytes = Number.POSITIVE_INFINITY;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      sentBytes = Math.min(sentBytes, socket.bytesWritten);
      answer += chunk.toString('latin1');
    });
    await once(socket, 'connect');
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: sso.example\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const drained = () => new Promise((resolve) => socket.once('drain', resolve));
    for (let sent = 0; sent < GIGABYTE && !socket.destroyed; sent += CHUNK.length) {
      if (!socket.write(CHUNK)) await Promise.race([drained(), closed]);
    }
    socket.end();
    await closed;
    return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]), sentBytes };
  }

  const FORM = 'application/x-www-form-urlencoded';
  it('of a gigabyte is refused at every endpoint long before it has come, in all of them at once', async () => {
    const memoryBefore = server()?.rssBytes() ?? 0;

    const answers = await Promise.all(
      (
        [
          ['/token', FORM],
          ['/introspect', FORM],
          ['/revoke', FORM],
          ['/par', FORM],
          ['/userinfo', FORM],
          ['/authorize', FORM],
          ['/interaction/none/password', FORM],
          ['/token', 'application/json'],
        ] as const
      ).map(async ([path, type]) => ({ path, type, ...(await pour(pathOf(path), type)) })),
    );

    for (const { path, type, status, sentBytes } of answers) {
      assert.ok(status >= 400 && status < 500, `${path} as ${type}: status ${status}`);
      assert.ok(sentBytes < MOST_SENT_BYTES, `${path} as ${type}: the answer came after ${sentBytes} bytes`);
    }
    assert.ok((server()?.rssBytes() ?? 0) - memoryBefore < MOST_MEMORY_BYTES);
  });

  it('of ten thousand parameters is refused, in a form and in an address', async () => {
    const form = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`p${index}`, '']));
    const query = new URLSearchParams(form).toString();
    const statuses = await Promise.all(
      [
        { url: `${world.issuer}/token`, form },
        { url: `${world.issuer}/par`, form },
        { url: `${world.issuer}/authorize?${query}` },
      ].map((request) => installation.balancer.send(request)),
    );

    for (const outcome of statuses)
      assert.ok(outcome.kind === 'answered' && outcome.status >= 400 && outcome.status < 500);
  });
});
