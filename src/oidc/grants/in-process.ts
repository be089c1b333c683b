import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { setRequestState } from '../../http/request-state.ts';
import type { RequestState } from '../../http/request-state.ts';
import { ROUTES } from '../configuration/features.ts';
import type { TenantProvider } from '../provider-registry.ts';

export interface EngineAnswer {
  status: number;
  body: Record<string, unknown>;
  /** What the engine found and made on the way. */
  entities: KoaContextWithOIDC['oidc']['entities'];
}

/** What Koa 3 has and its types do not tell. */
interface Composing {
  compose: (middleware: unknown) => (ctx: unknown) => Promise<void>;
}

/**
 * A request to the token endpoint that comes from this process instead of the network: the same middleware,
 * checks, unit of work and answers, so that there is no second way to a token.
 * @param state of the request it is made for: address, browser and reference id go into its events
 */
export async function callTokenEndpoint(
  { provider }: TenantProvider,
  state: RequestState,
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
  const res = new ServerResponse(req);
  setRequestState({ req }, { ...state, log: state.log });

  const ctx = provider.createContext(req, res) as unknown as KoaContextWithOIDC;
  await (provider as unknown as Composing).compose(provider.middleware)(ctx);
  return {
    status: ctx.status,
    body: typeof ctx.body === 'object' && ctx.body !== null ? { ...ctx.body } : {},
    entities: ctx.oidc.entities,
  };
}
