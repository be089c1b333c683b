import type { ServerResponse } from 'node:http';
import type { Response } from 'koa';
import type { AppMiddleware } from './request-state.ts';

/**
 * The headers of every response. They are set before anything handles the request: the protocol engine
 * appends the hashes of its own scripts to the policy it finds, and handlers loosen what they must, or leave out
 * what only a page needs.
 */

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "form-action 'self'",
].join('; ');

const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  // Any stricter value on one page or redirect of a sign-in cuts `window.opener` of the app's popup, and the
  // app never hears the result (HTML standard, "enforce a response's cross-origin opener policy").
  'Cross-Origin-Opener-Policy': 'unsafe-none',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy':
    'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=(), publickey-credentials-create=(self), publickey-credentials-get=(self)',
  'Cache-Control': 'no-store',
};

export function createSecurityHeaders({ publicUrl }: { publicUrl: string }): (res: ServerResponse) => void {
  const headers = Object.entries({
    ...HEADERS,
    ...(publicUrl.startsWith('https:') && { 'Strict-Transport-Security': 'max-age=31536000' }),
  });
  return (res) => {
    for (const [name, value] of headers) res.setHeader(name, value);
  };
}

export function securityHeaders(set: (res: ServerResponse) => void): AppMiddleware {
  return (ctx, next) => {
    set(ctx.res);
    return next();
  };
}

/** Of what a browser shows or runs; data is neither, as `nosniff` says. */
const FOR_PAGES = [
  'Content-Security-Policy',
  'X-Frame-Options',
  'Referrer-Policy',
  'Cross-Origin-Opener-Policy',
  'Permissions-Policy',
];

/** Leaves out what only a page needs: a third of what is sent of a small document that is read again and again. */
export function sendAsData({ response }: { response: Pick<Response, 'remove'> }): void {
  for (const name of FOR_PAGES) response.remove(name);
}

interface HasResponse {
  response: Pick<Response, 'get' | 'set'>;
}

/**
 * Browsers apply `form-action` to the redirects that follow a form as well, so a page whose form leads back
 * to a client must name that client's origin.
 * @param redirectUri of this request, and only once it has been validated
 */
export function allowFormAction({ response }: HasResponse, redirectUri: string): void {
  const origin = formActionOrigin(redirectUri);
  if (origin === undefined) return allowAnyFormAction({ response });
  replaceFormAction(response, (sources) => (sources.includes(origin) ? sources : [...sources, origin]));
}

/** For pages whose form leads to an upstream provider, of which nobody knows the further hops. */
export function allowAnyFormAction({ response }: HasResponse): void {
  replaceFormAction(response, () => undefined);
}

/** Undefined for what a source expression cannot say: custom schemes and IPv6 literals (CSP 3 §2.3.1). */
function formActionOrigin(redirectUri: string): string | undefined {
  if (!URL.canParse(redirectUri)) return undefined;
  const { protocol, hostname, origin } = new URL(redirectUri);
  // A host name may legally hold a semicolon, which would start another directive.
  return /^https?:$/.test(protocol) && /^[a-z0-9._-]+$/.test(hostname) ? origin : undefined;
}

function replaceFormAction(
  response: HasResponse['response'],
  change: (sources: readonly string[]) => readonly string[] | undefined,
): void {
  const directives = response
    .get('Content-Security-Policy')
    .split(';')
    .map((directive) => directive.trim().split(/\s+/));
  const changed = directives.flatMap(([name = '', ...sources]) => {
    if (name !== 'form-action') return [[name, ...sources]];
    const kept = change(sources);
    return kept ? [[name, ...kept]] : [];
  });
  response.set('Content-Security-Policy', changed.map((directive) => directive.join(' ')).join('; '));
}
