import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import type { Context } from 'koa';
import { sendAsData } from '../../http/security-headers.ts';
import { sha256 } from '../../lib/ids.ts';
import type { TenantContext } from '../provider-deps.ts';

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

export function documentsMiddleware({
  settings,
  documents: answers,
}: Pick<TenantContext, 'settings' | 'documents'>) {
  const documents = new Map<string, Promise<Document>>();
  const cacheControl = `public, max-age=${settings.jwksMaxAgeSeconds}`;

  return async (ctx: Context, next: () => Promise<unknown>): Promise<void> => {
    if ((ctx.method !== 'GET' && ctx.method !== 'HEAD') || !PATHS.has(ctx.path)) {
      await next();
      return;
    }

    const known = documents.get(ctx.path);
    if (known) {
      const body = serve(ctx, await known);
      if (ctx.querystring === '') answers.keep(ctx.req, ctx.path, ctx.res, body);
      return;
    }
    await next();
    if (ctx.status !== 200) return;
    // Another request may have come as far in the meantime: a document is compressed once.
    const document = documents.get(ctx.path) ?? prepare(ctx.body, ctx.response.get('Content-Type'));
    documents.set(ctx.path, document);
    serve(ctx, await document);
  };

  /** @returns what it answers with, if the caller does not have it already */
  function serve(ctx: Context, { etag, type, encodings }: Document): Buffer | undefined {
    sendAsData(ctx);
    ctx.set('Access-Control-Allow-Origin', '*');
    ctx.set('Cache-Control', cacheControl);
    ctx.set('Vary', 'Accept-Encoding');
    ctx.set('ETag', etag);
    ctx.status = 200;
    if (ctx.fresh) {
      ctx.status = 304;
      return undefined;
    }
    const encoding = ctx.acceptsEncodings('br', 'gzip', 'identity') || 'identity';
    if (encoding !== 'identity') ctx.set('Content-Encoding', encoding);
    ctx.type = type;
    const body = encodings[encoding as keyof typeof encodings];
    ctx.body = body;
    return body;
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
