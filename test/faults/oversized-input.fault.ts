import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createUserAgent } from '../support/user-agent.ts';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { inForm } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { openSignInForm } from './support/requests.ts';

const GIGABYTE = 1024 ** 3;
/** Most of it waits in the buffers of the network. */
const MOST_SENT_BYTES = 32 * 1024 * 1024;
const MOST_MEMORY_BYTES = 100 * 1024 * 1024;
/** Of the first round, in which a server that has just started takes the room it works in. */
const MOST_ROOM_BYTES = 200 * 1024 * 1024;
const CHUNK = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, 'a'), Buffer.from('\r\n')]);
const ROUNDS = inForm({ short: 3, long: 10 });

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

/** How each kind of caller is refused. */
const REFUSALS = {
  app: { status: 400, type: JSON_TYPE, says: '"error":"invalid_request"' },
  person: { status: 413, type: 'text/html', says: '<h1>' },
  api: { status: 413, type: 'application/problem+json', says: '"code":"http.body_too_large"' },
  /** What the API does not read because it does not know who asks. */
  stranger: { status: 401, type: 'application/problem+json', says: '"code":"http.unauthorized"' },
};

interface Place {
  path: string;
  type: string;
  caller: keyof typeof REFUSALS;
  headers?: string;
}

interface Expected {
  status: number;
  type: string;
  says: string;
}

interface Received {
  status: number;
  type: string;
  body: string;
}

describe('input that is far too large', function () {
  this.timeout(inForm({ short: 90_000, long: 300_000 }));
  let installation: Installation;
  let world: World;
  let places: Place[];
  before(async () => {
    installation = await startInstallation({ servers: 1 });
    world = await createWorld(installation, { users: 1, apps: 1 });
    places = await findPlaces();
  });
  after(() => installation.close());

  const server = () => installation.servers[0];
  const pathOf = (path: string) => new URL(world.issuer + path).pathname;

  /** Everywhere a body can be sent to: with credentials and cookies, so that nothing else is wrong with it. */
  async function findPlaces(): Promise<Place[]> {
    const [app] = world.apps;
    const [person] = world.users;
    if (!app || !person) throw new Error('nobody is there');
    const form = await openSignInForm(world, person);
    const interaction = new URL(form.url).pathname;
    const cookies = `Cookie: ${form.headers?.['cookie']}\r\n`;
    const authorization = `Authorization: ${app.authorization}\r\n`;

    return [
      ...['/token', '/introspect', '/revoke', '/par'].flatMap((path): Place[] => [
        { path: pathOf(path), type: FORM, caller: 'app' },
        { path: pathOf(path), type: FORM, caller: 'app', headers: authorization },
        { path: pathOf(path), type: JSON_TYPE, caller: 'app', headers: authorization },
      ]),
      { path: pathOf('/userinfo'), type: FORM, caller: 'app' },
      { path: pathOf('/authorize'), type: FORM, caller: 'person' },
      { path: pathOf('/logout'), type: FORM, caller: 'person' },
      { path: pathOf('/interaction/none/password'), type: FORM, caller: 'person' },
      { path: interaction, type: FORM, caller: 'person', headers: cookies },
      { path: '/setup', type: FORM, caller: 'person' },
      { path: pathOf('/api/v1/auth/login'), type: JSON_TYPE, caller: 'api' },
      { path: pathOf('/api/v1/auth/refresh'), type: JSON_TYPE, caller: 'api' },
      { path: pathOf('/api/v1/users'), type: JSON_TYPE, caller: 'stranger' },
    ];
  }

  const headOf = ({ path, type, caller, headers = '' }: Place) =>
    `POST ${path} HTTP/1.1\r\nHost: sso.example\r\nAccept: ${caller === 'person' ? 'text/html' : '*/*'}\r\n${headers}Content-Type: ${type}\r\n`;

  /** Sends this and no more, and leaves the connection open until there is an answer. */
  async function ask(bytes: string): Promise<Received> {
    const socket = connect(server()?.port ?? 0, '127.0.0.1');
    let answer = '';
    const ended = new Promise<void>((resolve) => {
      socket.on('error', () => {}).on('close', () => resolve());
    });
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('utf8');
      const { body, length } = parse(answer);
      if (Buffer.byteLength(body) >= length) socket.destroy();
    });
    socket.write(bytes);
    await ended;
    return parse(answer);
  }

  function assertRefused(what: string, { status, type, body }: Received, expected: Expected): void {
    assert.equal(status, expected.status, `${what}: ${status} ${body.slice(0, 300)}`);
    assert.ok(type.startsWith(expected.type), `${what}: ${type}`);
    assert.ok(body.includes(expected.says), `${what}: ${body.slice(0, 300)}`);
  }

  it('is refused everywhere before a byte of it is sent, in the way of whoever asks', async () => {
    for (const place of places) {
      const answer = await ask(`${headOf(place)}Content-Length: ${GIGABYTE}\r\n\r\n`);

      assertRefused(`${place.path} as ${place.type}`, answer, REFUSALS[place.caller]);
    }
  });

  it('in chunks of unknown number is refused everywhere as soon as it is over the limit', async () => {
    for (const place of places) {
      // 64 kB of a form, 256 kB of JSON.
      const chunks = CHUNK.toString('latin1').repeat(place.type === FORM ? 2 : 5);

      const answer = await ask(`${headOf(place)}Transfer-Encoding: chunked\r\n\r\n${chunks}`);

      assertRefused(`${place.path} as ${place.type}`, answer, REFUSALS[place.caller]);
    }
  });

  /** @returns how much had been sent when the answer came */
  async function pour(place: Place): Promise<{ received: Received; sentBytes: number }> {
    const socket = connect(server()?.port ?? 0, '127.0.0.1');
    let answer = '';
    let sentBytes = Number.POSITIVE_INFINITY;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      sentBytes = Math.min(sentBytes, socket.bytesWritten);
      answer += chunk.toString('utf8');
    });
    await once(socket, 'connect');
    socket.write(`${headOf(place)}Transfer-Encoding: chunked\r\n\r\n`);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const drained = () => new Promise((resolve) => socket.once('drain', resolve));
    for (let sent = 0; sent < GIGABYTE && !socket.destroyed; sent += CHUNK.length) {
      if (!socket.write(CHUNK)) await Promise.race([drained(), closed]);
    }
    socket.end();
    await closed;
    return { received: parse(answer), sentBytes };
  }

  it('takes no memory, however much is sent after the answer, everywhere at once', async () => {
    const residentBytes = () => server()?.rssBytes() ?? 0;
    const resident = [residentBytes()];

    for (let round = 0; round < ROUNDS; round += 1) {
      const answers = await Promise.all(places.map(async (place) => ({ place, ...(await pour(place)) })));
      for (const { place, received, sentBytes } of answers) {
        const what = `${place.path} as ${place.type}`;
        assertRefused(what, received, REFUSALS[place.caller]);
        assert.ok(sentBytes < MOST_SENT_BYTES, `${what}: the answer came after ${sentBytes} bytes`);
      }
      resident.push(residentBytes());
    }

    const [atFirst = 0, working = 0, ...later] = resident;
    const megabytes = `${resident.map((bytes) => Math.round(bytes / 2 ** 20)).join(', ')} MB`;
    assert.ok(working - atFirst < MOST_ROOM_BYTES, megabytes);
    assert.ok(Math.max(...later) - working < MOST_MEMORY_BYTES, megabytes);
  });

  it('within the limits of bytes is refused for its depth and its number of parameters', async () => {
    const many = Array.from({ length: 5_000 }, (_, index) => `p${index}=`).join('&');
    const apps = { status: 400, type: JSON_TYPE, says: '"error":"invalid_request"' };
    const malformed = { status: 400, type: 'application/problem+json', says: '"code":"http.malformed_body"' };
    const page = { status: 400, type: 'text/html', says: '<h1>' };
    const members = JSON.stringify(Object.fromEntries(many.split('&').map((name) => [name, 1])));
    const bodies: [path: RegExp, body: string, expected: Expected][] = [
      [/\/auth\/login$/, '['.repeat(10_000) + ']'.repeat(10_000), malformed],
      [/\/auth\/login$/, `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, malformed],
      [/\/auth\/login$/, members, { ...malformed, says: '"code":"http.invalid_parameters"' }],
      [/\/(token|introspect|revoke|par)$/, many, apps],
      [/\/interaction\/.*\/password$/, many, page],
      // It would be sent back to the browser as an address that no browser could ask for.
      [/\/(authorize|logout)$/, many, REFUSALS.person],
    ];

    for (const [path, body, expected] of bodies) {
      // Whoever shows no credentials is asked for those first.
      const meant = places.filter(
        ({ path: at, caller, headers }) => path.test(at) && (caller !== 'app' || headers !== undefined),
      );
      assert.ok(meant.length > 0);
      for (const place of meant) {
        const answer = await ask(`${headOf(place)}Content-Length: ${body.length}\r\n\r\n${body}`);

        assertRefused(`${place.path} with ${body.slice(0, 20)}…`, answer, expected);
      }
    }
  });

  it('in addresses, headers and cookies is refused, and as much as fits is served', async () => {
    const tooLarge = {
      status: 431,
      type: 'application/problem+json',
      says: '"code":"http.headers_too_large"',
    };
    const cookies = (count: number) =>
      `Cookie: ${Array.from({ length: count }, (_, index) => `c${index}=1`).join('; ')}\r\n`;
    const languages = (count: number) => `Accept-Language: ${'xx,'.repeat(count)}\r\n`;
    const cases: [path: string, headers: string, expected: Expected][] = [
      [`/jwks?${'p=&'.repeat(10_000)}`, '', tooLarge],
      [`/${'a/'.repeat(10_000)}`, '', tooLarge],
      ['/jwks', `X-Long: ${'a'.repeat(20_000)}\r\n`, tooLarge],
      ['/jwks', Array.from({ length: 5_000 }, (_, index) => `H${index}: 1\r\n`).join(''), tooLarge],
      ['/jwks', cookies(5_000), tooLarge],
      ['/jwks', cookies(1_000), { status: 200, type: 'application/jwk-set+json', says: '"keys"' }],
      [`/${'a/'.repeat(7_000)}`, '', { status: 404, type: 'text/html', says: '<h1>' }],
      ['/jwks', languages(5_000), { status: 200, type: 'application/jwk-set+json', says: '"keys"' }],
    ];

    for (const [path, headers, expected] of cases) {
      const answer = await ask(
        `GET ${pathOf(path.split('?')[0] ?? '')}${path.includes('?') ? `?${path.split('?')[1]}` : ''} HTTP/1.1\r\nHost: sso.example\r\nAccept: text/html, */*\r\n${headers}\r\n`,
      );

      assertRefused(`${path.slice(0, 20)} ${headers.slice(0, 20)}`, answer, expected);
    }
  });

  it('leaves a server that serves', async () => {
    const agent = createUserAgent((url, init) => installation.balancer.fetch(url, init));

    const page = await agent.get(`${world.issuer}/.well-known/openid-configuration`);

    assert.equal(page.status, 200);
  });
});

function parse(answer: string): Received & { length: number } {
  const at = answer.indexOf('\r\n\r\n');
  if (at === -1) return { status: 0, type: '', body: '', length: Number.POSITIVE_INFINITY };
  const head = answer.slice(0, at);
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]),
    type: /^content-type: (.*)$/im.exec(head)?.[1] ?? '',
    length: Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? Number.POSITIVE_INFINITY),
    body: answer.slice(at + 4),
  };
}
