import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Middleware } from 'koa';
import { sha256 } from '../lib/ids.ts';

/**
 * The reference page at `/api/docs`, all of it from this server and under its strict policy. Its files are
 * large and few people open it, so they are read at the first visit and kept.
 */
const FILES: Readonly<Record<string, { url: string; type: string }>> = {
  '': { url: file('reference.html'), type: 'text/html; charset=utf-8' },
  '/start.js': { url: file('start.js'), type: 'text/javascript; charset=utf-8' },
  '/swagger-ui.css': {
    url: import.meta.resolve('swagger-ui-dist/swagger-ui.css'),
    type: 'text/css; charset=utf-8',
  },
  '/swagger-ui-bundle.js': {
    url: import.meta.resolve('swagger-ui-dist/swagger-ui-bundle.js'),
    type: 'text/javascript; charset=utf-8',
  },
};

interface LoadedFile {
  plain: Buffer;
  zipped: Buffer;
  etag: string;
}

export function apiDocs(read: (path: string) => Promise<Buffer> = readFile): Middleware {
  const loaded = new Map<string, Promise<LoadedFile>>();

  /** Read once for all who ask meanwhile, and again after a failure. */
  function fileOf(name: string, url: string): Promise<LoadedFile> {
    const known = loaded.get(name);
    if (known) return known;
    const loading = load(read, url);
    loaded.set(name, loading);
    loading.catch(() => loaded.delete(name));
    return loading;
  }

  return async (ctx, next) => {
    const match = /^\/api\/docs(\/[\w.-]+)?$/.exec(ctx.path);
    const name = match?.[1] ?? '';
    const wanted = match && Object.hasOwn(FILES, name) ? FILES[name] : undefined;
    if (!wanted || (ctx.method !== 'GET' && ctx.method !== 'HEAD')) return next();

    const { plain, zipped, etag } = await fileOf(name, wanted.url);
    ctx.status = 200;
    ctx.set('Cache-Control', 'public, max-age=3600');
    ctx.set('ETag', etag);
    ctx.vary('Accept-Encoding');
    if (ctx.fresh) {
      ctx.status = 304;
      return;
    }
    ctx.type = wanted.type;
    const isZipped = ctx.acceptsEncodings('gzip', 'identity') === 'gzip';
    if (isZipped) ctx.set('Content-Encoding', 'gzip');
    ctx.body = isZipped ? zipped : plain;
  };
}

async function load(read: (path: string) => Promise<Buffer>, url: string): Promise<LoadedFile> {
  const plain = await read(fileURLToPath(url));
  const zipped = await promisify(gzip)(plain);
  return { plain, zipped, etag: `"${sha256(plain.toString()).toString('base64url').slice(0, 22)}"` };
}

function file(name: string): string {
  return new URL(`../../views/api-docs/${name}`, import.meta.url).href;
}
