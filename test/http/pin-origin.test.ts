import assert from 'node:assert/strict';
import { clientAddress, createClientAddresses, createPinOrigin } from '../../src/http/pin-origin.ts';
import type { AppMiddleware } from '../../src/http/request-state.ts';
import { createNetworks } from '../../src/lib/networks.ts';
import { bodyOf, getRaw, PUBLIC_URL, sendRaw, startApp, statusOf, stopServers } from './support.ts';

const echo: AppMiddleware = (ctx) => {
  ctx.body = {
    href: ctx.href,
    origin: ctx.request.URL.origin,
    host: ctx.host,
    secure: ctx.secure,
    ip: ctx.state.ip,
    koaIp: ctx.ip,
    everything: [ctx.req.headers, ctx.req.headersDistinct, ctx.req.rawHeaders],
  };
  ctx.cookies.set('probe', '1', { secure: ctx.secure });
};

const SPOOFED_HEADERS = [
  'X-Forwarded-Host: evil.example',
  'X-Forwarded-Host: evil.example, auth.example',
  'x-forwarded-host: evil.example\r\nX-FORWARDED-HOST: evil2.example',
  'X-Forwarded-Server: evil.example',
  'X-Forwarded-Port: 6666',
  'X-Forwarded-Prefix: /evil.example',
  'X-Forwarded-Proto: evil.example',
  'X-Forwarded-Proto: http\r\nX-Forwarded-Proto: evil.example',
  'X-Forwarded-Scheme: evil.example',
  'X-Forwarded-Ssl: evil.example',
  'Forwarded: for=1.2.3.4;host=evil.example;proto=http',
  'Forwarded: host=evil.example\r\nForwarded: host=evil2.example',
  'X-Original-Host: evil.example',
  'X-Original-URL: http://evil.example/',
  'X-Rewrite-URL: /evil.example',
  'X-Host: evil.example',
  'Host: evil.example',
  'X-Real-IP: evil.example',
];

describe('the pinned origin', () => {
  afterEach(stopServers);

  for (const spoofed of SPOOFED_HEADERS) {
    it(`is not changed by ${JSON.stringify(spoofed)}`, async () => {
      const { port } = await startApp(echo, { trustProxy: ['127.0.0.0/8'] });

      const response = await getRaw(port, '/path?a=b', [spoofed]);

      assert.equal(statusOf(response), 200);
      assert.doesNotMatch(response, /evil|client\.example/);
      const seen = JSON.parse(bodyOf(response));
      assert.equal(seen.href, `${PUBLIC_URL}/path?a=b`);
      assert.equal(seen.origin, PUBLIC_URL);
      assert.equal(seen.secure, true);
    });
  }

  it('is not changed by an absolute request target', async () => {
    const { port } = await startApp(echo);

    const response = await getRaw(port, 'http://evil.example:81/path?a=b');

    assert.equal(JSON.parse(bodyOf(response)).href, `${PUBLIC_URL}/path?a=b`);
  });

  it('holds for targets that are neither a path nor a URL', async () => {
    const { port } = await startApp(echo);

    const response = await sendRaw(
      port,
      'OPTIONS * HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
    );

    assert.equal(JSON.parse(bodyOf(response)).href, `${PUBLIC_URL}/*`);
  });

  it('holds without a Host header, as HTTP/1.0 allows', async () => {
    const { port } = await startApp(echo);

    const response = await sendRaw(port, 'GET / HTTP/1.0\r\n\r\n');

    assert.equal(JSON.parse(bodyOf(response)).href, `${PUBLIC_URL}/`);
  });

  it('decides whether cookies are secure', async () => {
    const plain = await startApp(echo, { publicUrl: 'http://localhost:3000' });
    const secure = await startApp(echo);

    const overHttp = await getRaw(plain.port, '/', ['X-Forwarded-Proto: https']);
    const overHttps = await getRaw(secure.port, '/', ['X-Forwarded-Proto: http']);

    assert.match(overHttp, /^set-cookie: probe=1; path=\/; httponly\r$/im);
    assert.match(overHttps, /^set-cookie: probe=1; path=\/; secure; httponly\r$/im);
  });

  it('takes the client from the socket when no proxy is trusted', async () => {
    const { port } = await startApp(echo);

    const seen = JSON.parse(bodyOf(await getRaw(port, '/', ['X-Forwarded-For: 203.0.113.9'])));

    assert.equal(seen.ip, '127.0.0.1');
    assert.equal(seen.koaIp, '127.0.0.1');
  });

  it('takes the client a trusted proxy tells, over several header lines', async () => {
    const { port } = await startApp(echo, { trustProxy: ['127.0.0.0/8', '10.0.0.0/8'] });

    const seen = JSON.parse(
      bodyOf(
        await getRaw(port, '/', [
          'X-Forwarded-For: 6.6.6.6',
          'x-forwarded-for: 203.0.113.9',
          'X-FORWARDED-FOR: 10.1.1.1',
        ]),
      ),
    );

    assert.equal(seen.ip, '203.0.113.9');
    assert.equal(seen.koaIp, '203.0.113.9');
  });
});

describe('the client address', () => {
  const trusted = createNetworks(['10.0.0.0/8', 'fd00::/8']);
  const cases: [
    name: string,
    peer: string | undefined,
    forwardedFor: string | undefined,
    expected: string,
  ][] = [
    ['is the peer that is no proxy', '203.0.113.1', '198.51.100.1', '203.0.113.1'],
    ['is the proxy itself when it tells nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['is the right-most entry', '10.0.0.1', '6.6.6.6, 198.51.100.1', '198.51.100.1'],
    ['skips proxies that are trusted', '10.0.0.1', '6.6.6.6,198.51.100.1, 10.0.0.2', '198.51.100.1'],
    ['is the left-most proxy when all are trusted', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['recognises a proxy that is IPv4-mapped', '::ffff:10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['is plain IPv4 when the entry is mapped', '10.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
    ['recognises an IPv6 proxy', 'fd00::1', '2001:DB8:0::1', '2001:db8::1'],
    ['may come with a port', '10.0.0.1', '198.51.100.1:4711', '198.51.100.1'],
    ['may come with brackets and a port', '10.0.0.1', '[2001:db8::1]:4711', '2001:db8::1'],
    ['ends at an entry that is no address', '10.0.0.1', '198.51.100.1, unknown', '10.0.0.1'],
    ['ends at an empty entry', '10.0.0.1', '198.51.100.1,', '10.0.0.1'],
    ['takes no octal or hexadecimal forms', '10.0.0.1', '0x0a.1', '10.0.0.1'],
    ['takes no zone', '10.0.0.1', 'fe80::1%evil', '10.0.0.1'],
    ['takes no markup', '10.0.0.1', '<script>', '10.0.0.1'],
    ['is empty once the peer is gone', undefined, '198.51.100.1', ''],
  ];
  for (const [name, peer, forwardedFor, expected] of cases) {
    it(name, () => {
      assert.equal(clientAddress(peer, forwardedFor, trusted), expected);
    });
  }

  it('costs no more than one pass over a hostile list', () => {
    let looked = 0;
    const counting = { includes: () => ++looked > 0 };
    const hostile = [
      '10.0.0.1,'.repeat(11_000),
      ','.repeat(100_000),
      ' '.repeat(100_000),
      '1.'.repeat(50_000),
    ];

    for (const list of hostile) clientAddress('10.0.0.1', list, counting);
    const addresses = Array.from({ length: 10_000 }, () => '10.0.0.1').join(',');
    looked = 0;
    clientAddress('10.0.0.1', addresses, counting);

    assert.equal(looked, 10_000);
  });
});

describe('an X-Forwarded-For from somebody who is not trusted', () => {
  const ignored = (trustProxy: string[]): number => {
    let count = 0;
    const onIgnored = () => {
      count += 1;
    };
    const pin = createPinOrigin({
      publicUrl: PUBLIC_URL,
      addressOf: createClientAddresses({ trustProxy, onIgnored }),
    });
    for (let index = 0; index < 2; index += 1) {
      const headers = { 'x-forwarded-for': '192.0.2.1' };
      pin({
        headers,
        rawHeaders: [],
        socket: { remoteAddress: '10.0.0.1' },
        url: '/',
      } as unknown as Parameters<typeof pin>[0]);
    }
    return count;
  };

  it('is told of, once', () => {
    assert.equal(ignored([]), 1);
  });

  it('is not told of when it comes from a proxy that is trusted', () => {
    assert.equal(ignored(['10.0.0.0/8']), 0);
  });
});
