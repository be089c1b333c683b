import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dictionary } from '@zxcvbn-ts/language-common';
import { breachChecks } from '../../src/lib/instruments.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createSafeFetch } from '../../src/lib/safe-fetch.ts';
import { blocklistFile } from '../../src/users/blocklist-file.ts';
import { breachedPasswords } from '../../src/users/breached-passwords.ts';
import { commonPasswords } from '../../src/users/common-passwords.ts';
import { GOOD_PASSWORD, OTHER_PASSWORD } from './people.ts';

describe('common passwords', () => {
  it('refuses the 3000 most common passwords beside a second factor, and what is made from them alone', async () => {
    const top = dictionary['passwords-common'].slice(0, 3000);

    const allowed: string[] = [];
    for (const password of top) {
      if (!(await commonPasswords(password, { hasSecondFactor: true }))) allowed.push(password);
    }

    assert.deepEqual(allowed, []);
    for (const password of [
      'passwordpassword123',
      'P@ssw0rdP@ssw0rd!',
      'iloveyou-iloveyou',
      'liverpoolchelsea',
      'letmein12345678',
      'Summer2026Summer2026',
      'qwertyuiopasdfgh',
    ]) {
      assert.deepEqual(await commonPasswords(password, {}), { code: 'password.common' }, password);
    }
  });

  it('lets pass phrases and random passwords through, in lower case and of any length', async () => {
    for (const password of [
      GOOD_PASSWORD,
      OTHER_PASSWORD,
      'correct horse battery staple',
      'my dog ate the blue sofa',
      'x7k2m9qpw4vb3nz',
      '月光照在海面上的古老灯塔旁边呀',
      `${'a'.repeat(100)} mossy lantern orbit`,
    ]) {
      assert.equal(await commonPasswords(password, {}), undefined, password);
    }
    assert.equal(await commonPasswords('x7k2m9qp', { hasSecondFactor: true }), undefined);
  });

  it('takes no longer for the longest password', async () => {
    const longest = Array.from({ length: 256 }, (_, index) => 'aA1!xq7'[(index * 5) % 7]).join('');
    await commonPasswords('warms it up', {});
    const begin = performance.now();

    await commonPasswords(longest, {});

    assert.ok(performance.now() - begin < 1000);
  });
});

describe('the operator’s list of passwords', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gatehouse-blocklist-'));
  });
  after(() => rm(dir, { recursive: true }));

  async function listOf(content: string) {
    const path = join(dir, `list-${Math.random()}`);
    await writeFile(path, content);
    return blocklistFile(path);
  }

  it('refuses every line, in any case and spelling, and nothing else', async () => {
    const blocklist = await listOf('acme rockets 2026\r\n\r\nCafe\u0301 au lait noir\nlast line, no newline');

    for (const password of [
      'acme rockets 2026',
      'ACME Rockets 2026',
      'caf\u00e9 au lait noir',
      'last line, no newline',
    ]) {
      assert.deepEqual(await blocklist(password, {}), { code: 'password.blocked' }, password);
    }
    for (const password of ['acme rockets 2027', '', 'noir']) {
      assert.equal(await blocklist(password, {}), undefined, password);
    }
  });

  it('holds 300,000 lines in 3.6 MB a million, and refuses hardly anything that is not on it', async () => {
    const lines = Array.from({ length: 300_000 }, (_, index) => `blocked ${index}`);
    const blocklist = await listOf(lines.join('\n'));
    await blocklist('warms it up', {});
    const refused = async (passwords: string[]) =>
      (await Promise.all(passwords.map((password) => blocklist(password, {})))).filter(Boolean).length;

    assert.equal(await refused(lines.filter((_, index) => index % 100 === 0)), 3000);
    assert.ok((await refused(Array.from({ length: 20_000 }, (_, index) => `allowed ${index}`))) <= 2);
  });

  it('lets nothing through while it cannot be read, and recovers', async () => {
    const path = join(dir, 'later');
    const blocklist = blocklistFile(path);
    await assert.rejects(async () => blocklist('anything', {}), { code: 'ENOENT' });

    await writeFile(path, 'anything\n');

    assert.deepEqual(await blocklist('anything', {}), { code: 'password.blocked' });
  });
});

describe('breached passwords', () => {
  const log = createLogger({ level: 'silent' });
  const sha1 = (text: string) => createHash('sha1').update(text).digest('hex').toUpperCase();

  async function ask(handler: RequestListener, password: string) {
    const outcomes: string[] = [];
    const stop = breachChecks.observe(({ outcome }) => outcomes.push(outcome));
    const server = createServer(handler).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const fetch = createSafeFetch({ allow: ['127.0.0.0/8'], timeoutMs: 300, maxBytes: 100_000 });
      const check = breachedPasswords({ url: `http://127.0.0.1:${port}/range/`, fetch, log });
      return { fault: await check(password, {}), outcomes };
    } finally {
      stop();
      server.closeAllConnections();
      server.close();
    }
  }

  it('refuses a password whose hash is listed, and tells the service five digits of it alone', async () => {
    const digest = sha1(GOOD_PASSWORD);
    const urls: (string | undefined)[] = [];
    const paddings: unknown[] = [];

    const { fault, outcomes } = await ask((req, res) => {
      urls.push(req.url);
      paddings.push(req.headers['add-padding']);
      res.end(`${'0'.repeat(35)}:3\r\n${digest.slice(5)}:12\r\n`);
    }, GOOD_PASSWORD);

    assert.deepEqual(fault, { code: 'password.breached' });
    assert.deepEqual(outcomes, ['found']);
    assert.deepEqual(urls, [`/range/${digest.slice(0, 5)}`]);
    assert.deepEqual(paddings, ['true']);
  });

  it('takes padding for nothing', async () => {
    const { fault, outcomes } = await ask(
      (_req, res) => res.end(`${sha1(GOOD_PASSWORD).slice(5)}:0\r\n`),
      GOOD_PASSWORD,
    );

    assert.deepEqual([fault, outcomes], [undefined, ['clear']]);
  });

  const OUTAGES: Record<string, RequestListener> = {
    'an error': (_req, res) => res.writeHead(503).end(),
    silence: () => {},
    'a redirect': (_req, res) => res.writeHead(302, { location: 'http://127.0.0.1/' }).end(),
    'a flood': (_req, res) => res.end('x'.repeat(200_000)),
    'a broken connection': (req) => req.socket.destroy(),
  };
  for (const [what, handler] of Object.entries(OUTAGES)) {
    it(`lets a password pass at ${what}, and counts that`, async () => {
      const { fault, outcomes } = await ask(handler, GOOD_PASSWORD);

      assert.deepEqual([fault, outcomes], [undefined, ['unavailable']]);
    });
  }
});
