import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Context, Middleware } from 'koa';

/**
 * The static files of the pages. They are read, hashed and compressed once and served from memory, so they outlive the
 * disk and the database. A file's URL changes with its content, and so may be kept for ever.
 */

export interface Assets {
  /** @throws {Error} for a file that does not exist */
  url: (name: string) => string;
  /** Answers `/assets/…` and `/favicon.ico`. */
  middleware: Middleware;
}

type Encoding = 'br' | 'gzip' | 'identity';

interface Asset {
  type: string;
  hash: string;
  bodies: ReadonlyMap<Encoding, Buffer>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.ico': 'image/x-icon',
};
const FOR_EVER = 'public, max-age=31536000, immutable';
const FOR_A_DAY = 'public, max-age=86400';

/** @param dir the directory whose files are served, without its subdirectories */
export function createAssets({ dir }: { dir: string }): Assets {
  const assets = new Map(readdirSync(dir).map((name) => [name, load(join(dir, name))]));

  function find(ctx: Context): { asset: Asset; cacheControl: string } | undefined {
    if (ctx.path === '/favicon.ico') {
      const asset = assets.get('favicon.ico');
      return asset && { asset, cacheControl: FOR_A_DAY };
    }
    const [, stem, hash, extension] = /^\/assets\/([\w-]+)\.([0-9a-f]{12})(\.[a-z]+)$/.exec(ctx.path) ?? [];
    const asset = stem && assets.get(`${stem}${extension}`);
    if (!asset) return undefined;
    // While an upgrade rolls out, a page of one version can ask a server of the other for its files: better this
    // server's version than none, but nobody may keep it under that name.
    return { asset, cacheControl: hash === asset.hash ? FOR_EVER : 'no-store' };
  }

  return {
    url(name) {
      const asset = assets.get(name);
      if (!asset) throw new Error(`There is no asset ${name}`);
      const extension = extname(name);
      return `/assets/${name.slice(0, -extension.length)}.${asset.hash}${extension}`;
    },

    async middleware(ctx, next) {
      const found = ctx.method === 'GET' || ctx.method === 'HEAD' ? find(ctx) : undefined;
      if (!found) return await next();
      const { asset, cacheControl } = found;
      const encoding = bestEncoding(ctx, asset);

      ctx.status = 200;
      ctx.set('Cache-Control', cacheControl);
      ctx.set('ETag', `"${asset.hash}-${encoding}"`);
      ctx.set('X-Content-Type-Options', 'nosniff');
      ctx.vary('Accept-Encoding');
      if (ctx.fresh) {
        ctx.status = 304;
        return;
      }
      if (encoding !== 'identity') ctx.set('Content-Encoding', encoding);
      ctx.type = asset.type;
      ctx.body = asset.bodies.get(encoding);
    },
  };
}

function load(file: string): Asset {
  const extension = extname(file);
  const type = TYPES[extension];
  if (!type) throw new Error(`Assets have no media type for ${extension}: ${file}`);
  const content = readFileSync(file);
  const bodies = new Map<Encoding, Buffer>();
  if (extension !== '.ico') {
    bodies.set('br', brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
    bodies.set('gzip', gzipSync(content, { level: 9 }));
  }
  bodies.set('identity', content);
  return { type, hash: createHash('sha256').update(content).digest('hex').slice(0, 12), bodies };
}

/** The smallest that the browser takes; browsers list gzip before br, so their order is not asked. */
function bestEncoding(ctx: Context, asset: Asset): Encoding {
  for (const encoding of asset.bodies.keys()) {
    if (ctx.acceptsEncodings(encoding) === encoding) return encoding;
  }
  return 'identity';
}
