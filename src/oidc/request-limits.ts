import type { EndpointLimit } from '../http/rate-limit.ts';
import { AUTHENTICATED_ENDPOINTS, ROUTES } from './configuration/features.ts';

/** Per minute and network. */
export interface RequestLimits {
  pages: number;
  forms: number;
  refusals: number;
}

/** Served from memory: only a flood that fills the line is too much. */
const DOCUMENTS_PER_MINUTE = 6000;

const DOCUMENTS = /^\/(\.well-known\/|jwks$|assets\/|api\/docs(\/|$)|api\/v1\/openapi\.json$)/;
const API = /^\/api(\/|$)/;
/** What anybody may send to the API, as they may send the forms that do the same; however the router reads it. */
const API_FORMS =
  /^\/api\/v1\/auth\/(login|token|signup|verify-email|resend-verification|forgot-password|reset-password|password\/reset\/[^/]+)\/?$/i;
/** Proved by the token alone, as at the token endpoint for a client that has no credentials. */
const API_REFRESH = /^\/api\/v1\/auth\/refresh\/?$/i;
/** Apps may post these as well; they count like the links they mostly are. */
const REQUESTS = new Set<string>([
  ROUTES.authorization,
  ROUTES.end_session,
  ROUTES.pushed_authorization_request,
]);
const TENANT = /^\/t\/[^/]+/;

/**
 * Which limit a request counts for. Health probes are answered before: whoever asks for them must never be told
 * that a stranger asked too often, and what they cost the database is bounded in health.ts.
 */
export function requestLimits(limits: RequestLimits): (method: string, path: string) => EndpointLimit {
  const documents = limit('documents', DOCUMENTS_PER_MINUTE, 'all');
  const pages = limit('pages', limits.pages, 'all');
  const forms = limit('forms', limits.forms, 'all');
  const refusals = limit('refusals', limits.refusals, 'refused');
  const refreshes = limit('refusals', limits.refusals, 'all');

  return (method, fullPath) => {
    const path = fullPath.startsWith('/t/') ? fullPath.replace(TENANT, '') : fullPath;
    // Preflights ask for nothing that is not in memory, and succeed without credentials.
    if (method === 'OPTIONS' || DOCUMENTS.test(path)) return documents;
    if (API_FORMS.test(path)) return forms;
    if (API_REFRESH.test(path)) return refreshes;
    if (AUTHENTICATED_ENDPOINTS.has(path) || API.test(path)) return refusals;
    return method === 'POST' && !REQUESTS.has(path) ? forms : pages;
  };
}

function limit(name: string, perMinute: number, counts: EndpointLimit['counts']): EndpointLimit {
  return { name, perMinute, counts };
}
