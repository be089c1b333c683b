import { IncomingMessage, ServerResponse } from 'node:http';
import type { OutgoingHttpHeaders } from 'node:http';
import { Socket } from 'node:net';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { createCookieSigner } from '../../http/cookie-signer.ts';
import { requestStateOf, setRequestState } from '../../http/request-state.ts';
import type { RequestOrigin } from '../../http/request-state.ts';
import { cookieKeys, cookieNames } from '../configuration/cookies.ts';
import { ROUTES } from '../configuration/features.ts';
import type { TenantProvider } from '../provider-registry.ts';

/**
 * Requests to the engine that come from this process instead of the network: the same middleware, checks, unit of
 * work and answers, so that there is no second way to a session or a token.
 */
export interface EngineAnswer {
  status: number;
  /** With 429. */
  retryAfterSeconds: number;
  body: Record<string, unknown>;
  /** What the engine found and made on the way. */
  entities: KoaContextWithOIDC['oidc']['entities'];
}

/** What Koa 3 has and its types do not tell. */
interface Composing {
  compose: (middleware: unknown) => (ctx: unknown) => Promise<void>;
}

/** @param state of the request it is made for: address, browser and reference id go into its events */
export async function callTokenEndpoint(
  tenantProvider: TenantProvider,
  state: RequestOrigin,
  form: Record<string, string>,
): Promise<EngineAnswer> {
  const body = new URLSearchParams(form).toString();
  const req = new IncomingMessage(new Socket());
  req.method = 'POST';
  req.url = ROUTES.token;
  req.headers = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(Buffer.byteLength(body)),
  };
  req.push(body);
  req.push(null);
  const ctx = await ask(tenantProvider, state, req);
  return {
    status: ctx.status,
    retryAfterSeconds: Number(ctx.response.get('Retry-After')),
    body: typeof ctx.body === 'object' && ctx.body !== null ? { ...ctx.body } : {},
    entities: ctx.oidc.entities,
  };
}

/** Where a browser is sent, and the `Set-Cookie` lines that go with it, those of the answer under way among them. */
export interface Redirect {
  location: string;
  cookies?: string[];
}

/**
 * Goes on with an authorization request whose interaction has its result, as the browser would that is sent back
 * there. Its cookie for the way back has a path of its own, so the browser does not send it along; it stands for the
 * same as that of the interaction itself, which the caller has verified.
 * @param exchange the browser's request, and the answer under way with its headers so far
 * @returns undefined where the engine's answer is no redirect
 */
export async function resumeAuthorization(
  tenantProvider: TenantProvider,
  exchange: { req: IncomingMessage; res: ServerResponse },
  uid: string,
): Promise<Redirect | undefined> {
  const { context } = tenantProvider;
  const name = cookieNames(context).resume;
  const signature = createCookieSigner(cookieKeys(context)).sign(`${name}=${uid}`);
  const { cookie = '', ...headers } = exchange.req.headers;
  for (const ofTheBody of ['content-type', 'content-length', 'transfer-encoding']) delete headers[ofTheBody];
  const req = new IncomingMessage(new Socket());
  req.method = 'GET';
  req.url = `${ROUTES.authorization}/${uid}`;
  req.headers = {
    ...headers,
    // Of a redirect nobody reads more than where it leads.
    accept: 'text/plain',
    cookie: `${name}=${uid}; ${name}.sig=${signature}; ${cookie}`,
  };
  req.push(null);
  const { status, response } = await ask(
    tenantProvider,
    requestStateOf(exchange),
    req,
    exchange.res.getHeaders(),
  );
  const { location, 'set-cookie': cookies } = response.headers;
  if (status !== 303 || typeof location !== 'string') return undefined;
  return { location, cookies: [cookies ?? []].flat().map(String) };
}

async function ask(
  { provider }: TenantProvider,
  state: RequestOrigin,
  req: IncomingMessage,
  responseHeaders: OutgoingHttpHeaders = {},
): Promise<KoaContextWithOIDC> {
  const res = new ServerResponse(req);
  for (const [header, value] of Object.entries(responseHeaders)) {
    // A list of its own: cookies are appended to it in place, and may not be wanted in the end.
    if (value !== undefined) res.setHeader(header, Array.isArray(value) ? [...value] : value);
  }
  setRequestState({ req }, { ...state, log: state.log });
  const ctx = provider.createContext(req, res) as unknown as KoaContextWithOIDC;
  await (provider as unknown as Composing).compose(provider.middleware)(ctx);
  return ctx;
}
