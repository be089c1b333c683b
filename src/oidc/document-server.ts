import type { IncomingMessage, ServerResponse } from 'node:http';
import { newRequestState } from '../http/correlation-id.ts';
import { rateLimitHeaders } from '../http/rate-limit.ts';
import type { EndpointLimit } from '../http/rate-limit.ts';
import type { RateLimiter } from '../http/rate-limiter.ts';
import { logWhenAnswered } from '../http/request-log.ts';
import { networkOf } from '../lib/networks.ts';
import type { Logger } from '../lib/logger.ts';
import type { ProviderRegistry } from './provider-registry.ts';
import { locate } from './tenant-state.ts';

/**
 * The short way to discovery and JWKS, which every client and API reads again and again: past the middleware
 * and both routers, with the bytes that a request like this one was answered with before. Requests are
 * counted, limited and logged as on the long way; whatever is unusual about one sends it there.
 *
 * @param measure what the long way's metrics do
 * @returns a handler that tells whether it answered
 */
export function createDocumentServer({
  registry,
  addressOf,
  log,
  limiter,
  limitOf,
  measure,
}: {
  registry: Pick<ProviderRegistry, 'peek'>;
  addressOf: (req: IncomingMessage) => string;
  log: Logger;
  limiter: RateLimiter;
  limitOf?: ((method: string, path: string) => EndpointLimit | undefined) | undefined;
  measure?: ((res: ServerResponse, method: string, route: string) => void) | undefined;
}): (req: IncomingMessage, res: ServerResponse) => boolean {
  return (req, res) => {
    const { method, url = '' } = req;
    if ((method !== 'GET' && method !== 'HEAD') || !DOCUMENT.test(url)) return false;
    const { slug, path } = locate(url);
    const answer = registry.peek(slug)?.context.documents.find(req, path);
    if (!answer) return false;

    const ip = addressOf(req);
    const network = networkOf(ip);
    const limit = limitOf?.(method, url);
    if (limit && !limiter.hasRoom(limit, network)) return false;

    measure?.(res, method, path);
    const state = newRequestState(req, { ip, log });
    logWhenAnswered(res, state, { method, path: url, routeOf: () => undefined });
    const headers = [...answer.headers, 'X-Request-Id', state.correlationId];
    if (limit) {
      headers.push(...rateLimitHeaders(limit, limiter.enter(limit, network)));
      limiter.leave(limit, network, limit.counts === 'all');
    }
    res.writeHead(answer.status, headers);
    res.end(answer.body, 'latin1');
    return true;
  };
}

/** Without a query. */
const DOCUMENT = /^[\w./-]*\/(?:jwks|\.well-known\/[\w./-]+)$/;
