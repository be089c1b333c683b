import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { Agent } from 'undici';
import { createSafeFetch, OutboundError } from '../../src/lib/safe-fetch.ts';
import type { OutboundFailure } from '../../src/lib/safe-fetch.ts';

const LOOPBACK = ['127.0.0.0/8'];
const servers: Server[] = [];

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

async function serveHttp(handler: (...args: Parameters<RequestListener>) => unknown): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer((req, res) => void handler(req, res)))}/`;
}

function failsWith(reason: OutboundFailure) {
  return (err: unknown) => {
    assert.ok(err instanceof OutboundError, String(err));
    assert.equal(err.reason, reason);
    return true;
  };
}

/** A connection that a refused request must not have made. */
async function countingServer(): Promise<{ port: number; connections: () => number }> {
  let connections = 0;
  const port = await listen(
    createTcpServer((socket) => {
      connections += 1;
      socket.destroy();
    }),
  );
  return { port, connections: () => connections };
}

describe('a safe fetch', () => {
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      if ('closeAllConnections' in server && typeof server.closeAllConnections === 'function')
        server.closeAllConnections();
      server.close();
    }
  });

  const refusedHosts = [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '127.0.0.1.',
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '100.127.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '[::]',
    '[::1]',
    '[::127.0.0.1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::ffff:10.0.0.1]',
    '[::ffff:0:127.0.0.1]',
    '[64:ff9b::127.0.0.1]',
    '[64:ff9b::a9fe:a9fe]',
    '[64:ff9b:1::1]',
    '[2002:7f00:1::]',
    '[2001::1]',
    '[2001:db8::1]',
    '[3fff::1]',
    '[5f00::1]',
    '[100::1]',
    '[fc00::1]',
    '[fd12:3456::1]',
    '[fe80::1]',
    '[fec0::1]',
    '[ff02::1]',
  ];
  for (const host of refusedHosts) {
    it(`refuses ${host}`, async () => {
      const safeFetch = createSafeFetch({ allow: [] });

      await assert.rejects(safeFetch(`https://${host}/`), failsWith('address_refused'));
      await assert.rejects(safeFetch(`http://${host}/`), failsWith('address_refused'));
    });
  }

  it('refuses every name that resolves to such an address, before it connects', async () => {
    const { port, connections } = await countingServer();

    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '0.0.0.0']) {
      const safeFetch = createSafeFetch({ allow: [], resolve: async () => [address] });
      await assert.rejects(safeFetch(`https://app.example:${port}/`), failsWith('address_refused'));
    }

    assert.equal(connections(), 0);
  });

  it('refuses localhost through the resolver of the system', async () => {
    const { port, connections } = await countingServer();
    const safeFetch = createSafeFetch({ allow: [] });

    await assert.rejects(safeFetch(`https://localhost:${port}/`), failsWith('address_refused'));

    assert.equal(connections(), 0);
  });

  it('refuses a name with a good and a bad address', async () => {
    const safeFetch = createSafeFetch({ allow: [], resolve: async () => ['93.184.216.34', '127.0.0.1'] });

    await assert.rejects(safeFetch('https://app.example/'), failsWith('address_refused'));
  });

  it('connects to the addresses it has checked, and asks the name server only once (rebinding)', async () => {
    const { port, connections } = await countingServer();
    let asked = 0;
    const answers = [['127.0.0.2'], ['127.0.0.1']];
    const safeFetch = createSafeFetch({
      allow: ['127.0.0.2/32'],
      resolve: async () => answers[asked++] ?? [],
    });

    await assert.rejects(safeFetch(`http://rebind.example:${port}/`), failsWith('unreachable'));

    assert.equal(asked, 1);
    assert.equal(connections(), 0);
  });

  it('checks again when the name of a kept connection has moved', async () => {
    const url = new URL(await serveHttp((_req, res) => res.setHeader('Connection', 'close').end('ok')));
    const answers = [['127.0.0.1'], ['10.0.0.1']];
    const safeFetch = createSafeFetch({ allow: LOOPBACK, resolve: async () => answers.shift() ?? [] });
    url.hostname = 'app.example';

    assert.equal(await (await safeFetch(url)).text(), 'ok');
    await assert.rejects(safeFetch(url), failsWith('address_refused'));
  });

  it('reaches a network the operator allows, by plain http', async () => {
    const url = await serveHttp((_req, res) => res.end('hello'));

    const response = await createSafeFetch({ allow: LOOPBACK })(url);

    assert.equal(await response.text(), 'hello');
  });

  it('takes an IPv4-mapped address for the address it stands for', async () => {
    const url = await serveHttp((_req, res) => res.end('hello'));
    const mapped = url.replace('127.0.0.1', '[::ffff:127.0.0.1]');

    const response = await createSafeFetch({ allow: LOOPBACK })(mapped);

    assert.equal(await response.text(), 'hello');
  });

  it('refuses plain http to public addresses', async () => {
    const safeFetch = createSafeFetch({ allow: LOOPBACK, resolve: async () => ['93.184.216.34'] });

    await assert.rejects(safeFetch('http://app.example/'), failsWith('address_refused'));
  });

  for (const url of [
    'data:text/plain,x',
    'file:///etc/passwd',
    'ftp://127.0.0.1/',
    'blob:null/x',
    'about:blank',
  ]) {
    it(`refuses ${url}`, async () => {
      await assert.rejects(createSafeFetch({ allow: LOOPBACK })(url), failsWith('scheme_refused'));
    });
  }

  it('cannot be talked out of its checks by the caller', async () => {
    const { port, connections } = await countingServer();
    const init: object = { dispatcher: new Agent(), redirect: 'follow' };

    await assert.rejects(createSafeFetch({ allow: [] })(`http://127.0.0.1:${port}/`, init), OutboundError);

    assert.equal(connections(), 0);
  });

  it('follows no redirect, whatever the caller asks', async () => {
    const { port, connections } = await countingServer();
    const url = await serveHttp((_req, res) =>
      res.writeHead(302, { Location: `http://127.0.0.1:${port}/` }).end(),
    );
    const safeFetch = createSafeFetch({ allow: LOOPBACK });

    await assert.rejects(safeFetch(url), failsWith('redirect_refused'));
    await assert.rejects(safeFetch(url, { redirect: 'follow' }), failsWith('redirect_refused'));
    await assert.rejects(safeFetch(url, { redirect: 'error' }), failsWith('redirect_refused'));

    assert.equal(connections(), 0);
  });

  it('hands a redirect to a caller that wants it', async () => {
    const url = await serveHttp((_req, res) => res.writeHead(302, { Location: 'http://10.0.0.1/' }).end());

    const response = await createSafeFetch({ allow: LOOPBACK })(url, { redirect: 'manual' });

    assert.equal(response.status, 302);
    assert.equal(response.headers.get('location'), 'http://10.0.0.1/');
  });

  it('gives up on a server that never answers', async () => {
    const url = await serveHttp(() => {});

    await assert.rejects(createSafeFetch({ allow: LOOPBACK, timeoutMs: 30 })(url), failsWith('timeout'));
  });

  it('gives up on a server that accepts and says nothing', async () => {
    const port = await listen(createTcpServer(() => {}));

    await assert.rejects(
      createSafeFetch({ allow: LOOPBACK, timeoutMs: 30 })(`http://127.0.0.1:${port}/`),
      failsWith('timeout'),
    );
  });

  it('gives up on a name server that never answers', async () => {
    const safeFetch = createSafeFetch({ allow: [], timeoutMs: 30, resolve: () => new Promise(() => {}) });

    await assert.rejects(safeFetch('https://app.example/'), failsWith('timeout'));
  });

  it('gives up on a body that drips', async () => {
    const url = await serveHttp((_req, res) => {
      const timer = setInterval(() => res.write('x'), 2);
      res.once('close', () => clearInterval(timer));
    });

    await assert.rejects(createSafeFetch({ allow: LOOPBACK, timeoutMs: 60 })(url), failsWith('timeout'));
  });

  it('gives up on headers that drip', async () => {
    const port = await listen(
      createTcpServer((socket) => {
        socket.on('error', () => {}).write('HTTP/1.1 200 OK\r\n');
        const timer = setInterval(() => socket.write('X: y\r\n'), 2);
        socket.once('close', () => clearInterval(timer));
      }),
    );

    await assert.rejects(
      createSafeFetch({ allow: LOOPBACK, timeoutMs: 60 })(`http://127.0.0.1:${port}/`),
      failsWith('timeout'),
    );
  });

  it('stops reading a body that never ends, and closes its connection', async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    let written = 0;
    const url = await serveHttp((_req, res) => {
      res.once('close', resolve);
      const chunk = Buffer.alloc(64 * 1024);
      const write = () => {
        if (res.destroyed) return;
        written += chunk.length;
        res.write(chunk, write);
      };
      write();
    });

    await assert.rejects(createSafeFetch({ allow: LOOPBACK, timeoutMs: 5000 })(url), failsWith('too_large'));

    await closed;
    assert.ok(written < 20_000_000);
  });

  it('refuses a body of 10 MB', async () => {
    const url = await serveHttp((_req, res) => res.end(Buffer.alloc(10_000_000)));

    await assert.rejects(createSafeFetch({ allow: LOOPBACK, timeoutMs: 5000 })(url), failsWith('too_large'));
  });

  it('takes a body up to the limit and not a byte more', async () => {
    const url = await serveHttp((req, res) => res.end(Buffer.alloc(Number(req.url?.slice(1)))));
    const safeFetch = createSafeFetch({ allow: LOOPBACK, maxBytes: 1000 });

    const response = await safeFetch(`${url}1000`);

    assert.equal((await response.arrayBuffer()).byteLength, 1000);
    await assert.rejects(safeFetch(`${url}1001`), failsWith('too_large'));
  });

  for (const [encoding, compress] of [
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ] as const) {
    it(`counts a ${encoding} body by what it grows to`, async () => {
      const bomb = compress(Buffer.alloc(40_000_000));
      const url = await serveHttp((_req, res) => res.setHeader('Content-Encoding', encoding).end(bomb));
      assert.ok(bomb.length < 200_000);
      const before = process.memoryUsage().arrayBuffers;

      await assert.rejects(
        createSafeFetch({ allow: LOOPBACK, timeoutMs: 5000 })(url),
        failsWith('too_large'),
      );

      assert.ok(process.memoryUsage().arrayBuffers - before < 20_000_000);
    });

    it(`unpacks an honest ${encoding} body`, async () => {
      const body = compress('{"keys":[]}');
      const url = await serveHttp((_req, res) => res.setHeader('Content-Encoding', encoding).end(body));

      const response = await createSafeFetch({ allow: LOOPBACK })(url);

      assert.deepEqual(await response.json(), { keys: [] });
      assert.equal(response.headers.get('content-encoding'), null);
    });
  }

  it('refuses headers of 100 kB', async () => {
    const url = await serveHttp((_req, res) => res.setHeader('X', 'x'.repeat(100_000)).end());

    await assert.rejects(createSafeFetch({ allow: LOOPBACK })(url), failsWith('unreachable'));
  });

  it('sends what a caller of fetch sends, and answers as fetch does', async () => {
    const url = await serveHttp(async (req, res) => {
      res.writeHead(201, { 'Content-Type': 'application/json', 'X-Seen': String(req.headers['x-own']) });
      res.end(JSON.stringify([req.method, req.headers['content-type'], await text(req)]));
    });

    const response = await createSafeFetch({ allow: LOOPBACK })(url, {
      method: 'POST',
      headers: new Headers({ 'X-Own': 'own' }),
      body: new URLSearchParams({ logout_token: 'a b' }),
    });

    assert.ok(response instanceof Response);
    assert.equal(response.status, 201);
    assert.equal(response.ok, true);
    assert.equal(response.url, url);
    assert.equal(response.headers.get('x-seen'), 'own');
    assert.deepEqual(await response.json(), [
      'POST',
      'application/x-www-form-urlencoded;charset=UTF-8',
      'logout_token=a+b',
    ]);
  });

  it('answers a response without a body', async () => {
    const url = await serveHttp((_req, res) => res.writeHead(204).end());

    const response = await createSafeFetch({ allow: LOOPBACK })(url, { method: 'POST' });

    assert.equal(response.status, 204);
    assert.equal(await response.text(), '');
  });

  it('ends when its caller aborts, with the reason of the caller', async () => {
    const reason = new Error('caller');
    const controller = new AbortController();
    const url = await serveHttp(() => controller.abort(reason));

    await assert.rejects(
      createSafeFetch({ allow: LOOPBACK })(url, { signal: controller.signal }),
      (err) => err === reason,
    );
  });

  it('names the host in its errors, but neither path nor query', async () => {
    const url = `http://127.0.0.1:1/canary?code=canary`;

    const err = await createSafeFetch({ allow: LOOPBACK })(url).catch((failure: unknown) => failure);

    assert.ok(err instanceof OutboundError);
    assert.match(err.message, /127\.0\.0\.1:1 failed: unreachable/);
    assert.doesNotMatch(err.message, /canary/);
  });
});

describe('a safe fetch over TLS', () => {
  const dir = mkdtempSync(join(tmpdir(), 'gatehouse-tls-'));
  const trusted = getCACertificates('default');
  let certificate = '';
  let server: Server;
  let port = 0;

  before(async () => {
    const [keyFile, certFile] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
    execFileSync(
      'openssl',
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${keyFile} -out ${certFile} -days 2 -subj /CN=app.example -addext subjectAltName=DNS:app.example`.split(
        ' ',
      ),
      { stdio: 'ignore' },
    );
    certificate = readFileSync(certFile, 'utf8');
    server = createSecureServer({ key: readFileSync(keyFile), cert: certificate }, (_req, res) =>
      res.end('secure'),
    );
    await once(server.listen(0, '127.0.0.1'), 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => setDefaultCACertificates(trusted));
  after(() => {
    server.close();
    rmSync(dir, { recursive: true });
  });

  const safeFetch = () => createSafeFetch({ allow: LOOPBACK, resolve: async () => ['127.0.0.1'] });

  it('verifies the certificate against the name, not the address', async () => {
    setDefaultCACertificates([...trusted, certificate]);

    const response = await safeFetch()(`https://app.example:${port}/`);

    assert.equal(await response.text(), 'secure');
  });

  it('refuses the certificate of another name', async () => {
    setDefaultCACertificates([...trusted, certificate]);

    await assert.rejects(safeFetch()(`https://other.example:${port}/`), failsWith('unreachable'));
  });

  it('refuses a certificate nobody vouches for', async () => {
    await assert.rejects(safeFetch()(`https://app.example:${port}/`), failsWith('unreachable'));
  });
});
