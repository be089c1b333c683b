import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import type { Context } from 'koa';
import { sha256 } from '../../lib/ids.ts';

/** Discovery and JWKS: built once for each provider, then served from memory, whatever the database does. */
const PATHS = new Set([
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
  '/jwks',
]);

interface Document {
  etag: string;
  type: string;
  encodings: { identity: Buffer; gzip: Buffer; br: Buffer };
}

export function documentsMiddleware({ maxAgeSeconds }: { maxAgeSeconds: number }) {
  const documents = new Map<string, Promise<Document>>();
  const cacheControl = `public, max-age=${maxAgeSeconds}`;

  return async (ctx: Context, next: () => Promise<unknown>): Promise<void> => {
    if ((ctx.method !== 'GET' && ctx.method !== 'HEAD') || !PATHS.has(ctx.path)) {
      await next();
      return;
    }

    let document = documents.get(ctx.path);
    if (!document) {
      await next();
      if (ctx.status !== 200) return;
      document = prepare(ctx.body, ctx.response.get('Content-Type'));
      documents.set(ctx.path, document);
    }
    serve(ctx, await document);
  };

  function serve(ctx: Context, { etag, type, encodings }: Document): void {
    ctx.set('Access-Control-Allow-Origin', '*');
    ctx.set('Cache-Control', cacheControl);
    ctx.set('Vary', 'Accept-Encoding');
    ctx.set('ETag', etag);
    ctx.status = 200;
    if (ctx.fresh) {
      ctx.status = 304;
      return;
    }
    const encoding = ctx.acceptsEncodings('br', 'gzip', 'identity') || 'identity';
    if (encoding !== 'identity') ctx.set('Content-Encoding', encoding);
    ctx.type = type;
    ctx.body = encodings[encoding as keyof typeof encodings];
  }
}

async function prepare(body: unknown, type: string): Promise<Document> {
  const identity = Buffer.from(JSON.stringify(body));
  const [zipped, br] = await Promise.all([promisify(gzip)(identity), promisify(brotliCompress)(identity)]);
  return {
    etag: `"${sha256(identity.toString()).toString('base64url').slice(0, 22)}"`,
    type,
    encodings: { identity, gzip: zipped, br },
  };
}
