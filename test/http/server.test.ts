import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { startServer } from '../../src/http/server.ts';
import { bodyOf, memoryLog, openSocket, sendRaw, serve, statusOf, stopServers } from './support.ts';

const hello: RequestListener = (req, res) => {
  req.resume();
  res.end('hello');
};
const HEAD = 'GET / HTTP/1.1\r\nHost: x\r\n';
const WHOLE = `${HEAD}\r\n`;

/** Writes the text over and over, a byte at a time, until the connection is closed; returns what came back. */
async function drip(socket: Socket, bytes: string): Promise<string> {
  let received = '';
  socket.on('data', (data) => {
    received += String(data);
  });
  const closed = new Promise<void>((resolve) => {
    socket.on('error', () => {}).on('close', () => resolve());
  });
  let sent = 0;
  const timer = setInterval(() => {
    if (socket.writable) socket.write(bytes.charAt(sent++ % bytes.length));
  }, 2);
  await closed;
  clearInterval(timer);
  return received;
}

/** One request over an agent of its own, which keeps its connection. */
async function ask(agent: Agent, url: string): Promise<{ status: number; close: boolean }> {
  const req = request(url, { agent });
  req.end();
  const [res] = await once(req, 'response');
  await text(res);
  return { status: res.statusCode, close: res.headers.connection === 'close' };
}

/** A handler whose responses wait for `release`. */
function gated() {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const handler: RequestListener = (_req, res) => {
    arrive();
    void released.then(() => res.end('late'));
  };
  return { handler, arrived, release };
}

describe('a slow or broken client', () => {
  afterEach(stopServers);

  it('that drips its headers is answered 408 and cut', async () => {
    const { port } = await serve(hello, { limits: { headersTimeoutMs: 60, checkingIntervalMs: 10 } });
    const socket = await openSocket(port);
    socket.write(HEAD);

    const received = await drip(socket, 'X-Drip: drip\r\n');

    assert.equal(statusOf(received), 408);
    assert.equal(JSON.parse(bodyOf(received)).code, 'http.request_timeout');
  });

  it('that drips its body is cut', async () => {
    const { port } = await serve(() => {}, {
      limits: { headersTimeoutMs: 60, requestTimeoutMs: 60, checkingIntervalMs: 10 },
    });
    const socket = await openSocket(port);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n');

    const received = await drip(socket, 'x');

    assert.equal(statusOf(received), 408);
  });

  it('that sends nothing at all is cut', async () => {
    const { port } = await serve(hello, { limits: { headersTimeoutMs: 40, checkingIntervalMs: 10 } });
    const socket = await openSocket(port);

    await once(socket.resume(), 'close');
  });

  it('that keeps a response unread is cut', async () => {
    const { promise: cut, resolve } = Promise.withResolvers<void>();
    const { port } = await serve(
      (_req, res) => {
        res.once('close', resolve);
        res.end(Buffer.alloc(64 * 1024 * 1024));
      },
      { limits: { inactivityTimeoutMs: 50 } },
    );
    const socket = await openSocket(port);
    socket.on('error', () => {}).pause();
    socket.write(WHOLE);

    await cut;
    socket.destroy();
  });

  it('that sends more than a few requests without reading an answer is cut, and they do not begin', async () => {
    const begun: string[] = [];
    const { port } = await serve((req) => begun.push(req.url ?? ''), { limits: { maxPipelined: 3 } });
    const socket = await openSocket(port);

    socket.write(WHOLE.repeat(50));
    await once(socket.resume(), 'close');

    assert.equal(begun.length, 4);
  });

  it('may send a few requests at once, again and again', async () => {
    const { port } = await serve(hello, { limits: { maxPipelined: 3 } });
    const socket = await openSocket(port);
    let received = '';
    socket.on('data', (data) => {
      received += String(data);
    });
    const answers = () => received.split('HTTP/1.1 200').length - 1;

    for (const count of [4, 8, 12]) {
      socket.write(WHOLE.repeat(4));
      while (answers() < count) await once(socket, 'data');
    }

    assert.equal(answers(), 12);
    socket.destroy();
  });

  it('does not keep others from being served', async () => {
    const { port, url } = await serve(hello, {
      limits: { headersTimeoutMs: 5000, checkingIntervalMs: 10 },
    });
    const sockets = await Promise.all(Array.from({ length: 200 }, () => openSocket(port)));
    for (const socket of sockets) socket.write('GET / HT');

    const response = await fetch(url);

    assert.equal(await response.text(), 'hello');
    for (const socket of sockets) socket.destroy();
  });

  it('may keep an idle connection for longer than headers may take', async () => {
    const { port } = await serve(hello, { limits: { headersTimeoutMs: 30, checkingIntervalMs: 5 } });
    const socket = await openSocket(port);
    socket.write(WHOLE);
    await once(socket, 'data');
    // The idle time is what is tested; no event marks its end.
    await delay(100);

    socket.write(`${HEAD}Connection: close\r\n\r\n`);

    assert.equal(statusOf(await text(socket)), 200);
  });

  const malformed: [name: string, bytes: string, status: number][] = [
    ['garbage', 'garbage\r\n\r\n', 400],
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['binary noise', '\x00\x01\x02\xff\r\n\r\n', 400],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['an unknown method', 'FOO / HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['an unknown version', 'GET / HTTP/9.9\r\nHost: x\r\n\r\n', 400],
    ['a header without a colon', `${HEAD}nonsense\r\n\r\n`, 400],
    ['a bare line feed in a header', `${HEAD}X: a\nInjected: b\n\r\n\r\n`, 400],
    ['a NUL in a header', `${HEAD}X: a\0b\r\n\r\n`, 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'a length and chunks (request smuggling)',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a negative length', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400],
    ['17 kB of headers', `${HEAD}X: ${'a'.repeat(17 * 1024)}\r\n\r\n`, 431],
    ['100 kB of forwarded headers', `${HEAD}X-Forwarded-For: ${'1.2.3.4,'.repeat(12_500)}\r\n\r\n`, 431],
    ['a target of 17 kB', `GET /${'a'.repeat(17 * 1024)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
  ];
  for (const [name, bytes, status] of malformed) {
    it(`that sends ${name} is answered ${status} in JSON, and the server lives on`, async () => {
      const { port, url } = await serve(hello);
      const socket = await openSocket(port);
      socket.write(Buffer.from(bytes, 'latin1'));

      const response = await text(socket);

      assert.equal(statusOf(response), status);
      // Node answers a missing Host by itself, without a body.
      if (name !== 'no Host') {
        const problem = JSON.parse(bodyOf(response));
        assert.equal(problem.status, status);
        assert.equal(problem.code, status === 431 ? 'http.headers_too_large' : 'http.bad_request');
      }
      assert.equal((await fetch(url)).status, 200);
    });
  }

  it('that asks for CONNECT or an upgrade gets no tunnel', async () => {
    const { port, url } = await serve(hello);

    const tunnel = await sendRaw(port, 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n');
    const upgrade = await sendRaw(
      port,
      `${HEAD}Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n`,
    ).catch(() => '');

    assert.equal(tunnel, '');
    assert.notEqual(statusOf(upgrade), 101);
    assert.equal((await fetch(url)).status, 200);
  });
});

describe('draining', () => {
  afterEach(stopServers);

  it('fails none of the requests of busy kept-alive connections', async () => {
    const server = await serve(
      (_req, res) => {
        setTimeout(() => res.end('x'.repeat(20_000)), Math.random() * 8);
      },
      { graceMs: 150, drainSeconds: 10 },
    );
    const failures: unknown[] = [];
    let answered = 0;
    // A load balancer: opens new connections only while the readiness probe passes.
    const client = async (pauseMs: number) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      let connected = true;
      while (connected || !server.isDraining()) {
        try {
          const { status, close } = await ask(agent, server.url);
          assert.equal(status, 200);
          connected = !close;
          answered += 1;
        } catch (err) {
          failures.push(err);
          return;
        }
        await delay(pauseMs);
      }
      agent.destroy();
    };
    const clients = Array.from({ length: 40 }, (_, index) => client(index % 10));
    while (answered < 200) await delay(1);

    const draining = server.drain();
    await Promise.all(clients);
    await draining;

    assert.deepEqual(failures, []);
    assert.ok(answered >= 200);
    await assert.rejects(fetch(server.url));
  });

  it('turns readiness off before it refuses a connection', async () => {
    const { url, drain, isDraining } = await serve(hello, { graceMs: 60, drainSeconds: 5 });
    const before = isDraining();

    const drained = drain();
    const meanwhile = await fetch(url);

    assert.equal(before, false);
    assert.equal(isDraining(), true);
    assert.equal(meanwhile.status, 200);
    assert.equal(meanwhile.headers.get('connection'), 'close');
    await drained;
  });

  it('lets a request under way finish, and tells its connection to close', async () => {
    const { handler, arrived, release } = gated();
    const { port, drain } = await serve(handler, { drainSeconds: 10 });
    const socket = await openSocket(port);
    socket.write(WHOLE);
    await arrived;

    const drained = drain();
    release();

    const response = await text(socket);
    assert.equal(statusOf(response), 200);
    assert.match(response, /^connection: close\r$/im);
    await drained;
  });

  it('closes the connection of a response whose headers had already left', async () => {
    const { promise: underWay, resolve: started } = Promise.withResolvers<void>();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { port, drain } = await serve(
      (_req, res) => {
        res.writeHead(200, { 'Content-Length': 8 });
        res.write('half');
        started();
        void released.then(() => res.end('half'));
      },
      { drainSeconds: 10 },
    );
    const socket = await openSocket(port);
    socket.write(WHOLE);
    await underWay;

    const drained = drain();
    setImmediate(release);

    assert.equal(bodyOf(await text(socket)), 'halfhalf');
    await drained;
  });

  it('closes connections that stay idle', async () => {
    const { port, drain } = await serve(hello, { drainSeconds: 10 });
    const socket = await openSocket(port);
    socket.write(WHOLE);
    await once(socket, 'data');

    const [[hadError]] = await Promise.all([once(socket.resume(), 'close'), drain()]);

    assert.equal(hadError, false);
  });

  it('ends after its time even when a request never does, and says so', async () => {
    const { log, line } = memoryLog();
    const { handler, arrived } = gated();
    const { port, drain } = await serve(handler, { drainSeconds: 0.05, log });
    const socket = await openSocket(port);
    socket.on('error', () => {}).write(WHOLE);
    await arrived;

    await drain();

    assert.equal((await line('requests were cut off because draining took too long'))['requests'], 1);
  });

  it('happens once, however often it is asked for', async () => {
    const { drain } = await serve(hello);

    assert.equal(drain(), drain());
    await drain();
  });
});

describe('starting', () => {
  afterEach(stopServers);

  it('fails on a port that is taken', async () => {
    const { port } = await serve(hello);
    const { log } = memoryLog();

    await assert.rejects(startServer({ handler: hello, host: '127.0.0.1', port, log, drainSeconds: 1 }), {
      code: 'EADDRINUSE',
    });
  });

  it('tells the port it was given', async () => {
    const { url, port } = await serve(hello);

    assert.equal(url, `http://127.0.0.1:${port}`);
    assert.equal((await fetch(url)).status, 200);
  });
});
