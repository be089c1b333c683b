import type { IncomingMessage, ServerResponse } from 'node:http';
import { newRequestState } from '../http/correlation-id.ts';
import { countsAsRefusal, rateLimitHeaders } from '../http/rate-limit.ts';
import type { EndpointLimit } from '../http/rate-limit.ts';
import type { RateLimiter } from '../http/rate-limiter.ts';
import { logWhenAnswered } from '../http/request-log.ts';
import { setRequestState } from '../http/request-state.ts';
import type { RequestLanguage } from '../i18n/request-language.ts';
import type { Logger } from '../lib/logger.ts';
import { networkOf } from '../lib/networks.ts';
import { AUTHENTICATED_ENDPOINTS } from './configuration/features.ts';
import { answerDirectly } from './direct-answers/direct-answers.ts';
import type { ProviderRegistry } from './provider-registry.ts';
import { locate } from './tenant-state.ts';

/**
 * The short way to the endpoints that apps and APIs call with credentials of theirs: straight to the
 * tenant's engine, which is a Koa application of its own and does not need ours around it. Requests are
 * prepared, counted, limited and logged as on the long way; whatever is unusual about one sends it there.
 *
 * @param measure what the long way's metrics do
 * @returns a handler that tells whether it took the request
 */
export function createEndpointServer({
  registry,
  addressOf,
  pinOrigin,
  giveLanguage,
  setSecurityHeaders,
  log,
  limiter,
  limitOf,
  withinBudget,
  measure,
}: {
  registry: Pick<ProviderRegistry, 'peek'>;
  addressOf: (req: IncomingMessage) => string;
  pinOrigin: (req: IncomingMessage) => string;
  giveLanguage: (req: IncomingMessage, res: ServerResponse) => RequestLanguage;
  setSecurityHeaders: (res: ServerResponse) => void;
  log: Logger;
  limiter: RateLimiter;
  limitOf?: ((method: string, path: string) => EndpointLimit) | undefined;
  /** Bounds how long the request may wait for the database. */
  withinBudget: (work: () => Promise<void>) => Promise<void>;
  measure?: ((res: ServerResponse, method: string, route: string) => void) | undefined;
}): (req: IncomingMessage, res: ServerResponse) => boolean {
  return (req, res) => {
    const { method, url = '' } = req;
    if (method !== 'GET' && method !== 'POST') return false;
    // Without a query.
    const { slug, path } = locate(url);
    if (!AUTHENTICATED_ENDPOINTS.has(path)) return false;
    const provider = registry.peek(slug);
    if (!provider) return false;
    const limit = limitOf?.(method, path);
    const network = networkOf(addressOf(req));
    if (limit && !limiter.hasRoom(limit, network)) return false;

    measure?.(res, method, path);
    const state = newRequestState(req, { ip: pinOrigin(req), log });
    setRequestState({ req }, state);
    giveLanguage(req, res).learn({ tenant: provider.tenant.settings.locale });
    logWhenAnswered(res, state, { method, path: url, routeOf: () => undefined });

    res.setHeader('X-Request-Id', state.correlationId);
    setSecurityHeaders(res);
    if (limit) {
      const [policyName, policy, leftName, left] = rateLimitHeaders(limit, limiter.enter(limit, network));
      res.setHeader(policyName, policy);
      res.setHeader(leftName, left);
    }
    // The engine has no notion of tenants; the prefix of this one is cut off.
    req.url = path;
    withinBudget(async () => {
      if (!(await answerDirectly(provider, req, res))) await provider.handle(req, res);
    })
      .catch((err: unknown) => {
        state.log.error({ err }, 'request failed');
        res.destroy();
      })
      .finally(() => {
        if (limit) limiter.leave(limit, network, countsAsRefusal(state, res.statusCode));
      });
    return true;
  };
}
