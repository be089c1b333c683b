import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { parseForm, parseJson } from '../../src/http/body.ts';
import type { AppMiddleware } from '../../src/http/request-state.ts';
import { bodyOf, openSocket, sendRaw, startApp, statusOf, stopServers } from './support.ts';

const signIn = z.strictObject({ email: z.string().min(1), password: z.string() });
const form: AppMiddleware = async (ctx) => {
  ctx.body = await parseForm(ctx, signIn);
};
const anyForm: AppMiddleware = async (ctx) => {
  ctx.body = await parseForm(ctx, z.record(z.string(), z.string()));
};
const anyJson: AppMiddleware = async (ctx) => {
  ctx.body = { parsed: await parseJson(ctx, z.unknown()) };
};

async function post(route: AppMiddleware, type: string, body: string | Buffer<ArrayBuffer>, headers = {}) {
  const app = await startApp(route);
  const response = await fetch(`${app.url}/api/v1/x`, {
    method: 'POST',
    headers: { 'Content-Type': type, ...headers },
    body,
  });
  const answer = JSON.parse(await response.text());
  return { status: response.status, answer, headers: response.headers, ...app };
}

const postForm = (body: string, route = form) => post(route, 'application/x-www-form-urlencoded', body);
const postJson = (body: string, route = anyJson) => post(route, 'application/json', body);

describe('a form', () => {
  afterEach(stopServers);

  it('arrives validated', async () => {
    const { status, answer } = await postForm('email=ana%40example.com&password=a+b%26%C3%BC');

    assert.equal(status, 200);
    assert.deepEqual(answer, { email: 'ana@example.com', password: 'a b&ü' });
  });

  it('is refused with the fault of each field', async () => {
    const { status, answer } = await postForm('email=');

    assert.equal(status, 400);
    assert.equal(answer.code, 'http.invalid_parameters');
    assert.deepEqual(
      answer.errors.map(({ pointer }: { pointer: string }) => pointer),
      ['#/email', '#/password'],
    );
  });

  it('cannot carry fields nobody asked for', async () => {
    const { status } = await postForm('email=a&password=b&verified=true');

    assert.equal(status, 400);
  });

  it('is refused when a parameter is repeated', async () => {
    const { status, answer } = await postForm('email=a&password=b&email=c');

    assert.equal(status, 400);
    assert.equal(answer.code, 'http.duplicate_parameter');
    assert.deepEqual(answer.errors, [{ pointer: '#/email', detail: 'given more than once' }]);
  });

  it('never becomes nested objects or lists', async () => {
    const { answer } = await postForm('a[b]=1&c[]=2&d.e=3', anyForm);

    assert.deepEqual(answer, { 'a[b]': '1', 'c[]': '2', 'd.e': '3' });
  });

  for (const key of ['__proto__', 'constructor', 'prototype', '%5F_proto__', 'a%00b']) {
    it(`is refused with the key ${key}`, async () => {
      const { status, answer } = await postForm(`${key}=1`, anyForm);

      assert.equal(status, 400);
      assert.equal(answer.code, 'http.malformed_body');
    });
  }

  it('pollutes no prototype', async () => {
    await postForm('__proto__[polluted]=1&constructor[prototype][polluted]=1', anyForm);

    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });

  it('is refused with a NUL, which the database cannot store', async () => {
    const { status } = await postForm('email=a%00b&password=c');

    assert.equal(status, 400);
  });

  it('is refused with thousands of parameters', async () => {
    const body = Array.from({ length: 10_000 }, (_, index) => `${index}=`).join('&');

    const { status } = await postForm(body, anyForm);

    assert.equal(status, 400);
  });

  for (const type of ['application/json', 'multipart/form-data; boundary=x', 'text/plain']) {
    it(`is refused as ${type}`, async () => {
      const { status, answer } = await post(form, type, 'email=a&password=b');

      assert.equal(status, 415);
      assert.equal(answer.code, 'http.unsupported_media_type');
    });
  }

  it('is refused without a body', async () => {
    const { port } = await startApp(form);

    const response = await sendRaw(port, 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');

    assert.equal(statusOf(response), 415);
  });

  it('may be as large as 64 KiB and no larger', async () => {
    const { status } = await postForm(`a=${'x'.repeat(64 * 1024 - 2)}`, anyForm);
    const over = await postForm(`a=${'x'.repeat(64 * 1024 - 1)}`, anyForm);

    assert.equal(status, 200);
    assert.equal(over.status, 413);
  });
});

describe('JSON', () => {
  afterEach(stopServers);

  it('arrives validated', async () => {
    const { answer } = await postJson('{"a":[1,{"b":"ü"}]}');

    assert.deepEqual(answer.parsed, { a: [1, { b: 'ü' }] });
  });

  it('names the faults of nested fields by JSON pointers', async () => {
    const schema = z.object({ 'a/b': z.array(z.object({ 'c~d': z.string() })) });

    const { status, answer } = await postJson('{"a/b":[{"c~d":1}]}', async (ctx) => {
      await parseJson(ctx, schema);
    });

    assert.equal(status, 400);
    assert.equal(answer.errors[0].pointer, '#/a~1b/0/c~0d');
  });

  const refused: [name: string, body: string][] = [
    ['a syntax error', '{"password": canary'],
    ['a bare value', '"canary"'],
    ['the key __proto__', '{"__proto__":{"polluted":"canary"}}'],
    ['the key __proto__ in disguise', '{"\\u005f_proto__":{"polluted":"canary"}}'],
    ['the key constructor', '{"a":{"constructor":{"prototype":{"polluted":"canary"}}}}'],
    ['a NUL', '{"a":"canary\\u0000"}'],
    ['a NUL in a key', '{"canary\\u0000":1}'],
    ['half a surrogate pair', '{"a":"canary\\ud800"}'],
    ['objects nested 10,000 deep', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`],
    ['lists nested 100,000 deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['an unclosed depth', '['.repeat(200_000)],
  ];
  for (const [name, body] of refused) {
    it(`is refused with ${name}, which is neither echoed nor logged`, async () => {
      const { status, answer, lines, line } = await postJson(body);

      assert.equal(status, 400);
      assert.equal(answer.code, 'http.malformed_body');
      await line('request');
      assert.doesNotMatch(JSON.stringify([answer, lines]), /canary/);
      assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    });
  }

  it('counts as an empty object when absent', async () => {
    const { url } = await startApp(anyJson);

    const response = await fetch(url, { method: 'POST' });

    assert.deepEqual(await response.json(), { parsed: {} });
  });

  it('may be as large as 256 KiB and no larger', async () => {
    const { status } = await postJson(JSON.stringify(['x'.repeat(256 * 1024 - 4)]));
    const over = await postJson(JSON.stringify(['x'.repeat(256 * 1024 - 3)]));

    assert.equal(status, 200);
    assert.equal(over.status, 413);
  });

  it('is refused compressed, so that it cannot grow', async () => {
    const bomb = gzipSync(JSON.stringify('x'.repeat(50_000_000)));

    const { status } = await post(anyJson, 'application/json', bomb, { 'Content-Encoding': 'gzip' });

    assert.equal(status, 415);
  });
});

describe('an oversized body', () => {
  afterEach(stopServers);

  const lengths: [length: string, status: number][] = [
    ['1073741824', 413],
    // Its lower 32 bits say 1.
    ['4294967297', 413],
    ['9007199254740993', 413],
    // More than the parser of HTTP can count.
    ['99999999999999999999', 400],
  ];
  for (const [length, status] of lengths) {
    it(`of announced length ${length} is refused with ${status} before a byte of it is read`, async () => {
      const { port } = await startApp(anyJson, { server: { limits: { lingerMs: 20 } } });

      const response = await sendRaw(
        port,
        `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`,
      );

      assert.equal(statusOf(response), status);
      assert.equal(JSON.parse(bodyOf(response)).status, status);
    });
  }

  it('in endless chunks is refused as soon as it passes the limit, and then cut off', async () => {
    const { port, line } = await startApp(anyJson, { server: { limits: { lingerMs: 20 } } });
    const socket = await openSocket(port);
    const closed = new Promise<void>((resolve) => {
      socket.on('error', () => {}).on('close', () => resolve());
    });
    let received = '';
    socket.on('data', (data) => {
      received += String(data);
    });

    socket.write(
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    const send = () => {
      if (socket.writable) socket.write(chunk, send);
    };
    send();
    await closed;

    assert.equal(statusOf(received), 413);
    assert.equal((await line('request'))['status'], 413);
  });

  it('is answered although the client reads only after sending', async () => {
    const { port } = await startApp(anyJson);
    const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n`;
    const next = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

    const response = await sendRaw(port, head + 'x'.repeat(2_000_000) + next);

    assert.equal(statusOf(response), 413);
    assert.match(response, /HTTP\/1\.1 413 .*HTTP\/1\.1 200 /s);
  });
});
