import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Koa from 'koa';
import supertest from 'supertest';
import { createAssets, type Assets } from '../../src/http/assets.ts';

const CSS = 'body { color: red }\n'.repeat(50);

describe('assets', () => {
  let dir: string;
  let assets: Assets;
  let server: Server;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'assets-'));
    await writeFile(join(dir, 'page.css'), CSS);
    await writeFile(join(dir, 'favicon.ico'), 'icon');
    assets = createAssets({ dir });
    // From here on they are in memory.
    await rm(dir, { recursive: true });
    const app = new Koa();
    app.use(assets.middleware);
    server = app.listen(0, '127.0.0.1');
  });

  after((done) => {
    server.close(done);
  });

  /** The body is a Buffer, decompressed. */
  function get(path: string, encoding = 'identity') {
    return supertest(server)
      .get(path)
      .set('Accept-Encoding', encoding)
      .buffer(true)
      .parse((res, done) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('end', () => done(null, Buffer.concat(chunks)));
      });
  }

  it('are kept for ever under a name that holds their hash', async () => {
    const url = assets.url('page.css');

    const res = await get(url);

    assert.match(url, /^\/assets\/page\.[0-9a-f]{12}\.css$/);
    assert.equal(res.status, 200);
    assert.equal(String(res.body), CSS);
    assert.equal(res.headers['cache-control'], 'public, max-age=31536000, immutable');
    assert.equal(res.headers['content-type'], 'text/css; charset=utf-8');
    assert.equal(res.headers['x-content-type-options'], 'nosniff');
  });

  it('have another name when their content changes', async () => {
    const other = await mkdtemp(join(tmpdir(), 'assets-'));
    await writeFile(join(other, 'page.css'), `${CSS} `);

    const changed = createAssets({ dir: other });

    assert.notEqual(changed.url('page.css'), assets.url('page.css'));
    await rm(other, { recursive: true });
  });

  for (const { accept, sent } of [
    { accept: 'gzip, deflate, br, zstd', sent: 'br' },
    { accept: 'gzip, deflate', sent: 'gzip' },
    { accept: 'br;q=0, gzip', sent: 'gzip' },
    { accept: 'identity', sent: undefined },
  ]) {
    it(`are sent in ${sent ?? 'clear'} to who accepts ${accept}`, async () => {
      const res = await get(assets.url('page.css'), accept);

      assert.equal(res.headers['content-encoding'], sent);
      assert.equal(res.headers['vary'], 'Accept-Encoding');
      assert.equal(Number(res.headers['content-length']) < CSS.length, sent !== undefined);
      assert.equal(String(res.body), CSS);
    });
  }

  it('are not sent again to who has them in that encoding', async () => {
    const first = await get(assets.url('page.css'), 'br');
    const etag = String(first.headers['etag']);

    const [same, other] = await Promise.all([
      get(assets.url('page.css'), 'br').set('If-None-Match', etag),
      get(assets.url('page.css'), 'gzip').set('If-None-Match', etag),
    ]);

    assert.equal(same.status, 304);
    assert.equal(same.body.length, 0);
    assert.equal(other.status, 200);
  });

  it('answer the page of another version, but not to keep', async () => {
    const res = await get('/assets/page.000000000000.css');

    assert.equal(res.status, 200);
    assert.equal(String(res.body), CSS);
    assert.equal(res.headers['cache-control'], 'no-store');
  });

  it('leave everything else to the next in line', async () => {
    for (const path of [
      '/assets/page.css',
      '/assets/other.000000000000.css',
      '/assets/..%2fpage.000000000000.css',
      '/assets/',
      '/assets/__proto__.000000000000.css',
      '/page.css',
    ]) {
      assert.equal((await get(path)).status, 404, path);
    }
    assert.equal((await supertest(server).post(assets.url('page.css'))).status, 404);
  });

  it('answer HEAD without a body', async () => {
    const res = await supertest(server).head(assets.url('page.css'));

    assert.equal(res.status, 200);
    assert.equal(res.text, undefined);
  });

  it('have an icon where browsers look for one, kept for a day', async () => {
    const res = await get('/favicon.ico');

    assert.equal(res.status, 200);
    assert.equal(res.headers['content-type'], 'image/x-icon');
    assert.equal(res.headers['cache-control'], 'public, max-age=86400');
  });

  it('fail a page that names a file which does not exist', () => {
    assert.throws(() => assets.url('other.css'), /no asset/);
  });
});
